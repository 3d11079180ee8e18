// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"ringo/boot/cmdline"
	"ringo/boot/kernel"
	"ringo/hv/abi"
	"ringo/hv/insn"
	"ringo/hv/internal/hcall"
	"ringo/hv/internal/heap"
	"ringo/hv/internal/iommu"
	"ringo/hv/internal/part"
	"ringo/hv/internal/pci"
	"ringo/mm"
	"ringo/mm/frame"
)

// newServices connects the hypercalls that are not about domains.
func newServices(m *part.Machine, devices *pci.Table, guard *iommu.Guard, cmdLine string, opts cmdline.Options) *hcall.Services {
	meter := heap.New()
	return &hcall.Services{
		Host: func(h *abi.HostInfo) { hostInfo(m, meter, guard, cmdLine, opts, h) },
		Power: func(op abi.Power) {
			devices.Stop()
			power(op)
		},
		Log:          readLog,
		ConsoleWrite: con.write,
		ConsoleRead: func(b []byte) abi.ConsoleInput {
			return abi.NewConsoleInput(con.input.Read(b))
		},
		DebugKey: func(k byte) { debugKey(m, k) },
		PCI:      devices,
		Trace: func(cpu uint64, out []abi.TraceRecord) (int, bool) {
			if cpu >= uint64(len(m.CPUs)) {
				return 0, false
			}
			return m.CPUs[cpu].Trace(out), true
		},
	}
}

// readLog copies the log from byte number off on; when that is gone it reports
// false, and the number of the oldest byte there is.
func readLog(b []byte, off uint64) (n int, oldest uint64, ok bool) {
	n, first := kernel.LogRead(b, off)
	if first != off && off < first {
		return 0, first, false
	}
	return n, first, true
}

// hostInfo describes the machine. It takes as long with many domains as with none,
// and stops nobody.
func hostInfo(m *part.Machine, meter *heap.Meter, guard *iommu.Guard, cmdLine string, opts cmdline.Options, h *abi.HostInfo) {
	h.NumCPUs, h.NumDomains = uint32(len(m.CPUs)), uint32(m.Count())
	h.TSCHz, h.UptimeNS = m.TSCHz, uint64(kernel.Nanotime())
	h.IdleNS = m.NS(kernel.ReadStats().Halted)
	h.HVBytes = hvBytes(m)
	h.TotalBytes = m.Frames.TotalBytes() + kernel.ImageRange().Size + kernel.PoolRange().Size
	h.FreeBytes = m.Frames.FreeBytes()
	h.Dom0Bytes = m.Frames.OwnedAs(frame.Domain(0), frame.RAM)
	h.HeapBytes, h.NumGC = meter.Read()
	_, b, c, d := insn.CPUID(0, 0)
	putWords(h.CPUVendor[:], b, d, c)
	for i := range uint32(3) {
		a, b, c, d := insn.CPUID(0x8000_0002+i, 0)
		putWords(h.CPUModel[16*i:], a, b, c, d)
	}
	_, _, h.CPUIDLeaf1ECX, h.CPUIDLeaf1EDX = insn.CPUID(1, 0)
	copy(h.VirtCaps[:], "hvm hap "+m.Backend.Caps().Short)
	copy(h.Speculation[:len(h.Speculation)-1], m.Spec.String())
	if guard != nil {
		copy(h.IOMMU[:len(h.IOMMU)-1], guard.String())
	}
	copy(h.Version[:], abi.Release)
	copy(h.Scheduler[:], opts.Scheduler.String())
	copy(h.CmdLine[:len(h.CmdLine)-1], cmdLine)
}

// hvBytes is all memory that the hypervisor keeps for itself: image, pool of
// the Go runtime as far as it is used, and frames that are not a guest's RAM.
func hvBytes(m *part.Machine) uint64 {
	s := kernel.ReadStats()
	return kernel.ImageRange().Size + (s.PoolFrames-s.FreeFrames)*mm.PageSize + m.Frames.Kept()
}

// putWords stores register values as CPUID's strings have them.
func putWords(b []byte, words ...uint32) {
	for i, w := range words {
		b[4*i], b[4*i+1], b[4*i+2], b[4*i+3] = byte(w), byte(w>>8), byte(w>>16), byte(w>>24)
	}
}
