// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vmx

import (
	"testing"

	"ringo/hv/vcpu"
	"ringo/hv/x86"
)

// refusal says which of the checks that depend on what a guest and its events do
// an entry with these fields fails, "" for none (SDM Vol. 3, "Checks on VM-Entry
// Control Fields", "Checks on Guest Control Registers, Debug Registers, and MSRs",
// "Checks on Guest RIP, RFLAGS, and SSP", "Checks on Guest Non-Register State").
func refusal(f map[uint32]uint64) string {
	for _, check := range []func(map[uint32]uint64) string{refusedEvent, refusedState, refusedRegisters} {
		if why := check(f); why != "" {
			return why
		}
	}
	return ""
}

func refusedEvent(f map[uint32]uint64) string {
	w := f[uint32(ctlEntryEvent)]
	if w&evValid == 0 {
		return ""
	}
	vector, kind := w&0xff, vcpu.EventType(w>>evTypeShift&7)
	protected := f[uint32(guestCR0)]&x86.CR0PE != 0
	state := f[uint32(guestInterruptState)]
	switch {
	case kind == 1 || kind == 7:
		return "the event's type is reserved"
	case kind == vcpu.NMI && vector != 2:
		return "an NMI has vector 2"
	case kind == vcpu.HardException && vector > 31:
		return "a hardware exception has a vector below 32"
	case w&0x7fff_f000 != 0:
		return "reserved bits of the event"
	case (w&evHasErr != 0) != (kind == vcpu.HardException && protected && hasErrorCode>>vector&1 != 0):
		return "the error code does not fit the vector"
	case kind >= vcpu.SoftInterrupt && (f[uint32(ctlEntryLength)] == 0 || f[uint32(ctlEntryLength)] > 15):
		return "a soft event has the length of an instruction"
	case kind == vcpu.ExternalInterrupt && f[uint32(guestRFLAGS)]&x86.FlagIF == 0:
		return "an external interrupt needs RFLAGS.IF"
	case kind == vcpu.ExternalInterrupt && state&blockedOnce != 0:
		return "an external interrupt in a shadow"
	case kind == vcpu.NMI && state&blockedMOVSS != 0:
		return "an NMI in the shadow of MOV SS"
	case kind == vcpu.NMI && state&blockedSTI != 0:
		return "an NMI in the shadow of STI, which some CPUs refuse"
	case kind == vcpu.NMI && state&blockedNMI != 0:
		return "an NMI while virtual NMIs are blocked"
	}
	return ""
}

func refusedState(f map[uint32]uint64) string {
	state, flags := f[uint32(guestInterruptState)], f[uint32(guestRFLAGS)]
	pending := f[uint32(guestPendingDebug)]
	step := flags&x86.FlagTF != 0 && f[uint32(guestDebugCtl)]&2 == 0
	switch {
	case state&^(blockedOnce|blockedNMI) != 0:
		return "reserved bits of the interruptibility state"
	case state&blockedOnce == blockedOnce:
		return "the shadows of STI and MOV SS exclude each other"
	case state&blockedSTI != 0 && flags&x86.FlagIF == 0:
		return "the shadow of STI needs RFLAGS.IF"
	case pending&^(dr6Traps|1<<12|pendingBS) != 0:
		return "reserved bits of the pending debug exceptions"
	case state&blockedOnce != 0 && step != (pending&pendingBS != 0):
		return "in a shadow a pending single step goes with RFLAGS.TF"
	case f[uint32(guestActivity)] != 0:
		return "the activity state is not active"
	}
	return ""
}

func refusedRegisters(f map[uint32]uint64) string {
	cr0, cr4, efer := f[uint32(guestCR0)], f[uint32(guestCR4)], f[uint32(guestEFER)]
	long := f[uint32(ctlEntry)]&entryLongMode != 0
	flags := f[uint32(guestRFLAGS)]
	switch {
	case cr0&x86.CR0PG != 0 && cr0&x86.CR0PE == 0:
		return "paging without protection"
	case long && (cr0&x86.CR0PG == 0 || cr4&x86.CR4PAE == 0):
		return "long mode without paging or PAE"
	case long != (efer&x86.EFERLMA != 0):
		return "EFER.LMA is not the entry control's"
	case cr0&x86.CR0PG != 0 && long != (efer&x86.EFERLME != 0):
		return "EFER.LME is not the entry control's under paging"
	case f[uint32(guestDR7)]>>32 != 0:
		return "the upper half of DR7"
	case flags&x86.FlagReserved == 0 || flags&^0x3f_7fd7 != 0:
		return "reserved bits of RFLAGS"
	case flags&x86.FlagVM != 0 && (long || cr0&x86.CR0PE == 0):
		return "RFLAGS.VM outside protected mode"
	case f[uint32(guestRIP)]>>32 != 0 && (!long || f[uint32(guestESAccess)+2*uint32(x86.CS)]&x86.SegL == 0):
		return "RIP beyond 4 GiB outside 64-bit code"
	}
	return ""
}

