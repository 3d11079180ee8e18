// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import "ringo/boot/layout"

const (
	mapFixed     = 0x10
	mapAnonymous = 0x20

	madvDontNeed = 4
	madvFree     = 8
)

// userPages checks and rounds a range of the Go program's address space.
//
//go:nosplit
func userPages(a, n uint64) (start, end uint64, ok bool) {
	if n == 0 || n > layout.UserEnd || a&(pageSize-1) != 0 {
		return 0, 0, false
	}
	n = (n + pageSize - 1) &^ (pageSize - 1)
	return a, a + n, a >= layout.UserBase && a+n <= layout.UserEnd
}

//go:nosplit
func sysMmap(c *cpu, t *thread) uint64 {
	a, n, prot, flags := t.f.rdi, t.f.rsi, t.f.rdx, t.f.r10
	if n == 0 || n > layout.UserEnd || flags&mapAnonymous == 0 {
		return neg(eINVAL)
	}
	if prot&protExec != 0 {
		return neg(eACCES) // W^X: only the image has code
	}
	n = (n + pageSize - 1) &^ (pageSize - 1)
	if flags&mapFixed != 0 {
		start, end, ok := userPages(a, n)
		if !ok {
			return neg(eINVAL)
		}
		zapUntilEmpty(c, start, end)
		ok = space.set(start, end, prot)
		mmlock.unlock()
		if !ok {
			return neg(eNOMEM)
		}
		return a
	}
	mmlock.lock()
	start, end, ok := userPages(a, n)
	if !ok || !space.free(start, end) {
		start = space.gap(layout.UserBase, layout.UserEnd, n)
	}
	ok = start != 0 && space.set(start, start+n, prot)
	mmlock.unlock()
	if !ok {
		return neg(eNOMEM)
	}
	return start
}

//go:nosplit
func sysMunmap(c *cpu, t *thread) uint64 {
	start, end, ok := userPages(t.f.rdi, t.f.rsi)
	if !ok {
		return neg(eINVAL)
	}
	zapUntilEmpty(c, start, end)
	ok = space.clear(start, end)
	mmlock.unlock()
	if !ok {
		return neg(eNOMEM)
	}
	return 0
}

//go:nosplit
func sysMprotect(c *cpu, t *thread) uint64 {
	start, end, ok := userPages(t.f.rdi, t.f.rsi)
	prot := t.f.rdx
	if !ok {
		return neg(eINVAL)
	}
	if prot&protExec != 0 {
		return neg(eACCES)
	}
	mmlock.lock()
	ok = space.covered(start, end) && space.set(start, end, prot)
	if ok {
		protect(start, end, prot)
	}
	mmlock.unlock()
	if !ok {
		return neg(eNOMEM)
	}
	shootdown(c)
	return 0
}

//go:nosplit
func sysMadvise(c *cpu, t *thread) uint64 {
	start, end, ok := userPages(t.f.rdi, t.f.rsi)
	if !ok {
		return neg(eINVAL)
	}
	if t.f.rdx == madvDontNeed || t.f.rdx == madvFree {
		zap(c, start, end, false)
	}
	return 0
}

// sysMincore says of every mapped page that it is resident.
//
//go:nosplit
func sysMincore(c *cpu, t *thread) uint64 {
	start, end, ok := userPages(t.f.rdi, t.f.rsi)
	if !ok {
		return neg(eINVAL)
	}
	mmlock.lock()
	ok = space.covered(start, end)
	mmlock.unlock()
	if !ok {
		return neg(eNOMEM)
	}
	one := uint8(1)
	for out := t.f.rdx; start < end; start += pageSize {
		if !copyOut8(out, one) {
			return neg(eFAULT)
		}
		out++
	}
	return 0
}
