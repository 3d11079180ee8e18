// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"runtime"

	"ringo/boot/kernel"
	"ringo/hv/abi"
	"ringo/hv/internal/console"
	"ringo/hv/internal/dbg"
	"ringo/hv/internal/part"
	"ringo/hv/vcpu"
	"ringo/hv/x86"
	"ringo/mm/frame"
)

// key is a debug key of the host console.
type key struct {
	k    byte
	help string
	run  func(m *part.Machine)
	asks bool // before it runs
}

// keys are in the order of the help.
var keys []key

func init() {
	keys = []key{
		{'h', "this list", help, false},
		{'q', "domains", domains, false},
		{'r', "run queues and exits", queues, false},
		{'d', "registers of all vCPUs", registers, false},
		{'0', "registers of dom0", func(m *part.Machine) { domainRegisters(m.Dom0()) }, false},
		{'m', "memory", memoryUse, false},
		{'t', "time", times, false},
		{'*', "all of these", everything, false},
		{'C', "crash the hypervisor, to see its dump ", func(*part.Machine) { panic("crash requested by a debug key") }, true},
		{'R', "restart the machine ", func(*part.Machine) { kernel.Reboot() }, true},
	}
}

// confirm is the question that is open.
var confirm console.Confirm

// debugKey runs the key k, or asks first. It is called from the console's
// goroutine, or from a runner for dom0's debug-keys verb.
func debugKey(m *part.Machine, k byte) {
	asked, answer := confirm.Type(k)
	switch answer {
	case console.More:
		return
	case console.No:
		say().S("not done").End()
		return
	case console.Yes:
		k = asked
	}
	for _, c := range keys {
		if c.k != k {
			continue
		}
		if c.asks && answer != console.Yes {
			say().S(c.help).S(": type ").S(confirm.Ask(k, kernel.TSC())).S(" to do it, any other key not to").End()
			return
		}
		c.run(m)
		return
	}
	dbg.At(dbg.Error).S("no debug key '").S(string(rune(k))).S("', h lists them").End()
}

func help(*part.Machine) {
	for _, c := range keys {
		say().S("  ").S(string(rune(c.k))).S("  ").S(c.help).End()
	}
}

func everything(m *part.Machine) {
	for _, f := range []func(*part.Machine){domains, queues, registers, memoryUse, times} {
		f(m)
	}
}

// say begins a line that was asked for, so that no log level hides it.
func say() *dbg.Line { return dbg.Always() }

func each(m *part.Machine, f func(*part.Domain)) {
	for d := m.Next(0); d != nil; d = m.Next(uint64(d.ID) + 1) {
		f(d)
	}
}

func domains(m *part.Machine) {
	each(m, func(d *part.Domain) {
		var in abi.DomainInfo
		d.Info(&in)
		name, _, _ := bytes.Cut(in.Name[:], []byte{0})
		say().S("domain ").U(uint64(in.ID)).S(" ").S(string(name)).S(": state ").X(uint64(in.State)).
			S(", ").MiB(in.Bytes).S(" from ").X(uint64(d.Place())).S(" on, exits ").U(in.Exits).S(", forwarded ").U(in.Forwards).End()
	})
}

func queues(m *part.Machine) {
	var all vcpu.Costs
	m.AddCosts(&all)
	for r := range vcpu.NumReasons {
		if c := &all[r]; c.Count != 0 {
			say().S("exits ").S(r.String()).S(": ").U(c.Count).S(", mean ").U(c.Cycles / c.Count).S(" cycles").End()
		}
	}
	each(m, func(d *part.Domain) {
		for _, v := range d.VCPUs {
			say().S("vCPU ").U(uint64(d.ID)).S(".").U(uint64(v.ID)).S(": state ").U(uint64(v.State())).
				S(", waits for ").U(uint64(v.Wait())).End()
		}
	})
}

func registers(m *part.Machine) { each(m, domainRegisters) }

func domainRegisters(d *part.Domain) {
	names := [...]string{"rip", "rsp", "rflags", "cr0", "cr3", "cr4"}
	regs := [len(names)]x86.Reg{x86.RIP, x86.RSP, x86.RFLAGS, x86.CR0, x86.CR3, x86.CR4}
	for _, v := range d.VCPUs {
		var vals [len(names)]uint64
		ok := v.Peek(func(hw vcpu.VCPU) {
			for i, r := range regs {
				vals[i] = hw.Get(r)
			}
		})
		l := say().S("vCPU ").U(uint64(d.ID)).S(".").U(uint64(v.ID)).S(":")
		if !ok {
			l.S(" in its guest, or gone").End()
			continue
		}
		for i, name := range names {
			l = l.S(" ").S(name).S(" ").X(vals[i])
		}
		l.End()
	}
}

func memoryUse(m *part.Machine) {
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	say().S("memory: free ").U(m.Frames.FreeBytes()).S(" bytes, hypervisor ").U(hvBytes(m) >> 10).
		S(" KiB, Go heap ").U(mem.HeapAlloc >> 10).S(" KiB in ").U(uint64(mem.NumGC)).S(" collections").End()
	k := kernel.ReadStats()
	say().S("pool: ").U(k.PoolFrames * 4).S(" KiB, free ").U(k.FreeFrames * 4).S(", Go ").U(k.Data * 4).
		S(", page tables ").U(k.Tables * 4).S(", kernel layer ").U(k.Kernel * 4).S("; ").U(k.Threads).S(" threads").End()
	used, limit := m.Records.Use()
	say().S("records of domains: ").U(used >> 10).S(" of ").U(limit >> 10).S(" KiB").End()
	say().S("page tables of domains: ").U(m.Frames.UsedAs(frame.Table) >> 10).S(" KiB").End()
	if gone, marked := m.Frames.Retired(); gone+marked > 0 {
		say().S("failed memory: ").U(uint64(gone)).S(" pages out of use, ").U(uint64(marked)).S(" when they are freed").End()
	}
	tortureReport()
}

func times(m *part.Machine) {
	say().S("up ").U(uint64(kernel.Nanotime()) / 1e6).S(" ms, TSC ").U(kernel.TSC()).S(" at ").U(m.TSCHz).S(" Hz, ").
		U(kernel.ReadStats().Halted).S(" halted").End()
}
