// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vmx

import (
	"testing"

	"ringo/hv/vcpu"
)

// TestLimits looks at the controls that end a run which holds up others: each is on
// where the CPU has it, with its fields.
func TestLimits(t *testing.T) {
	const all = proc2PauseLoop | proc2BusLock | proc2Notify
	for _, has := range []uint64{0, proc2PauseLoop, proc2BusLock, proc2Notify, all} {
		r := dumps(t)["i7_5600u.json"].registers(t)
		r.Proc2 = r.Proc2&^(all<<32) | has<<32
		m := newMachine(t, r, 1)
		v := m.vcpu(m.tables())
		var x vcpu.Exit
		run(v, 0, &x, fakeExit{reason: reasonInterrupt})
		f := v.on.p.(*testCPU).current.fields
		if got := f[uint32(ctlProc2)] & all; got != has {
			t.Errorf("controls %#x, want %#x", got, has)
		}
		for field, want := range map[field32]uint64{
			ctlPauseGap: pauseGap, ctlPauseWindow: pauseWindow, ctlNotifyWindow: notifyWindow,
		} {
			on := has&proc2PauseLoop != 0
			if field == ctlNotifyWindow {
				on = has&proc2Notify != 0
			}
			if got, set := f[uint32(field)]; set != on || on && got != want {
				t.Errorf("controls %#x: field %#x is %#x (written %v)", has, uint32(field), got, set)
			}
		}
	}
}

// A bus lock may come with any exit, in bit 26 of the reason, and changes nothing of
// what that exit is.
func TestBusLocked(t *testing.T) {
	for _, e := range []fakeExit{
		{reason: reasonCPUID, length: 2},
		{reason: reasonIO, length: 1, qualification: 0x3f8_0000},
		{reason: reasonEPTViolation, qualification: 0x182, gpa: 0xfee0_0300},
		{reason: reasonCR, length: 3, qualification: 0x300},
		{reason: reasonIRQWindow},
		{reason: reasonNotify, qualification: 1},
		{reason: 60}, // unknown
	} {
		var want, got vcpu.Exit
		_, v := running(t)
		run(v, 0, &want, e)
		_, v = running(t)
		e.reason |= reasonBusLocked
		run(v, 0, &got, e)
		want.TSC, want.Raw, got.TSC, got.Raw = 0, [3]uint64{}, 0, [3]uint64{}
		if got != want {
			t.Errorf("reason %d: %+v, without the bus lock %+v", uint16(e.reason), got, want)
		}
	}
	_, v := running(t)
	var x vcpu.Exit
	if run(v, 0, &x, fakeExit{reason: reasonRefused}); x.Reason != vcpu.Interrupted {
		t.Errorf("a run that did not happen: %v", x.Reason)
	}
}
