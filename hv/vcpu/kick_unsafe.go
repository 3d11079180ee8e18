// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vcpu

import (
	"sync/atomic"
	"unsafe"
)

// KickWord is a CPU's word of [Env.KickWord].
type KickWord struct{ p *uint32 }

// never is the word of CPUs that have none.
var never uint32

// Kick returns the word of a CPU; the zero word, which nobody sets, if there is
// none.
func (e *Env) Kick(cpu int) KickWord {
	if e.KickWord != nil {
		if p := e.KickWord(cpu); p != nil {
			return KickWord{p}
		}
	}
	return KickWord{&never}
}

// Address is for the entry code.
func (k KickWord) Address() uint64 {
	// SAFETY: the word is no Go heap memory that could move or go: Env promises
	// it for the life of the CPU, and never is a variable.
	return uint64(uintptr(unsafe.Pointer(k.p)))
}

// Clear forgets the kick. The caller looks for the reason afterwards.
func (k KickWord) Clear() { atomic.StoreUint32(k.p, 0) }
