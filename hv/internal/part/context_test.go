// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package part

import (
	"encoding/binary"
	"testing"

	"ringo/hv/abi"
	"ringo/hv/internal/policy"
	"ringo/mm"
)

// A boot processor that starts in virtual-wire mode takes interrupts of the 8259As
// without a write to its local APIC, as "nolapic" wants it; one that does not, and
// the other processors, take none.
func TestVirtualWire(t *testing.T) {
	m, _ := newMachine(t, 8)
	for _, wire := range []uint32{0, 1} {
		d, st := create(m, int(wire), 2)
		if st != abi.OK {
			t.Fatal(st)
		}
		if st := d.VCPUs[0].SetContext(&abi.VCPUContext{RFLAGS: 2, Online: 1, VirtualWire: wire}); st != abi.OK {
			t.Fatal(st)
		}
		d.Unpause() // the buses are complete
		d.SetLine(abi.IRQCOM1, true)
		if d.HasExtINT() {
			t.Error("the 8259As are not masked at the start")
		}
		d.SetLine(abi.IRQCOM1, false)
		for _, w := range [][2]uint16{{0x20, 0x11}, {0x21, 0x30}, {0x21, 4}, {0x21, 1}, {0x21, 0}} {
			s := d.Ports.At(w[0])
			if s == nil {
				t.Fatal("no 8259A")
			}
			s.Dev.Write(s.Off(w[0]), 1, uint64(w[1]), 0)
		}
		d.SetLine(abi.IRQCOM1, true)
		if d.HasExtINT() != (wire == 1) {
			t.Errorf("virtual wire %d: an interrupt for vCPU 0: %v", wire, d.HasExtINT())
		}
		if d.VCPUs[1].APIC.TakesExtINT() {
			t.Error("vCPU 1 takes interrupts of the 8259As")
		}
		if wire == 1 {
			if v := d.AckExtINT(); v != 0x34 {
				t.Errorf("vector %#x", v)
			}
		}
		d.VCPUs[0].Reset()
		if d.VCPUs[0].APIC.TakesExtINT() {
			t.Error("after INIT the local APIC is not reset")
		}
	}
}

// The flag of a create decides whose CPUID leaves come first; an unknown flag is
// refused.
func TestCreateKVM(t *testing.T) {
	m, _ := newMachine(t, 8)
	for i, flags := range []uint32{0, abi.CreateKVM, 2} {
		a := abi.CreateArgs{VCPUs: 1, MaxBytes: mm.MiB, Flags: flags}
		a.Name[0] = byte('a' + i)
		d, st := m.Create(&a)
		if flags == 2 {
			if st != abi.BadArg {
				t.Errorf("an unknown flag: %v", st)
			}
			continue
		}
		if st != abi.OK {
			t.Fatal(st)
		}
		kvm := d.Plat.CPUID.Get(&policy.View{}, abi.CPUIDBase, 0).EBX == binary.LittleEndian.Uint32([]byte(abi.SignatureKVM))
		if kvm != (flags == abi.CreateKVM) {
			t.Errorf("flags %d: KVM first is %v", flags, kvm)
		}
	}
}

// vCPUs have the IDs of their topology in CPUID and at their local APICs; one that does
// not fit is refused.
func TestCreateTopology(t *testing.T) {
	m, _ := newMachine(t, 8)
	a := abi.CreateArgs{VCPUs: 6, MaxBytes: mm.MiB, Topology: abi.Topology{Cores: 4, Threads: 1}}
	a.Name[0] = 'a'
	if _, st := m.Create(&a); st != abi.BadArg {
		t.Errorf("4 cores of 6: %v", st)
	}
	a.Topology.Cores = 3
	d, st := m.Create(&a)
	if st != abi.OK {
		t.Fatal(st)
	}
	for i, want := range []uint32{0, 1, 2, 4, 5, 6} {
		v := d.VCPUs[i]
		if got := d.Plat.CPUID.Get(&v.View, 0xb, 0).EDX; got != want || v.APIC.ID() != want {
			t.Errorf("vCPU %d has ID %d in CPUID, its local APIC %d", i, got, v.APIC.ID())
		}
	}
}
