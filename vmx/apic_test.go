// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vmx

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/hv/vcpu"
	"ringo/hv/x86"
	"ringo/mm"
)

// skylake is a recorded CPU with a virtual local APIC.
func skylake(t *testing.T) Registers { return dumps(t)["bochs_skylake_x.json"].registers(t) }

// What the page says gets to the VMCS, on every CPU that the vCPU comes to, and
// nothing is written that has not changed.
func TestAPIC(t *testing.T) {
	m := newMachine(t, skylake(t), 2)
	v := m.vcpu(m.tables())
	page := v.APIC()
	if page == nil || !m.Caps().VirtualAPIC {
		t.Fatal("there is no page")
	}
	var x vcpu.Exit
	run(v, 0, &x, cpuid)
	f := m.cpus[0].current.fields
	if f[uint32(ctlProc2)]&virtualAPIC != proc2APICRegs|proc2Interrupts || f[uint32(ctlMSRBitmap)] != uint64(m.msrMap(false)) {
		t.Errorf("at first: controls %#x, bitmap %#x", f[uint32(ctlProc2)], f[uint32(ctlMSRBitmap)])
	}
	page.SetVectors(x86.APICIRR, 1, 1<<5|1<<9)
	page.SetVectors(x86.APICISR, 0, 1<<40)
	page.SetVectors(x86.APICTMR, 1, 1<<5)
	v.LoadAPIC(true)
	run(v, 0, &x, cpuid)
	if f[uint32(guestIntStatus)] != 73|40<<8 || f[uint32(ctlEOIExit)+2] != 1<<5 ||
		f[uint32(ctlProc2)]&virtualAPIC != virtualAPIC || f[uint32(ctlMSRBitmap)] != uint64(m.msrMap(true)) {
		t.Errorf("loaded: %#x", f)
	}
	writes := m.cpus[0].writes
	v.LoadAPIC(true)
	if run(v, 0, &x, cpuid); m.cpus[0].writes != writes+1 {
		t.Errorf("%d writes to load the same again, want 1", m.cpus[0].writes-writes)
	}
	// The guest takes it along to another CPU.
	v.Leave()
	v.LoadAPIC(false)
	run(v, 1, &x, cpuid)
	f = m.cpus[1].current.fields
	if f[uint32(guestIntStatus)] != 73|40<<8 || f[uint32(ctlEOIExit)+2] != 1<<5 || f[uint32(ctlProc2)]&proc2X2APIC != 0 {
		t.Errorf("on another CPU: %#x", f)
	}
	if n := testing.AllocsPerRun(10, func() { v.LoadAPIC(true); v.LoadAPIC(false) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestAPICExits(t *testing.T) {
	m := newMachine(t, skylake(t), 1)
	v := m.vcpu(m.tables())
	var x vcpu.Exit
	for _, tt := range []struct {
		exit fakeExit
		want vcpu.APICExit
	}{
		{fakeExit{reason: reasonEOI, qualification: 0x71}, vcpu.APICExit{Reg: x86.APICEOI, Vector: 0x71}},
		{fakeExit{reason: reasonAPICWrite, qualification: 0x3f0}, vcpu.APICExit{Reg: x2SelfIPI}},
	} {
		run(v, 0, &x, tt.exit)
		if d := cmp.Diff(tt.want, x.APIC); x.Reason != vcpu.APICWrite || x.Len != 0 || d != "" {
			t.Errorf("%+v (-want +got):\n%s", x, d)
		}
	}
}

// CR8 and the page are the same priority; PPR follows.
func TestAPICCR8(t *testing.T) {
	m := newMachine(t, skylake(t), 1)
	v := m.vcpu(m.tables())
	v.APIC().SetVectors(x86.APICISR, 1, 1<<20) // 0x54
	for _, tt := range []struct{ cr8, ppr uint64 }{{3, 0x50}, {5, 0x50}, {9, 0x90}} {
		v.Set(x86.CR8, tt.cr8)
		if got := uint64(*v.APIC().Reg(x86.APICPPR)); got != tt.ppr || v.Get(x86.CR8) != tt.cr8 {
			t.Errorf("CR8 %d: PPR %#x, want %#x", tt.cr8, got, tt.ppr)
		}
	}
}

// Without a virtual local APIC, CR8 is watched; the threshold never exceeds it,
// or the entry would fail.
func TestTPRThreshold(t *testing.T) {
	m := newMachine(t, sandyBridge(t), 1)
	v := m.vcpu(m.tables())
	if v.APIC() != nil || m.Caps().VirtualAPIC {
		t.Error("this CPU has no virtual local APIC")
	}
	var x vcpu.Exit
	v.Set(x86.CR8, 9)
	v.Set(x86.TPRThreshold, 8)
	run(v, 0, &x, cpuid)
	f := m.cpus[0].current.fields
	if f[uint32(ctlTPRThreshold)] != 8 || f[uint32(ctlProc2)]&virtualAPIC != 0 {
		t.Errorf("threshold %d, controls %#x", f[uint32(ctlTPRThreshold)], f[uint32(ctlProc2)])
	}
	v.Set(x86.CR8, 7)
	if run(v, 0, &x, cpuid); f[uint32(ctlTPRThreshold)] != 7 {
		t.Errorf("threshold %d above CR8", f[uint32(ctlTPRThreshold)])
	}
	lower := fakeExit{reason: reasonTPR, guest: func(*testCPU, map[uint32]uint64) { *v.apic.Reg(x86.APICTPR) = 0x60 }}
	if run(v, 0, &x, lower); x.Reason != vcpu.Window || v.Get(x86.CR8) != 6 {
		t.Errorf("%+v, CR8 %d", x, v.Get(x86.CR8))
	}
	if run(v, 0, &x, cpuid); f[uint32(ctlTPRThreshold)] != 0 {
		t.Errorf("threshold %d after its exit", f[uint32(ctlTPRThreshold)])
	}
}

// The bitmap of x2APIC mode opens exactly what the manual says that the CPU
// virtualizes and this hypervisor keeps in the page (SDM Vol. 3, "Virtualizing
// MSR-Based APIC Accesses").
func TestX2Bitmap(t *testing.T) {
	m := newMachine(t, skylake(t), 1)
	closed := func(msr uint32, half uint64) bool {
		bit, _ := msrBit(msr)
		w := m.env.Phys.Load64(m.msrMap(true) + mm.HPA(half+bit/64*8))
		return w>>(bit%64)&1 != 0
	}
	reads := map[uint32]bool{}
	for _, r := range []uint32{0x802, 0x803, 0x808, 0x80a, 0x80d, 0x80f, 0x828, 0x830, 0x832, 0x833, 0x834, 0x835, 0x836, 0x837, 0x838, 0x83e} {
		reads[r] = true
	}
	for r := uint32(0x810); r < 0x828; r++ {
		reads[r] = true
	}
	writes := map[uint32]bool{0x808: true, 0x80b: true, 0x83f: true}
	for msr := uint32(0x800); msr < 0x900; msr++ {
		if closed(msr, 0) == reads[msr] || closed(msr, writeHalf) == writes[msr] {
			t.Errorf("MSR %#x: reads exit %v, writes exit %v", msr, closed(msr, 0), closed(msr, writeHalf))
		}
	}
	// Outside of them both bitmaps are the same.
	for off := uint64(0); off < writeHalf*2; off += 8 {
		a, b := m.env.Phys.Load64(m.msrMap(false)+mm.HPA(off)), m.env.Phys.Load64(m.msrMap(true)+mm.HPA(off))
		if in := off%writeHalf/8 >= 0x800/64 && off%writeHalf/8 < 0x900/64; a != b && !in {
			t.Errorf("offset %#x: %#x and %#x", off, a, b)
		}
	}
}
