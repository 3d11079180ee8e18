// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package svm

import (
	"testing"

	"ringo/hv/vcpu"
)

// TestLimits looks at the intercepts that end a run which holds up others: each is on
// where the CPU has it.
func TestLimits(t *testing.T) {
	for _, has := range []uint32{0, extAPause, extAPause | extAPauseThr, extABusLock, extAPause | extAPauseThr | extABusLock} {
		r := qemuMax
		r.ExtAD = r.ExtAD&^(extAPause|extAPauseThr|extABusLock) | has
		m := newMachine(t, r, 1)
		b := m.vcpu(m.tables()).vmcb
		count, threshold := uint16(0), uint16(0)
		if has&extAPause != 0 {
			count = pauseCount
		}
		if has&extAPauseThr != 0 {
			threshold = pauseThreshold
		}
		if (b.misc1&iPAUSE != 0) != (count != 0) || b.pauseCount != count || b.pauseThreshold != threshold {
			t.Errorf("features %#x: PAUSE intercept %#x, count %d, threshold %d", has, b.misc1&iPAUSE, b.pauseCount, b.pauseThreshold)
		}
		if (b.misc3&iBusLock != 0) != (has&extABusLock != 0) || b.busLocks != 0 {
			t.Errorf("features %#x: intercepts %#x, %d bus locks allowed", has, b.misc3, b.busLocks)
		}
	}
}

// A bus lock stops the guest before the access: it is let through, and only it.
func TestBusLock(t *testing.T) {
	m := newMachine(t, full, 1)
	v := m.vcpu(m.tables())
	b := v.vmcb
	b.rip = 0x1000
	for range 2 {
		var x vcpu.Exit
		run(v, 0, &x, fakeExit{code: exitBusLock, guest: func(b *vmcb) { b.busLocks = 0 }})
		if x.Reason != vcpu.BusLock || x.RIP != 0x1000 || b.rip != 0x1000 || x.Ahead || b.busLocks != 1 {
			t.Errorf("%+v, RIP %#x, %d bus locks allowed", x, b.rip, b.busLocks)
		}
	}
	// Other exits leave the count alone.
	var x vcpu.Exit
	run(v, 0, &x, fakeExit{code: exitINTR, guest: func(b *vmcb) { b.busLocks = 0 }})
	if b.busLocks != 0 {
		t.Errorf("%d bus locks allowed after an interrupt", b.busLocks)
	}
}
