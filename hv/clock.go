// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"ringo/boot/acpi"
	"ringo/boot/kernel"
	"ringo/hv/internal/dbg"
	"ringo/hv/internal/policy"
	"ringo/mm"
)

// checkClock looks for a second opinion where what CPUID and the PIT say of the
// time-stamp counter's rate is not believed: the PM timer, then the HPET. Without
// any there is no boot: everything that is timed would be wrong.
func checkClock(fw *acpi.Tables) {
	if !policy.SteadyTSC(hostCPUID) {
		dbg.At(dbg.Warning).S("the time-stamp counter of this CPU may change its rate, or stop: clocks may be wrong").End()
	}
	if kernel.RateSure() {
		return
	}
	why := "neither CPUID nor the PIT (timer 8254) tells it, and firmware names no PM timer and no HPET"
	for _, r := range references(fw) {
		err := kernel.CheckRate(r.Reference)
		if err == nil {
			dbg.At(dbg.Info).S("time-stamp counter: ").U(kernel.TSCHz()).S(" Hz by the ").S(r.name).End()
			return
		}
		why = err.Error()
	}
	fatal("no way to tell the rate of the time-stamp counter: ", why)
}

// reference is a clock in firmware's tables.
type reference struct {
	name string
	kernel.Reference
}

// references are the clocks in firmware's tables, in the order in which they are tried.
func references(fw *acpi.Tables) []reference {
	var all []reference
	if f := fw.FADT; f != nil && port(f.PMTimer) != 0 {
		bits := uint(24)
		if f.PMTimer32 {
			bits = 32
		}
		all = append(all, reference{"PM timer", kernel.Reference{Port: port(f.PMTimer), Bits: bits, Hz: acpi.PMTimerHz}})
	}
	if h := fw.HPET; h != nil && h.Base.Space == acpi.SpaceMemory {
		if r, ok := hpet(mm.HPA(h.Base.Addr)); ok {
			all = append(all, reference{"HPET", r})
		}
	}
	return all
}

// Registers of the HPET (IA-PC HPET Specification 1.0a, "Register Overview").
const (
	hpetConfig  = 0x10
	hpetCounter = 0xf0
	hpetEnable  = 1 << 0

	femto     = 1_000_000_000_000_000
	hpetSlow  = 100_000_000 // the longest period that is legal, in femtoseconds
	hpetBytes = 0x400
)

// hpet makes the event timer block at a count.
func hpet(a mm.HPA) (kernel.Reference, bool) {
	if a == 0 || a%8 != 0 || !mm.Within(a, hpetBytes, uint64(kernel.DirectTop())) {
		return kernel.Reference{}, false
	}
	period := direct.Load64(a) >> 32 // in femtoseconds
	if period == 0 || period > hpetSlow {
		return kernel.Reference{}, false
	}
	direct.Store64(a+hpetConfig, direct.Load64(a+hpetConfig)|hpetEnable)
	return kernel.Reference{Addr: a + hpetCounter, Bits: 32, Hz: femto / period}, true
}
