// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package run

import (
	"testing"

	"ringo/hv/vcpu"
	"ringo/hv/x86"
	"ringo/mm"
)

// After a write to a control register v has to look at something only if an
// interrupt waits for the task priority.
func TestRegisterWritesLook(t *testing.T) {
	cr0, cr4, cr8 := []byte{0x0f, 0x22, 0xc0}, []byte{0x0f, 0x22, 0xe0}, []byte{0x44, 0x0f, 0x22, 0xc0}
	for _, c := range []struct {
		name    string
		code    []byte
		val     uint64
		pending uint8
		want    action
	}{
		{"CR0", cr0, x86.CR0PE | x86.CR0TS, 0x51, resume},
		{"CR4", cr4, x86.CR4TSD, 0x51, resume},
		{"CR8", cr8, 2, 0, resume},
		{"CR8 lets one through", cr8, 2, 0x51, look},
		{"CR8 keeps one back", cr8, 7, 0x51, look}, // where there is a threshold, for that
	} {
		g := newRig(t)
		d, v := g.guest("a")
		p := d.VCPUs[0]
		flat(t, p, c.code...)
		if len(c.code) == 4 { // REX.R, in 64-bit mode
			paged(t, p, 0x60_0000, [2]uint64{})
		}
		p.APIC.Write(0xf0, 4, 0x1ff, g.now)
		p.APIC.Write(0x80, 4, 0x60, g.now)
		syncCR8(p)
		if c.pending != 0 {
			p.APIC.SetIRR(c.pending, false)
		}
		v.Registers.RAX = c.val
		p.Exit = vcpu.Exit{Reason: vcpu.CRWrite}
		a := crWrite(g.r, p, &p.Exit)
		if a != c.want || v.HasPending || v.State[x86.RIP] != 0x1000+uint64(len(c.code)) {
			t.Errorf("%s: action %d, want %d; RIP %#x, pending %+v", c.name, a, c.want, v.State[x86.RIP], v.Pending)
		}
		if tpr := p.APIC.Read(0x80, 4, g.now); len(c.code) == 4 && (tpr != c.val<<4 || v.State[x86.CR8] != c.val) {
			t.Errorf("%s: TPR %#x, CR8 %#x", c.name, tpr, v.State[x86.CR8])
		}
	}
}

// What is remembered of an instruction is forgotten with its bytes: by whom and
// through which mapping they are changed does not matter.
func TestRememberedMOV(t *testing.T) {
	g := newRig(t)
	d, v := g.guest("a")
	p := d.VCPUs[0]
	flat(t, p)
	write := func(code ...byte) {
		t.Helper()
		if !d.Write(0x1000, code) {
			t.Fatal("no memory")
		}
	}
	step := func(name string, cr4, rip uint64) {
		t.Helper()
		v.State[x86.RIP] = 0x1000
		p.Exit = vcpu.Exit{Reason: vcpu.CRWrite}
		crWrite(g.r, p, &p.Exit)
		if v.State[x86.CR4] != cr4 || v.State[x86.RIP] != rip {
			t.Errorf("%s: CR4 %#x, RIP %#x; want %#x, %#x", name, v.State[x86.CR4], v.State[x86.RIP], cr4, rip)
		}
	}
	v.State[x86.CR4] = 0
	v.Registers.RAX, v.Registers.RBX = x86.CR4TSD, x86.CR4TSD|x86.CR4PCE
	write(0x0f, 0x22, 0xe0) // MOV CR4, EAX
	step("first", x86.CR4TSD, 0x1003)
	step("again", x86.CR4TSD, 0x1003)
	write(0x0f, 0x22, 0xe3) // MOV CR4, EBX
	step("another register", x86.CR4TSD|x86.CR4PCE, 0x1003)
	write(0x66, 0x0f, 0x22, 0xe0)
	step("a prefix", x86.CR4TSD, 0x1004)
	write(0x0f, 0x1f, 0xe3) // NOP EBX
	step("no MOV any more", x86.CR4TSD, 0x1000)
	write(0x0f, 0x22, 0xe3)
	step("the MOV is back", x86.CR4TSD|x86.CR4PCE, 0x1003)
}

// One CR3 after the other, each with code of its own at the same address: several
// are remembered at once, and a CR3 whose tables lead elsewhere by now is not
// believed.
func TestRememberedByCR3(t *testing.T) {
	g := newRig(t)
	d, v := g.guest("a")
	p := d.VCPUs[0]
	code := [][]byte{{0x0f, 0xa2}, {0x66, 0x0f, 0xa2}, {0xf3, 0x66, 0x0f, 0xa2}} // CPUID
	root := [...]mm.GPA{0x10_0000, 0x10_1000}
	lead := func(n int, page mm.GPA) {
		for level, at := range [...]mm.GPA{root[n], 0x11_0000, 0x12_0000, 0x13_0000} {
			next := [...]mm.GPA{0x11_0000, 0x12_0000, 0x13_0000, page}[level]
			if level > 0 {
				at += mm.GPA(n) * 0x1000
			}
			if level < 3 {
				next += mm.GPA(n) * 0x1000
			}
			e := uint64(next) | 0x67
			d.Write(at, []byte{byte(e), byte(e >> 8), byte(e >> 16), byte(e >> 24), 0, 0, 0, 0})
		}
	}
	for n, c := range code {
		d.Write(mm.GPA(0x20_0000+n*0x1000), c)
	}
	lead(0, 0x20_0000)
	lead(1, 0x20_1000)
	v.State[x86.CR0], v.State[x86.CR4], v.State[x86.EFER] = x86.CR0PE|x86.CR0PG, x86.CR4PAE, x86.EFERLMA|x86.EFERLME
	v.Segments[x86.CS] = x86.Segment{Access: 0xa0fb}
	e := &g.r.emu
	look := func(n int, want uint8, remembered bool) {
		t.Helper()
		v.State[x86.RIP], v.State[x86.CR3] = 0, uint64(root[n])
		p.Exit.CPL = 3
		e.take(p)
		e.code = [15]byte{}
		i, err := e.instruction()
		if err != nil || i.Len != want {
			t.Errorf("CR3 %#x: %+v, %v; want %d bytes", root[n], i, err, want)
		}
		if (e.code == [15]byte{}) != remembered {
			t.Errorf("CR3 %#x: fetched anew: %v", root[n], !remembered)
		}
	}
	look(0, 2, false)
	look(1, 3, false)
	for range 3 {
		look(0, 2, true)
		look(1, 3, true)
	}
	lead(0, 0x20_2000) // another process has come to use this CR3
	look(0, 4, false)
	look(1, 3, true)
	d.Write(0x20_1000, code[0]) // another vCPU writes
	look(1, 2, false)
	look(0, 4, true)
}
