// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package run

import (
	"encoding/binary"

	"ringo/hv/abi"
	"ringo/hv/decode"
	"ringo/hv/internal/dbg"
	"ringo/hv/internal/part"
	"ringo/hv/vcpu"
	"ringo/hv/x86"
	"ringo/mm"
	"ringo/mm/gwalk"
)

// memory answers an access to guest physical memory that the second-level
// tables do not allow: a device, or nothing at all.
func memory(r *Runner, v *part.VCPU, x *vcpu.Exit) action {
	r.cpu.Amend(uint64(x.Mem.GPA))
	switch m := &x.Mem; {
	case m.Walk:
		return crash(v, "its page tables are not in its memory")
	case m.Fetch:
		return crash(v, "it executes outside its memory")
	case deviceAt(v, m.GPA, 1).ok:
		// Nothing is ever mapped where a device is.
	case m.Present:
		if _, _, _, ok := v.Dom.Tables.Lookup(ptAddr(m.GPA)); ok {
			return crash(v, "it writes to read-only memory")
		}
	default:
		if _, _, _, ok := v.Dom.Tables.Lookup(ptAddr(m.GPA)); ok {
			return resume // mapped meanwhile
		}
	}
	if v.Dom.Foreign(x.Mem.GPA) {
		return trespass(v, x)
	}
	r.hint = hint{ok: true, write: x.Mem.Write, gpa: x.Mem.GPA}
	a := r.begin(v, x.TSC)
	r.hint.ok = false
	return a
}

// trespass answers dom0's access to memory that is not its own. A bus without a
// device would hide a broken pointer; a fault shows it where it is.
func trespass(v *part.VCPU, x *vcpu.Exit) action {
	dbg.At(dbg.Warning).S("domain ").U(uint64(v.Dom.ID)).S(" vCPU ").U(uint64(v.ID)).
		S(": access to memory of others at ").X(uint64(x.Mem.GPA)).S(", rip ").X(x.RIP).End()
	return fault(v)
}

// begin fetches and decodes the instruction at RIP and starts to emulate it; now
// is when the guest executed it.
func (r *Runner) begin(v *part.VCPU, now uint64) action {
	s := r.state(v)
	insn, ok := r.decode(v, &s)
	if !ok {
		return resume // a fault is on its way, or the guest is dead
	}
	if !v.IO.Op.Start(&insn) {
		// Another vCPU has changed the instruction: let the CPU look again.
		return resume
	}
	if insn.Op == decode.Cmps {
		r.hint.ok = false // two reads: which of them exited is unknown
	}
	v.IO.Kind = part.PendingMemory
	r.quiet = false
	return r.proceed(v, &s, now)
}

// finishMemory goes on with an emulation after dom0's answer.
func (r *Runner) finishMemory(v *part.VCPU, val, now uint64) action {
	if v.IO.Read {
		v.IO.Op.Feed(val)
	}
	s := r.state(v)
	r.quiet = false
	return r.proceed(v, &s, now)
}

// proceed carries the emulation on until it is done, faults, or needs dom0.
func (r *Runner) proceed(v *part.VCPU, s *decode.State, now uint64) action {
	for {
		q, st := v.IO.Op.Next(s)
		if st != decode.Access {
			v.HW.Set(x86.RSP, s.RSP)
			v.HW.Set(x86.RFLAGS, s.RFLAGS)
			if st == decode.Done {
				v.HW.Advance(uint8(s.RIP - v.HW.Get(x86.RIP)))
				if r.quiet {
					return resume
				}
			}
			return look // devices may have raised lines; REP goes on at the same RIP
		}
		if a, stop := r.serveRequest(v, &q, now); stop {
			return a
		}
	}
}

