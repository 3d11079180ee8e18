// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import "testing"

// A bit that is set while the others are taken is not lost, nor is the kick.
func TestNextIRQ(t *testing.T) {
	var c cpu
	raise := func(vec uint64) {
		*wordAt(&c.raised, vec) |= 1 << (vec & 63)
		c.waiting = 1
	}
	raise(0x30)
	raise(0xef)
	var got []uint8
	for v, ok := c.nextIRQ(); ok; v, ok = c.nextIRQ() {
		got = append(got, v)
	}
	if len(got) != 2 || got[0] != 0x30 || got[1] != 0xef || c.waiting != 0 {
		t.Errorf("%#x, waiting %d", got, c.waiting)
	}
	c.raised[2] = 1 // it came after the words were looked at, before waiting was cleared
	c.waiting = 1
	if v, ok := c.nextIRQ(); !ok || v != 128 {
		t.Errorf("%d, %v", v, ok)
	}
	PostIRQ(0x44)
	if !isPosted(0x44) || isPosted(0x45) || isPosted(0x84) {
		t.Error("posted vectors")
	}
	FreeVector(0x44)
	if isPosted(0x44) {
		t.Error("a vector that was given back is posted")
	}
}
