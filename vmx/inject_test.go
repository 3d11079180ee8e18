// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vmx

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/hv/vcpu"
	"ringo/hv/x86"
)

func irq(vector uint8) vcpu.Event {
	return vcpu.Event{Type: vcpu.ExternalInterrupt, Vector: vector}
}

func exception(vector uint8) vcpu.Event {
	return vcpu.Event{Type: vcpu.HardException, Vector: vector}
}

var nmi = vcpu.Event{Type: vcpu.NMI, Vector: 2}

// entryState is what an entry would do, as the VMCS says.
type entryState struct {
	event      uint64
	irqWindow  bool
	nmiWindow  bool
	interrupt  uint64
	rip        uint64
	errorCode  uint64
	instLength uint64
}

func (m *machine) entry(v *VCPU) entryState {
	f := m.cpus[0].current.fields
	s := entryState{
		event:     f[uint32(ctlEntryEvent)],
		irqWindow: f[uint32(ctlProc)]&procIRQWindow != 0, nmiWindow: f[uint32(ctlProc)]&procNMIWindow != 0,
		interrupt: f[uint32(guestInterruptState)], rip: v.frame.rip,
	}
	if s.event&evHasErr != 0 {
		s.errorCode = f[uint32(ctlEntryError)]
	}
	if s.event>>evTypeShift&7 == uint64(vcpu.SoftInterrupt) {
		s.instLength = f[uint32(ctlEntryLength)]
	}
	return s
}

// running is a machine with a vCPU that has run: protected mode, IF set.
func running(t *testing.T) (*machine, *VCPU) {
	m := newMachine(t, broadwell(t), 1)
	v := m.vcpu(m.tables())
	v.Set(x86.CR0, x86.CR0PE|x86.CR0ET)
	v.Set(x86.RFLAGS, 2|x86.FlagIF)
	v.Set(x86.RIP, 0x1000)
	var x vcpu.Exit
	run(v, 0, &x, fakeExit{reason: reasonCPUID, length: 2})
	return m, v
}

// prepared is the entry that v would make now.
func (m *machine) prepared(t *testing.T, v *VCPU) entryState {
	var x vcpu.Exit
	if !v.prepare(0, &x) {
		t.Fatalf("no entry: %+v", x)
	}
	return m.entry(v)
}

func TestInject(t *testing.T) {
	for _, tt := range []struct {
		name string
		set  func(v *VCPU)
		e    vcpu.Event
		ok   bool
		want entryState
	}{
		{"interrupt", func(*VCPU) {}, irq(0x30), true, entryState{event: 0x8000_0030}},
		{"interrupt, IF clear", func(v *VCPU) { v.Set(x86.RFLAGS, 2) }, irq(0x30), false, entryState{irqWindow: true}},
		{"interrupt after STI", func(v *VCPU) { v.setInterrupt(blockedSTI) }, irq(0x30), false, entryState{irqWindow: true, interrupt: 1}},
		{"NMI", func(*VCPU) {}, nmi, true, entryState{event: 0x8000_0202}},
		{"NMI in its handler", func(v *VCPU) { v.setInterrupt(blockedNMI) }, nmi, false, entryState{nmiWindow: true, interrupt: 8}},
		{"NMI after MOV SS", func(v *VCPU) { v.setInterrupt(blockedMOVSS) }, nmi, false, entryState{nmiWindow: true, interrupt: 2}},
		{"#GP", func(*VCPU) {}, vcpu.Event{Type: vcpu.HardException, Vector: 13, HasErr: true, Err: 5}, true,
			entryState{event: 0x8000_0b0d, errorCode: 5}},
		{"#GP in real mode", func(v *VCPU) { v.Set(x86.CR0, x86.CR0ET) },
			vcpu.Event{Type: vcpu.HardException, Vector: 13, HasErr: true}, true, entryState{event: 0x8000_030d}},
		{"INT n", func(*VCPU) {}, vcpu.Event{Type: vcpu.SoftInterrupt, Vector: 0x80}, true,
			entryState{event: 0x8000_0480, rip: 0xfff, instLength: 1}},
	} {
		m, v := running(t)
		tt.set(v)
		if ok := v.Inject(tt.e); ok != tt.ok {
			t.Errorf("%s: accepted %v", tt.name, ok)
		}
		if tt.want.rip == 0 {
			tt.want.rip = 0x1000
		}
		got := m.prepared(t, v)
		if d := cmp.Diff(tt.want, got, cmp.AllowUnexported(entryState{})); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, d)
		}
		// An entry that is prepared again is the same.
		if again := m.prepared(t, v); again != got {
			t.Errorf("%s: prepared again: %+v", tt.name, again)
		}
	}
}

