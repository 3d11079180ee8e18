// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package hotplug

import (
	"strings"
	"testing"
)

// look is what the AML does at an event of slots.
func (r *rig) look() (all [3]uint32) {
	r.ev.Write(0, 1, 1<<SlotEvent, 0)
	for i := range all {
		all[i] = uint32(r.slot.Read(uint64(4*i), 4, 0))
		r.slot.Write(uint64(4*i), 4, uint64(all[i]), 0)
	}
	return all
}

func (r *rig) eject(slots uint32) { r.slot.Write(regSlotEject, 4, uint64(slots), 0) }

// A guest that ejects what is not there ejects nothing, whatever it writes.
func TestHostileSlots(t *testing.T) {
	r := newRig(1)
	r.eject(0xffff_ffff)
	r.Fill(8, false)
	for _, size := range []uint8{1, 2, 8} {
		r.slot.Write(regSlotEject, size, 1<<8, 0)
	}
	r.slot.Write(regSlotEject+1, 4, 1<<8, 0)
	r.eject(1<<9 | 1<<7)
	if len(r.log) != 0 || r.slots.full != 1<<8 {
		t.Errorf("ejected %v, there are %#b", r.log, r.slots.full)
	}
	for range 2 {
		r.eject(0xffff_ffff)
	}
	if got := strings.Join(r.log, " "); got != "/8" {
		t.Errorf("ejected %s", got)
	}
	r.Request(8) // of an empty slot
	if got := r.look(); got != [3]uint32{} {
		t.Errorf("it finds %#b", got)
	}
}

// A guest finds what has come, what it is asked for and what is gone, each once.
func TestSlots(t *testing.T) {
	r := newRig(1)
	r.ev.Write(2, 1, 1<<SlotEvent, 0)
	if !r.Listens(SlotEvent) || r.Listens(Event) {
		t.Error("it listens to another event")
	}
	r.Fill(3, false)
	if r.high {
		t.Error("an event for what was there at the start")
	}
	for i, c := range []struct {
		do   func()
		want [3]uint32
	}{
		{func() { r.Fill(8, true) }, [3]uint32{1 << 8}},
		{func() { r.Request(3) }, [3]uint32{0, 1 << 3}},
		{func() { r.Empty(8) }, [3]uint32{0, 0, 1 << 8}},
		{func() { r.Fill(8, true); r.Request(8) }, [3]uint32{1 << 8, 1 << 8}},
		{func() { r.Request(8); r.Empty(8); r.Fill(9, true) }, [3]uint32{1 << 9, 0, 1 << 8}},
	} {
		if c.do(); !r.high {
			t.Errorf("%d: no interrupt", i)
		}
		if got := r.look(); got != c.want {
			t.Errorf("%d: it finds %#b, want %#b", i, got, c.want)
		}
		if got := r.look(); r.high || got != [3]uint32{} {
			t.Errorf("%d: line %v, it finds %#b again", i, r.high, got)
		}
	}
	if v := r.slot.Read(0, 1, 0) | r.slot.Read(regSlotEject, 4, 0); v != 0 {
		t.Errorf("%#x", v)
	}
}
