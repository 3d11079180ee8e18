// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package frame

import "ringo/mm"

// Owned is the memory of o in bytes.
func (p *Pool) Owned(o Owner) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for a, frames := range p.used {
		if a.o == o {
			n += frames
		}
	}
	return uint64(n) * mm.PageSize
}