// An event that no CPU can deliver ends the guest.
func TestInjectImpossible(t *testing.T) {
	for _, e := range []vcpu.Event{exception(2), exception(32), {Type: 1, Vector: 3}, {Type: 7}} {
		_, v := running(t)
		var x vcpu.Exit
		if !v.Inject(e) {
			t.Errorf("%+v refused", e)
		}
		if n := run(v, 0, &x, fakeExit{reason: reasonCPUID}); n != 0 || x.Reason != vcpu.Shutdown {
			t.Errorf("%+v: %d entries, %+v", e, n, x)
		}
	}
}

// The event reaches the guest once.
func TestDelivered(t *testing.T) {
	m, v := running(t)
	var x vcpu.Exit
	v.Inject(irq(0x30))
	run(v, 0, &x, fakeExit{reason: reasonCPUID})
	if got := m.prepared(t, v); got.event&evValid != 0 {
		t.Errorf("%+v", got)
	}
	if v.todo != 0 {
		t.Errorf("the next entry is slow: %b", v.todo)
	}
}

// A window ends the run, is reported once, and is then closed.
func TestWindow(t *testing.T) {
	for _, tt := range []struct {
		e      vcpu.Event
		block  func(v *VCPU)
		reason uint64
	}{
		{irq(0x30), func(v *VCPU) { v.Set(x86.RFLAGS, 2) }, reasonIRQWindow},
		{nmi, func(v *VCPU) { v.setInterrupt(blockedNMI) }, reasonNMIWindow},
	} {
		m, v := running(t)
		tt.block(v)
		v.Inject(tt.e)
		var x vcpu.Exit
		n := run(v, 0, &x, fakeExit{reason: tt.reason, guest: func(_ *testCPU, f map[uint32]uint64) {
			f[uint32(guestRFLAGS)] |= x86.FlagIF
			f[uint32(guestInterruptState)] = 0
		}})
		if n != 1 || x.Reason != vcpu.Window {
			t.Errorf("%+v", x)
		}
		if !v.Inject(tt.e) {
			t.Errorf("%+v refused in its window", tt.e)
		}
		if got := m.prepared(t, v); got.irqWindow || got.nmiWindow || got.event&evValid == 0 {
			t.Errorf("%+v", got)
		}
	}
}

