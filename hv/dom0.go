// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"strconv"
	"time"

	"github.com/usbarmory/tamago/soc/intel/rtc"

	"ringo/boot/acpi"
	"ringo/boot/cmdline"
	"ringo/boot/kernel"
	"ringo/boot/mb"
	"ringo/hv/abi"
	"ringo/hv/insn"
	"ringo/hv/internal/builder"
	"ringo/hv/internal/dbg"
	"ringo/hv/internal/event"
	"ringo/hv/internal/part"
	"ringo/hv/x86"
	"ringo/mm"
)

// defaultDom0 is dom0's memory when the command line does not say.
const defaultDom0 = 128 * mm.MiB

// buildDom0 makes dom0 of the first boot module; it gets the others.
func buildDom0(m *part.Machine, info *mb.Info, fw *acpi.Tables, opts cmdline.Options, callInsn uint32) *part.Domain {
	if len(info.Modules) == 0 {
		fatal("no boot module: the first one must be the dom0 image (QEMU: -initrd dom0; GRUB: module2 /boot/dom0)")
	}
	m.EpochNS.Store(epoch(m.TSCHz))
	p := &builder.Params{
		Image: moduleRange(info.Modules[0]), Bytes: defaultDom0, VCPUs: max(1, opts.Dom0VCPUs),
		Top: top(info), RSDP: fw.Root.Addr, Windows: windows(info),
		Huge: has1G(), CallInsn: callInsn,
	}
	if opts.Dom0Memory != 0 {
		p.Bytes = uint64(mm.AlignUp(mm.HPA(opts.Dom0Memory), mm.Page2M))
	}
	p.VCPUs = min(p.VCPUs, len(m.CPUs), abi.MaxVCPUs)
	for _, mod := range info.Modules[1:] {
		p.Modules = append(p.Modules, builder.Module{Range: moduleRange(mod), Name: mod.Name})
	}
	if free := m.Frames.FreeBytes(); free < p.Bytes {
		fatal("not enough memory for dom0: it needs ", mib(p.Bytes), ", ", mib(free),
			" are free; give the machine more RAM or lower dom0_mem=")
	}
	d, err := builder.Build(m, p)
	if err != nil {
		fatal("dom0 image \"", info.Modules[0].Name, "\": ", err.Error())
	}
	m.Events = event.New(sharedInfo(d.SharedInfoAt()), func(vector uint8) {
		v := d.VCPUs[0]
		if v.APIC.SetIRR(vector, false) {
			v.NotifyHere() // mostly for a guest that waits for dom0 from now on
		}
	})
	con.connect(m.Events)
	dbg.At(dbg.Info).S("dom0: \"").S(info.Modules[0].Name).S("\", ").MiB(p.Bytes).S(", ").
		U(uint64(p.VCPUs)).S(" vCPU, ").U(uint64(len(p.Modules))).S(" boot modules").End()
	return d
}

func moduleRange(m mb.Module) builder.Range {
	return builder.Range{Start: m.Start, Size: uint64(m.End - m.Start)}
}

// top is the end of RAM.
func top(info *mb.Info) mm.HPA {
	var t mm.HPA
	for _, r := range info.Memory {
		if r.Type == mb.Available {
			t = max(t, r.Start+mm.HPA(r.Size))
		}
	}
	return t
}

// windows is the firmware's tables, which dom0 may read.
func windows(info *mb.Info) []abi.MemRange {
	var out []abi.MemRange
	for _, r := range mm.Normalize(regions(info)) {
		if r.Kind == mm.ACPIData || r.Kind == mm.ACPINVS {
			a := r.Range.AlignOut(mm.PageSize)
			out = append(out, abi.MemRange{Start: uint64(a.Start), Size: a.Size, Type: abi.MemType(r.Kind)})
		}
	}
	return out[:min(len(out), abi.MaxRanges-1)]
}

// epoch is the wall time at TSC 0, in ns since 1970, by the CMOS clock.
func epoch(hz uint64) uint64 {
	clock := rtc.RTC{Location: time.UTC}
	for range 1000 {
		if t, err := clock.Now(); err == nil {
			return uint64(t.UnixNano()) - kernel.TSC()/hz*1e9
		}
		time.Sleep(time.Millisecond) // the chip is updating its registers
	}
	dbg.At(dbg.Warning).S("the CMOS clock does not answer: the time is wrong").End()
	return 0
}

// has1G reports whether the CPU has 1 GiB pages.
func has1G() bool {
	_, _, _, d := insn.CPUID(0x8000_0001, 0)
	return d&x86.ExtDPage1G != 0
}

func mib(n uint64) string { return strconv.FormatUint(n>>20, 10) + " MiB" }

func itoa(n int) string { return strconv.Itoa(n) }
