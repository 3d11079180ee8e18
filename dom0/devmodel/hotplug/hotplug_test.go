// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package hotplug

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"ringo/hv/bus"
)

// board is what the device is wired to: its line, and the processors that there are.
type board struct {
	high bool
	cpus uint32
	full uint32 // slots with a function
	log  []string
}

func (b *board) Set(level bool) { b.high = level }

func (b *board) Plug(cpu int) {
	b.cpus |= 1 << cpu
	b.log = append(b.log, fmt.Sprint("+", cpu))
}

func (b *board) Unplug(cpu int) {
	b.cpus &^= 1 << cpu
	b.log = append(b.log, fmt.Sprint("-", cpu))
}

func (b *board) Eject(slot int) {
	b.full &^= 1 << slot
	b.log = append(b.log, fmt.Sprint("/", slot))
}

type rig struct {
	*Device
	*board
	ev, reg, slot bus.Device
}

func newRig(present uint32) *rig {
	b := &board{cpus: present}
	d := New(present, b, b)
	return &rig{d, b, d.Events(), d.Processors(), d.Slots()}
}

func (r *rig) get(off uint64) uint32    { return uint32(r.reg.Read(off, 4, 0)) }
func (r *rig) put(off uint64, v uint32) { r.reg.Write(off, 4, uint64(v), 0) }

// scan is what the AML does at an event.
func (r *rig) scan() (inserted, remove uint32) {
	r.ev.Write(0, 1, 1<<Event, 0)
	inserted, remove = r.get(regInserted), r.get(regRemove)
	r.put(regInserted, inserted)
	r.put(regRemove, remove)
	return inserted, remove
}

func TestPlugAndEject(t *testing.T) {
	r := newRig(0b1)
	if r.Listens(Event) {
		t.Error("a guest that has done nothing listens")
	}
	r.ev.Write(2, 1, 0xff, 0)
	if !r.Listens(Event) || r.high || r.ev.Read(0, 4, 0) != allEvents<<16 {
		t.Errorf("enabled: line %v, block %#x", r.high, r.ev.Read(0, 4, 0))
	}
	r.Ask(0b1111, 0b1)
	if !r.high || r.cpus != 0b1111 || r.get(regPresent) != 0b1111 {
		t.Errorf("asked for four: line %v, CPUs %#b, present %#b", r.high, r.cpus, r.get(regPresent))
	}
	if in, out := r.scan(); in != 0b1110 || out != 0 || r.high {
		t.Errorf("it finds %#b and %#b, line %v", in, out, r.high)
	}
	if in, out := r.scan(); in|out != 0 {
		t.Error("events are not over when they are cleared")
	}
	// Two go. The guest gives one back at once and refuses the other.
	r.Ask(0b11, 0b1111)
	if in, out := r.scan(); in != 0 || out != 0b1100 || r.cpus != 0b1111 {
		t.Errorf("asked for two: finds %#b and %#b, CPUs %#b", in, out, r.cpus)
	}
	r.put(regReport, 3|3<<8|statusEjecting<<16)
	r.put(regEject, 0b1000)
	if r.cpus != 0b111 || r.get(regPresent) != 0b111 || r.Refused() != 0 {
		t.Errorf("one ejected: CPUs %#b, refused %#b", r.cpus, r.Refused())
	}
	r.put(regReport, 2|3<<8|0x81<<16)
	if r.Refused() != 0b100 {
		t.Errorf("refused %#b", r.Refused())
	}
	// One that is there and does not run is to be looked at again.
	r.Ask(0b111, 0b11)
	if in, out := r.scan(); in != 0b100 || out != 0 || r.Refused() != 0 {
		t.Errorf("asked again: %#b and %#b, refused %#b", in, out, r.Refused())
	}
	if got := strings.Join(r.log, " "); got != "+1 +2 +3 -3" {
		t.Errorf("plugged %s", got)
	}
}

