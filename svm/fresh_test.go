// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package svm

import (
	"testing"

	"ringo/hv/vcpu"
	"ringo/hv/x86"
)

// An exception while nothing else is under way takes a short way: what comes upon
// it must find it as any other event.
func TestException(t *testing.T) {
	quiet := func(r *rig, step string) {
		t.Helper()
		if r.v.todo != 0 || r.v.ev.HasNext || r.v.vmcb.eventInj != 0 {
			t.Errorf("%s: todo %#x, %+v", step, r.v.todo, r.v.ev)
		}
	}
	r := newRig(t)
	r.run(fakeExit{code: exitHLT})
	r.inject(exception(x86.VecGP), true)
	if r.v.todo != todoFresh {
		t.Errorf("todo %#x", r.v.todo)
	}
	r.inject(exception(x86.VecUD), false) // a second one of the same exit
	r.inject(interrupt(0x30), false)
	for range 2 {
		r.v.prepare(0, &r.x) // kicked
	}
	r.run(fakeExit{code: exitHLT}) // but a window for 0x30 is owed
	r.run(fakeExit{code: exitVINTR})
	r.reason(vcpu.Window)
	r.expect(0, gp, 0)
	quiet(r, "window")
	for _, code := range []uint64{exitHLT, exitNPF, exitINTR, exitIOIO, exitCRWrite0} {
		r.inject(exception(x86.VecGP), true)
		r.v.prepare(0, &r.x) // kicked
		r.run(fakeExit{code: code})
		quiet(r, "delivered")
		r.run(fakeExit{code: exitHLT})
		r.expect(gp, 0)
	}
	// Its delivery faults: once more, then both make a double fault.
	r.inject(exception(x86.VecGP), true)
	r.run(fakeExit{code: exitNPF, intInfo: gp})
	r.run(fakeExit{code: exitNPF, intInfo: gp})
	r.inject(exception(x86.VecNP), true)
	r.run(fakeExit{code: exitHLT})
	r.expect(gp, gp, df)
	quiet(r, "double fault")
	// On another CPU, with a flush.
	r = newRig(t)
	r.run(fakeExit{code: exitHLT})
	r.inject(exception(x86.VecGP), true)
	r.v.Set(x86.CR3, 0x5000)
	r.v.Leave()
	r.run(fakeExit{code: exitHLT})
	r.expect(0, gp)
	quiet(r, "moved")
	r.inject(exception(x86.VecGP), true)
	r.v.ClearEvents()
	r.run(fakeExit{code: exitHLT})
	r.expect(0)
	r.inject(exception(x86.VecGP), true)
	r.v.prepare(0, &r.x)
	r.v.ClearEvents()
	r.run(fakeExit{code: exitHLT})
	r.expect(0)
	// A handler that begins in a shadow cannot be, but what it leaves is seen.
	r.inject(exception(x86.VecGP), true)
	r.run(fakeExit{code: exitINTR, guest: shadow(1)})
	r.inject(interrupt(0x30), false)
	r.expect(gp)
}

// An interrupt while nothing else is under way takes the short way of exceptions, as an
// event or as a virtual interrupt.
func TestFreshInterrupt(t *testing.T) {
	taken := func(b *vmcb) { b.vintr &^= vIRQ }
	for _, via := range []bool{false, true} {
		t.Run(map[bool]string{false: "event", true: "virtual"}[via], func(t *testing.T) {
			r := newRig(t)
			r.v.b.f.viaVIRQ = via
			want := uint64(irq30)
			if via {
				want = 0 // in V_INTR
			}
			r.run(fakeExit{code: exitHLT})
			r.expect(0)
			for _, code := range []uint64{exitMSR, exitHLT, exitNPF, exitINTR} {
				r.inject(interrupt(0x30), true)
				if r.v.todo != todoFresh {
					t.Fatalf("todo %#x", r.v.todo)
				}
				r.v.prepare(0, &r.x) // kicked
				if b := r.v.vmcb; via != (b.vintr&vWindow == vWindow && b.vintr>>vVectorShift&0xff == 0x30) {
					t.Errorf("V_INTR %#x", b.vintr)
				}
				r.run(fakeExit{code: code, guest: taken})
				if r.v.todo != 0 || !r.v.ev.idle() || r.v.vmcb.eventInj != 0 {
					t.Errorf("delivered: todo %#x, %+v", r.v.todo, r.v.ev)
				}
				r.run(fakeExit{code: exitHLT})
				r.expect(want, 0)
			}
			// A second one must wait for a window.
			r.inject(interrupt(0x30), true)
			r.inject(interrupt(0x31), false)
			r.run(fakeExit{code: exitHLT, guest: taken})
			r.run(fakeExit{code: exitVINTR, guest: taken})
			r.reason(vcpu.Window)
			r.expect(want, 0)
			// The delivery faults: once more.
			r.inject(interrupt(0x30), true)
			r.run(fakeExit{code: exitNPF, intInfo: irq30})
			r.run(fakeExit{code: exitHLT, guest: taken})
			r.expect(want, want)
			if !via {
				return
			}
			r.inject(interrupt(0x30), true)
			r.run(fakeExit{code: exitINTR}) // the guest has not run
			if !r.v.ev.HasNext {
				t.Error("the interrupt is lost")
			}
			r.run(fakeExit{code: exitHLT, guest: taken})
			if r.v.ev.HasNext || r.v.todo != 0 {
				t.Errorf("delivered: todo %#x, %+v", r.v.todo, r.v.ev)
			}
		})
	}
}
