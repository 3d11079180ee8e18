// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"math"
	"time"

	"ringo/boot/acpi"
	"ringo/boot/cmdline"
	"ringo/boot/kernel"
	"ringo/hv/abi"
	"ringo/hv/insn"
	"ringo/hv/internal/dbg"
	"ringo/hv/internal/iommu"
	"ringo/hv/internal/part"
	"ringo/hv/internal/pci"
	"ringo/mm"
)

// quietDevices takes stock of the PCI functions, and stops those that firmware has left
// writing to memory.
func quietDevices(fw *acpi.Tables) *pci.Table {
	var windows []pci.Window
	for i := range fw.ECAM {
		if w, ok := window(&fw.ECAM[i]); ok {
			windows = append(windows, w)
		}
	}
	t := pci.NewTable(pci.NewSpace(configPorts{}, windows))
	stopped := t.Quiesce()
	dbg.At(dbg.Info).S("pci: ").U(uint64(len(t.Functions))).S(" functions, ").U(uint64(stopped)).
		S(" of them stopped that were bus masters").End()
	if t.Full {
		dbg.At(dbg.Warning).S("pci: more than ").U(pci.MaxFunctions).
			S(" functions: those behind are not seen, and may still write memory; turn off SR-IOV in the firmware").End()
	}
	return t
}

// connectDevices lets dom0 have functions. They reach its RAM, of which there is one
// piece, and with an IOMMU nothing else.
func connectDevices(m *part.Machine, dom0 *part.Domain, t *pci.Table, guard *iommu.Guard, fw *acpi.Tables, opts cmdline.Options) {
	host := pci.Host{
		Registers: deviceWords, Now: func() uint64 { return uint64(kernel.Nanotime()) },
		Vector: postedVector, GiveVector: kernel.FreeVector,
		Target: func() uint32 { return kernel.APICID(max(m.ThisCPU(), 0)) },
		Attach: func(abi.PCIAddr) abi.Status { return abi.OK }, Detach: func(abi.PCIAddr) bool { return true },
		Message: pci.Message, Silence: func(abi.PCIAddr, uint8) {},
		Storm: func(a abi.PCIAddr) {
			dbg.At(dbg.Warning).S("pci: an interrupt of ").S(iommu.Name(a)).S(" comes too fast: it is kept away for 20 ms, now and whenever it does").End()
		},
		Raise: m.Events.Raise, Kept: kept(m.RAM, fw, physBits()),
		KeptPorts: keptPorts(fw, opts), In: insn.In, Out: insn.Out,
	}
	if guard != nil {
		confine(&host, guard, dom0)
	}
	connectLines(&host, fw, guard, opts)
	t.Connect(host)
	go t.Calm(func() { time.Sleep(pci.StormTime) })
	t.OfferPorts(func(first uint16, size uint64, p *pci.PortRange) error { return dom0.Ports.Add(first, size, p) })
}

// kept is what no base address is believed to be: a device that says so would have hv
// write interrupt messages there, or dom0 reach it.
func kept(ram []mm.Range[mm.HPA], fw *acpi.Tables, bits uint8) [][2]uint64 {
	out := [][2]uint64{
		{0, 1 * mm.MiB},
		{0xfec0_0000, 0xfef0_0000},  // I/O APICs, HPETs, local APICs and messages to them
		{1 << bits, math.MaxUint64}, // reserved bits in page tables
	}
	for _, r := range append(iommuRegisters(fw), ram...) {
		out = append(out, [2]uint64{uint64(r.Start), uint64(r.End())})
	}
	if fw.MADT != nil { // they need not be where they usually are
		for _, a := range fw.MADT.IOAPICs {
			out = append(out, [2]uint64{uint64(a.Addr), uint64(a.Addr) + mm.PageSize})
		}
	}
	for i := range fw.ECAM {
		e := &fw.ECAM[i]
		out = append(out, [2]uint64{uint64(e.Config(e.First, 0, 0)), uint64(e.Config(e.Last, 31, 7)) + pci.ExtendedSize})
	}
	return out
}

// physBits is how many bits physical addresses have.
func physBits() uint8 {
	a, _, _, _ := insn.CPUID(0x8000_0008, 0)
	return uint8(a)
}

// deviceWords shows device registers through the direct map.
func deviceWords(at, size uint64) ([]uint32, bool) {
	first := at &^ (mm.PageSize - 1)
	if !kernel.MapDevice(first, (at+size-first+mm.PageSize-1)&^(mm.PageSize-1)) {
		return nil, false
	}
	return direct.Words(mm.HPA(at), size/4), true
}

// postedVector reserves a vector whose interrupts the runners take.
func postedVector() uint8 {
	v := kernel.AllocVector()
	if v != 0 {
		kernel.PostIRQ(v)
	}
	return v
}

// configPorts is the machine's configuration mechanism #1.
type configPorts struct{}

func (configPorts) Out(port uint16, v uint32) { insn.OUT32(port, v) }
func (configPorts) In(port uint16) uint32     { return insn.IN32(port) }

// window shows a part of configuration space through the direct map, which must reach
// it.
func window(e *acpi.ECAM) (pci.Window, bool) {
	first := e.Config(e.First, 0, 0)
	size := uint64(e.Last-e.First)<<20 + 1<<20
	if !mm.Within(first, size, uint64(kernel.DirectTop())) {
		dbg.At(dbg.Warning).S("pci: the configuration window at ").X(uint64(first)).S(" is out of reach: no extended registers there").End()
		return pci.Window{}, false
	}
	return pci.Window{
		Segment: e.Segment, First: e.First, Last: e.Last,
		Register: func(bus, device, function uint8, reg uint16) *uint32 {
			return &direct.Words(e.Config(bus, device, function)+mm.HPA(reg), 1)[0]
		},
	}, true
}
