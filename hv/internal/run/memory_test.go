// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package run

import (
	"testing"

	"ringo/hv/abi"
	"ringo/hv/internal/part"
	"ringo/hv/vcpu"
	"ringo/hv/vcpu/vcputest"
	"ringo/hv/x86"
	"ringo/mm"
)

// flat makes p a guest in 32-bit mode without paging, with code at 0x1000.
func flat(t *testing.T, p *part.VCPU, code ...byte) {
	t.Helper()
	p.HW.SetSegment(x86.CS, x86.Segment{Limit: 0xffff_ffff, Access: 0xc09b})
	for _, s := range []x86.Seg{x86.DS, x86.ES, x86.SS} {
		p.HW.SetSegment(s, x86.Segment{Limit: 0xffff_ffff, Access: 0xc093})
	}
	p.HW.Set(x86.CR0, x86.CR0PE|x86.CR0ET)
	p.HW.Set(x86.RIP, 0x1000)
	if !p.Dom.Write(0x1000, code) {
		t.Fatal("no memory at 0x1000")
	}
}

func touch(gpa mm.GPA, write bool) vcputest.Step {
	return vcputest.Step{Exit: vcpu.Exit{Reason: vcpu.Memory, Mem: vcpu.MemExit{GPA: gpa, Write: write}}}
}

// An access where nothing is reads as ones; a copy between RAM and nothing
// takes each side from its own address although the exit names only one.
func TestEmulatedAccess(t *testing.T) {
	const hole = 0xf000_0000
	for _, c := range []struct {
		name     string
		code     []byte
		gpa      mm.GPA // of the exit
		write    bool
		esi, edi uint64
		ram      uint32 // at 0x2000 afterwards; 0x1234_5678 before
		eax      uint64
		len      uint64
	}{
		{"MOV EAX, [ESI]", []byte{0x8b, 0x06}, hole, false, hole, 0, 0x1234_5678, 0xffff_ffff, 2},
		{"MOV [EDI], EAX", []byte{0x89, 0x07}, hole, true, 0, hole, 0x1234_5678, 7, 2},
		{"MOVS from nothing", []byte{0xa5}, hole, false, hole, 0x2000, 0xffff_ffff, 7, 1},
		{"MOVS to nothing", []byte{0xa5}, hole, true, 0x2000, hole, 0x1234_5678, 7, 1},
		// The exit names another place in the page: the CPU's address is not
		// this access's, which lies in RAM.
		{"changed MOV", []byte{0x8b, 0x06}, hole + 4, false, 0x2000, 0, 0x1234_5678, 0x1234_5678, 2},
		// Both sides at the same place of their pages: only one is the exit's.
		{"CMPS", []byte{0xa7}, hole, false, 0x2000, hole, 0x1234_5678, 7, 1},
	} {
		g := newRig(t)
		d, v := g.guest("a", touch(c.gpa, c.write), exit(vcpu.HLT, 1))
		p := d.VCPUs[0]
		flat(t, p, c.code...)
		d.Write(0x2000, []byte{0x78, 0x56, 0x34, 0x12})
		v.Registers.RAX, v.Registers.RSI, v.Registers.RDI = 7, c.esi, c.edi
		d.Unpause()
		g.run()
		var b [4]byte
		d.Read(0x2000, b[:])
		ram := uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
		if ram != c.ram || v.Registers.RAX != c.eax || v.State[x86.RIP] != 0x1000+c.len+1 {
			t.Errorf("%s: memory %#x, EAX %#x, RIP %#x; want %#x, %#x, %#x", c.name,
				ram, v.Registers.RAX, v.State[x86.RIP], c.ram, c.eax, 0x1000+c.len+1)
		}
		if c.name == "CMPS" && v.State[x86.RFLAGS]&x86.FlagZF != 0 {
			t.Error("CMPS compared the hole with itself")
		}
	}
}