// Nothing is to be done: no event.
func TestAsItIs(t *testing.T) {
	r := newRig(0b11)
	r.ev.Write(0, 4, 0xffff_ffff, 0)
	r.Ask(0b11, 0b11)
	if r.high {
		t.Error("an event for nothing")
	}
}

// The event waits for a guest that enables it later, and the line falls when it is
// disabled.
func TestEnable(t *testing.T) {
	r := newRig(0b1)
	r.Ask(0b11, 0b1)
	if r.high {
		t.Error("an interrupt that nobody enabled")
	}
	r.ev.Write(2, 2, 1<<Event, 0)
	if !r.high {
		t.Error("the event is lost")
	}
	r.ev.Write(3, 1, 0xff, 0) // the other byte
	if !r.high || !r.Listens(Event) {
		t.Error("a write of one byte changes the other one")
	}
	r.ev.Write(2, 1, 0, 0)
	if r.high || r.Listens(Event) {
		t.Error("the line stays")
	}
}

func TestHostileEject(t *testing.T) {
	r := newRig(0b11)
	r.put(regEject, 1)
	r.put(regEject, 0xffff_fffc)
	r.reg.Write(regEject, 1, 2, 0)
	r.reg.Write(regEject+1, 4, 2, 0)
	r.reg.Write(regEject, 8, 2, 0)
	if r.cpus != 0b11 || len(r.log) != 0 {
		t.Errorf("CPUs %#b, %v", r.cpus, r.log)
	}
	r.put(regReport, 31|3<<8|1<<16) // of one that is not there
	if r.Refused() != 0 {
		t.Error("one that is not there is refused")
	}
	r.put(regEject, 0xffff_ffff)
	r.put(regEject, 0xffff_ffff)
	if got := strings.Join(r.log, " "); got != "-1" || r.get(regPresent) != 1 {
		t.Errorf("ejected %s, present %#b", got, r.get(regPresent))
	}
}

// FuzzAccess lets a hostile guest access the registers while the toolstack asks: the
// processors that are there are those that the device says, the first one always is,
// and the line is what the events say.
func FuzzAccess(f *testing.F) {
	f.Add([]byte{0, 0, 0x10, 1, 0xf, 0, 0, 0, 3, 12, 4, 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{1, 2, 2, 0xff, 0xff, 0, 0, 2, 0, 4, 3, 16, 4, 3, 3, 0x81, 0})
	f.Fuzz(func(t *testing.T, in []byte) {
		r := newRig(0b1)
		for len(in) >= 7 {
			off, size, v := uint64(in[1]%24), uint8(1)<<(in[2]&3), uint64(binary.LittleEndian.Uint32(in[3:]))
			n := int(v % 32)
			switch in[0] & 7 {
			case 4:
				r.full |= 1 << n
				r.Fill(n, v&32 != 0)
			case 5:
				r.full &^= 1 << n
				r.Empty(n)
			case 6:
				r.Request(n)
			case 7:
				r.slot.Write(off, size, v, 0)
				r.slot.Read(off, size, 0)
			case 0:
				r.Ask(uint32(v), uint32(in[1]))
				if r.cpus&uint32(v) != uint32(v) {
					t.Fatalf("asked for %#b, %#b are there", v, r.cpus)
				}
			case 1:
				r.ev.Write(off&3, size, v, 0)
				r.ev.Read(off&3, size, 0)
			default:
				r.reg.Write(off, size, v, 0)
				r.reg.Read(off, size, 0)
			}
			in = in[7:]
			block := r.ev.Read(0, 4, 0)
			if r.cpus != r.get(regPresent) || r.cpus&1 == 0 || r.high != (block>>16&block&0xffff != 0) {
				t.Fatalf("CPUs %#b, present %#b, block %#x, line %v", r.cpus, r.get(regPresent), block, r.high)
			}
			if s := r.slots; s.full != r.full || (s.come|s.giveBack)&^s.full != 0 {
				t.Fatalf("functions in %#b: %+v", r.full, s)
			}
			if r.Refused()&^r.cpus != 0 {
				t.Fatalf("refused %#b of %#b", r.Refused(), r.cpus)
			}
		}
	})
}