// serveRequest performs one access of an emulated instruction. It reports stop
// when the emulation must not go on now.
func (r *Runner) serveRequest(v *part.VCPU, q *decode.Request, now uint64) (a action, stop bool) {
	write := q.Kind == decode.WriteMem || q.Kind == decode.WritePort
	if q.Kind == decode.ReadPort || q.Kind == decode.WritePort {
		dev, off, ok := v.Dom.Ports.Find(uint16(q.Addr), q.Size)
		return r.device(v, abi.SpacePort, q.Addr, access{dev, off, ok}, q, write, now)
	}
	gpa, ok := r.hinted(q, write)
	if !ok {
		if gpa, ok = r.translate(v, mm.GVA(q.Addr), write); !ok {
			return resume, true
		}
	}
	d := deviceAt(v, gpa, q.Size)
	if !d.ok && r.inRAM(v, gpa, q, write) {
		return resume, false
	}
	if d.dev != v.APIC {
		return r.device(v, abi.SpaceMemory, uint64(gpa), d, q, write, now)
	}
	syncCR8(v)
	a, stop = r.device(v, abi.SpaceMemory, uint64(gpa), d, q, write, now)
	const eoi = 0xb0
	r.quiet = (!write || d.off == eoi) && !v.APIC.Virtual() && v.APIC.Settled()
	return a, stop
}

// deviceAt finds the device that answers size bytes at gpa: v's local APIC, or
// one on its domain's bus.
func deviceAt(v *part.VCPU, gpa mm.GPA, size uint8) access {
	if uint64(gpa)&^0xfff == abi.LAPICBase && v.APIC.Mapped() {
		return access{v.APIC, uint64(gpa) & 0xfff, true}
	}
	dev, off, ok := v.Dom.Mem.Find(gpa, size)
	return access{dev, off, ok}
}

// hinted returns the address that the CPU found for the access, if this is it:
// the first one in the direction that exited, at the same place in its page.
func (r *Runner) hinted(q *decode.Request, write bool) (mm.GPA, bool) {
	h := &r.hint
	if !h.ok || write != h.write {
		return 0, false
	}
	h.ok = false
	off := q.Addr % mm.PageSize
	if uint64(h.gpa)%mm.PageSize != off || off+uint64(q.Size) > mm.PageSize {
		return 0, false
	}
	return h.gpa, true
}

// inRAM performs the access if all of it lies in RAM.
func (r *Runner) inRAM(v *part.VCPU, gpa mm.GPA, q *decode.Request, write bool) bool {
	b := r.word[:q.Size]
	if write {
		binary.LittleEndian.PutUint64(r.word[:], q.Value)
		return r.ram.Write(gpa, b)
	}
	r.word = [8]byte{}
	if !r.ram.Read(gpa, b) {
		return false
	}
	v.IO.Op.Feed(binary.LittleEndian.Uint64(r.word[:]))
	return true
}

// access is what a bus found.
type access struct {
	dev busDevice
	off uint64
	ok  bool
}

// device lets a device of hv answer, or forwards to dom0, or answers as an
// empty bus does.
func (r *Runner) device(v *part.VCPU, s abi.Space, addr uint64, d access, q *decode.Request, write bool, now uint64) (action, bool) {
	r.quiet = false
	if d.ok && part.IsClaimed(d.dev) {
		return r.forward(v, s, addr, !write, q.Size, q.Value), true
	}
	switch {
	case write && d.ok:
		d.dev.Write(d.off, q.Size, q.Value, now)
	case write:
	case d.ok:
		v.IO.Op.Feed(d.dev.Read(d.off, q.Size, now))
	default:
		v.IO.Op.Feed(^uint64(0))
	}
	return resume, false
}

