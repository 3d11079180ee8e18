// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"time"

	"ringo/hv/vcpu"
	"ringo/hv/vcpu/vcputest"
	"ringo/hv/x86"
	"ringo/mm"
	"ringo/mm/pt"
)

// hostile guests leave the CPU in a state in which the host's Go code would
// fail, if it ever ran in it.
func hostile(h *harness) {
	for _, tt := range []struct {
		name string
		code []byte
	}{
		// push 0x0 (all exceptions unmasked) or 0x7fff; ldmxcsr [rsp]; hlt
		{"MXCSR unmasked", []byte{0x6a, 0x00, 0x0f, 0xae, 0x14, 0x24, 0xf4}},
		{"MXCSR rounding and flags", []byte{0x68, 0x3f, 0xff, 0, 0, 0x0f, 0xae, 0x14, 0x24, 0xf4}},
		{"DF and AC", []byte{0x68, 0x02, 0x04, 0x04, 0x00, 0x9d, 0xf4}}, // push 0x40402; popfq; hlt
		{"TF", []byte{0x68, 0x02, 0x01, 0, 0, 0x9d, 0x90, 0xf4}},        // push 0x102; popfq; nop; hlt
		{"XCR0", []byte{0x31, 0xc9, 0x31, 0xd2, 0xb8, 1, 0, 0, 0, 0x0f, 0x01, 0xd1, 0xf4}},
		{"x87 exception pending", []byte{0xdb, 0xe3, 0xd9, 0x2c, 0x25, 0, 0x80, 0, 0, 0xd9, 0xee, 0xd9, 0xe8, 0xde, 0xf1, 0xf4}},
		{"CR2", []byte{0xb8, 0x78, 0x56, 0x34, 0x12, 0x0f, 0x22, 0xd0, 0xf4}},
		{"GS base", []byte{0xb9, 1, 1, 0, 0xc0, 0x31, 0xc0, 0x31, 0xd2, 0x0f, 0x30, 0xf4}},
		{"breakpoints everywhere", []byte{0x0f, 0x23, 0xc3, 0x0f, 0x23, 0xcb, 0x0f, 0x23, 0xf9, 0xf4}},
		// mov ecx, LSTAR; mov rax, rbx; mov rdx, rbx; shr rdx, 32; wrmsr; hlt: the
		// next system call of the host must not go there.
		{"LSTAR", []byte{0xb9, 0x82, 0, 0, 0xc0, 0x48, 0x89, 0xd8, 0x48, 0x89, 0xda, 0x48, 0xc1, 0xea, 0x20, 0x0f, 0x30, 0xf4}},
		{"no IDT", []byte{0x0f, 0x01, 0x1c, 0x25, 0, 0x80, 0, 0, 0xf4}}, // lidt [0x8000]
		{"no GDT", []byte{0x0f, 0x01, 0x14, 0x25, 0, 0x80, 0, 0, 0xf4}},
	} {
		if tt.name == "XCR0" && !h.b.Caps().XSAVE {
			continue
		}
		g := h.private()
		vcputest.Boot64(g, g.v, tt.code)
		if h.b.Caps().XSAVE {
			g.v.Set(x86.CR4, g.v.Get(x86.CR4)|x86.CR4OSXSAVE)
			g.v.Set(x86.XCR0, h.b.Caps().XCR0Mask)
		}
		r := g.v.Regs()
		r.RBX, r.RCX = uint64(entry(codeTorture)), 0x4ff // DR7: everything, on host code
		var x vcpu.Exit
		n := 0
		for x.Reason != vcpu.HLT && n < 100 {
			n++
			g.v.Run(0, &x)
			useVectors()
			time.Sleep(time.Microsecond) // system calls
			switch x.Reason {
			case vcpu.XSETBV:
				g.v.Set(x86.XCR0, r.RAX&0xffff_ffff)
				vcputest.Skip(g.v, &x, vcputest.Length(&x))
			case vcpu.DRWrite:
				val := r.RBX
				if x.CR.CR == 7 {
					val = r.RCX
				}
				g.v.Set(drs[x.CR.CR&7], val)
				vcputest.Skip(g.v, &x, 3)
			case vcpu.Exception:
				if x.Event.Vector == x86.VecDB { // swallow it, and TF with it
					g.v.Set(x86.RFLAGS, g.v.Get(x86.RFLAGS)&^x86.FlagTF)
				}
			case vcpu.Shutdown, vcpu.Invalid:
				h.Errorf("%s: %+v", tt.name, x)
				n = 100
			}
			h.checkHost()
		}
		if x.Reason != vcpu.HLT {
			h.Errorf("%s: no HLT: %+v", tt.name, x)
		}
		if tt.name == "XCR0" && g.v.Get(x86.XCR0) != 1 {
			h.Errorf("XCR0 of the guest is %#x", g.v.Get(x86.XCR0))
		}
		g.free()
	}
}

