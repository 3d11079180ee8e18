// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"errors"
	"os"
	"time"

	"ringo/boot/acpi"
	"ringo/boot/cmdline"
	"ringo/boot/kernel"
	"ringo/boot/layout"
	"ringo/hv/abi"
	"ringo/hv/insn"
	"ringo/hv/internal/dbg"
	"ringo/hv/internal/iommu"
	"ringo/hv/internal/part"
	"ringo/hv/internal/pci"
	"ringo/hv/x86"
	"ringo/mm"
	"ringo/mm/frame"
)

// guardDevices turns the IOMMUs on: from then on no device reaches memory, but for what
// firmware's tables name for it. It returns nil if there is none, or none is wanted.
func guardDevices(m *part.Machine, fw *acpi.Tables, devices *pci.Table, opts cmdline.Options) *iommu.Guard {
	if opts.NoIOMMU {
		dbg.At(dbg.Warning).S("iommu=off: a device that dom0 drives could write anywhere").End()
		return nil
	}
	vector := kernel.AllocVector()
	host := iommuHost(m)
	hw, err := findIOMMU(host, fw, devices, vector)
	var g *iommu.Guard
	if err == nil {
		g = iommu.New(iommu.Config{
			Hardware: hw, Tables: m.Frames.Tables(frame.HV), Stop: devices.TakeBus,
			Now: kernel.TSC, Second: m.TSCHz, Within: host.Within,
			Told: func(s string) { dbg.At(dbg.Warning).S(s).End() },
			Dead: func() {
				if opts.NeedsIOMMU {
					panic("iommu=required, and a unit has stopped answering")
				}
			},
		})
		reserveFirmware(g, m, fw, devices)
		err = hw.Enable()
	}
	if err != nil {
		if opts.NeedsIOMMU {
			fatal("iommu=required: ", err.Error(), ": turn VT-d or AMD-Vi on in the firmware, or boot without the option and give devices to dom0 only if you trust it")
		}
		dbg.At(dbg.Warning).S("iommu: ").S(err.Error()).S(": a device that dom0 drives could write anywhere").End()
		return nil
	}
	dbg.At(dbg.Info).S("iommu: ").S(g.String()).S(": no device reaches memory that it was not given").End()
	go watch(g, vector)
	return g
}

// iommuHost is what the units get of the hypervisor.
func iommuHost(m *part.Machine) *iommu.Host {
	_, b, _, _ := insn.CPUID(1, 0)
	line := mm.HPA(b >> 8 & 0xff * 8)
	return &iommu.Host{
		Memory: direct,
		WriteBack: func(a mm.HPA, n uint64) {
			for at := a &^ (line - 1); at < a+mm.HPA(n); at += line {
				insn.CLFLUSH(layout.DirectMap + uint64(at))
			}
		},
		Pages: func(n int) (mm.HPA, error) { return m.Frames.Pages(n, frame.HV, frame.Control) },
		Within: func(done func() bool) bool {
			for end := kernel.TSC() + m.TSCHz; !done(); insn.PAUSE() {
				if kernel.TSC() > end {
					return done()
				}
			}
			return true
		},
	}
}

// findIOMMU opens the units that firmware names.
func findIOMMU(h *iommu.Host, fw *acpi.Tables, devices *pci.Table, vector uint8) (iommu.Hardware, error) {
	switch {
	case fw.DMAR != nil:
		return openDMAR(h, fw.DMAR, devices, vector)
	case fw.IVRS != nil:
		return openIVRS(h, fw.IVRS, devices)
	}
	return nil, errors.New("this machine has none, or firmware has it turned off")
}

// mmio is a unit's registers, seen through the direct map.
type mmio mm.HPA

func (r mmio) Load32(reg uint32) uint32     { return direct.Load32(mm.HPA(r) + mm.HPA(reg)) }
func (r mmio) Store32(reg, v uint32)        { direct.Store32(mm.HPA(r)+mm.HPA(reg), v) }
func (r mmio) Load64(reg uint32) uint64     { return direct.Load64(mm.HPA(r) + mm.HPA(reg)) }
func (r mmio) Store64(reg uint32, v uint64) { direct.Store64(mm.HPA(r)+mm.HPA(reg), v) }

// unitAt returns the registers of a unit, of size bytes.
func unitAt(base mm.HPA, size uint64) (iommu.Registers, error) {
	if base == 0 || !mm.Aligned(base, mm.PageSize) || !mm.Within(base, size, uint64(kernel.DirectTop())) {
		return nil, errors.New("firmware puts a unit's registers where they cannot be")
	}
	return mmio(base), nil
}

