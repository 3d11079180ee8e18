// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import (
	"ringo/hv/insn"
	"ringo/hv/x86"
)

// The local APIC, by MSRs when the CPU has an x2APIC, else by its registers at
// 0xfee00000 (SDM Vol. 3, "Advanced Programmable Interrupt Controller").

// Vectors of the layer. Device vectors are vecFirst to vecLast.
const (
	vecFirst   = 0x30
	vecLast    = 0xf0
	vecTimer   = 0xf1
	vecKick    = 0xf2
	vecSignal  = 0xf3
	vecResched = 0xf4
	vecTLB     = 0xf5
	vecSpur    = 0xff
)

const (
	apicPhys = 0xfee0_0000

	apicID      = 0x20
	apicTPR     = x86.APICTPR << 4
	apicEOI     = x86.APICEOI << 4
	apicSVR     = 0xf0
	apicICR     = 0x300
	apicICRHi   = 0x310
	apicLVTTmr  = 0x320
	apicLVTLnt0 = 0x350
	apicLVTLnt1 = 0x360
	apicLVTErr  = 0x370
	apicTmrInit = 0x380
	apicTmrCur  = 0x390
	apicTmrDiv  = 0x3e0

	apicMasked   = 1 << 16
	apicDeadline = 2 << 17
	apicPeriodic = 1 << 17
	apicEnable   = 1 << 8

	icrAssert  = 1 << 14
	icrPending = 1 << 12
	icrNMI     = 4 << 8
	icrInit    = 5 << 8
	icrStartup = 6 << 8
	icrLevel   = 1 << 15

	baseBSP    = 1 << 8
	baseX2APIC = 1 << 10
	baseEnable = 1 << 11
)

var (
	x2apic      bool
	tscDeadline bool
	ticksPerTSC uint64 // LAPIC timer ticks per TSC tick, 32.32
)

//go:nosplit
func apicRead(reg uint64) uint32 {
	if x2apic {
		return uint32(insn.RDMSR(x86.MSRX2APICBase + uint32(reg>>4)))
	}
	return *p32(phys(apicPhys + reg))
}

//go:nosplit
func apicWrite(reg uint64, v uint32) {
	if x2apic {
		insn.WRMSR(x86.MSRX2APICBase+uint32(reg>>4), uint64(v))
		return
	}
	*p32(phys(apicPhys + reg)) = v
}

//go:nosplit
func eoi() { apicWrite(apicEOI, 0) }

// sendICR sends an inter-processor interrupt. Interrupts must be off: the two
// halves of the xAPIC's register belong together.
//
//go:nosplit
func sendICR(apic, cmd uint32) {
	if x2apic {
		// WRMSR to the x2APIC is not serializing: order it behind the
		// stores that the receiver shall see.
		mfence()
		insn.WRMSR(x86.MSRX2APICBase+apicICR>>4, uint64(apic)<<32|uint64(cmd))
		return
	}
	for *p32(phys(apicPhys + apicICR))&icrPending != 0 {
		insn.PAUSE()
	}
	*p32(phys(apicPhys + apicICRHi)) = apic << 24
	*p32(phys(apicPhys + apicICR)) = cmd
}

//go:nosplit
func sendIPI(apic, vector uint32) { sendICR(apic, icrAssert|vector) }

// apicDetect chooses the ways of access, once.
//
//go:nosplit
func apicDetect() {
	_, _, c, _ := insn.CPUID(1, 0)
	x2apic = c>>21&1 != 0 || insn.RDMSR(x86.MSRAPICBase)&baseX2APIC != 0
	tscDeadline = c>>24&1 != 0
	ticking = quirks.losesIRQs && !tscDeadline
}

// ticking says that the timer is to repeat itself until it is set anew, and
// never to be quiet for longer than tickNS, because interrupts get lost.
var ticking bool

// apicInit makes this CPU's APIC ready: everything masked but the timer.
//
//go:nosplit
func apicInit() (id uint32) {
	base := insn.RDMSR(x86.MSRAPICBase)
	if x2apic && base&baseX2APIC == 0 {
		insn.WRMSR(x86.MSRAPICBase, base|baseEnable)
		insn.WRMSR(x86.MSRAPICBase, base|baseEnable|baseX2APIC)
	} else if base&baseEnable == 0 {
		insn.WRMSR(x86.MSRAPICBase, base|baseEnable)
	}
	apicWrite(apicSVR, apicEnable|vecSpur)
	apicWrite(apicTPR, 0)
	apicWrite(apicLVTLnt0, apicMasked)
	apicWrite(apicLVTLnt1, icrNMI)
	apicWrite(apicLVTErr, apicMasked)
	apicWrite(apicTmrDiv, 0xb) // divide by 1
	if tscDeadline {
		apicWrite(apicLVTTmr, apicDeadline|vecTimer)
		mfence() // SDM Vol. 3, "TSC-Deadline Mode": order it before the MSR
	} else {
		apicWrite(apicLVTTmr, timerLVT())
	}
	id = apicRead(apicID)
	if !x2apic {
		id >>= 24
	}
	return id
}

// timerLVT is the timer's entry of the local vector table when it counts.
//
//go:nosplit
func timerLVT() uint32 {
	if ticking {
		return apicPeriodic | vecTimer
	}
	return vecTimer
}

// timerSet makes the timer interrupt when the TSC reaches at; 0 turns it off.
//
//go:nosplit
func timerSet(now, at uint64) {
	if tscDeadline {
		insn.WRMSR(x86.MSRTSCDeadline, at)
		return
	}
	if ticking {
		at = tickAt(now, at, tscPerNS)
	}
	if at == 0 {
		apicWrite(apicTmrInit, 0)
		return
	}
	apicWrite(apicTmrInit, timerCount(now, at, ticksPerTSC))
}

// startTick makes a timer that repeats itself start, once per CPU.
//
//go:nosplit
func startTick() {
	if ticking {
		timerSet(insn.RDTSC(), 0)
	}
}

// tickAt returns when a timer that is wanted at at, 0 for never, and repeats
// itself is to interrupt. perNS is the rate of the TSC.
//
//go:nosplit
func tickAt(now, at, perNS uint64) uint64 {
	if most := now + scale(tickNS, perNS); at == 0 || at > most {
		return most
	}
	return max(at, now+scale(tickLeastNS, perNS))
}

// timerCount returns the initial count that ends no earlier than at, or, when
// at is far away, as late as the counter can.
//
//go:nosplit
func timerCount(now, at, perTSC uint64) uint32 {
	if at <= now {
		return 1
	}
	n := scale(at-now, perTSC)
	if n >= 0xffff_ffff {
		return 0xffff_ffff
	}
	return uint32(n) + 1
}