// drs are the debug registers by number.
var drs = [8]x86.Reg{x86.DR0, x86.DR1, x86.DR2, x86.DR3, x86.DR6, x86.DR7, x86.DR6, x86.DR7}

// invalid: state that the CPU refuses ends that guest's run, nothing more.
func invalid(h *harness) {
	var x vcpu.Exit
	// MOV CR3 with a reserved bit: on hardware #GP, here a triple fault; on QEMU
	// an exit.
	g := h.private()
	vcputest.Boot64(g, g.v, []byte{0x0f, 0x22, 0xd8, 0xf4})
	g.v.Set(x86.IDTRLimit, 0)
	g.v.Regs().RAX = 1 << 62
	vcputest.Next(h, h, g.v, &x)
	if x.Reason != vcpu.Invalid && x.Reason != vcpu.Shutdown || x.RIP != vcputest.GuestCode {
		h.Errorf("MOV CR3: %+v", x)
	}
	if got := g.v.Get(x86.CR3); got != 0x1000 {
		h.Errorf("MOV CR3: CR3 is now %#x", got)
	}
	g.free()
	for _, tt := range []struct {
		name string
		set  func(v vcpu.VCPU)
	}{
		{"CR4 reserved", func(v vcpu.VCPU) { v.Set(x86.CR4, 1<<40|x86.CR4PAE) }},
		{"long mode without PAE", func(v vcpu.VCPU) { v.Set(x86.CR4, 0) }},
		{"CR0 upper half", func(v vcpu.VCPU) { v.Set(x86.CR0, 1<<40|0x8001_0033) }},
		{"EFER reserved", func(v vcpu.VCPU) { v.Set(x86.EFER, 1<<40|x86.EFERLME) }},
	} {
		g := h.private()
		vcputest.Boot64(g, g.v, []byte{0xf4})
		tt.set(g.v)
		vcputest.Next(h, h, g.v, &x)
		if x.Reason != vcpu.Invalid {
			h.Errorf("%s: %+v", tt.name, x)
		}
		// Nothing of the host may be left in the vCPU.
		for _, r := range []x86.Reg{x86.RIP, x86.RSP, x86.GDTRBase, x86.IDTRBase, x86.LSTAR, x86.CR3} {
			if got := g.v.Get(r); got >= mm.Page2M {
				h.Errorf("%s: register %d holds %#x", tt.name, r, got)
			}
		}
		h.checkHost()
		g.free()
	}
}

// asids: more vCPUs than identifiers take turns; each has its own memory, and
// loses and gets mappings on the way.
func asids(h *harness) {
	const n = 40
	var gs [n]*guest
	for i := range gs {
		g := h.private()
		// loop: mov eax, [0x8000]; cpuid; jmp loop
		vcputest.Boot64(g, g.v, []byte{0x8b, 0x04, 0x25, 0, 0x80, 0, 0, 0x0f, 0xa2, 0xeb, 0xf5})
		g.RAM()[vcputest.GuestData] = byte(i)
		gs[i] = g
	}
	other, err := h.pages(1)
	if err != nil {
		h.Fatalf("%v", err)
	}
	var x vcpu.Exit
	for round := range 20 {
		for i, g := range gs {
			want := byte(i)
			if round%4 == 3 && i%3 == 0 { // another frame behind the page
				h.env.Phys.Store64(other, 0xee)
				want = 0xee
				g.swap(other)
			}
			vcputest.Expect(h, h, g.v, &x, vcpu.CPUID, 7)
			if got := byte(g.v.Regs().RAX); got != want {
				h.Errorf("guest %d reads %#x, want %#x", i, got, want)
			}
			vcputest.Skip(g.v, &x, 2)
			if want == 0xee {
				g.swap(g.mem + vcputest.GuestData)
			}
		}
	}
	h.release(other, 1)
	for _, g := range gs {
		g.free()
	}
}

// swap puts frame a behind the guest's data page.
func (g *guest) swap(a mm.HPA) {
	if _, err := g.v.tables.Replace(pt.Addr(vcputest.GuestData), a, mm.PageSize, pt.RWX); err != nil {
		g.Fatalf("%v", err)
	}
}
