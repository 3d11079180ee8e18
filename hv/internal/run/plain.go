// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package run

import (
	"ringo/hv/decode"
	"ringo/hv/internal/part"
	"ringo/hv/x86"
	"ringo/mm"
)

// plain carries out i if it is a plain load or store in 64-bit mode which goes
// where the CPU says, to d or to nothing, and which hv answers: what nearly every
// access to a device is. It does what start does, in a third of the instructions.
// If it reports false, it has done nothing.
func (e *emulator) plain(i *decode.Insn, d access, now uint64) (a action, done bool) {
	h, s := &e.hint, &e.s
	if !i.Plain() || i.Seg >= x86.FS || s.Mode.Code != 64 {
		return resume, false
	}
	s.RSP = e.now.RSP
	addr, store := i.Offset(s), i.Dst == decode.Mem
	if store != h.write || (uint64(h.gpa)^addr)%mm.PageSize != 0 || addr%mm.PageSize+uint64(i.MemSize) > mm.PageSize {
		return resume, false
	}
	if d.ok && d.dev != e.v.APIC {
		// What is there for one byte need not be there for all of them.
		if d = deviceAt(e.v, h.gpa, i.MemSize); d.ok && part.IsClaimed(d.dev) {
			return resume, false
		}
	}
	e.look = false
	if store {
		e.write(d, i.MemSize, i.Stored(s), now)
	} else if i.Load(s, e.read(d, i.MemSize, now)); s.RSP != e.now.RSP {
		e.v.HW.Set(x86.RSP, s.RSP)
	}
	e.v.HW.Advance(i.Len)
	if e.look {
		return look, true
	}
	return resume, true
}
