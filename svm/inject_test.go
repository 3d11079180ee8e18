// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package svm

import (
	"testing"

	"ringo/hv/vcpu"
	"ringo/hv/x86"
)

func exception(vector uint8) vcpu.Event { return vcpu.Event{Type: vcpu.HardException, Vector: vector} }
func interrupt(vector uint8) vcpu.Event {
	return vcpu.Event{Type: vcpu.ExternalInterrupt, Vector: vector}
}

var nmi = vcpu.Event{Type: vcpu.NMI, Vector: 2}

// rig is a vCPU on CPU 0 with interrupts on, driven by fake exits.
type rig struct {
	t *testing.T
	v *VCPU
	x vcpu.Exit
	// injected is EVENTINJ of each entry, 0 for none.
	injected []uint64
}

func newRig(t *testing.T) *rig {
	m := newMachine(t, qemuMax, 1)
	r := &rig{t: t, v: m.vcpu(m.tables())}
	r.v.Set(x86.RFLAGS, 2|x86.FlagIF)
	r.v.Set(x86.RIP, 0x1000)
	return r
}

// run makes one call of Run with the given exits.
func (r *rig) run(exits ...fakeExit) {
	for i := range exits {
		guest := exits[i].guest
		exits[i].guest = func(b *vmcb) {
			r.injected = append(r.injected, b.eventInj)
			if guest != nil {
				guest(b)
			}
		}
	}
	if n := run(r.v, 0, &r.x, exits...); n != len(exits) {
		r.t.Helper()
		r.t.Errorf("Run ended with reason %d after %d of %d entries", r.x.Reason, n, len(exits))
	}
}

// expect checks the events of the entries since the last call.
func (r *rig) expect(events ...uint64) {
	r.t.Helper()
	if len(events) != len(r.injected) {
		r.t.Errorf("%d entries, want %d", len(r.injected), len(events))
		return
	}
	for i, e := range events {
		if r.injected[i] != e {
			r.t.Errorf("entry %d delivers %#x, want %#x", i, r.injected[i], e)
		}
	}
	r.injected = nil
}

func (r *rig) reason(want vcpu.Reason) {
	r.t.Helper()
	if r.x.Reason != want {
		r.t.Errorf("reason %d, want %d", r.x.Reason, want)
	}
}

func (r *rig) inject(e vcpu.Event, want bool) {
	r.t.Helper()
	if got := r.v.Inject(e); got != want {
		r.t.Errorf("Inject(%+v) %v", e, got)
	}
}

const (
	irq30 = 0x8000_0030
	gp    = 0x8000_030d // without its error code
	df    = 0x8000_0b08
	nmiEv = 0x8000_0202
)

func TestDeliverOnce(t *testing.T) {
	r := newRig(t)
	r.inject(interrupt(0x30), true)
	r.inject(interrupt(0x31), false)
	r.run(fakeExit{code: exitHLT})
	r.run(fakeExit{code: exitVINTR}) // owed for 0x31
	r.reason(vcpu.Window)
	r.run(fakeExit{code: exitHLT})
	r.expect(irq30, 0, 0)
	if r.v.todo != 0 || r.v.vmcb.misc1&iVINTR != 0 || r.v.vmcb.vintr&vIRQ != 0 {
		t.Errorf("something stays armed: todo %#x", r.v.todo)
	}
}

func TestNotEnteredKeepsEvent(t *testing.T) {
	r := newRig(t)
	r.inject(interrupt(0x30), true)
	for range 3 { // kicked before the entry: prepare ran, VMRUN did not
		r.v.prepare(0, &r.x)
	}
	r.run(fakeExit{code: exitHLT})
	r.run(fakeExit{code: exitHLT})
	r.expect(irq30, 0)
}

func TestReplay(t *testing.T) {
	r := newRig(t)
	r.inject(interrupt(0x30), true)
	r.run(fakeExit{code: exitNPF, intInfo: irq30})
	r.reason(vcpu.Memory)
	r.inject(interrupt(0x31), false)
	r.run(fakeExit{code: exitNPF, intInfo: irq30})
	r.run(fakeExit{code: exitHLT})
	r.run(fakeExit{code: exitVINTR})
	r.reason(vcpu.Window)
	r.expect(irq30, irq30, irq30, 0)
}

