// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"ringo/boot/kernel"
	"ringo/boot/layout"
	"ringo/boot/mb"
	"ringo/hv/abi"
	"ringo/hv/insn"
	"ringo/hv/internal/dbg"
	"ringo/hv/internal/part"
	"ringo/hv/internal/pci"
	"ringo/hv/internal/policy"
	"ringo/mm"
	"ringo/mm/frame"
	"ringo/mm/phys"
)

// direct is physical memory through the direct map.
var direct = phys.NewDirect(layout.DirectMap, layout.DirectMapSize)

// newMachine takes stock of the memory and makes an empty ledger.
func newMachine(info *mb.Info, devices *pci.Table) *part.Machine {
	if err := kernel.CheckMappings(); err != nil {
		fatal(err.Error())
	}
	pool, err := frame.Boot(direct, mm.Usable(regions(info), reserved(info)))
	if err != nil {
		fatal("no usable memory: ", err.Error(), "; give the machine more RAM")
	}
	dbg.At(dbg.Info).S("memory: ").MiB(pool.TotalBytes()).S(" managed, ").MiB(pool.FreeBytes()).S(" free").End()
	m := &part.Machine{
		Frames: pool, Phys: direct, RAM: ram(info), TSCHz: kernel.TSCHz(),
		HostCPUID: hostCPUID, TSC: kernel.TSC, ThisCPU: kernel.RunnerCPU, Kick: kernel.Kick,
		IOReqPage: ioreqPage, Dom0Ended: dom0Ended(devices),
	}
	return m
}

// recordLimit is what the records of domains may take of the Go heap: half of
// what the pool has left. The other half is for garbage, which can be as much
// as what lives, and for what no account counts.
func recordLimit() uint64 { return kernel.ReadStats().FreeFrames * mm.PageSize / 2 }

func hostCPUID(leaf, sub uint32) policy.Result {
	a, b, c, d := insn.CPUID(leaf, sub)
	return policy.Result{EAX: a, EBX: b, ECX: c, EDX: d}
}

// ram is all memory that is no device. The first MiB is left out, where option
// ROMs and video memory lie between RAM.
func ram(info *mb.Info) (out []mm.Range[mm.HPA]) {
	for _, r := range mm.Normalize(regions(info)) {
		if r.Kind == mm.RAM && r.Start >= 1*mm.MiB {
			out = append(out, r.Range)
		}
	}
	return out
}

// regions is the loader's memory map.
func regions(info *mb.Info) []mm.Region {
	var out []mm.Region
	for _, r := range info.Memory {
		out = append(out, mm.Region{Range: mm.Range[mm.HPA]{Start: r.Start, Size: r.Size}, Kind: mm.Kind(r.Type)})
	}
	return out
}

// reserved is what the allocator must not touch: low memory with its BIOS data
// and trampoline, the hypervisor itself, and the boot modules.
func reserved(info *mb.Info) []mm.Range[mm.HPA] {
	out := []mm.Range[mm.HPA]{mm.Span[mm.HPA](0, 1*mm.MiB), span(kernel.ImageRange()), span(kernel.PoolRange())}
	for _, m := range info.Modules {
		out = append(out, mm.Span(m.Start, m.End))
	}
	return out
}

func span(r kernel.Range) mm.Range[mm.HPA] { return mm.Range[mm.HPA]{Start: r.Start, Size: r.Size} }

// dom0Ended returns what is called when dom0 has stopped: there is nobody left to work
// for. Its devices stop first: they must not write memory that is somebody else's next.
func dom0Ended(devices *pci.Table) func(r abi.Shutdown, why string) {
	return func(r abi.Shutdown, why string) {
		devices.Stop()
		end(r, why)
	}
}

func end(r abi.Shutdown, why string) {
	switch r {
	case abi.ShutdownPoweroff:
		kernel.PowerOff()
	case abi.ShutdownReboot:
		kernel.Reboot()
	}
	kernel.Fatal("dom0 crashed: " + why)
}
