// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import (
	"testing"
	"unsafe"
)

// A level-triggered pin can be masked and unmasked by its vector, an edge-triggered one
// is let alone.
func TestPin(t *testing.T) {
	chip := &pinChip // where it stays
	at := addr(unsafe.Pointer(chip))
	want := func(what string, reg, v uint32) {
		t.Helper()
		if chip[pinSelect/4] != reg || chip[pinWindow/4] != v {
			t.Errorf("%s: register %#x is %#x, want %#x: %#x", what, chip[pinSelect/4], chip[pinWindow/4], reg, v)
		}
	}
	p := pinAt(0x45)
	p.set(at, 9, 0xa045, 3<<24)
	want("set", 0x22, 0xa045)
	p.mask()
	want("mask", 0x22, 0x1a045)
	p.unmask()
	want("unmask", 0x22, 0xa045)
	if *pinAt(0x44) != (pin{}) || *pinAt(0x46) != (pin{}) {
		t.Error("others have pins")
	}
	p.set(at, 4, 0x45, 0)
	want("an edge", 0x18, 0x45)
	chip[pinSelect/4] = 0
	maskPin(0x45)
	want("an edge that has come is not masked", 0, 0x45)
	p.mask()
	want("but if it is asked for", 0x18, 0x10045)
	p.unmask()
	want("and not any more", 0x18, 0x45)

	// The vector of a line that is no more may be anybody's: it has no pin to mask.
	p.set(at, 9, 0xa045, 3<<24)
	p.drop()
	want("drop", 0x22, 0x1a045)
	q := pinAt(0x47)
	q.set(at, 9, 0xa047, 3<<24)
	p.mask()
	want("the pin is another vector's", 0x22, 0xa047)
	*p, *q = pin{}, pin{}
}

var pinChip [8]uint32
