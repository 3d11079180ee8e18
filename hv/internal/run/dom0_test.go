// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package run

import (
	"math"
	"testing"

	"ringo/hv/abi"
	"ringo/hv/internal/part"
	"ringo/hv/vcpu"
	"ringo/hv/vcpu/vcputest"
	"ringo/hv/x86"
	"ringo/mm"
)

// Claims neither wrap nor lie over RAM or a local APIC, and RAM does not come
// where a local APIC is.
func TestClaims(t *testing.T) {
	g := newRig(t)
	d, _ := g.guest("a") // RAM is [0, 4 MiB)
	for _, c := range []struct {
		start, size uint64
		want        abi.Status
	}{
		{0x20_0000, -0x20_0000 & math.MaxUint64, abi.Exists},
		{0x20_0000, -0x10_0000 & math.MaxUint64, abi.BadArg},
		{0, math.MaxUint64, abi.Exists},
		{0x3f_ffff, 1, abi.Exists},
		{0x3f_ffff, 0, abi.BadArg},
		{abi.LAPICBase, 0x1000, abi.Exists},
		{abi.LAPICBase + 0xfff, 1, abi.Exists},
		{0x40_0000, 1, abi.OK},
		{math.MaxUint64, 1, abi.OK},
		{math.MaxUint64, 2, abi.BadArg},
	} {
		if got := d.Claim(abi.SpaceMemory, c.start, c.size, 0); got != c.want {
			t.Errorf("Claim(%#x, %#x): %v, want %v", c.start, c.size, got, c.want)
		}
	}
	e, st := g.m.Create(&abi.CreateArgs{Name: [len(abi.CreateArgs{}.Name)]byte{'b'}, VCPUs: 1, MaxBytes: 4 * mm.MiB})
	if st != abi.OK {
		t.Fatal(st)
	}
	for start, want := range map[mm.GPA]abi.Status{
		mm.GPA(abi.LAPICBase): abi.Exists, mm.GPA(abi.LAPICBase) - mm.PageSize: abi.Exists,
		mm.GPA(abi.IOAPICBase): abi.Exists, 0x1000_0000: abi.OK,
	} {
		if got := e.Populate(start, 2*mm.PageSize, abi.RAMWritable); got != want {
			t.Errorf("Populate(%#x): %v, want %v", start, got, want)
		}
	}
}

// A local APIC that is not mapped leaves nothing behind.
func TestUnmappedAPIC(t *testing.T) {
	g := newRig(t)
	d, v := g.guest("a")
	p := d.VCPUs[0]
	flat(t, p, 0x8b, 0x06) // MOV EAX, [ESI]
	const x2 = 1<<8 | 1<<10 | 1<<11
	if !p.APIC.WriteMSR(x86.MSRAPICBase, abi.LAPICBase|x2, g.now) {
		t.Fatal("no x2APIC mode")
	}
	v.Registers.RSI = abi.LAPICBase + 0x20
	p.Exit = vcpu.Exit{Reason: vcpu.Memory, Mem: vcpu.MemExit{GPA: mm.GPA(abi.LAPICBase) + 0x20}}
	memory(g.r, p, &p.Exit)
	if v.Registers.RAX != 0xffff_ffff {
		t.Errorf("EAX %#x", v.Registers.RAX)
	}
}

// SetVCPU gives a vCPU nothing that its guest could not give itself.
func TestSetContext(t *testing.T) {
	const bad = 1 << 47 // not canonical
	for name, set := range map[string]func(c *abi.VCPUContext){
		"CR4.PKE":            func(c *abi.VCPUContext) { c.CR4 |= 1 << 22 },
		"CR4.CET":            func(c *abi.VCPUContext) { c.CR4 |= 1 << 23 },
		"CR4.LA57":           func(c *abi.VCPUContext) { c.CR4 |= x86.CR4LA57 },
		"CR4.PCIDE":          func(c *abi.VCPUContext) { c.CR4 |= x86.CR4PCIDE },
		"CR4.VMXE":           func(c *abi.VCPUContext) { c.CR4 |= 1 << 13 },
		"EFER.SVME":          func(c *abi.VCPUContext) { c.EFER |= x86.EFERSVME },
		"EFER, upper half":   func(c *abi.VCPUContext) { c.EFER |= 1 << 40 },
		"CR0.PG without PE":  func(c *abi.VCPUContext) { c.CR0 |= x86.CR0PG },
		"CR0.NW without CD":  func(c *abi.VCPUContext) { c.CR0 |= x86.CR0NW },
		"CR0, upper half":    func(c *abi.VCPUContext) { c.CR0 |= 1 << 32 },
		"CR3, reserved bits": func(c *abi.VCPUContext) { c.CR3 |= 1 << 63 },
		"CR8":                func(c *abi.VCPUContext) { c.CR8 = 16 },
		"PAT":                func(c *abi.VCPUContext) { c.PAT = 2 << 8 },
		"LSTAR":              func(c *abi.VCPUContext) { c.LSTAR = bad },
		"CSTAR":              func(c *abi.VCPUContext) { c.CSTAR = bad },
		"kernel GS base":     func(c *abi.VCPUContext) { c.KernelGSBase = bad },
		"GDT base":           func(c *abi.VCPUContext) { c.GDTBase = bad },
		"IDT base":           func(c *abi.VCPUContext) { c.IDTBase = bad },
		"FS base":            func(c *abi.VCPUContext) { c.Seg[x86.FS].Base = bad },
		"TR base":            func(c *abi.VCPUContext) { c.Seg[x86.TR].Base = bad },
		"DS base":            func(c *abi.VCPUContext) { c.Seg[x86.DS].Base = 1 << 32 },
	} {
		g := newRig(t)
		d, v := g.guest("a")
		c := abi.VCPUContext{RIP: 0x2000, RFLAGS: 2, CR0: x86.CR0ET, PAT: vcpu.ResetPAT}
		set(&c)
		if st := d.VCPUs[0].SetContext(&c); st != abi.BadArg || v.State[x86.RIP] != 0x1000 || len(v.Calls) != 0 {
			t.Errorf("%s: %v, RIP %#x, %d calls", name, st, v.State[x86.RIP], len(v.Calls))
		}
	}
}

// A vCPU in the middle of an access that dom0 answers keeps its registers, or the
// answer would be that of its next access.
func TestSetContextDuringAccess(t *testing.T) {
	g := newRig(t)
	in := vcputest.Step{Exit: vcpu.Exit{Reason: vcpu.IO, Len: 1, IO: vcpu.IOExit{Port: 0x3fd, Size: 1, In: true}}}
	d, v := g.guest("a", in, exit(vcpu.HLT, 1))
	if st := d.Claim(abi.SpacePort, 0x3f8, 8, 0); st != abi.OK {
		t.Fatal(st)
	}
	d.Unpause()
	g.run()
	if st := d.Pause(); st != abi.OK || d.IOReq.Slot[0].State != abi.IOReqReady {
		t.Fatalf("pause: %v, slot %+v", st, d.IOReq.Slot[0])
	}
	p, rip := d.VCPUs[0], v.State[x86.RIP]
	c := abi.VCPUContext{RIP: 0x2000, RFLAGS: 2, CR0: x86.CR0ET, PAT: vcpu.ResetPAT}
	if st := p.SetContext(&c); st != abi.Busy || v.State[x86.RIP] != rip || p.Wait() != part.WaitIO {
		t.Errorf("%v, RIP %#x, waits for %v", st, v.State[x86.RIP], p.Wait())
	}
}