// INIT in every state: nothing of it is left, and the entry after it passes.
func TestInit(t *testing.T) {
	step := func(v *VCPU) { v.Set(x86.RFLAGS, 2|x86.FlagIF|x86.FlagTF) }
	for name, dirty := range map[string]func(t *testing.T, v *VCPU){
		"an interrupt":         func(_ *testing.T, v *VCPU) { v.Inject(irq(0x30)) },
		"an NMI":               func(_ *testing.T, v *VCPU) { v.Inject(nmi) },
		"an exception":         func(_ *testing.T, v *VCPU) { v.Inject(exception(x86.VecGP)) },
		"an impossible event":  func(_ *testing.T, v *VCPU) { v.Inject(exception(2)) },
		"a window":             func(_ *testing.T, v *VCPU) { v.Set(x86.RFLAGS, 2); v.Inject(irq(0x30)) },
		"blocked NMIs":         func(_ *testing.T, v *VCPU) { v.setInterrupt(blockedNMI); v.Inject(nmi) },
		"the shadow of STI":    func(_ *testing.T, v *VCPU) { v.setInterrupt(blockedSTI) },
		"the shadow of MOV SS": func(_ *testing.T, v *VCPU) { v.setInterrupt(blockedMOVSS) },
		"a single step waits":  func(_ *testing.T, v *VCPU) { step(v); v.setInterrupt(blockedMOVSS); v.settle() },
		"a delivery cut short": func(_ *testing.T, v *VCPU) {
			var x vcpu.Exit
			run(v, 0, &x, fakeExit{reason: reasonEPTViolation, vectoring: 0x8000_0030})
		},
		"an interrupt that stepped aside": func(_ *testing.T, v *VCPU) {
			var x vcpu.Exit
			run(v, 0, &x, fakeExit{reason: reasonEPTViolation, vectoring: 0x8000_0030})
			v.Inject(exception(x86.VecGP))
		},
	} {
		for _, prepared := range []bool{false, true} {
			m, v := running(t)
			dirty(t, v)
			var x vcpu.Exit
			if prepared { // and refused
				v.prepare(0, &x)
			}
			vcpu.Reset(v)
			if got, want := m.prepared(t, v), (entryState{rip: vcpu.ResetRIP}); got != want {
				t.Errorf("%s: the entry after INIT is %+v, want %+v", name, got, want)
			}
			f := m.cpus[0].current.fields
			if why := refusal(f); why != "" || f[uint32(guestPendingDebug)] != 0 {
				t.Errorf("%s: refused: %q; pending debug exceptions %#x", name, why, f[uint32(guestPendingDebug)])
			}
			run(v, 0, &x, cpuid)
			if v.todo != 0 || x.Reason != vcpu.CPUID {
				t.Errorf("%s: todo %#b after the entry, %+v", name, v.todo, x)
			}
			v.Set(x86.RFLAGS, 2|x86.FlagIF)
			if !v.Inject(irq(0x31)) {
				t.Errorf("%s: an interrupt is refused after INIT", name)
			}
		}
	}
}

// ClearEvents alone leaves RIP where the soft event of a refused entry had it.
func TestClearEventsKeepsRIP(t *testing.T) {
	m, v := running(t)
	v.Inject(vcpu.Event{Type: vcpu.SoftInterrupt, Vector: 0x80})
	m.prepared(t, v)
	v.ClearEvents()
	if got := v.Get(x86.RIP); got != 0x1000 {
		t.Errorf("RIP %#x", got)
	}
}

// Against any order of calls and exits, with INIT among them: no entry fails, and
// an accepted interrupt is delivered once, in order, unless INIT came first.
func FuzzEvents(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9})
	f.Add([]byte{0, 2, 4, 3, 0, 2, 1, 4, 8, 0, 7, 3, 3, 0})
	f.Fuzz(func(t *testing.T, script []byte) {
		_, v := running(t)
		var accepted, delivered []uint8
		vector := uint8(0x20)
		enter := func(op byte) bool {
			e := fakeExit{reason: reasonCPUID, length: 2}
			if op%9 == 2 { // no instruction's exit cuts a delivery short
				e = fakeExit{reason: reasonEPTViolation, cut: true}
			}
			e.guest = func(_ *testCPU, f map[uint32]uint64) {
				w := f[uint32(ctlEntryEvent)]
				switch irq := w&evValid != 0 && w>>evTypeShift&7 == 0; {
				case op%9 == 2:
				case irq:
					delivered = append(delivered, uint8(w))
				case w>>evTypeShift&7 == uint64(vcpu.NMI) && w&evValid != 0:
					f[uint32(guestInterruptState)] |= blockedNMI
				}
				switch state := f[uint32(guestInterruptState)] & blockedNMI; op % 9 {
				case 3:
					f[uint32(guestRFLAGS)] ^= x86.FlagIF
					f[uint32(guestInterruptState)] = state
				case 5:
					f[uint32(guestInterruptState)] = 0 // IRET
				case 6:
					f[uint32(guestRFLAGS)] |= x86.FlagIF
					f[uint32(guestInterruptState)] = state | blockedSTI
				case 7:
					f[uint32(guestInterruptState)] = state | blockedMOVSS
				default:
					f[uint32(guestInterruptState)] = state
				}
			}
			var x vcpu.Exit
			run(v, 0, &x, e)
			return x.Reason != vcpu.Shutdown
		}
		for _, op := range script {
			switch op % 9 {
			case 0:
				vector = vector | 0x20 + 1
				if v.Inject(irq(vector)) {
					accepted = append(accepted, vector)
				}
				continue
			case 1:
				v.Inject(exception(x86.VecUD))
				continue
			case 4:
				vcpu.Reset(v)
				accepted = accepted[:len(delivered)]
				continue
			case 8:
				v.Inject(nmi)
				continue
			}
			if !enter(op) {
				return
			}
		}
		v.Set(x86.RFLAGS, 2|x86.FlagIF)
		for range 8 { // let everything out
			if !enter(5) {
				return
			}
		}
		if string(accepted) != string(delivered) {
			t.Errorf("accepted % x, delivered % x", accepted, delivered)
		}
	})
}
