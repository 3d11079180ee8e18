// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package decode

import (
	"math/bits"

	"ringo/hv/x86"
)

// Kind is what a request asks for.
type Kind uint8

// Kinds of requests.
const (
	ReadMem Kind = iota
	WriteMem
	ReadPort
	WritePort
)

// Request is one access that an instruction makes.
type Request struct {
	Kind    Kind
	Size    uint8  // 1, 2, 4 or 8 bytes
	Operand uint8  // ReadMem, WriteMem: the number of the memory operand
	Port    uint16 // ReadPort, WritePort
	// Value is what to write.
	Value uint64
	// Atomic: the write belongs to a locked instruction (XCHG always is), and
	// Old is what its read got. RAM must be changed by compare and swap; if it
	// is not Old any more, drop the Emulation and start again.
	Atomic bool
	Old    uint64
}

// Status is how far an [Emulation] is.
type Status uint8

// Statuses.
const (
	// Locate: check and translate the Operands, in their order, each for all
	// that it is used for, then call Next again. Nothing was accessed yet in
	// this iteration, so that a fault finds nothing done.
	Locate Status = iota
	// Access: serve the request, give what a read got to Feed, call Next again.
	Access
	// Done: the instruction is complete and RIP behind it.
	Done
	// Repeat: one iteration of a repeated instruction is complete and RIP still
	// at it. Deliver interrupts, or call Next for the next iteration.
	Repeat
)

// Emulation carries out one instruction. It may be kept for as long as an
// access takes. Nothing of the State changes before the last access was served,
// so dropping it (a page fault on the way, a killed partition) is always right;
// only an unlocked instruction's write may have happened then.
//
//	for {
//		r, status := e.Next(&s)
//		switch status {
//		case Locate: ... translate e.Operands()
//		case Access: ... serve r; after a read: e.Feed(value)
//		default:     return
//		}
//	}
type Emulation struct {
	i     Insn
	phase phase
	reads uint8
	count uint8 // of memory operands
	at    [2]Operand
	in    [2]uint64 // what the reads got

	// The result, until it is committed.
	out     uint64 // for memory, port or CR0
	reg     uint64 // for the register operand
	setReg  bool
	flags   uint64
	compare bool // CMPXCHG: equal
}

type phase uint8

const (
	locate phase = iota
	first
	second
	compute
	commit
)

// Start begins i, which came from [Decode] without error. It reports false for
// an instruction that only exits.
func (e *Emulation) Start(i *Insn) bool {
	e.i, e.phase = *i, locate
	return i.Op > Unsupported && i.Op < In
}

// Op is what the instruction does.
func (e *Emulation) Op() Op { return e.i.Op }

// Operands returns the memory operands of the present iteration.
func (e *Emulation) Operands() []Operand { return e.at[:e.count] }

// Feed gives the value of the read that Next asked for.
func (e *Emulation) Feed(v uint64) {
	e.in[e.reads&1] = v & mask(e.i.MemSize)
	e.reads++
}

// Next returns the next step. All calls get the same State.
func (e *Emulation) Next(s *State) (Request, Status) {
	for {
		switch e.phase {
		case locate:
			if e.i.repeats() && s.Regs.RCX&mask(e.i.AddrSize) == 0 {
				e.advance(s)
				return Request{}, Done
			}
			e.phase, e.reads = first, 0
			if e.count = e.i.operands(s, &e.at); e.count != 0 {
				return Request{}, Locate
			}
		case first:
			e.phase = second
			if e.i.Op == Ins {
				return Request{Kind: ReadPort, Size: e.i.MemSize, Port: uint16(s.Regs.RDX)}, Access
			}
			if e.count != 0 && e.at[0].Read {
				return Request{Kind: ReadMem, Size: e.i.MemSize}, Access
			}
		case second:
			e.phase = compute
			if e.count > 1 && e.at[1].Read {
				return Request{Kind: ReadMem, Size: e.i.MemSize, Operand: 1}, Access
			}
		case compute:
			e.phase = commit
			e.compute(s)
			if r, ok := e.write(s); ok {
				return r, Access
			}
		case commit:
			e.phase = locate
			return Request{}, e.commit(s)
		}
	}
}

// Plain reports whether i is a load or store of one memory operand that changes
// no more than a register or the memory: [Insn.Load] or [Insn.Stored] is all that
// it does.
func (i *Insn) Plain() bool {
	return i.Op == Mov || i.Op == Movzx
}

// Load changes s as plain load i does that has read v; RIP stays.
func (i *Insn) Load(s *State, v uint64) { s.set(i.Reg, i.High, i.Size, v&mask(i.MemSize)) }

// Stored is what plain store i writes.
func (i *Insn) Stored(s *State) uint64 {
	if i.Src == Imm {
		return i.Imm & mask(i.MemSize)
	}
	return s.get(i.Reg, i.High, i.MemSize)
}

// isString reports whether RSI, RDI and REP play a role.
func (i *Insn) isString() bool { return i.Op >= Movs && i.Op <= Outs }

func (i *Insn) repeats() bool { return i.Rep != 0 && i.isString() }

