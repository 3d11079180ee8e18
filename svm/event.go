// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package svm

import (
	"ringo/hv/vcpu"
	"ringo/hv/x86"
)

// EVENTINJ and EXITINTINFO have one format (APM Vol. 2, "Event Injection"):
// vector 7:0, type 10:8, error code valid 11, valid 31, error code 63:32.
const (
	evTypeShift = 8
	evHasErr    = 1 << 11
	evValid     = 1 << 31

	evIntr = 0
	evNMI  = 2
	evExc  = 3
	evSoft = 4
)

// encodeEvent returns e in the format of EVENTINJ.
func encodeEvent(e vcpu.Event) uint64 {
	t := uint64(evExc)
	switch e.Type {
	case vcpu.ExternalInterrupt:
		t = evIntr
	case vcpu.NMI:
		t = evNMI
	case vcpu.SoftInterrupt:
		t = evSoft
	}
	w := uint64(e.Vector) | t<<evTypeShift | evValid
	if e.HasErr {
		w |= evHasErr | uint64(e.Err)<<32
	}
	return w
}

// decodeEvent is the inverse, for EXITINTINFO; it reports false when no event
// was being delivered. Breakpoint and overflow exceptions come from INT3 and
// INTO only: they are soft.
func decodeEvent(w uint64) (vcpu.Event, bool) {
	if w&evValid == 0 {
		return vcpu.Event{}, false
	}
	e := vcpu.Event{Vector: uint8(w), Type: vcpu.HardException}
	switch w >> evTypeShift & 7 {
	case evIntr:
		e.Type = vcpu.ExternalInterrupt
	case evNMI:
		e.Type, e.Vector = vcpu.NMI, 2
	case evSoft:
		e.Type = vcpu.SoftInterrupt
	default:
		if e.Vector == x86.VecBP || e.Vector == vecOF {
			e.Type = vcpu.SoftException
		}
	}
	if w&evHasErr != 0 {
		e.HasErr, e.Err = true, uint32(w>>32)
	}
	return e, true
}

const vecOF = 4
