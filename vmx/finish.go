// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vmx

import (
	"ringo/hv/vcpu"
	"ringo/hv/x86"
)

// finish translates an exit to x and does the bookkeeping that belongs to this
// package. Of an exit that is for this package only it makes a Tick.
func (v *VCPU) finish(x *vcpu.Exit) {
	f := v.frame
	reason := uint32(f.reason)
	if reason == reasonRefused {
		v.refused(x)
		return
	}
	reason &^= reasonBusLocked
	f.reason = uint64(reason)
	var i information
	v.inform(reason, &i)
	if reason >= reasonCR {
		f.ssAccess = v.on.p.read(uint32(guestSSAccess)) // see exited
	}
	x.CPL, x.RIP, x.Len, x.Ahead = v.frame.cpl(), f.rip, 0, false
	form := decode(reason, &i, x)
	f.meter.Exit(v.cost, x.Reason)
	if form >= fInsn && form <= fIO || x.Reason == vcpu.Exception && x.Event.Type == vcpu.SoftException {
		x.Len = uint8(f.length)
	}
	if v.todo == 0 && f.vectoring&evValid == 0 && (form == fInsn || form == fIO || form == fCR) {
		return
	}
	v.finishSlow(form, &i, x)
}

// violation translates an EPT violation as most are: nothing to look after but
// itself. It gets at once what the fetch of the instruction needs. If it reports
// false, it has done nothing.
func (v *VCPU) violation(x *vcpu.Exit) bool {
	f, q := v.frame, v.frame.qualification()
	v.on.p.readViolation(&v.val, f)
	v.valid |= fetching
	if f.vectoring&evValid != 0 || q&evUnblocked != 0 || v.todo != 0 && v.delivered(1) == 0 {
		return false
	}
	x.Reason, x.CPL, x.RIP, x.Len, x.Ahead = vcpu.Memory, f.cpl(), f.rip, 0, false
	x.Raw[0], x.Raw[1], x.Raw[2] = reasonEPTViolation, q, f.gpa
	x.Mem = decodeEPT(q, f.gpa)
	f.meter.Exit(v.cost, vcpu.Memory)
	return true
}

// tick translates the end of a run that an interrupt of the host, or the net, has
// ended: nothing to look after but itself. If it reports false, it has done nothing
// but with the net.
func (v *VCPU) tick(x *vcpu.Exit) bool {
	f := v.frame
	if f.reason == reasonTimer || v.todo&todoNet != 0 {
		v.takeNet()
	}
	if v.todo&^todoNet != 0 {
		return false
	}
	if f.vectoring = v.on.p.read(uint32(exitVectoring)); f.vectoring&evValid != 0 {
		return false
	}
	f.ssAccess = v.on.p.read(uint32(guestSSAccess)) // see exited
	x.Reason, x.CPL, x.RIP, x.Len, x.Ahead = vcpu.Tick, f.cpl(), f.rip, 0, false
	x.Raw[0], x.Raw[1], x.Raw[2] = f.reason, 0, 0
	f.meter.Exit(v.cost, vcpu.Tick)
	return true
}

// inform reads what the form of an exit needs. Only an exit that no instruction
// caused can have cut the delivery of an event short; an entry that failed leaves
// that field as it was.
func (v *VCPU) inform(reason uint32, i *information) {
	p := v.on.p
	v.frame.vectoring = 0
	if reason >= numReasons {
		if reason&reasonEntryFailed != 0 && reason != reasonNotTried {
			i.qualification = p.read(uint32(exitQualification))
		}
		if v.frame.failed == 2 {
			i.qualification = p.read(uint32(exitInsnError))
		}
		v.frame.failed = 0
		return
	}
	form := reasons[reason].form
	if form < fInsn || form > fIO {
		v.frame.vectoring = p.read(uint32(exitVectoring))
	}
	switch form {
	case fIO, fCR, fAPIC, fNotify:
		i.qualification = v.frame.qualification()
	case fEPT:
		i.qualification = v.frame.qualification()
		i.gpa = p.read(uint32(exitGPA))
	case fException:
		i.interruption = uint32(v.frame.intInfo)
		if i.interruption&evHasErr != 0 {
			i.err = uint32(p.read(uint32(exitIntError)))
		}
		i.qualification = p.read(uint32(exitQualification))
	}
}