func TestGuestExceptionReplay(t *testing.T) {
	r := newRig(t)
	pf := uint64(0x4_8000_0b0e)
	r.run(fakeExit{code: exitNPF, intInfo: pf})
	r.run(fakeExit{code: exitHLT})
	r.run(fakeExit{code: exitHLT})
	r.expect(0, pf, 0)
}

// INT n, INT3 and INTO run again; what Inject made does not exist in the guest's
// code and is delivered again.
func TestSoftEvents(t *testing.T) {
	r := newRig(t)
	r.run(fakeExit{code: exitNPF, intInfo: 0x8000_0480})
	r.run(fakeExit{code: exitNPF, intInfo: 0x8000_0303})
	r.run(fakeExit{code: exitHLT})
	r.expect(0, 0, 0)
	r.inject(vcpu.Event{Type: vcpu.SoftInterrupt, Vector: 0x80}, true)
	r.run(fakeExit{code: exitNPF, intInfo: 0x8000_0480})
	r.run(fakeExit{code: exitNPF, intInfo: 0x8000_0480})
	r.run(fakeExit{code: exitHLT})
	r.expect(0x8000_0480, 0x8000_0480, 0x8000_0480)
}

func TestDoubleAndTripleFault(t *testing.T) {
	r := newRig(t)
	r.run(fakeExit{code: exitNPF, intInfo: 0x10_8000_0b0d})
	r.inject(vcpu.Event{Type: vcpu.HardException, Vector: x86.VecGP, HasErr: true}, true)
	r.run(fakeExit{code: exitNPF, intInfo: df})
	r.expect(0, df)
	r.inject(exception(x86.VecNP), true)
	if run(r.v, 0, &r.x, fakeExit{code: exitHLT}) != 0 {
		t.Error("entered after a triple fault")
	}
	r.reason(vcpu.Shutdown)
}

// An exception raised while an interrupt or an NMI was being delivered goes
// first; the interrupt follows when it can.
func TestExceptionOverInterrupt(t *testing.T) {
	r := newRig(t)
	r.run(fakeExit{code: exitNPF, intInfo: irq30})
	r.inject(exception(x86.VecGP), true)
	off := func(b *vmcb) { b.rflags &^= x86.FlagIF }
	on := func(b *vmcb) { b.rflags |= x86.FlagIF }
	r.run(fakeExit{code: exitHLT, guest: off})
	r.inject(interrupt(0x31), false) // 0x30 is not delivered yet
	if r.v.vmcb.misc1&iVINTR == 0 {
		t.Error("no window is armed for 0x30")
	}
	// The window opens; 0x30 is delivered without the caller's help, then
	// comes the window that is owed for 0x31.
	r.run(fakeExit{code: exitVINTR, guest: on}, fakeExit{code: exitVINTR})
	r.reason(vcpu.Window)
	r.run(fakeExit{code: exitHLT})
	r.expect(0, gp, 0, irq30, 0)
}

func TestNMIBlocking(t *testing.T) {
	r := newRig(t)
	r.inject(nmi, true)
	r.run(fakeExit{code: exitHLT})
	r.inject(nmi, false)
	if r.v.vmcb.misc1&iIRET == 0 {
		t.Error("IRET is not intercepted")
	}
	stepped := fakeExit{code: exitDB, guest: func(b *vmcb) {
		if b.rflags&x86.FlagTF == 0 {
			t.Error("IRET is not stepped over")
		}
		b.rip, b.rflags, b.dr6 = 0x2000, 0x202, b.dr6|dr6BS
	}}
	r.run(fakeExit{code: exitIRET}, stepped)
	r.reason(vcpu.Window)
	if r.v.vmcb.rflags != 0x202 || r.v.vmcb.dr6 != vcpu.ResetDR6 {
		t.Errorf("RFLAGS %#x, DR6 %#x", r.v.vmcb.rflags, r.v.vmcb.dr6)
	}
	r.inject(nmi, true)
	r.run(fakeExit{code: exitHLT})
	r.expect(nmiEv, 0, 0, nmiEv)
}

func TestNMIUnblockedWithoutWindow(t *testing.T) {
	r := newRig(t)
	r.inject(nmi, true)
	r.run(fakeExit{code: exitIRET}, fakeExit{code: exitNPF}) // the stack is away
	if !r.v.ev.nmiBlocked {
		t.Error("unblocked before IRET is done")
	}
	r.run(fakeExit{code: exitHLT, guest: func(b *vmcb) { b.rip = 0x2000 }})
	if r.v.ev.nmiBlocked || r.v.vmcb.misc1&iIRET != 0 {
		t.Error("blocked after IRET")
	}
	r.inject(nmi, true)
}

