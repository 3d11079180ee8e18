// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package asm

// TSC reads the time-stamp counter to r. RAX and RDX are lost.
func (a *Asm) TSC(r Reg) {
	a.LFENCE()
	a.RDTSC()
	a.Shl(RDX, 32)
	a.Or(RAX, RDX)
	a.Mov(r, RAX)
}

// Least leaves in min the least number of ticks that count times body took, of some
// batches, so that an interrupt in some of them does not count. Besides what body
// uses RAX, RDX, RBP, R12 and R13 are lost.
func (a *Asm) Least(min Reg, batches, count uint64, body func()) {
	more := a.NewLabel()
	a.MovImm(min, ^uint64(0))
	a.MovImm(RBP, batches)
	batch := a.Here()
	a.MovImm(R12, count)
	a.TSC(R13)
	again := a.Here()
	body()
	a.SubImm(R12, 1)
	a.Jcc(NE, again)
	a.TSC(RAX)
	a.Sub(RAX, R13)
	a.Cmp(RAX, min)
	a.Jcc(AE, more)
	a.Mov(min, RAX)
	a.Place(more)
	a.SubImm(RBP, 1)
	a.Jcc(NE, batch)
}