// write is the write, if the instruction has one: to the last operand, or a port.
func (e *Emulation) write(s *State) (Request, bool) {
	i := &e.i
	r := Request{Kind: WriteMem, Size: i.MemSize, Value: e.out & mask(i.MemSize)}
	switch {
	case i.Op == Outs:
		r.Kind, r.Port = WritePort, uint16(s.Regs.RDX)
		return r, true
	case e.count == 0:
		return r, false
	}
	r.Operand = e.count - 1
	o := &e.at[r.Operand&1]
	if o.Read {
		r.Atomic, r.Old = i.Lock || i.Op == Xchg, e.in[0]
	}
	return r, o.Write
}

// compute works out results from what was read.
func (e *Emulation) compute(s *State) {
	i := &e.i
	v := e.in[0]
	e.flags, e.out, e.setReg = s.RFLAGS, v, i.Dst == Reg
	operand := i.Imm
	if i.Src == Reg || i.Dst == Reg {
		operand = s.get(i.Reg, i.High, i.Size)
	}
	switch i.Op {
	case Mov:
		e.reg, e.out = v, operand
	case Movzx:
		e.reg = v
	case Movsx:
		e.reg = uint64(signExtend(v, i.MemSize))
	case Movbe:
		shift := 64 - 8*i.Size
		e.reg, e.out = bits.ReverseBytes64(v)>>shift, bits.ReverseBytes64(operand)>>shift
	case Setcc:
		e.out = 0
		if condition(i.Cond, s.RFLAGS) {
			e.out = 1
		}
	case Cmov:
		// Without the condition the register keeps its value, but a 32-bit
		// write still clears the upper half.
		e.reg = operand
		if condition(i.Cond, s.RFLAGS) {
			e.reg = v
		}
	case Xchg:
		e.reg, e.out, e.setReg = v, operand, true
	case Xadd:
		e.out, e.flags = Arith(Xadd, i.Size, v, operand, s.RFLAGS)
		e.reg, e.setReg = v, true
	case Cmpxchg:
		acc := s.get(0, false, i.Size)
		_, e.flags = Arith(Cmp, i.Size, acc, v, s.RFLAGS)
		if e.compare = acc == v; e.compare {
			e.out = operand
		}
	case Stos:
		e.out = s.get(0, false, i.Size)
	case Scas:
		_, e.flags = Arith(Scas, i.Size, s.get(0, false, i.Size), v, s.RFLAGS)
	case Cmps:
		_, e.flags = Arith(Cmps, i.Size, v, e.in[1], s.RFLAGS)
	case SMSW:
		e.reg, e.out = s.CR0, s.CR0
	case LMSW:
		if i.Src == Mem {
			operand = v
		}
		// It can set PE but not clear it (SDM Vol. 2, "LMSW").
		const low = x86.CR0PE | x86.CR0MP | x86.CR0EM | x86.CR0TS
		e.out, e.setReg = s.CR0&^(low&^x86.CR0PE)|operand&low, false
	case Movs, Lods, Ins, Outs, Push, Pop, Flush:
	default:
		if i.Dst == Reg {
			e.reg, e.flags = Arith(i.Op, i.Size, operand, v, s.RFLAGS)
			e.setReg = i.Op != Cmp && i.Op != Test
		} else {
			e.out, e.flags = Arith(i.Op, i.Size, v, operand, s.RFLAGS)
		}
	}
}

// commit changes the state.
func (e *Emulation) commit(s *State) Status {
	i := &e.i
	s.RFLAGS = e.flags
	if e.setReg {
		s.set(i.Reg, i.High, i.Size, e.reg)
	}
	switch i.Op {
	case Cmpxchg:
		if !e.compare {
			s.set(0, false, i.Size, e.in[0])
		}
	case Lods:
		s.set(0, false, i.Size, e.in[0])
	case LMSW:
		s.CR0 = e.out
	case Push:
		s.RSP = moveStack(s, -int64(i.Size))
	case Pop:
		s.RSP = moveStack(s, int64(i.Size))
	}
	if i.isString() && e.step(s) {
		return Repeat
	}
	e.advance(s)
	return Done
}

// step moves the pointers of a string instruction, and reports whether there is
// another iteration.
func (e *Emulation) step(s *State) bool {
	i := &e.i
	delta := uint64(i.MemSize)
	if s.RFLAGS&x86.FlagDF != 0 {
		delta = -delta
	}
	switch i.Op {
	case Movs, Cmps, Lods, Outs:
		s.set(6, false, i.AddrSize, s.Regs.RSI+delta)
	}
	switch i.Op {
	case Movs, Cmps, Stos, Scas, Ins:
		s.set(7, false, i.AddrSize, s.Regs.RDI+delta)
	}
	if i.Rep == 0 {
		return false
	}
	s.set(1, false, i.AddrSize, s.Regs.RCX-1)
	if s.Regs.RCX&mask(i.AddrSize) == 0 {
		return false
	}
	if i.Op == Cmps || i.Op == Scas {
		return (s.RFLAGS&x86.FlagZF != 0) == (i.Rep == RepE)
	}
	return true
}

// advance moves RIP behind the instruction.
func (e *Emulation) advance(s *State) {
	s.RIP += uint64(e.i.Len)
	if e.i.code != 64 {
		s.RIP &= 0xffff_ffff
	}
}