// finishSlow is finish when events are under way, or the exit is not simply an
// instruction's.
func (v *VCPU) finishSlow(form form, i *information, x *vcpu.Exit) {
	ev := &v.ev
	if x.Reason == vcpu.Invalid {
		v.put(sEntryEvent, 0) // an exit clears it, a failed entry does not
		// Whether the VMCS counts as launched depends on how the entry failed.
		v.on.p.clear(v.pages)
		v.on.p.load(v.pages)
		v.frame.launched = 0
	}
	v.saveDebug()
	wasSoft := ev.armed && ev.HasNext && ev.Next.Type == vcpu.SoftInterrupt
	ev.HasNext, ev.armed, ev.single = false, false, false
	v.replay(wasSoft, x)
	v.reblockNMI(form, i)
	if x.Reason == vcpu.Exception && x.Event.Vector == x86.VecDB {
		// The exit does not change DR6; the qualification has its new bits
		// (SDM Vol. 3, "Exit Qualification for Debug Exceptions").
		v.dbg.dr6 = v.dbg.dr6&^dr6Traps | i.qualification&(dr6Traps|dr6BD|dr6BS)
	}
	if x.Reason == vcpu.DRAccess {
		v.dbg.touched = true
	}
	if form == fOwn && !v.ownExit(x) {
		x.Reason = vcpu.Tick
	}
	v.todo |= v.leftover()
}

// leftover is what the next entry has to look at.
func (v *VCPU) leftover() (t todo) {
	v.todo &^= todoEvents | todoDebug
	if !v.ev.idle() || v.val[sProc]&(procIRQWindow|procNMIWindow) != 0 {
		t |= todoEvents
	}
	if v.dbg.wanted() {
		t |= todoDebug
	}
	return t
}

// replay takes an event that was being delivered when the run ended back into
// the queue. Soft events are not replayed unless Inject made them: RIP is still
// at the instruction that raises them.
func (v *VCPU) replay(wasSoft bool, x *vcpu.Exit) {
	w := v.frame.vectoring
	if w&evValid == 0 {
		if wasSoft && x.Reason == vcpu.Invalid {
			v.moveRIP(1) // not delivered
		}
		return
	}
	err := uint64(0)
	if w&evHasErr != 0 {
		err = v.on.p.read(uint32(exitVectError))
	}
	e, _ := decodeEvent(w, err)
	switch e.Type {
	case vcpu.SoftInterrupt, vcpu.SoftException:
		if !wasSoft {
			return
		}
		v.moveRIP(1)
		x.RIP = v.frame.rip
	case vcpu.NMI:
		v.setInterrupt(v.frame.interrupt &^ blockedNMI) // it was not delivered
	}
	v.ev.Replay(e)
}

// reblockNMI undoes the end of NMI blocking by an IRET that did not complete
// (SDM Vol. 3, "Information for VM Exits During Event Delivery" and "Exit
// Qualification for EPT Violations", bit 12, as for notify exits).
func (v *VCPU) reblockNMI(form form, i *information) {
	if v.frame.vectoring&evValid != 0 {
		return
	}
	switch form {
	case fEPT, fNotify:
		if i.qualification&evUnblocked == 0 {
			return
		}
	case fException:
		if i.interruption&evUnblocked == 0 || uint8(i.interruption) == x86.VecDF {
			return
		}
	default:
		return
	}
	v.setInterrupt(v.frame.interrupt | blockedNMI)
}

// ownExit handles the exits that inject.go arms. It reports true when x is to be
// returned, as a Window.
func (v *VCPU) ownExit(x *vcpu.Exit) (report bool) {
	ev := &v.ev
	switch uint32(v.frame.reason) {
	case reasonIRQWindow:
		report = ev.IRQWindow()
	case reasonNMIWindow:
		report = ev.NMIWindow()
	case reasonTPR:
		v.put(sTPRThreshold, 0) // it is above the priority now
		report = true
	}
	return report
}