// A delivery that ended in an exit is made up for, before anything new.
func TestReplay(t *testing.T) {
	violation := fakeExit{reason: reasonEPTViolation, qualification: 0x182, gpa: 0x5000}
	for _, tt := range []struct {
		name      string
		vectoring uint64
		vectErr   uint64
		over      vcpu.Event // raised by the handler of the exit, if Vector is not 0
		want      uint64
		shutdown  bool
		window    bool
	}{
		{"interrupt", 0x8000_0030, 0, vcpu.Event{}, 0x8000_0030, false, false},
		{"NMI", 0x8000_0202, 0, vcpu.Event{}, 0x8000_0202, false, false},
		{"#PF", 0x8000_0b0e, 2, vcpu.Event{}, 0x8000_0b0e, false, false},
		{"INT3 of the guest's", 0x8000_0603, 0, vcpu.Event{}, 0, false, false},
		{"#GP over an interrupt", 0x8000_0030, 0, exception(13), 0x8000_0b0d, false, true},
		{"#PF over #PF", 0x8000_0b0e, 0, exception(14), 0x8000_0b08, false, false},
		{"#PF over #DF", 0x8000_0b08, 0, exception(14), 0, true, false},
		{"#UD over #PF", 0x8000_0b0e, 0, exception(6), 0x8000_0306, false, false},
	} {
		m, v := running(t)
		e := violation
		e.vectoring, e.vectErr = tt.vectoring, tt.vectErr
		var x vcpu.Exit
		run(v, 0, &x, e)
		if x.Reason != vcpu.Memory {
			t.Errorf("%s: %+v", tt.name, x)
		}
		if tt.want != 0 && tt.over.Vector == 0 && v.Inject(irq(0x31)) {
			t.Errorf("%s: another interrupt is accepted on top", tt.name)
		}
		if tt.over.Vector != 0 && !v.Inject(tt.over) {
			t.Errorf("%s: exception refused", tt.name)
		}
		if tt.shutdown {
			if v.prepare(0, &x) || x.Reason != vcpu.Shutdown {
				t.Errorf("%s: %+v", tt.name, x)
			}
			continue
		}
		got := m.prepared(t, v)
		if got.event != tt.want || tt.window && !got.irqWindow {
			t.Errorf("%s: %+v, want event %#x", tt.name, got, tt.want)
		}
	}
}

// An NMI whose delivery failed no longer blocks NMIs, or its own second try
// would fail.
func TestReplayNMI(t *testing.T) {
	m, v := running(t)
	var x vcpu.Exit
	run(v, 0, &x, fakeExit{reason: reasonEPTViolation, vectoring: 0x8000_0202, guest: func(_ *testCPU, f map[uint32]uint64) {
		f[uint32(guestInterruptState)] = blockedNMI
	}})
	if got := m.prepared(t, v); got.event != 0x8000_0202 || got.interrupt != 0 {
		t.Errorf("%+v", got)
	}
}

// An IRET that faults has not ended the blocking of NMIs.
func TestIRETFaults(t *testing.T) {
	for name, e := range map[string]fakeExit{
		"EPT violation": {reason: reasonEPTViolation, qualification: 0x181 | evUnblocked},
		"notify":        {reason: reasonNotify, qualification: evUnblocked},
		"#AC":           {reason: reasonException, intInfo: 0x8000_0b11 | evUnblocked},
	} {
		m, v := running(t)
		var x vcpu.Exit
		run(v, 0, &x, e)
		if v.Inject(nmi) {
			t.Errorf("%s: NMI accepted", name)
		}
		if got := m.prepared(t, v); got.interrupt != blockedNMI || !got.nmiWindow {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// A soft interrupt that faults leaves RIP where Inject's caller had it.
func TestSoftReplay(t *testing.T) {
	m, v := running(t)
	v.Inject(vcpu.Event{Type: vcpu.SoftInterrupt, Vector: 0x80})
	var x vcpu.Exit
	run(v, 0, &x, fakeExit{reason: reasonEPTViolation, vectoring: 0x8000_0480})
	if x.RIP != 0x1000 || v.Get(x86.RIP) != 0x1000 {
		t.Errorf("RIP %#x, %#x", x.RIP, v.Get(x86.RIP))
	}
	if got := m.prepared(t, v); got.event != 0x8000_0480 || got.rip != 0xfff {
		t.Errorf("%+v", got)
	}
}

// A failed entry is reported, and injects nothing later.
func TestFailedEntry(t *testing.T) {
	for _, e := range []fakeExit{
		{reason: 0x8000_0021, qualification: 3},
		{reason: reasonNotTried, failed: 2},
		{reason: reasonNotTried, failed: 1},
	} {
		m, v := running(t)
		v.Inject(irq(0x30))
		var x vcpu.Exit
		if n := run(v, 0, &x, e); n != 1 || x.Reason != vcpu.Invalid {
			t.Errorf("%d entries, %+v", n, x)
		}
		if got := m.prepared(t, v); got.event&evValid != 0 {
			t.Errorf("%+v", got)
		}
	}
}
