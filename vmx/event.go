// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vmx

import "ringo/hv/vcpu"

// Entry interruption information, IDT-vectoring information and exit
// interruption information have one format (SDM Vol. 3, "VM-Entry Controls for
// Event Injection"): vector 7:0, type 10:8, error code valid 11, valid 31; bit 12
// is told where it is used. The types are those of vcpu.EventType, and 5 for
// INT1.
const (
	evTypeShift = 8
	evHasErr    = 1 << 11
	evUnblocked = 1 << 12 // NMIs were unblocked by the IRET that faulted
	evValid     = 1 << 31

	typeINT1 = 5
)

// encodeEvent returns e as entry interruption information, without its error
// code. Software exceptions go as hardware exceptions: their return address is
// the present RIP then (vcpu.VCPU, Inject). The CPU insists on an error code for
// just the vectors that have one, and on none in real mode (SDM Vol. 3, "Checks
// on VM-Entry Control Fields").
func encodeEvent(e vcpu.Event, protected bool) uint64 {
	t := e.Type
	if t == vcpu.SoftException {
		t = vcpu.HardException
	}
	w := uint64(e.Vector) | uint64(t)<<evTypeShift | evValid
	if t == vcpu.HardException && protected && hasErrorCode>>e.Vector&1 != 0 {
		w |= evHasErr
	}
	return w
}

// hasErrorCode has a bit for each vector below 32 that pushes an error code (SDM
// Vol. 3, Table "Protected-Mode Exceptions and Interrupts"): DF, TS, NP, SS, GP,
// PF, AC.
const hasErrorCode = 1<<8 | 1<<10 | 1<<11 | 1<<12 | 1<<13 | 1<<14 | 1<<17

// decodeEvent is the inverse; it reports false when there was no event.
func decodeEvent(w, err uint64) (vcpu.Event, bool) {
	if w&evValid == 0 {
		return vcpu.Event{}, false
	}
	e := vcpu.Event{Vector: uint8(w), Type: vcpu.EventType(w >> evTypeShift & 7)}
	if e.Type == typeINT1 {
		e.Type = vcpu.SoftException
	}
	if w&evHasErr != 0 {
		e.HasErr, e.Err = true, uint32(err)
	}
	return e, true
}
