// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package hardware

import (
	"sync"

	"ringo/drivers/dma"
)

// arena is memory that is handed out for good.
type arena struct {
	mu   sync.Mutex
	free dma.Segment
}

// Alloc implements [dma.Arena].
func (a *arena) Alloc(size, align int) (dma.Segment, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	skip := int(-a.free.Addr & uint64(align-1))
	if size < 0 || skip > len(a.free.Bytes) || size > len(a.free.Bytes)-skip {
		return dma.Segment{}, dma.ErrMemory
	}
	s := a.free.Slice(skip, skip+size)
	a.free = a.free.Slice(skip+size, len(a.free.Bytes))
	return s, nil
}
