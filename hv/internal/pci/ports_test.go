// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package pci

import (
	"errors"
	"fmt"
	"testing"

	"ringo/hv/abi"
)

// An IDE controller whose first channel is that of the AT, and whose second one is where
// its registers say; and a function that claims ports of the board, one that claims some
// of the controller's, one whose base address is beyond the last port, and one that claims
// a display's.
var (
	ideAt  = at(0, 10, 0)
	board  = at(0, 11, 0)
	thief  = at(0, 12, 0)
	beyond = at(0, 13, 0)
	greedy = at(0, 14, 0)
)

// ports is a rig with these, whose accesses to ports it notes.
func ports(t *testing.T) (r *rig, bus map[uint16]*PortRange, said *[]string) {
	r = newRig(t)
	ide := r.add(ideAt, 0x70108086, 0x010184, 5)
	ide.mask[1] = 7
	ide.bar(0, 0xd001, 0xfffffff8) // nobody's word: the channel is in compatibility mode
	ide.bar(2, 0xc101, 0xfffffff8)
	ide.bar(3, 0xc111, 0xfffffffc)
	ide.bar(4, 0xc201, 0xfffffff0)
	r.add(board, 0x11112222, 0x020000, 3).bar(0, 0xcf9, 0xfffffffc)
	r.add(thief, 0x11112222, 0x020000, 3).bar(0, 0xc201, 0xfffffff0)
	r.add(beyond, 0x11112222, 0x020000, 3).bar(0, 0xfffffff1, 0xfffffff0)
	r.add(greedy, 0x11112222, 0x020000, 3).bar(0, 0xe001, 0xfffff000)
	r.add(at(0, 15, 0), 0x11113333, 0x030000, 3).bar(0, 0xef81, 0xffffff80)
	host := r.host
	host.KeptPorts = [][2]uint32{{0, 0x1000}}
	said = new([]string)
	host.In = func(port uint16, size uint8) uint32 {
		*said = append(*said, fmt.Sprintf("in %#x %d", port, size))
		return 0x12
	}
	host.Out = func(port uint16, size uint8, v uint32) {
		*said = append(*said, fmt.Sprintf("out %#x %d %#x", port, size, v))
	}
	r.Table = NewTable(NewSpace(r.machine, nil))
	r.Connect(host)
	bus = map[uint16]*PortRange{}
	r.OfferPorts(func(first uint16, size uint64, p *PortRange) error {
		if bus[first] != nil {
			return errors.New("taken")
		}
		bus[first] = p
		return nil
	})
	return r, bus, said
}

// Ports are dom0's while it has the function, and nobody's before and after.
func TestPorts(t *testing.T) {
	r, bus, said := ports(t)
	if got := fmt.Sprint(r.Find(ideAt).BAR[:5]); got != "[{496 8 19 0} {1014 1 19 0} {49408 8 3 0} {49424 4 3 0} {49664 16 3 0}]" {
		t.Errorf("base addresses: %s", got)
	}
	p := bus[0x1f0]
	if p == nil || len(bus) != 6 { // the controller's five, and those of plain
		t.Fatalf("%v", bus)
	}
	r.want("one that is free", r.give(ideAt, 0), abi.Denied)
	r.want("assign", r.Assign(ideAt), abi.OK)
	r.command(ideAt)
	if v := p.Read(7, 1, 0); v != ^uint64(0) || len(*said) != 0 {
		t.Errorf("read %#x, %v", v, *said)
	}
	r.want("map", r.give(ideAt, 0), abi.OK)
	r.want("again", r.give(ideAt, 0), abi.OK)
	if r.addr != 0x1f0 || len(r.mapped) != 0 || r.command(ideAt)&commandPort == 0 {
		t.Errorf("address %#x, pages %v, command %#x", r.addr, r.mapped, r.command(ideAt))
	}
	if v := p.Read(7, 1, 0); v != 0x12 {
		t.Errorf("read %#x", v)
	}
	p.Write(0, 2, 0xabcd, 0)
	if got := fmt.Sprint(*said); got != "[in 0x1f7 1 out 0x1f0 2 0xabcd]" {
		t.Error(got)
	}
	if v := bus[0x3f6].Read(0, 1, 0); v != ^uint64(0) {
		t.Errorf("another base address reads %#x", v)
	}
	p.busy.Add(1) // another CPU is at it
	*said = nil
	for range 3 {
		if st := r.Release(ideAt, r.unmap); st != abi.Again || r.Find(ideAt).Flags&abi.PCIAssigned == 0 {
			t.Errorf("while somebody is at its ports: %v", st)
		}
		r.now += 1e9
	}
	p.busy.Add(-1)
	r.want("release", r.release(ideAt, 1e8), abi.OK)
	p.Write(7, 1, 0xec, 0)
	if v := p.Read(7, 1, 0); v != ^uint64(0) || len(*said) != 0 || r.Find(ideAt).Flags&abi.PCIAssigned != 0 {
		t.Errorf("afterwards: read %#x, %v", v, *said)
	}
}

// What is the board's or another function's, or cannot be, is refused.
func TestPortsRefused(t *testing.T) {
	r, _, _ := ports(t)
	for _, a := range []abi.PCIAddr{board, thief, beyond, greedy} {
		r.want("assign", r.Assign(a), abi.OK)
		r.want(fmt.Sprintf("%#x", uint32(a)), r.give(a, 0), abi.Denied)
	}
}

// A channel in compatibility mode interrupts as the AT's did; the other one has no line
// that is known.
func TestPortsInterrupt(t *testing.T) {
	r, _, _ := ports(t)
	r.want("assign", r.Assign(ideAt), abi.OK)
	h, st := r.Bind(ideAt, abi.IRQLine, 0, abi.PortDevice)
	r.want("bind", st, abi.OK)
	if r.pins[0x40] != 14 || !r.edges[0x40] {
		t.Errorf("pins %v, edges %v", r.pins, r.edges)
	}
	_, st = r.Bind(ideAt, abi.IRQLine, 1, abi.PortDevice+1)
	r.want("the other channel", st, abi.NoDevice)
	r.Deliver(0x40)
	r.Deliver(0x40) // nothing is waited for
	r.sees("two edges", "[320 320] []")
	r.Assign(plain)
	r.host.Lines[uint32(plain)] = 14
	_, st = r.Bind(plain, abi.IRQLine, 0, abi.PortDevice+1)
	r.want("a line at the same pin", st, abi.NoDevice)
	r.want("unbind", r.Unbind(h), abi.OK)
	r.sees("unbind", "[] [drop 0x40]")
}
