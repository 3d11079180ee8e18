// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vcpu

import "ringo/hv/x86"

// Queue is what is on its way to a guest: the part of Inject that does not depend
// on how a CPU is told.
//
// The next entry delivers Next. An event whose delivery ended in an exit becomes
// Next again (Replay), before anything new; if the handler of that exit injects
// an exception, Next is merged with it when both are exceptions, and steps aside
// when it is an interrupt. So no event is lost.
type Queue struct {
	Next     Event
	HasNext  bool
	Replayed bool // Next was being delivered when the run ended

	irq    Event // interrupt that stepped aside
	hasIRQ bool
	hasNMI bool // an NMI stepped aside

	wantIRQ bool // a Window is owed for an interrupt
	wantNMI bool // and for an NMI
}

// Idle reports whether the next entry needs nothing of q.
func (q *Queue) Idle() bool {
	return !q.HasNext && !q.hasIRQ && !q.hasNMI && !q.wantIRQ && !q.wantNMI
}

// Injectable reports whether a CPU takes e: an entry fails on an exception with
// vector 2 or above 31 (SDM Vol. 3, "Checks on VM-Entry Control Fields"; APM
// Vol. 2, "Event Injection").
func Injectable(e Event) bool {
	switch e.Type {
	case HardException, SoftException:
		return e.Vector < 32 && e.Vector != x86.VecNMI
	case ExternalInterrupt, NMI, SoftInterrupt:
		return true
	}
	return false
}

// Inject is VCPU.Inject. can says whether the guest takes an interrupt, or an NMI,
// now; for other events it has no meaning. An event that no CPU can deliver, or an
// exception that is one too many, shuts the guest down.
func (q *Queue) Inject(e Event, can bool) (accepted, shutdown bool) {
	switch {
	case !Injectable(e):
		return true, true
	case e.Type == ExternalInterrupt:
		if q.wantIRQ = q.HasNext || q.hasIRQ || !can; q.wantIRQ {
			return false, false
		}
	case e.Type == NMI:
		if q.wantNMI = q.HasNext || q.hasNMI || !can; q.wantNMI {
			return false, false
		}
		e.Vector = x86.VecNMI
	case q.HasNext && !q.Replayed:
		return false, false // an exception on top of an event of this very exit
	case q.HasNext:
		return true, q.over(e)
	}
	q.Next, q.HasNext, q.Replayed = e, true, false
	return true, false
}

// over queues exception e, raised while Next was being delivered.
func (q *Queue) over(e Event) (shutdown bool) {
	switch q.Next.Type {
	case ExternalInterrupt:
		q.irq, q.hasIRQ = q.Next, true
	case NMI:
		q.hasNMI = true
	default:
		if e, shutdown = Merge(q.Next, e); shutdown {
			q.HasNext = false
			return true
		}
	}
	q.Next, q.Replayed = e, false
	return false
}

// Replay takes e, whose delivery ended the run, back. An interrupt that was Next
// meanwhile steps aside.
func (q *Queue) Replay(e Event) {
	if q.HasNext {
		q.irq, q.hasIRQ = q.Next, true
	}
	q.Next, q.HasNext, q.Replayed = e, true, true
}

// Pick makes an event that stepped aside Next, when nothing else is and the guest
// takes it: an NMI before an interrupt.
func (q *Queue) Pick(takesIRQ, takesNMI bool) {
	switch {
	case q.HasNext:
	case q.hasNMI && takesNMI:
		q.Next, q.HasNext, q.hasNMI = Event{Type: NMI, Vector: x86.VecNMI}, true, false
	case q.hasIRQ && takesIRQ:
		q.Next, q.HasNext, q.hasIRQ = q.irq, true, false
	}
}

// WaitsIRQ reports whether the first moment at which the guest takes an interrupt
// must end its run.
func (q *Queue) WaitsIRQ() bool { return q.wantIRQ || q.hasIRQ }

// WaitsNMI is the same for an NMI.
func (q *Queue) WaitsNMI() bool { return q.wantNMI || q.hasNMI }

// IRQWindow is told that this moment has come. It reports whether Run returns
// Window for it: an interrupt that stepped aside goes first.
func (q *Queue) IRQWindow() (report bool) {
	if q.hasIRQ {
		return false
	}
	report, q.wantIRQ = q.wantIRQ, false
	return report
}

// NMIWindow is the same for NMIs.
func (q *Queue) NMIWindow() (report bool) {
	if q.hasNMI {
		return false
	}
	report, q.wantNMI = q.wantNMI, false
	return report
}
