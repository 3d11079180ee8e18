// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vcpu

import (
	"math/rand/v2"
	"testing"

	"ringo/hv/x86"
)

var (
	testIRQ = Event{Type: ExternalInterrupt, Vector: 0x30}
	testNMI = Event{Type: NMI, Vector: 2}
	testGP  = Event{Type: HardException, Vector: x86.VecGP, HasErr: true}
	testPF  = Event{Type: HardException, Vector: x86.VecPF, HasErr: true}
	testDF  = Event{Type: HardException, Vector: x86.VecDF, HasErr: true}
)

func TestQueueInject(t *testing.T) {
	for _, tt := range []struct {
		name               string
		setup              func(q *Queue)
		e                  Event
		can                bool
		accepted, shutdown bool
		next               Event
	}{
		{"interrupt", nil, testIRQ, true, true, false, testIRQ},
		{"interrupt, IF clear", nil, testIRQ, false, false, false, Event{}},
		{"NMI", nil, Event{Type: NMI}, true, true, false, testNMI},
		{"NMI, blocked", nil, testNMI, false, false, false, Event{}},
		{"exception", nil, testGP, false, true, false, testGP},
		{"vector 32 is no exception", nil, Event{Type: HardException, Vector: 32}, true, true, true, Event{}},
		{"vector 2 is no exception", nil, Event{Type: SoftException, Vector: 2}, true, true, true, Event{}},
		{"type 1 is nothing", nil, Event{Type: 1}, true, true, true, Event{}},
		{"two exceptions at once", func(q *Queue) { q.Inject(testGP, true) }, testPF, true, false, false, testGP},
		{"interrupt behind an exception", func(q *Queue) { q.Inject(testGP, true) }, testIRQ, true, false, false, testGP},
		{"over an interrupt", func(q *Queue) { q.Replay(testIRQ) }, testGP, true, true, false, testGP},
		{"over an NMI", func(q *Queue) { q.Replay(testNMI) }, testPF, true, true, false, testPF},
		{"over an exception", func(q *Queue) { q.Replay(testGP) }, testGP, true, true, false, testDF},
		{"over a double fault", func(q *Queue) { q.Replay(testDF) }, testGP, true, true, true, Event{}},
	} {
		q := &Queue{}
		if tt.setup != nil {
			tt.setup(q)
		}
		accepted, shutdown := q.Inject(tt.e, tt.can)
		got := Event{}
		if q.HasNext {
			got = q.Next
		}
		if accepted != tt.accepted || shutdown != tt.shutdown || got != tt.next {
			t.Errorf("%s: %v, %v, next %+v", tt.name, accepted, shutdown, got)
		}
	}
}

// A window that is owed is not forgotten because something that stepped aside
// goes first.
func TestQueueWindow(t *testing.T) {
	q := &Queue{}
	q.Replay(testIRQ)
	q.Inject(testGP, true)
	if ok, _ := q.Inject(Event{Type: ExternalInterrupt, Vector: 0x31}, true); ok {
		t.Fatal("accepted on top of an exception")
	}
	q.HasNext = false // #GP was delivered
	if !q.WaitsIRQ() || q.IRQWindow() {
		t.Error("0x30 goes before the window for 0x31")
	}
	if q.Pick(false, true); q.HasNext {
		t.Error("picked though the guest does not take it")
	}
	q.Pick(true, true)
	if !q.HasNext || q.Next != testIRQ {
		t.Fatalf("next %+v", q.Next)
	}
	q.HasNext = false
	if !q.WaitsIRQ() || !q.IRQWindow() || q.WaitsIRQ() || !q.Idle() {
		t.Error("the window for 0x31 is lost, or comes twice")
	}
}

// Whatever happens, what was accepted is delivered exactly once, unless merged
// into a double fault.
func TestQueueLosesNothing(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		q := &Queue{}
		accepted, delivered := map[EventType]int{}, map[EventType]int{}
		for range 200 {
			switch rng.IntN(4) {
			case 0:
				e := []Event{testIRQ, testNMI}[rng.IntN(2)]
				if ok, _ := q.Inject(e, rng.IntN(2) == 0); ok {
					accepted[e.Type]++
				}
			case 1:
				q.Inject([]Event{testGP, testPF}[rng.IntN(2)], true)
			case 2: // an entry, and a delivery that does not complete
				q.Pick(rng.IntN(2) == 0, rng.IntN(2) == 0)
				if q.HasNext {
					e := q.Next
					q.HasNext = false
					q.Replay(e)
				}
			case 3: // an entry that delivers
				q.Pick(rng.IntN(2) == 0, rng.IntN(2) == 0)
				if q.HasNext {
					delivered[q.Next.Type]++
					q.HasNext = false
				}
			}
		}
		for !q.Idle() { // let the guest take all
			q.IRQWindow()
			q.NMIWindow()
			if q.Pick(true, true); q.HasNext {
				delivered[q.Next.Type]++
				q.HasNext = false
			}
		}
		for _, typ := range []EventType{ExternalInterrupt, NMI} {
			if accepted[typ] != delivered[typ] {
				t.Fatalf("type %d: %d accepted, %d delivered", typ, accepted[typ], delivered[typ])
			}
		}
	}
}