func shadow(on uint64) func(b *vmcb) { return func(b *vmcb) { b.interruptState = on } }

// On a CPU that drops the shadow at VMRUN (QEMU) the window exit comes without
// progress: then one instruction is stepped over.
func TestShadowLost(t *testing.T) {
	r := newRig(t)
	r.run(fakeExit{code: exitINTR, guest: shadow(1)})
	r.inject(interrupt(0x30), false)
	r.run(fakeExit{code: exitVINTR, guest: shadow(0)},
		fakeExit{code: exitDB, guest: func(b *vmcb) {
			if b.rflags&x86.FlagTF == 0 || b.misc1&iVINTR != 0 {
				t.Error("not stepping")
			}
			b.rip, b.dr6 = b.rip+3, b.dr6|dr6BS
		}},
		fakeExit{code: exitVINTR})
	r.reason(vcpu.Window)
	if r.v.vmcb.rflags&x86.FlagTF != 0 || r.v.vmcb.dr6 != vcpu.ResetDR6 {
		t.Errorf("RFLAGS %#x, DR6 %#x", r.v.vmcb.rflags, r.v.vmcb.dr6)
	}
	r.inject(interrupt(0x30), true)
}

// The instruction in the shadow is HLT: it exits instead of trapping.
func TestShadowThenHLT(t *testing.T) {
	r := newRig(t)
	r.run(fakeExit{code: exitINTR, guest: shadow(1)})
	r.inject(interrupt(0x30), false)
	r.run(fakeExit{code: exitVINTR, guest: shadow(0)}, fakeExit{code: exitHLT})
	r.reason(vcpu.HLT)
	if r.v.vmcb.rflags&x86.FlagTF != 0 {
		t.Errorf("RFLAGS %#x", r.v.vmcb.rflags)
	}
	r.v.Advance(1)
	r.inject(interrupt(0x30), true)
	r.run(fakeExit{code: exitHLT})
	r.expect(0, 0, 0, irq30)
	if r.v.todo != 0 {
		t.Errorf("todo %#x", r.v.todo)
	}
}

// The guest's own trap flag survives our stepping, and its traps are its own.
func TestStepUnderGuestTrapFlag(t *testing.T) {
	r := newRig(t)
	r.v.Set(x86.RFLAGS, 0x302)
	r.run(fakeExit{code: exitINTR, guest: shadow(1)})
	r.inject(interrupt(0x30), false)
	r.run(fakeExit{code: exitVINTR, guest: shadow(0)},
		fakeExit{code: exitDB, guest: func(b *vmcb) { b.rip, b.dr6 = b.rip+1, b.dr6|dr6BS }})
	r.reason(vcpu.Exception)
	if r.v.vmcb.rflags&x86.FlagTF == 0 || r.v.vmcb.dr6&dr6BS == 0 {
		t.Errorf("RFLAGS %#x, DR6 %#x", r.v.vmcb.rflags, r.v.vmcb.dr6)
	}
}

func TestImpossibleEvent(t *testing.T) {
	for _, e := range []vcpu.Event{exception(2), exception(32), {Type: 7}} {
		r := newRig(t)
		r.inject(e, true)
		run(r.v, 0, &r.x, fakeExit{code: exitHLT})
		r.reason(vcpu.Shutdown)
	}
}

