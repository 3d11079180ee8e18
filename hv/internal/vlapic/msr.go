// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vlapic

import "ringo/hv/x86"

// BasePage is the guest physical address of the xAPIC registers. It is fixed: a
// guest that moves it gets #GP (no known system does).
const BasePage = 0xfee0_0000

// Bits of IA32_APIC_BASE (SDM Vol. 3, "Detecting and Enabling x2APIC Mode").
const (
	baseBSP  = 1 << 8
	baseEXTD = 1 << 10
	baseEN   = 1 << 11
)

// Enabled reports whether the local APIC is globally enabled: what CPUID leaf 1
// EDX bit 9 shows.
func (l *LAPIC) Enabled() bool { return l.mode.Load()&modeHW != 0 }

// Mapped reports whether the guest sees the registers at [BasePage]. If not,
// accesses there are those of an empty bus.
func (l *LAPIC) Mapped() bool { return l.mode.Load()&(modeHW|modeX2) == modeHW }

// ReadMSR reads IA32_APIC_BASE, IA32_TSC_DEADLINE or an MSR in 0x800 to 0x8ff.
// now is the host's TSC. ok is false when the guest gets #GP.
func (l *LAPIC) ReadMSR(msr uint32, now uint64) (val uint64, ok bool) {
	if r := msr - x86.MSRX2APICBase; r < numRegs {
		if l.mode.Load()&modeX2 == 0 {
			return 0, false
		}
		return l.read(r, true, now)
	}
	switch msr {
	case x86.MSRTSCDeadline:
		return l.readTSCDeadline(now), true
	case x86.MSRAPICBase:
		return l.Base(), true
	}
	return 0, false
}

// WriteMSR writes what ReadMSR reads. ok is false when the guest gets #GP.
func (l *LAPIC) WriteMSR(msr uint32, val, now uint64) (ok bool) {
	if r := msr - x86.MSRX2APICBase; r < numRegs {
		if l.mode.Load()&modeX2 == 0 {
			return false
		}
		if r == regEOI && val == 0 { // by far the most frequent
			l.EOI()
			return true
		}
		return l.write(r, val, true, now)
	}
	switch msr {
	case x86.MSRTSCDeadline:
		l.writeTSCDeadline(val, now)
		return true
	case x86.MSRAPICBase:
		return l.setBase(val)
	}
	return false
}

// Base returns IA32_APIC_BASE.
func (l *LAPIC) Base() uint64 {
	return uint64(l.base | l.mode.Load()&(modeHW|modeX2))
}

// setBase changes the mode (SDM Vol. 3, "x2APIC State Transitions"):
//
//	disabled ◀──▶ xAPIC ──▶ x2APIC ──▶ disabled; everything else is #GP
//
// The BSP flag is read-only here.
func (l *LAPIC) setBase(v uint64) (ok bool) {
	if v&^(baseBSP|baseEXTD|baseEN) != BasePage {
		return false
	}
	l.shown = false
	old := l.Base()
	from, to := old&(baseEN|baseEXTD), v&(baseEN|baseEXTD)
	switch {
	case from == to:
		return true
	case to == 0: // software must initialize everything anew afterwards
		l.Withdraw()
		l.mode.Store(0)
		l.initState()
		return true
	case to == baseEN && from == 0:
		l.mode.Or(modeHW)
		return true
	case to == baseEN|baseEXTD && from == baseEN:
		l.icr &= 0xffff_ffff
		l.mode.Or(modeX2)
		return true
	}
	return false
}

// Read is a read of the xAPIC page at offset off; LAPIC is a bus.Device. The
// page is the same address on every vCPU, so the run loop comes here before it
// looks at the bus, if Mapped. Only the first four bytes of each 16 exist; what
// lies between reads as zero.
func (l *LAPIC) Read(off uint64, size uint8, now uint64) uint64 {
	low := off & 15
	if low+uint64(size) > 4 {
		return 0
	}
	v, ok := l.read(uint32(off>>4)&0xff, false, now)
	if !ok {
		l.raiseError(errRegister)
		return 0
	}
	return v >> (8 * low) & (1<<(8*size) - 1)
}

// Write is a write to the xAPIC page. Only aligned 32-bit writes have an effect
// (SDM Vol. 3, "The Local APIC Block Diagram": others are undefined).
func (l *LAPIC) Write(off uint64, size uint8, val, now uint64) {
	if off&15 != 0 || size != 4 {
		return
	}
	r := uint32(off>>4) & 0xff
	if r == regSelfIPI || !l.write(r, val&0xffff_ffff, false, now) {
		l.raiseError(errRegister)
	}
}
