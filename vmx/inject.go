// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vmx

import (
	"ringo/hv/vcpu"
	"ringo/hv/x86"
)

// Interruptibility state (SDM Vol. 3, Table "Format of Interruptibility State").
const (
	blockedSTI   = 1 << 0
	blockedMOVSS = 1 << 1
	blockedNMI   = 1 << 3 // with virtual NMIs: the guest's, from delivery to IRET

	blockedOnce = blockedSTI | blockedMOVSS // until the next instruction is over
)

// events is what is on its way to the guest: the next entry delivers Next through
// the entry interruption information.
type events struct {
	vcpu.Queue
	armed bool // the VMCS has an event for the next entry
	// single: once that is delivered, nothing is left to do.
	single bool
}

// idle reports whether the next entry needs nothing of e.
func (e *events) idle() bool { return e.Idle() && !e.armed }

// interruptible reports whether the guest takes a maskable interrupt now.
func (v *VCPU) interruptible() bool {
	return v.frame.interrupt&blockedOnce == 0 && v.get(sRFLAGS)&x86.FlagIF != 0
}

// takesNMI reports whether the guest takes an NMI now. Not every CPU takes one
// in the shadow of STI.
func (v *VCPU) takesNMI() bool { return v.frame.interrupt&(blockedOnce|blockedNMI) == 0 }

// Inject implements vcpu.VCPU.
func (v *VCPU) Inject(e vcpu.Event) bool {
	v.todo |= todoEvents
	v.ev.single = false
	can := false
	switch e.Type {
	case vcpu.ExternalInterrupt:
		can = v.interruptible()
	case vcpu.NMI:
		can = v.takesNMI()
	}
	accepted, shutdown := v.ev.Inject(e, can)
	if shutdown {
		v.todo |= todoShutdown
	}
	return accepted
}

// ClearEvents implements vcpu.VCPU. An entry that was refused has left ev in the
// VMCS already.
func (v *VCPU) ClearEvents() {
	if v.ev.armed && v.ev.HasNext && v.ev.Next.Type == vcpu.SoftInterrupt {
		v.moveRIP(1)
	}
	v.put(sEntryEvent, 0)
	v.setInterrupt(0)
	v.put(sPendingDebug, 0)
	v.windows(false, false)
	v.ev = events{}
	v.todo &^= todoEvents | todoShutdown
}

// armEvents writes ev to the VMCS before an entry.
func (v *VCPU) armEvents() {
	ev := &v.ev
	if !ev.HasNext {
		ev.Pick(v.interruptible(), v.takesNMI())
	}
	switch {
	case ev.HasNext && !ev.armed:
		v.arm(ev.Next)
	case ev.armed && !ev.HasNext:
		v.put(sEntryEvent, 0)
		ev.armed = false
	}
	v.windows(ev.WaitsIRQ(), ev.WaitsNMI())
	ev.single = ev.armed && ev.Next.Type != vcpu.SoftInterrupt && !ev.WaitsIRQ() && !ev.WaitsNMI()
}

// arm makes the next entry deliver e.
func (v *VCPU) arm(e vcpu.Event) {
	w := encodeEvent(e, v.val[sCR0]&x86.CR0PE != 0)
	v.put(sEntryEvent, w)
	if w&evHasErr != 0 {
		v.put(sEntryError, uint64(e.Err))
	}
	if e.Type == vcpu.SoftInterrupt {
		// The CPU pushes RIP plus a length that must not be 0.
		v.put(sEntryLength, 1)
		v.moveRIP(-1)
	}
	v.ev.armed = true
}

// moveRIP changes RIP by d within the guest's address size.
func (v *VCPU) moveRIP(d int) {
	f := v.frame
	f.rip += uint64(d)
	if !v.code64() {
		f.rip &= 0xffff_ffff
	}
}

// windows arms or disarms the exits at the first moment the guest could take an
// interrupt, and an NMI.
func (v *VCPU) windows(irq, nmi bool) {
	w := v.val[sProc] &^ (procIRQWindow | procNMIWindow)
	if irq {
		w |= procIRQWindow
	}
	if nmi {
		w |= procNMIWindow
	}
	if w != v.val[sProc] {
		v.put(sProc, w)
	}
}