// state gathers what the decoder's operations need of v, and makes r.walk and
// r.ram those of v.
func (r *Runner) state(v *part.VCPU) decode.State {
	s := decode.State{
		Regs: v.Regs, RSP: v.HW.Get(x86.RSP), RIP: v.HW.Get(x86.RIP), RFLAGS: v.HW.Get(x86.RFLAGS),
	}
	r.regime(v)
	r.ram.Use(v.Dom)
	cs := v.HW.Segment(x86.CS)
	if r.walk.EFER&x86.EFERLMA != 0 && cs.Access&x86.SegL != 0 {
		// In 64-bit mode the other segments have no base.
		s.Base[x86.FS], s.Base[x86.GS] = v.HW.Segment(x86.FS).Base, v.HW.Segment(x86.GS).Base
		s.Mode = decode.Mode{Code: 64, Stack: 64}
		return s
	}
	for seg := range s.Base {
		s.Base[seg] = v.HW.Segment(x86.Seg(seg)).Base
	}
	s.Mode = decode.ModeOf(cs, v.HW.Segment(x86.SS), false)
	return s
}

// decode reads and decodes the instruction at RIP. When it reports false, a
// fault was injected or the domain was ended.
func (r *Runner) decode(v *part.VCPU, s *decode.State) (decode.Insn, bool) {
	n, ok := r.fetch(v, s)
	if !ok {
		return decode.Insn{}, false
	}
	insn, err := decode.Decode(r.insn[:n], s.Mode)
	switch err {
	case nil:
		return insn, true
	case decode.ErrUndefined:
		raise(v, x86.VecUD, false, 0)
	case decode.ErrTooLong:
		fault(v)
	default:
		crash(v, "it touches a device with an instruction that is not emulated")
	}
	return insn, false
}

// fetch copies the bytes at CS:RIP, up to 15, to r.insn.
func (r *Runner) fetch(v *part.VCPU, s *decode.State) (int, bool) {
	at := s.RIP
	if s.Mode.Code != 64 {
		at = (s.Base[x86.CS] + at) & 0xffff_ffff
	}
	acc := gwalk.Fetch
	if cpl(v) == 3 {
		acc |= gwalk.User
	}
	n, f := r.walk.ReadVirtual(&r.ram, r.insn[:], mm.GVA(at), acc)
	if n == 0 {
		r.injectFault(v, f)
		return 0, false
	}
	return n, true
}

// translate walks the guest's page tables for a data access at its CPL.
func (r *Runner) translate(v *part.VCPU, va mm.GVA, write bool) (mm.GPA, bool) {
	var acc gwalk.Access
	if write {
		acc |= gwalk.Write
	}
	if cpl(v) == 3 {
		acc |= gwalk.User
	}
	if v.HW.Get(x86.RFLAGS)&x86.FlagAC != 0 {
		acc |= gwalk.AC
	}
	gpa, f := r.walk.Translate(&r.ram, va, acc)
	if f.Kind != gwalk.OK {
		r.injectFault(v, f)
		return 0, false
	}
	return gpa, true
}

// regime loads v's paging state into r.walk.
func (r *Runner) regime(v *part.VCPU) {
	r.walk = gwalk.Regime{
		CR0: v.HW.Get(x86.CR0), CR3: v.HW.Get(x86.CR3), CR4: v.HW.Get(x86.CR4), EFER: v.HW.Get(x86.EFER),
		PhysBits: v.Dom.Plat.CPUID.PhysBits(), Page1G: v.Dom.Plat.Page1G,
	}
}

// injectFault gives the guest the fault that its own CPU would have raised.
func (r *Runner) injectFault(v *part.VCPU, f gwalk.Fault) {
	switch f.Kind {
	case gwalk.PageFault:
		v.HW.Set(x86.CR2, uint64(f.Addr))
		raise(v, x86.VecPF, true, f.Err)
	case gwalk.NonCanonical:
		fault(v)
	default:
		crash(v, "code or page tables outside its memory")
	}
}

// cpl is the privilege level: the DPL of SS (SDM Vol. 3, "CPL").
func cpl(v *part.VCPU) uint32 {
	return v.HW.Segment(x86.SS).Access >> x86.SegDPLShift & 3
}
