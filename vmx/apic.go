// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vmx

import (
	"ringo/hv/vcpu"
	"ringo/hv/x86"
	"ringo/mm"
	"ringo/mm/phys"
)

// The virtual local APIC (SDM Vol. 3, "APIC Virtualization and Virtual
// Interrupts"). The virtual-APIC page is that of vcpu.LocalAPIC. What the CPU keeps
// besides follows from it: RVI is the highest vector of IRR, SVI the highest of
// ISR, and the EOI-exit bitmap is TMR. So nothing is read back after a run.
//
// Registers are virtualized in x2APIC mode only: an access to the page of xAPIC
// mode stays an EPT violation. Interrupts are delivered by the CPU in both.

// Registers of the virtual-APIC page that guests in x2APIC mode read without an
// exit: all but the current count of the timer, which is not kept there. SELF IPI
// and EOI cannot be read.
var x2Reads = [...]struct{ first, last uint32 }{
	{0x02, 0x03},                             // ID, version
	{x86.APICTPR, x86.APICTPR},               //
	{x86.APICPPR, x86.APICPPR},               //
	{0x0d, 0x0d},                             // LDR
	{0x0f, 0x0f},                             // SVR
	{x86.APICISR, x86.APICIRR + 7},           // ISR, TMR, IRR
	{0x28, 0x28}, {0x30, 0x30}, {0x32, 0x38}, // ESR, ICR, LVT and initial count
	{0x3e, 0x3e}, // divide configuration
}

// Registers that they write without an exit: what the CPU carries out.
var x2Writes = [...]uint32{x86.APICTPR, x86.APICEOI, x2SelfIPI}

const x2SelfIPI = 0x3f

// openX2APIC opens the MSR bitmap at a for those registers.
func openX2APIC(m phys.Memory, a mm.HPA) {
	for _, r := range x2Reads {
		for n := r.first; n <= r.last; n++ {
			open(m, a, 0, x86.MSRX2APICBase+n)
		}
	}
	for _, n := range x2Writes {
		open(m, a, writeHalf, x86.MSRX2APICBase+n)
	}
}

// APIC implements vcpu.LocalAPIC.
func (v *VCPU) APIC() *x86.APICPage {
	if !v.b.f.virtualAPIC {
		return nil // the page has CR8 only
	}
	return v.apic
}

// LoadAPIC implements vcpu.LocalAPIC.
func (v *VCPU) LoadAPIC(x2 bool) {
	if !v.b.f.virtualAPIC {
		return
	}
	proc2 := v.b.f.proc2
	if x2 {
		proc2 |= proc2X2APIC
	}
	v.putNew(sProc2, uint64(proc2))
	v.putNew(sMSRBitmap, uint64(v.b.msrMap(x2)))
	v.todo |= todoAPIC
}

// loadAPIC writes what follows from the page to the VMCS.
func (v *VCPU) loadAPIC() {
	p := v.on.p
	p.write(uint32(guestIntStatus), uint64(v.apic.Highest(x86.APICIRR))|uint64(v.apic.Highest(x86.APICISR))<<8)
	for i := range v.eoiExit {
		if level := v.apic.Vectors(x86.APICTMR, i); level != v.eoiExit[i] {
			v.eoiExit[i] = level
			p.write(uint32(ctlEOIExit)+2*uint32(i), level)
		}
	}
}

// setCR8 changes the task priority.
func (v *VCPU) setCR8(val uint64) {
	*v.apic.Reg(x86.APICTPR) = uint32(val&15) << 4
	if v.val[sTPRThreshold] > val&15 {
		v.todo |= todoWrite // see settleThreshold
	}
	if v.b.f.virtualAPIC {
		tpr, isr := uint8(val&15)<<4, v.apic.Highest(x86.APICISR)&^15
		*v.apic.Reg(x86.APICPPR) = uint32(max(tpr, isr))
		v.todo |= todoAPIC
	}
}

// settleThreshold keeps the TPR threshold at or below the present priority, or
// the entry fails (SDM Vol. 3, "Checks on VM-Execution Control Fields").
func (v *VCPU) settleThreshold() {
	if now := uint64(*v.apic.Reg(x86.APICTPR) >> 4 & 15); v.val[sTPRThreshold] > now {
		v.put(sTPRThreshold, now)
	}
}

// decodeAPIC splits the qualification of a virtualized EOI, which is the vector,
// and of a write to the page, which is the offset of the register.
func decodeAPIC(reason uint32, q uint64) vcpu.APICExit {
	if reason == reasonEOI {
		return vcpu.APICExit{Reg: x86.APICEOI, Vector: uint8(q)}
	}
	return vcpu.APICExit{Reg: uint8(q >> 4)}
}
