// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package run

import (
	"ringo/hv/decode"
	"ringo/hv/internal/part"
	"ringo/hv/vcpu"
	"ringo/hv/x86"
	"ringo/mm"
	"ringo/mm/gwalk"
)

// emulator carries out, for one CPU, the instructions that guests' CPUs cannot:
// those that touch devices in memory, and string and system instructions with a
// memory operand.
//
//	memory, io, crWrite    what the exit allows the instruction to be
//	  take, instruction    the registers, the bytes at RIP and what they mean
//	  start
//	  proceed ◀──────────── answered, when dom0 has served an access
//	    locate             every operand checked and translated, then
//	    serve              one access after the other: RAM, a device, dom0
//	  commit               registers and RIP
//
// The exit said what the CPU found; the bytes are read afterwards, and other
// vCPUs may change them in between, user programs among them. So the exit decides
// what may be done (an access to a port needs the exit of that port, for which
// the CPU has checked the privilege), and everything else is checked again with
// the rights of the vCPU. What lasts while dom0 answers is in part.Pending.
type emulator struct {
	v      *part.VCPU   // whose instruction it is
	user   bool         // at CPL 3
	s      decode.State // its registers, before and after
	regime gwalk.Regime // its paging
	ram    part.Window  // its memory

	now   vcpu.Snapshot
	code  [decode.MaxLen]byte // the bytes at RIP
	known [knownInsns]known
	told  decode.Insn // what the exit itself says about its instruction
	hint  hint
	look  bool    // an access may have given reason to look at v
	word  [8]byte // an operand in memory
}

// hint is where the access that led to an emulation goes, as the CPU has found
// out: the guest's page tables need not be walked for it again. It is good for
// the operand that is used in this direction, at the same place of its page.
type hint struct {
	ok, write bool
	gpa       mm.GPA
}

// take makes v's instruction the one to be carried out, with as much of its
// state as it takes to fetch it.
func (e *emulator) take(v *part.VCPU) {
	n, r, s := &e.now, &e.regime, &e.s
	if e.v != v {
		e.v, s.Regs = v, v.Regs
		e.ram.Use(v.Dom)
		r.PhysBits, r.Page1G, r.Marker = v.Dom.Plat.CPUID.PhysBits(), v.Dom.Plat.Page1G, &e.ram
	}
	v.HW.Snapshot(n)
	e.user, e.hint.ok = v.Exit.CPL == 3, false
	r.CR0, r.CR3, r.CR4, r.EFER = n.CR0, n.CR3, n.CR4, n.EFER
	s.RIP = n.RIP
	if n.EFER&x86.EFERLMA != 0 && n.CSAccess&x86.SegL != 0 {
		s.Mode = decode.Mode{Code: 64, Stack: 64}
		return
	}
	s.Base[x86.CS] = n.CSBase
	s.Mode = decode.ModeOf(x86.Segment{Access: n.CSAccess}, v.HW.Segment(x86.SS), false)
}

// registers adds to the state that take leaves what carrying out an instruction
// may need as well.
func (e *emulator) registers() {
	s, n := &e.s, &e.now
	s.RSP, s.RFLAGS, s.CR0 = n.RSP, n.RFLAGS, n.CR0
}

// bases gathers the segment bases that instruction i may use.
func (e *emulator) bases(i *decode.Insn) {
	hw, s := e.v.HW, &e.s
	if s.Mode.Code != 64 {
		for seg := range s.Base {
			s.Base[seg] = hw.Segment(x86.Seg(seg)).Base
		}
	} else if i.Seg >= x86.FS { // the others have no base in 64-bit mode
		s.Base[i.Seg] = hw.Segment(i.Seg).Base
	}
}

// memory carries out the instruction whose access to memory has failed: it led
// to d, if to anything.
func (e *emulator) memory(v *part.VCPU, x *vcpu.Exit, d access) action {
	e.take(v)
	i, err := e.instruction()
	switch {
	case err != nil:
		return e.refuse(err)
	case i.Exiting():
		return resume // the bytes have changed: let the CPU look again
	}
	// CMPS has two reads: which of them exited is unknown.
	e.hint = hint{ok: i.Op != decode.Cmps, write: x.Mem.Write, gpa: x.Mem.GPA}
	if a, done := e.plain(i, d, x.TSC); done {
		return a
	}
	return e.start(i, x.TSC)
}

// refuse answers an instruction that is not one, or not one that can be carried
// out. A user program cannot end its guest by it.
func (e *emulator) refuse(err error) action {
	switch {
	case err == errFault:
		return resume
	case err == decode.ErrTooLong:
		return fault(e.v)
	case err == decode.ErrUndefined || e.user:
		return raise(e.v, x86.VecUD, false, 0)
	}
	return crash(e.v, "it touches a device with an instruction that is not emulated")
}

// io carries out INS or OUTS: the access that the CPU has found to be allowed,
// and no other.
func (e *emulator) io(v *part.VCPU, x *vcpu.Exit) action {
	i, op := e.exiting(v), decode.Outs
	if x.IO.In {
		op = decode.Ins
	}
	if i == nil || i.Op != op || i.MemSize != x.IO.Size || uint16(v.Regs.RDX) != x.IO.Port {
		return resume // the bytes have changed
	}
	return e.start(i, x.TSC)
}

// start begins i, the instruction of the vCPU that was taken; now is when the
// guest executed it.
func (e *emulator) start(i *decode.Insn, now uint64) action {
	io := &e.v.IO
	io.Kind = part.PendingMemory
	io.Op.Start(i)
	e.registers()
	e.bases(i)
	e.look = false
	return e.proceed(now)
}

// answered goes on with v's instruction, whose access dom0 has served.
func (e *emulator) answered(v *part.VCPU, val, now uint64) action {
	if v.IO.Read {
		v.IO.Op.Feed(val)
	}
	e.take(v) // the operands have been located: no bases are needed
	e.registers()
	return e.proceed(now)
}

// proceed carries the instruction on until it is done, faults, or needs dom0. Of
// a repeated one it does one iteration: the guest executes it again for the next.
func (e *emulator) proceed(now uint64) action {
	op := &e.v.IO.Op
	for {
		switch q, status := op.Next(&e.s); status {
		case decode.Locate:
			if !e.locate(op.Operands()) {
				return resume
			}
		case decode.Access:
			if a, stop := e.serve(&q, now); stop {
				return a
			}
		default:
			return e.commit(status)
		}
	}
}

// commit gives the vCPU its new registers.
func (e *emulator) commit(status decode.Status) action {
	hw, s := e.v.HW, &e.s
	if s.RSP != e.now.RSP {
		hw.Set(x86.RSP, s.RSP)
	}
	if s.RFLAGS != e.now.RFLAGS {
		hw.Set(x86.RFLAGS, s.RFLAGS)
	}
	if s.CR0 != e.now.CR0 {
		setCR0(e.v, &e.now, s.CR0) // LMSW; it cannot make an illegal value of a legal one
	}
	if status == decode.Done {
		hw.Advance(uint8(s.RIP - e.now.RIP))
	}
	if e.look {
		return look
	}
	return resume
}
