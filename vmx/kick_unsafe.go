// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vmx

import (
	"sync/atomic"
	"unsafe"

	"ringo/hv/vcpu"
)

// kickWord is a CPU's vcpu.Env.KickWord.
type kickWord struct{ p *uint32 }

// never is the word of CPUs that have none.
var never uint32

func kickWordOf(env *vcpu.Env, cpu int) kickWord {
	if env.KickWord != nil {
		if p := env.KickWord(cpu); p != nil {
			return kickWord{p}
		}
	}
	return kickWord{&never}
}

// address is for the entry code.
func (k kickWord) address() uint64 {
	// SAFETY: the word is no Go heap memory that could move or go: Env promises
	// it for the life of the CPU, and never is a variable.
	return uint64(uintptr(unsafe.Pointer(k.p)))
}

// clear forgets the kick. The caller looks for the reason afterwards.
func (k kickWord) clear() { atomic.StoreUint32(k.p, 0) }
