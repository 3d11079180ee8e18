// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import (
	"math/bits"
	"sync/atomic"
	"unsafe"

	"ringo/boot/layout"
	"ringo/mm"
)

// Interrupts of devices that are others' business, and their registers.

// posted has a bit for each vector whose interrupts wait for the runner of the CPU:
// nothing is woken but that.
var posted [4]uint64

// PostIRQ makes interrupts of a device vector wait on their CPU for its runner, which
// [NextIRQ] gives them; it is kicked. It holds until the vector is freed.
func PostIRQ(vector uint8) { atomic.OrUint64(&posted[vector/64], 1<<(vector%64)) }

//go:nosplit
func isPosted(vec uint64) bool {
	return atomic.LoadUint64(wordAt(&posted, vec))>>(vec&63)&1 != 0
}

// wordAt is the word of a bit set that has a vector's bit.
//
//go:nosplit
func wordAt(set *[4]uint64, vec uint64) *uint64 {
	return p64(addr(unsafe.Pointer(set)) + vec/64%4*8)
}

// postIRQ notes an interrupt of this CPU, for its runner.
//
//go:nosplit
func postIRQ(c *cpu, vec uint64) {
	atomic.OrUint64(wordAt(&c.raised, vec), 1<<(vec&63))
	if atomic.SwapUint32(&c.waiting, 1) != 0 {
		return // it has been kicked
	}
	klock.lock()
	kicked(c, true)
	klock.unlock()
}

// NextIRQ returns a vector that has interrupted this CPU, once; ok is false when there
// is none.
//
// Preconditions: the caller is the CPU's runner.
func NextIRQ() (vector uint8, ok bool) { return self().nextIRQ() }

// Raised is the word that is not zero when [NextIRQ] may have something to return.
//
// Preconditions: the caller is the CPU's runner.
func Raised() *uint32 { return &self().waiting }

// nextIRQ takes a bit. waiting is cleared before the words are looked at, so that what
// comes meanwhile sets it, and kicks; it is set again when there may be more bits.
func (c *cpu) nextIRQ() (vector uint8, ok bool) {
	if atomic.SwapUint32(&c.waiting, 0) == 0 {
		return 0, false
	}
	for w := range c.raised {
		if b := atomic.LoadUint64(&c.raised[w]); b != 0 {
			atomic.AndUint64(&c.raised[w], ^(b & -b))
			atomic.StoreUint32(&c.waiting, 1)
			return uint8(w*64 + bits.TrailingZeros64(b)), true
		}
	}
	return 0, false
}

// MapDevice makes device registers, whole pages, accessible at their place of the direct
// map, uncached, where it does not reach so far. On the bare machine they are uncached
// everywhere there; in a partition the hypervisor's tables say so. It reports false if
// there is no memory for tables, or the range is not one of devices.
func MapDevice(a, size uint64) bool {
	if booted == 0 || (a|size)%pageSize != 0 || !mm.Within(mm.HPA(a), size, layout.DirectMapSize) {
		return false
	}
	end := a + size
	for a = max(a, directTop()); a < end; {
		n := uint64(pageSize)
		if a%size2M == 0 && end-a >= size2M {
			n = size2M
		}
		if enter(sysMapDevice, a, n, 0) != 0 {
			return false
		}
		a += n
	}
	return true
}

// ownMapDevice (physical address, bytes of a page) maps a page that is not there yet.
//
//go:nosplit
func ownMapDevice(c *cpu, t *thread) uint64 {
	pa, level := t.f.rdi, uint64(1)
	flags := uint64(pteDevice | pteG)
	if t.f.rsi == size2M {
		level, flags = 2, flags|ptePS
	}
	r := neg(eNOMEM)
	mmlock.lock()
	if e := entry(phys(pa), level, true); e != 0 {
		r = 0
		if *p64(e)&pteP == 0 {
			*p64(e) = pa | flags
		}
	}
	mmlock.unlock()
	return r
}

// Contiguous takes whole pages from the pool, for good: contiguous, and zero unless they
// have been in use. ok is false if it has not so many left that nobody has used.
func Contiguous(size uint64) (a mm.HPA, b []byte, ok bool) {
	if booted == 0 || size == 0 || size%pageSize != 0 {
		return 0, nil, false
	}
	pa := enter(sysContiguous, size, 0, 0)
	if int64(pa) < 0 {
		return 0, nil, false
	}
	return mm.HPA(pa), unsafe.Slice((*byte)(ptr(frameAt(pa))), size), true
}

// ownContiguous (bytes) takes them from the end of the pool.
//
//go:nosplit
func ownContiguous(c *cpu, t *thread) uint64 {
	mmlock.lock()
	r := neg(eNOMEM)
	if size := t.f.rdi; size <= frames.end-frames.next {
		frames.end -= size
		r = frames.end
	}
	mmlock.unlock()
	return r
}