// iommuRegisters is where units have their registers.
func iommuRegisters(fw *acpi.Tables) (out []mm.Range[mm.HPA]) {
	if fw.DMAR != nil {
		for _, u := range fw.DMAR.Units {
			out = append(out, mm.Range[mm.HPA]{Start: u.Base, Size: dmarWindow})
		}
	}
	if fw.IVRS != nil {
		for _, u := range fw.IVRS.Units {
			out = append(out, mm.Range[mm.HPA]{Start: u.Base, Size: ivrsWindow})
		}
	}
	return out
}

// confine has the functions that dom0 gets confined to its RAM, and their messages to
// their vectors.
func confine(h *pci.Host, g *iommu.Guard, dom0 *part.Domain) {
	space, err := g.NewSpace(dom0.RAM())
	if err != nil {
		fatal("no memory for what dom0's devices reach: ", err.Error(), "; give the machine more RAM, or boot with iommu=off")
	}
	h.Attach = func(a abi.PCIAddr) abi.Status {
		if err := g.Attach(a, space); err != nil {
			dbg.At(dbg.Warning).S("iommu: PCI ").S(iommu.Name(a)).S(" cannot be given memory: ").S(err.Error()).End()
			return abi.Denied
		}
		return abi.OK
	}
	h.Detach = g.Detach
	if g.Remaps() {
		h.Message, h.Silence = g.Message, g.Silence
	}
}

// reserveFirmware gives functions the memory that firmware's tables name for them. It
// is believed as far as that memory is nobody's.
func reserveFirmware(g *iommu.Guard, m *part.Machine, fw *acpi.Tables, devices *pci.Table) {
	give := func(a abi.PCIAddr, r mm.Range[mm.HPA], write bool) {
		err := errors.New("it is ordinary memory")
		if !overlapsAny(r, m.RAM) {
			err = g.Reserve(a, r, write)
		}
		if err != nil {
			dbg.At(dbg.Warning).S("iommu: firmware wants PCI ").S(iommu.Name(a)).S(" to use ").X(r.Size).S(" bytes at ").
				X(uint64(r.Start)).S(", which it may not: ").S(err.Error()).End()
		}
	}
	if fw.DMAR != nil {
		for _, r := range fw.DMAR.Regions {
			for _, s := range r.Scopes {
				for _, a := range scoped(devices, r.Segment, s) {
					give(a, mm.Span(r.First, r.Last+1), true)
				}
			}
		}
		return
	}
	for _, r := range fw.IVRS.Regions {
		for i := range devices.Functions {
			a := devices.Functions[i].Addr
			if id := uint16(a); a.Segment() == 0 && r.First <= id && id <= r.Last {
				give(a, mm.Range[mm.HPA]{Start: r.Start, Size: r.Size}, r.Write)
			}
		}
	}
}

// overlapsAny reports whether r and one of all have a byte in common.
func overlapsAny(r mm.Range[mm.HPA], all []mm.Range[mm.HPA]) bool {
	for _, x := range all {
		if r.Overlaps(x) {
			return true
		}
	}
	return r.Start < 1*mm.MiB
}

// scoped is the functions that a device scope names.
func scoped(devices *pci.Table, segment uint16, s acpi.Scope) []abi.PCIAddr {
	a, ok := devices.Path(segment, s.Bus, s.Path)
	switch {
	case ok && s.Kind == acpi.ScopeEndpoint:
		return []abi.PCIAddr{a}
	case ok && s.Kind == acpi.ScopeBridge:
		return devices.Behind(a)
	}
	return nil
}

// watch looks after what the units record, when they interrupt and, where they do not,
// often enough: a refused access is harmless however late it is noticed.
func watch(g *iommu.Guard, vector uint8) {
	const pause, often = 10 * time.Millisecond, 250 * time.Millisecond
	if vector != 0 {
		if fd, err := kernel.OpenIRQ(vector); err == nil {
			go func() {
				f := os.NewFile(fd, "iommu")
				for b := make([]byte, 8); ; time.Sleep(pause) { // whatever comes, not all the time
					if _, err := f.Read(b); err != nil {
						return
					}
					g.Look()
				}
			}()
		}
	}
	for ; ; time.Sleep(often) {
		g.Look()
	}
}

// x2APIC reports whether the local APICs are in that mode.
func x2APIC() bool { return insn.RDMSR(x86.MSRAPICBase)&(1<<10) != 0 }
