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

// locate checks and translates all operands of the instruction, as the CPU does
// before it accesses the first. When it reports false, the fault is on its way.
func (e *emulator) locate(ops []decode.Operand) bool {
	for n := range ops {
		o, p := &ops[n], &e.v.IO.Place[n]
		if !e.segment(o) {
			return false
		}
		if p.Here = uint8(min(uint64(o.Size), mm.PageSize-o.Addr%mm.PageSize)); e.hinted(o, p) {
			continue
		}
		var ok bool
		if p.GPA, ok = e.translate(o, mm.GVA(o.Addr)); !ok {
			return false
		}
		if p.Here == o.Size {
			continue
		}
		next := mm.GVA(o.Addr + uint64(p.Here))
		if e.s.Mode.Code != 64 {
			next &= 0xffff_ffff
		}
		if p.Next, ok = e.translate(o, next); !ok {
			return false
		}
	}
	return true
}

// hinted places o where the CPU found it, if it is the operand that exited.
func (e *emulator) hinted(o *decode.Operand, p *part.Place) bool {
	h := &e.hint
	// A write that was allowed allows a read, but not the other way round.
	if !h.ok || h.write != o.Write || p.Here != o.Size || (uint64(h.gpa)^o.Addr)%mm.PageSize != 0 {
		return false
	}
	h.ok = false
	p.GPA = h.gpa
	return true
}

// translate walks the guest's page tables for an access to o at va.
func (e *emulator) translate(o *decode.Operand, va mm.GVA) (mm.GPA, bool) {
	var acc gwalk.Access
	if o.Write {
		acc |= gwalk.Write
	}
	if e.user {
		acc |= gwalk.User
	}
	if e.s.RFLAGS&x86.FlagAC != 0 {
		acc |= gwalk.AC
	}
	gpa, f := e.ram.Translate(&e.regime, va, acc)
	if f.Kind != gwalk.OK {
		e.inject(f, o.Seg)
		return 0, false
	}
	return gpa, true
}

// segment checks o against its segment. In 64-bit mode there is nothing to check.
func (e *emulator) segment(o *decode.Operand) bool {
	if e.s.Mode.Code == 64 {
		return true
	}
	seg := e.v.HW.Segment(o.Seg)
	if inSegment(&seg, o, e.regime.CR0&x86.CR0PE != 0 && e.s.RFLAGS&x86.FlagVM == 0) {
		return true
	}
	e.segmentFault(o.Seg)
	return false
}

// inSegment reports whether seg allows an access to o: in protected mode by its
// type, and always by its limit (SDM Vol. 3, "Limit Checking", "Type Checking";
// "Real-Address Mode Operation": there, all segments can be read and written).
func inSegment(seg *x86.Segment, o *decode.Operand, protected bool) bool {
	const code, down, allowed = 8, 4, 2 // bits of the type; allowed is R of code and W of data
	typ := seg.Access & 15
	if protected {
		switch {
		case seg.Access&(x86.SegUnusable|x86.SegP|x86.SegS) != x86.SegP|x86.SegS:
			return false
		case o.Write && (typ&code != 0 || typ&allowed == 0), o.Read && typ&code != 0 && typ&allowed == 0:
			return false
		}
	}
	last := o.Offset + uint64(o.Size) - 1
	if typ&(code|down) != down {
		return last <= uint64(seg.Limit)
	}
	top := uint64(0xffff)
	if seg.Access&x86.SegDB != 0 {
		top = 0xffff_ffff
	}
	return o.Offset > uint64(seg.Limit) && last <= top
}

// segmentFault is what the CPU raises for an address that seg does not allow.
func (e *emulator) segmentFault(seg x86.Seg) {
	vec := uint8(x86.VecGP)
	if seg == x86.SS {
		vec = x86.VecSS
	}
	raise(e.v, vec, true, 0)
}

// inject gives the guest the fault that its own CPU would have raised for an
// access through seg.
func (e *emulator) inject(f gwalk.Fault, seg x86.Seg) {
	switch f.Kind {
	case gwalk.PageFault:
		e.v.HW.Set(x86.CR2, uint64(f.Addr))
		raise(e.v, x86.VecPF, true, f.Err)
	case gwalk.NonCanonical:
		e.segmentFault(seg)
	default:
		crash(e.v, "code or page tables outside its memory")
	}
}

// raise injects a fault at the present instruction.
func raise(v *part.VCPU, vec uint8, hasErr bool, code uint32) action {
	if x := &v.Exit; x.Ahead {
		x.Ahead = false
		v.HW.Set(x86.RIP, x.RIP)
	}
	v.HW.Inject(vcpu.Event{Type: vcpu.HardException, Vector: vec, HasErr: hasErr, Err: code})
	return resume
}