// A window does not remember what was taken away.
func TestWindow(t *testing.T) {
	g := newRig(t)
	a, _ := g.guest("a")
	b, _ := g.guest("b")
	a.Write(0x3000, []byte{0xaa})
	b.Write(0x3000, []byte{0xbb})
	var w part.Window
	get := func(d *part.Domain) byte {
		w.Use(d)
		var c [1]byte
		if !w.Read(0x3000, c[:]) {
			return 0
		}
		return c[0]
	}
	if x, y, z := get(a), get(b), get(a); x != 0xaa || y != 0xbb || z != 0xaa {
		t.Errorf("%#x %#x %#x", x, y, z)
	}
	if _, err := a.Tables.Unmap(0x3000, mm.PageSize); err != nil {
		t.Fatal(err)
	}
	if x := get(a); x != 0 {
		t.Errorf("%#x from a page that is not mapped any more", x)
	}
	w.Use(b)
	if n := testing.AllocsPerRun(100, func() { w.Read64(0x3000); w.Read32(0x3004); w.Read64(0x100000) }); n != 0 {
		t.Errorf("a window allocates %v times", n)
	}
	if _, ok := w.Read64(0x3004); ok {
		t.Error("an unaligned word was read")
	}
}

func TestEmulationDoesNotAllocate(t *testing.T) {
	g := newRig(t)
	d, v := g.guest("a")
	p := d.VCPUs[0]
	flat(t, p, 0x8b, 0x06)
	v.Registers.RSI = 0xf000_0000
	p.Exit = touch(0xf000_0000, false).Exit
	g.r.cpu.Record(p.Tag, vcpu.Memory, &p.Exit)
	if n := testing.AllocsPerRun(100, func() {
		p.HW.Set(x86.RIP, 0x1000)
		memory(g.r, p, &p.Exit)
		v.Calls = v.Calls[:0]
	}); n != 0 {
		t.Errorf("an emulated access allocates %v times", n)
	}
	if v.Registers.RAX != 0xffff_ffff {
		t.Errorf("RAX %#x", v.Registers.RAX)
	}
}

// After an access to its local APIC that changes nothing, the guest goes on at
// once; after others there is something to look at.
func TestLocalAPICAccess(t *testing.T) {
	const apic = mm.GPA(abi.LAPICBase)
	load, store := []byte{0x8b, 0x07}, []byte{0x89, 0x07} // MOV between EAX and [EDI]
	for _, c := range []struct {
		name    string
		code    []byte
		gpa     mm.GPA
		pending uint8
		tpr     uint32
		want    action
	}{
		{"read", load, apic + 0x20, 0, 0, resume},
		{"read, an interrupt is pending", load, apic + 0x20, 0x50, 0, look},
		{"end of interrupt", store, apic + 0xb0, 0, 0, resume},
		{"end of interrupt, the next is pending", store, apic + 0xb0, 0x50, 0, look},
		{"end of interrupt, the next is masked", store, apic + 0xb0, 0x50, 0x60, look},
		{"task priority", store, apic + 0x80, 0, 0x20, resume},
		{"task priority, an interrupt is pending", store, apic + 0x80, 0x50, 0x60, look},
		{"timer", store, apic + 0x380, 0, 0, look},
		{"no device", load, 0xf000_0000, 0, 0, resume},
	} {
		for _, long := range []bool{false, true} { // the general way, and that of plain moves
			g := newRig(t)
			d, v := g.guest("a")
			p := d.VCPUs[0]
			flat(t, p, c.code...)
			if long {
				paged(t, p, 0x60_0000, [2]uint64{})
			}
			p.APIC.Write(0xf0, 4, 0x1ff, g.now)
			p.APIC.Write(0x80, 4, uint64(c.tpr), g.now)
			if c.pending != 0 {
				p.APIC.SetIRR(c.pending, false)
			}
			v.Registers.RDI, v.Registers.RAX = uint64(c.gpa), 0x35
			p.Exit = vcpu.Exit{Reason: vcpu.Memory, Mem: vcpu.MemExit{GPA: c.gpa, Write: c.code[0] == 0x89}}
			if a := memory(g.r, p, &p.Exit); a != c.want || c.gpa == apic+0x80 && c.want == resume && v.State[x86.CR8] != 3 || v.State[x86.RIP] != 0x1002 {
				t.Errorf("%s, long mode %v: action %d, RIP %#x, CR8 %d; want %d", c.name, long, a, v.State[x86.RIP], v.State[x86.CR8], c.want)
			}
		}
	}
}