// Against any order of calls and exits: an accepted interrupt is delivered
// exactly once, in order, unless it is delivered again after an exit cut its
// delivery short, or INIT came first.
func FuzzInject(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9})
	f.Add([]byte{0, 8, 1, 8, 3, 8, 8, 2, 8})
	f.Fuzz(func(t *testing.T, script []byte) {
		r := newRig(t)
		var accepted, delivered []uint8
		vector := uint8(0x20)
		for _, op := range script {
			switch op % 6 {
			case 0:
				vector = vector | 0x20 + 1
				if r.v.Inject(interrupt(vector)) {
					accepted = append(accepted, vector)
				}
				continue
			case 1:
				r.v.Inject(exception(x86.VecUD))
				continue
			case 4:
				vcpu.Reset(r.v)
				accepted = accepted[:len(delivered)]
				continue
			}
			e := fakeExit{code: exitHLT}
			cut := op%6 == 2
			e.guest = func(b *vmcb) {
				w := b.eventInj
				if op%6 == 3 {
					b.rflags ^= x86.FlagIF
				}
				if w&evValid != 0 && cut {
					b.exitIntInfo = w
				} else if w&evValid != 0 && w>>evTypeShift&7 == evIntr {
					delivered = append(delivered, uint8(w))
				}
			}
			c := r.v.b.cpus[0]
			if r.v.at != 0 || r.v.todo != 0 {
				if !r.v.prepare(c.index, &r.x) {
					return
				}
			}
			b := r.v.vmcb
			if why := refusal(b); why != "" {
				t.Error(why)
			}
			b.exitIntInfo = 0
			e.guest(b)
			b.exitCode = exitHLT
			if b.misc1&iVINTR != 0 && b.rflags&x86.FlagIF != 0 && !cut && b.eventInj == 0 {
				b.exitCode = exitVINTR
			}
			b.rip++
			r.v.finish(&r.x)
		}
		r.v.Set(x86.RFLAGS, 2|x86.FlagIF)
		for range 8 { // let everything out
			if r.v.todo != 0 && !r.v.prepare(0, &r.x) {
				return
			}
			b := r.v.vmcb
			if w := b.eventInj; w&evValid != 0 && w>>evTypeShift&7 == evIntr {
				delivered = append(delivered, uint8(w))
			}
			b.exitIntInfo, b.exitCode = 0, exitHLT
			r.v.finish(&r.x)
		}
		if string(accepted) != string(delivered) {
			t.Errorf("accepted % x, delivered % x", accepted, delivered)
		}
	})
}

// On QEMU's emulator an interrupt travels as a virtual one. It is delivered
// once, whether the guest took it, was ended before that, or was refused entry.
func TestVirtualInterruptDelivery(t *testing.T) {
	irq := vcpu.Event{Type: vcpu.ExternalInterrupt, Vector: 0x51}
	arm := func(t *testing.T) *rig {
		r := newRig(t)
		r.v.b.f.viaVIRQ = true
		r.v.vmcb.rflags |= x86.FlagIF
		if !r.v.Inject(irq) {
			t.Fatal("refused")
		}
		r.v.armEvents()
		b := r.v.vmcb
		if b.eventInj != 0 || b.vintr&vWindow != vWindow || b.vintr>>vVectorShift&0xff != 0x51 || b.misc1&iVINTR != 0 {
			t.Fatalf("armed wrongly: EVENTINJ %#x V_INTR %#x", b.eventInj, b.vintr)
		}
		return r
	}
	end := func(r *rig, code uint64) {
		r.v.vmcb.exitCode = code
		var x vcpu.Exit
		r.v.finish(&x)
	}
	t.Run("taken", func(t *testing.T) {
		r := arm(t)
		r.v.vmcb.vintr &^= vIRQ
		end(r, exitINTR)
		if r.v.ev.HasNext || r.v.vmcb.vintr&vWindow != 0 {
			t.Error("the interrupt would be delivered again")
		}
	})
	t.Run("not taken", func(t *testing.T) {
		r := arm(t)
		end(r, exitINTR)
		if !r.v.ev.HasNext || r.v.ev.Next != irq || r.v.todo&todoEvents == 0 {
			t.Error("the interrupt is lost")
		}
		r.v.armEvents()
		if r.v.vmcb.vintr&vIRQ == 0 {
			t.Error("not armed again")
		}
	})
	t.Run("delivery faulted", func(t *testing.T) {
		r := arm(t)
		r.v.vmcb.exitIntInfo = 0x51 | evExc<<evTypeShift | evValid
		end(r, exitNPF)
		if !r.v.ev.HasNext || r.v.ev.Next != irq {
			t.Errorf("replays %+v, want %+v", r.v.ev.Next, irq)
		}
	})
	t.Run("refused entry, then an exception", func(t *testing.T) {
		r := arm(t)
		r.v.ev.Replayed = true
		r.v.Inject(vcpu.Event{Type: vcpu.HardException, Vector: x86.VecGP, HasErr: true})
		r.v.armEvents()
		if b := r.v.vmcb; b.vintr&vIRQ != 0 && b.misc1&iVINTR == 0 || b.eventInj&evValid == 0 {
			t.Errorf("EVENTINJ %#x V_INTR %#x", b.eventInj, b.vintr)
		}
	})
}
