// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package pci

import (
	"fmt"
	"testing"

	"ringo/hv/abi"
)

// lines is a rig whose functions disk, plain and beside have lines: the first two share.
func lines(t *testing.T) *rig {
	r := newRig(t)
	r.host.Lines = map[uint32]uint32{uint32(disk): 19, uint32(plain): 19, uint32(beside): 5}
	return r
}

func (r *rig) bind(a abi.PCIAddr, port uint64) (handle uint64) {
	r.t.Helper()
	r.want("assign", r.Assign(a), abi.OK)
	h, st := r.Bind(a, abi.IRQLine, 0, abi.PortDevice+port)
	r.want("bind", st, abi.OK)
	return h
}

// told returns what has happened since the last call: ports raised, pins masked.
func (r *rig) told() string {
	s := fmt.Sprint(r.raised, r.pinned)
	r.raised, r.pinned = nil, nil
	return s
}

func (r *rig) sees(what, want string) {
	r.t.Helper()
	if got := r.told(); got != want {
		r.t.Errorf("%s: %s, want %s", what, got, want)
	}
}

// A line tells all that share it, and comes again when all are done, once for each time
// that they are.
func TestLine(t *testing.T) {
	r := lines(t)
	h0 := r.bind(disk, 0)
	r.sees("the first", "[] []")
	r.host.Pin = nil
	h1 := r.bind(plain, 1)
	r.sees("one more, who may have come too late for an interrupt", "[] [unmask 0x40]")
	if len(r.vectors) != 2 || r.pins[0x40] != 19 || r.command(disk)&commandNoLine != 0 {
		t.Errorf("vectors %v, pins %v, command %#x", r.vectors, r.pins, r.command(disk))
	}
	r.Deliver(0x40)
	r.sees("an interrupt", "[320 321] []")
	r.want("done", r.Done(h0), abi.OK)
	r.want("twice", r.Done(h0), abi.OK)
	r.sees("one is done", "[] []")
	r.Done(h1)
	r.sees("both are", "[] [unmask 0x40]")
	for range 3 { // nothing is owed: nothing comes of it
		r.Done(h0)
		r.Done(h1)
	}
	r.sees("a dom0 that repeats itself", "[] []")
	r.want("another handle", r.Done(77), abi.BadArg)

	r.Deliver(0x40)
	r.want("unbind", r.Unbind(h0), abi.OK)
	if r.command(disk)&commandNoLine == 0 {
		t.Error("it still has its line")
	}
	r.Done(h1)
	r.sees("one goes while it is waited for", "[320 321] [unmask 0x40]")
	r.Deliver(0x40)
	r.sees("the other stays", "[321] []")
	r.want("the last one goes", r.Unbind(h1), abi.OK)
	r.sees("nobody is left", "[] [drop 0x40]")
	if len(r.vectors) != 3 {
		t.Errorf("vectors %v", r.vectors)
	}
	r.Deliver(0x40)
	r.sees("late", "[] []")
}

// A function that is masked does not hold up others, unless it cannot be told.
func TestLineMask(t *testing.T) {
	r := lines(t)
	h0, h1 := r.bind(disk, 0), r.bind(plain, 1)
	r.told()
	r.Deliver(0x40)
	r.told()
	r.want("mask", r.Mask(h0, 1), abi.OK)
	if r.command(disk)&commandNoLine == 0 {
		t.Error("it may interrupt")
	}
	r.Done(h1)
	r.sees("masked", "[] [unmask 0x40]")
	r.Deliver(0x40)
	r.Done(h1)
	r.sees("the other's", "[321] [unmask 0x40]")
	r.Mask(h1, 1)
	r.Deliver(0x40)
	r.sees("nobody's: the pin stays masked", "[] []")
	r.Mask(h0, 0)
	r.sees("until there is somebody", "[] [unmask 0x40]")
	r.Mask(h1, 0)
	r.told()
	if r.command(disk)&commandNoLine != 0 {
		t.Error("it may not interrupt")
	}
	r.at[disk].mask[1] = 7 // of before PCI 2.3
	r.Mask(h0, 1)
	r.sees("it cannot be told", "[] [mask 0x40]")
	r.Deliver(0x40) // one was on its way
	r.Done(h0)
	r.Done(h1)
	r.sees("nothing comes", "[321] []")
	r.Mask(h0, 0)
	r.sees("until it may", "[] [unmask 0x40]")
}

// The end of a function, or of dom0, is the end of its share.
func TestLineEnds(t *testing.T) {
	r := lines(t)
	r.bind(disk, 0)
	h1 := r.bind(plain, 1)
	r.told()
	r.Deliver(0x40)
	r.Done(h1)
	r.told()
	r.release(disk, 1e8)
	if got := r.pinned; len(got) != 1 || got[0] != "unmask 0x40" {
		t.Errorf("%v", got)
	}
	r.told()
	r.Stop()
	r.sees("dom0's end", "[] [drop 0x40]")
	if r.command(plain)&commandNoLine == 0 {
		t.Error("it may interrupt")
	}
}

