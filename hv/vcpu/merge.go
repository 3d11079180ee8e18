// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vcpu

import "ringo/hv/x86"

// class sorts exceptions for the double-fault rules (SDM Vol. 3, Table
// "Conditions for Generating a Double Fault").
type class uint8

const (
	benign class = iota
	contributory
	pageFault
	doubleFault
)

func classOf(e Event) class {
	if e.Type != HardException {
		return benign
	}
	switch e.Vector {
	case x86.VecDE, x86.VecTS, x86.VecNP, x86.VecSS, x86.VecGP:
		return contributory
	case x86.VecPF:
		return pageFault
	case x86.VecDF:
		return doubleFault
	}
	return benign
}

// Merge combines an exception second, raised while exception first was being
// delivered: the event to deliver, or shutdown (a triple fault). Two exceptions
// that do not combine are handled one after the other: the second now; the
// instruction will raise the first again.
func Merge(first, second Event) (e Event, shutdown bool) {
	a, b := classOf(first), classOf(second)
	switch {
	case a == doubleFault && (b == contributory || b == pageFault):
		return Event{}, true
	case a == contributory && b == contributory,
		a == pageFault && (b == contributory || b == pageFault):
		return Event{Type: HardException, Vector: x86.VecDF, HasErr: true}, false
	}
	return second, false
}
