// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package pci

import (
	"testing"

	"ringo/hv/abi"
)

// storm runs what keeps interrupts away, once: before and during are called before and
// while it sleeps.
func (r *rig) storm(during func()) {
	r.Table.storm = make(chan struct{}, 1)
	done := make(chan struct{})
	slept := make(chan struct{})
	go func() {
		r.Calm(func() {
			slept <- struct{}{}
			<-slept
		})
		close(done)
	}()
	r.keepAway(r.stormy)
	<-slept
	during()
	slept <- struct{}{}
	close(r.Table.storm)
	<-done
}

// What comes at a usual pace is let alone, however long.
func TestPace(t *testing.T) {
	r := lines(t)
	h := r.bind(disk, 0)
	for range 20 * stormLine {
		r.now += StormTime/stormLine + 1
		r.Deliver(0x40)
		r.Done(h)
	}
	if len(r.Table.storm) != 0 || len(r.pinned) != 20*stormLine {
		t.Errorf("%d storms, %d times unmasked", len(r.Table.storm), len(r.pinned))
	}
}

// A line that comes too fast is held back, whatever dom0 says, and comes again.
func TestStormLine(t *testing.T) {
	r := lines(t)
	var said []abi.PCIAddr
	r.host.Storm = func(a abi.PCIAddr) { said = append(said, a) }
	h := r.bind(disk, 0)
	r.now = 1e9
	for range 2*stormLine - 1 {
		r.Deliver(0x40)
		r.Done(h)
	}
	r.told()
	r.Deliver(0x40)
	if len(r.Table.storm) != 1 {
		t.Fatal("nobody has noticed")
	}
	r.Done(h)
	r.Mask(h, 0)
	r.sees("too fast", "[320] []")
	r.stormy = 0x40
	for range 2 {
		r.storm(func() { r.sees("while it rests", "[] []") })
		r.lines[0].change(0, rest)
		r.told()
	}
	r.storm(func() {})
	r.sees("afterwards", "[] [unmask 0x40]")
	if len(said) != 1 || said[0] != disk {
		t.Errorf("lines %v", said)
	}
}

// A message that comes too fast is masked, unless dom0 has it masked, and dom0 looks
// afterwards; so does an edge.
func TestStormMessage(t *testing.T) {
	r := lines(t)
	r.host.Storm = func(abi.PCIAddr) {}
	r.Assign(disk)
	h, st := r.Bind(disk, abi.IRQMSIX, 1, abi.PortDevice)
	r.want("bind", st, abi.OK)
	r.now = 1e9
	for range 2 * stormMessage {
		r.Deliver(0x40)
	}
	if len(r.Table.storm) != 1 {
		t.Fatal("nobody has noticed")
	}
	mask := func() uint32 { return r.devices[r.find(disk)].table[4+3] & 1 }
	r.told()
	r.stormy = 0x40
	r.storm(func() {
		r.Mask(h, 1)
		r.Mask(h, 0)
		if mask() == 0 {
			t.Error("it may come")
		}
	})
	r.sees("afterwards", "[320] []")
	if mask() != 0 {
		t.Error("it may not come")
	}
	r.Mask(h, 1)
	r.storm(func() {})
	r.sees("one that dom0 has masked", "[] []")
	if mask() == 0 {
		t.Error("it may come, though dom0 does not want it")
	}
	r.storm(func() { r.Unbind(h) }) // nothing is left to be unmasked

	r, _, _ = ports(t)
	r.host.Storm = func(abi.PCIAddr) {}
	r.Assign(ideAt)
	h, st = r.Bind(ideAt, abi.IRQLine, 0, abi.PortDevice)
	r.want("bind", st, abi.OK)
	r.stormy = 0x40
	r.storm(func() {
		r.sees("an edge", "[] [mask 0x40]")
		r.Deliver(0x40) // one was on its way
		r.Done(h)
		r.sees("done", "[320] []")
		r.Mask(h, 1)
		r.Mask(h, 0)
		r.sees("and not any more masked", "[] [mask 0x40]")
	})
	r.sees("afterwards", "[320] [unmask 0x40]")
	r.Deliver(0x40)
	r.storm(func() { r.told() })
	r.sees("nothing is waited for", "[320] [unmask 0x40]")
}