// What cannot be had is refused, and nothing is kept of it.
func TestLineRefused(t *testing.T) {
	r := lines(t)
	r.host.Lines[uint32(beside)] = 24
	r.Assign(beside)
	_, st := r.Bind(beside, abi.IRQLine, 0, abi.PortDevice)
	r.want("a pin that is not there", st, abi.NoDevice)
	_, st = r.Bind(beside, abi.IRQLine, 1, abi.PortDevice)
	r.want("a second line", st, abi.NoDevice)
	delete(r.host.Lines, uint32(beside))
	_, st = r.Bind(beside, abi.IRQLine, 0, abi.PortDevice)
	r.want("a line that leads nobody knows where", st, abi.NoDevice)
	_, st = r.Bind(beside, abi.IRQLine+1, 0, abi.PortDevice)
	r.want("another kind", st, abi.BadArg)
	if len(r.vectors) != 3 {
		t.Errorf("vectors %v", r.vectors)
	}
	r.vectors = nil
	r.Assign(disk)
	_, st = r.Bind(disk, abi.IRQLine, 0, abi.PortDevice)
	r.want("no vector", st, abi.NoSlot)
}

// One line has so many users, and no more.
func TestLineFull(t *testing.T) {
	r := lines(t)
	r.vectors = []uint8{0x40}
	for n := range maxUsers + 1 {
		a := at(0, 8, 0) + abi.PCIAddr(n)
		r.Functions = append(r.Functions, abi.PCIFunction{Addr: a, Vendor: 1, Class: 0x020000})
		r.devices = append(r.devices, device{state: assigned})
		r.host.Lines[uint32(a)] = 3
		_, st := r.Bind(a, abi.IRQLine, 0, uint64(abi.PortDevice+n))
		if want := abi.OK; n == maxUsers && st != abi.NoSlot || n < maxUsers && st != want {
			t.Errorf("user %d: %v", n, st)
		}
	}
	r.Deliver(0x40)
	if len(r.raised) != maxUsers {
		t.Errorf("raised %v", r.raised)
	}
}

// Where lines lead to: as devices.md's experiments have found it on three machines.
func TestRoute(t *testing.T) {
	words := make([]uint32, 5)
	words[0], words[1], words[2] = 0x4321_3210, 0x7654_0123, 0x3210 // D30 D31, D28 D29, D27
	for _, c := range []struct {
		chip, routes uint32
		bus, slot    uint8
		pin          uint32
		want         uint32 // 0: nobody knows
	}{
		{ich9, 0, 0, 2, 1, 22}, {ich9, 0, 0, 3, 1, 23}, {ich9, 0, 0, 4, 1, 20}, {ich9, 0, 0, 5, 1, 21}, {ich9, 0, 0, 24, 1, 20}, {ich9, 0, 0, 3, 2, 20},
		{ich9, 0, 0, 31, 1, 16}, {ich9, 0, 0, 31, 4, 19}, {ich9, 0, 0, 30, 1, 17}, {ich9, 0, 0, 29, 1, 19}, {ich9, 0, 0, 28, 1, 20}, {ich9, 0, 0, 27, 2, 17},
		{ich9, 0, 0, 2, 0, 0}, {ich9, 0, 0, 2, 5, 0}, {ich9, 0, 1, 2, 1, 21}, {ich9, 0, 9, 2, 1, 0}, // behind 00:03.0: device 3, pin 2
		{piix3, 0x0b0b0a0a, 0, 3, 1, 11}, {piix3, 0x0b0b0a0a, 0, 1, 1, 10}, {piix3, 0x0b0b0a0a, 0, 4, 2, 10},
		{piix3, 0x090b090b, 0, 2, 1, 9}, {piix3, 0x090b800b, 0, 2, 1, 17},
		{0x12378086, 0, 0, 2, 1, 0},
	} {
		m := newMachine()
		chip, a := at(0, 31, 0), at(c.bus, c.slot, 6)
		d := m.add(chip, c.chip, 0x060100, 7)
		d.reg[piixRoutes/4], d.reg[ich9Registers/4] = c.routes, 0xfed1c001
		m.add(a, 0x11112222, 0x020000, 7).reg[regLine/4] = c.pin << 8
		tab := &Table{space: NewSpace(m, nil), Functions: []abi.PCIFunction{
			{Addr: at(0, 3, 0), Header: 1, Secondary: 1}, {Addr: chip, Vendor: uint16(c.chip), Device: uint16(c.chip >> 16), Subvendor: qemu}, {Addr: a},
		}}
		tab.Connect(Host{ISA: func(irq uint8) uint32 { return uint32(irq) }, Registers: func(at, size uint64) ([]uint32, bool) {
			return words, at == 0xfed1f140 && size == 20
		}})
		if got, ok := tab.route(len(tab.Functions) - 1); got != c.want || ok != (c.want != 0) {
			t.Errorf("%+v: %d, %v", c, got, ok)
		}
		tab.Functions[1].Subvendor = 0x8086
		if _, ok := tab.route(len(tab.Functions) - 1); ok && c.chip == ich9 {
			t.Errorf("%+v: on a board that nobody has seen", c)
		}
	}
}
