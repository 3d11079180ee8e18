// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import (
	"ringo/boot/layout"
	"ringo/hv/insn"
	"ringo/hv/x86"
)

// Page-table entry bits (SDM Vol. 3, "4-Level Paging").
const (
	pteP  = 1 << 0
	pteW  = 1 << 1
	ptePW = 1 << 3 // write-through
	ptePC = 1 << 4 // cache disable
	ptePS = 1 << 7
	pteG  = 1 << 8
	// pteOwn, ignored by the CPU, marks an entry of the lower half that holds a
	// frame, present or (PROT_NONE) not.
	pteOwn = 1 << 9
	pteNX  = 1 << 63

	pteAddr   = 0x000f_ffff_ffff_f000
	pteDevice = pteP | pteW | ptePW | ptePC | pteNX

	size2M = 1 << 21
	size1G = 1 << 30
)

var rootTable uint64 // physical; CR3 of every CPU

// entry returns the address of the entry that maps va at the given level (1 is
// a 4 KiB page), making tables on the way if alloc is set; 0 when a table is
// missing (or memory is). Preconditions: mmlock, or the boot CPU alone.
//
//go:nosplit
func entry(va, level uint64, alloc bool) uint64 {
	t := rootTable
	for l := uint64(4); ; l-- {
		e := frameAt(t) + va>>(3+9*l)&511*8
		if l == level {
			return e
		}
		if *p64(e)&pteP == 0 {
			if !alloc {
				return 0
			}
			f := frames.alloc()
			if f == 0 {
				return 0
			}
			frames.tables++
			*p64(e) = f | pteP | pteW
		}
		t = *p64(e) & pteAddr
	}
}

// Results of pageFault.
const (
	faultOK     = iota
	faultMapErr // nothing is mapped there
	faultAccErr // mapped, but not for that
	faultNoMem
)

// pageFault serves a fault at va in the lower half, with the CPU's error code.
//
//go:nosplit
func pageFault(va, code uint64) int {
	if va < layout.UserBase || va >= layout.UserEnd {
		return faultMapErr
	}
	mmlock.lock()
	r := populate(va, code)
	mmlock.unlock()
	return r
}

// populate is pageFault under mmlock.
//
//go:nosplit
func populate(va, code uint64) int {
	prot, ok := space.prot(va)
	if !ok {
		return faultMapErr
	}
	if prot == 0 || code&x86.PFFetch != 0 || code&x86.PFWrite != 0 && prot&protWrite == 0 {
		return faultAccErr
	}
	bits := pteBits(prot)
	e := entry(va, 1, true)
	if e == 0 {
		return faultNoMem
	}
	if *p64(e)&pteOwn != 0 {
		// Another CPU was faster, or this one's TLB is behind a change of
		// protection that allows more.
		*p64(e) = *p64(e)&pteAddr | bits
		insn.INVLPG(va)
		return faultOK
	}
	f := frames.alloc()
	if f == 0 {
		return faultNoMem
	}
	frames.data++
	*p64(e) = f | bits
	return faultOK
}

// pteBits returns the entry bits for a protection.
//
//go:nosplit
func pteBits(prot uint64) uint64 {
	switch {
	case prot&protWrite != 0:
		return pteOwn | pteNX | pteP | pteW
	case prot != 0:
		return pteOwn | pteNX | pteP
	}
	return pteOwn | pteNX
}

// zapBatch bounds what is unmapped between two TLB shootdowns.
const zapBatch = 128

// zap takes the pages of [start, end) away, and with tables set the lowest-level
// tables that become empty. Preconditions: no lock is held.
//
//go:nosplit
func zap(c *cpu, start, end uint64, tables bool) {
	for start < end {
		mmlock.lock()
		n, nt, next := zapCollect(c, start, end, tables)
		mmlock.unlock()
		zapRelease(c, n, nt)
		start = next
	}
}

// zapUntilEmpty is zap; it returns with mmlock held and no page in the range.
// A mapping is to be removed or replaced at that moment, so that no other
// thread can get the addresses while pages are still being taken away.
//
//go:nosplit
func zapUntilEmpty(c *cpu, start, end uint64) {
	zap(c, start, end, true)
	for {
		mmlock.lock()
		n, nt, next := zapCollect(c, start, end, true)
		if n == 0 && next >= end {
			return
		}
		mmlock.unlock()
		zapRelease(c, n, nt)
	}
}

// zapRelease frees the n frames in c.batch, nt of them tables, once no TLB
// knows them.
//
//go:nosplit
func zapRelease(c *cpu, n, nt uint64) {
	if n == 0 {
		return
	}
	shootdown(c)
	mmlock.lock()
	for i := uint64(0); i < n; i++ {
		frames.release(c.batch[i%zapBatch])
	}
	frames.tables -= nt
	frames.data -= n - nt
	mmlock.unlock()
}

// zapCollect clears entries from start on until c.batch is full; next is where
// to go on. Preconditions: mmlock.
//
//go:nosplit
func zapCollect(c *cpu, start, end uint64, tables bool) (n, nt, next uint64) {
	va := start
	for va < end && n < zapBatch-1 {
		e, span := lowest(va)
		if e == 0 {
			va = (va + span) &^ (span - 1)
			continue
		}
		if *p64(e)&pteOwn != 0 {
			c.batch[n%zapBatch] = *p64(e) & pteAddr
			n++
			*p64(e) = 0
		}
		va += pageSize
		if tables && (va >= end || va&(size2M-1) == 0) {
			d := entry(va-pageSize, 2, false)
			if t := *p64(d) & pteAddr; emptyTable(frameAt(t)) {
				c.batch[n%zapBatch] = t
				n++
				nt++
				*p64(d) = 0
			}
		}
	}
	return n, nt, va
}

// lowest returns the address of va's 4 KiB entry, or 0 and the size of the hole
// around va that has no table.
//
//go:nosplit
func lowest(va uint64) (e, span uint64) {
	t := rootTable
	for l := uint64(4); l > 1; l-- {
		v := *p64(frameAt(t) + va>>(3+9*l)&511*8)
		if v&pteP == 0 {
			return 0, 1 << (3 + 9*l)
		}
		t = v & pteAddr
	}
	return frameAt(t) + va>>12&511*8, pageSize
}

//go:nosplit
func emptyTable(t uint64) bool {
	for end := t + pageSize; t < end; t += 8 {
		if *p64(t) != 0 {
			return false
		}
	}
	return true
}

// protect changes the protection of the pages in [start, end).
// Preconditions: mmlock.
//
//go:nosplit
func protect(start, end, prot uint64) {
	for va := start; va < end; {
		e, span := lowest(va)
		if e == 0 {
			va = (va + span) &^ (span - 1)
			continue
		}
		if *p64(e)&pteOwn != 0 {
			*p64(e) = *p64(e)&pteAddr | pteBits(prot)
		}
		va += pageSize
	}
}
