// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package pci

import (
	"fmt"
	"slices"
	"testing"

	"ringo/hv/abi"
)

// rig is a machine with functions that can be given away.
type rig struct {
	*machine
	*Table
	t       *testing.T
	memory  map[uint64][]uint32 // registers by address
	now     uint64
	vectors []uint8 // free
	raised  []uint32
	mapped  []Mapped
	addr    uint64 // what Map returned
	refused uint64 // not to be mapped
	apic    uint32

	attached map[abi.PCIAddr]bool
	slow     bool // what was attached is remembered
	silent   []uint8
	pins     map[uint8]uint32 // global system interrupts by vector
	edges    map[uint8]bool
	pinned   []string
	stormy   uint8
}

// Functions of a rig: an Express one with MSI-X and a reset, one with MSI, a bridge, and
// one that shares a page with the MSI one.
var (
	disk   = at(0, 1, 0)
	plain  = at(0, 2, 0)
	bridge = at(0, 3, 0)
	beside = at(0, 4, 0)
)

func newRig(t *testing.T) *rig {
	r := &rig{machine: newMachine(), t: t, memory: map[uint64][]uint32{}, attached: map[abi.PCIAddr]bool{}, pins: map[uint8]uint32{}, edges: map[uint8]bool{}, vectors: []uint8{0x40, 0x41, 0x42}}
	d := r.add(disk, 0x00101b36, 0x010802, statusCaps|7)
	d.mask[1] = 0x407
	d.bar(0, 4, 0xffffc000)
	d.bar(1, 0xe0, 0xffffffff) // at 896 GiB
	d.reg[regCaps/4] = 0x40
	d.reg[0x40/4], d.mask[0x40/4] = 0x00026011, 0xc0000000 // three messages
	d.reg[0x44/4] = 0x2000
	d.reg[0x60/4], d.mask[0x60/4] = 0x0002_8010, 0
	d.reg[0x64/4] = canReset
	d.mask[0x68/4] = 0xffff
	d.reg[0x80/4], d.mask[0x80/4] = 0x00089001, 0 // power management
	d.mask[0x84/4] = 3
	d.reg[0x90/4], d.mask[0x94/4] = 0x00080009, ^uint32(0) // vendor-specific, eight bytes
	d.mask[0xa0/4] = ^uint32(0)
	p := r.add(plain, 0x11e81234, 0x00ff00, statusCaps|3)
	p.mask[1] = 0x407
	p.bar(0, 0xfe000000, 0xfffff000)
	p.bar(2, 0xfd000800, 0xffffff00)
	p.bar(3, 0xc001, 0xffffffe0)
	p.reg[regCaps/4] = 0x40
	p.reg[0x40/4], p.mask[0x40/4] = 0x0080_0005, 0x0071_0000 // 64 bits
	p.mask[0x44/4], p.mask[0x48/4], p.mask[0x4c/4] = ^uint32(0), ^uint32(0), 0xffff
	r.bridge(bridge, 1, 1, rootPort)
	b := r.add(beside, 0x11112222, 0x020000, 3)
	b.mask[1] = 0x407
	b.bar(0, 0xfd000000, 0xffffff00)
	r.Table = NewTable(NewSpace(r.machine, nil))
	r.Quiesce()
	r.Connect(Host{
		Registers: func(at, size uint64) ([]uint32, bool) {
			r.memory[at] = make([]uint32, size/4)
			return r.memory[at], true
		},
		Now: func() uint64 { return r.now },
		Vector: func() (v uint8) {
			if len(r.vectors) > 0 {
				v, r.vectors = r.vectors[0], r.vectors[1:]
			}
			return v
		},
		GiveVector: func(v uint8) { r.vectors = append(r.vectors, v) },
		Target:     func() uint32 { return r.apic },
		Attach: func(a abi.PCIAddr) abi.Status {
			r.attached[a] = true
			return abi.OK
		},
		Detach: func(a abi.PCIAddr) bool {
			delete(r.attached, a)
			return !r.slow
		},
		Message: Message,
		Lines:   map[uint32]uint32{},
		ISA:     func(irq uint8) uint32 { return uint32(irq) },
		Pin: func(gsi uint32, edge bool, v uint8, apic uint32) bool {
			r.pins[v] = gsi
			r.edges[v] = edge
			return gsi < 24
		},
		MaskPin:   func(v uint8) { r.pinned = append(r.pinned, fmt.Sprintf("mask %#x", v)) },
		DropPin:   func(v uint8) { r.pinned = append(r.pinned, fmt.Sprintf("drop %#x", v)) },
		UnmaskPin: func(v uint8) { r.pinned = append(r.pinned, fmt.Sprintf("unmask %#x", v)) },
		Silence:   func(a abi.PCIAddr, v uint8) { r.silent = append(r.silent, v) },
		Raise:     func(port uint32) { r.raised = append(r.raised, port) },
		Kept:      [][2]uint64{{0xfec00000, 0xfef00000}},
	})
	return r
}

func (r *rig) want(what string, got, want abi.Status) {
	r.t.Helper()
	if got != want {
		r.t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func (r *rig) command(a abi.PCIAddr) uint32 { return r.at[a].reg[1] & 0xffff }

// give maps a base address.
func (r *rig) give(a abi.PCIAddr, bar uint64) (st abi.Status) {
	r.addr, st = r.Map(a, bar, func(p Mapped) abi.Status {
		if p.Start == r.refused {
			return abi.NoMemory
		}
		r.mapped = append(r.mapped, p)
		return abi.OK
	})
	return st
}

// unmap takes away what lies in p.
func (r *rig) unmap(p Mapped) bool {
	r.mapped = slices.DeleteFunc(r.mapped, func(m Mapped) bool { return p.Start <= m.Start && m.Start+m.Size <= p.Start+p.Size })
	return true
}

// release gives a function back, in time that passes while it waits.
func (r *rig) release(a abi.PCIAddr, step uint64) abi.Status {
	for range 1000 {
		st := r.Release(a, r.unmap)
		if st != abi.Again {
			return st
		}
		r.now += step
	}
	r.t.Fatal("it never ends")
	return 0
}

func TestAssign(t *testing.T) {
	r := newRig(t)
	r.want("a bridge", r.Assign(bridge), abi.Denied)
	r.want("nothing", r.Assign(at(9, 9, 1)), abi.NoDevice)
	r.want("a register of one that is free", r.Write(disk, 4, 2, 4), abi.Denied)
	r.at[disk].reg[0x40/4] |= 0x80000000 // firmware uses its interrupts
	r.want("the disk", r.Assign(disk), abi.OK)
	r.want("again", r.Assign(disk), abi.Exists)
	if !r.attached[disk] || len(r.attached) != 1 {
		t.Errorf("attached: %v", r.attached)
	}
	if c, m := r.command(disk), r.at[disk].reg[0x40/4]>>30; c != 0x403 || m != 1 {
		t.Errorf("command %#x, MSI-X %#x: not quiet", c, m)
	}
	if f, _ := r.At(0); f.Flags&abi.PCIAssigned == 0 {
		t.Error("it is not said to be assigned")
	}
	r.at[plain].reg[0] = ^uint32(0)
	r.want("one that was taken out", r.Assign(plain), abi.NoDevice)
}

// A function without power gets it, and what it has lost meanwhile.
func TestAssignWakes(t *testing.T) {
	r := newRig(t)
	d := r.at[disk]
	d.reg[0x84/4] = 3
	r.want("in D3hot", r.Assign(disk), abi.Again)
	if d.reg[0x84/4] != 0 || len(r.attached) != 0 {
		t.Errorf("state %d, attached: %v", d.reg[0x84/4], r.attached)
	}
	d.reg[1], d.reg[4], d.reg[5] = 0, 0, 0
	r.now += wakeTime - 1
	r.want("too early", r.Assign(disk), abi.Again)
	if d.reg[5] != 0 {
		t.Error("touched too early")
	}
	r.now++
	r.want("awake", r.Assign(disk), abi.OK)
	if d.reg[5] != 0xe0 || r.command(disk) != 0x403 || !r.attached[disk] {
		t.Errorf("base address %#x, command %#x, attached: %v", d.reg[5], r.command(disk), r.attached)
	}
	r.want("again", r.Assign(disk), abi.Exists)
}

// Of configuration space dom0 writes what is listed, and nothing else changes.
func TestWrite(t *testing.T) {
	r := newRig(t)
	r.Assign(disk)
	d := r.at[disk]
	for _, c := range []struct {
		reg, size uint64
		v         uint32
		st        abi.Status
		at        int
		want      uint32
	}{
		{4, 2, 0xffff, abi.OK, 4, statusCaps | 0x407},
		{4, 2, 0, abi.OK, 4, statusCaps | 0x400},
		{5, 1, 4, abi.Denied, 4, statusCaps | 0x400},
		{6, 2, 0xffff, abi.Denied, 4, statusCaps | 0x400},
		{0x10, 4, ^uint32(0), abi.Denied, 0x10, 4},
		{0x30, 4, ^uint32(0), abi.Denied, 0x30, 0},
		{0x40, 4, ^uint32(0), abi.Denied, 0x40, 0x40026011},
		{0x42, 2, 0x8000, abi.Denied, 0x40, 0x40026011},
		{0x68, 2, 0xffff, abi.OK, 0x68, expressMay}, // no reset
		{0x84, 2, 3, abi.Denied, 0x84, 0},
		{0x94, 4, 0x12345678, abi.OK, 0x94, 0x12345678},
		{0xa0, 4, 0x12345678, abi.OK, 0xa0, 0x12345678},
		{0xa0, 2, 0x12345, abi.BadArg, 0xa0, 0x12345678},
		{0xa1, 2, 0, abi.BadArg, 0xa0, 0x12345678},
		{0xa0, 3, 0, abi.BadArg, 0xa0, 0x12345678},
		{0xa0, 8, 0, abi.BadArg, 0xa0, 0x12345678},
		{0x100, 4, 0, abi.Denied, 0x100, 0},
		{4096, 4, 0, abi.BadArg, 0, 0x00101b36},
		{^uint64(3), 4, 0, abi.BadArg, 0, 0x00101b36},
	} {
		r.want(fmt.Sprintf("%d bytes %#x to %#x", c.size, c.v, c.reg), r.Write(disk, c.reg, c.size, c.v), c.st)
		if got := d.reg[c.at/4]; got != c.want {
			t.Errorf("after %d bytes %#x to %#x: %#x is %#x, want %#x", c.size, c.v, c.reg, c.at, got, c.want)
		}
	}
	if len(r.wrongs) > 0 {
		t.Error(r.wrongs)
	}
}

func TestMSIX(t *testing.T) {
	r := newRig(t)
	const port = abi.PortDevice
	if _, st := r.Bind(disk, abi.IRQMSIX, 0, port); st != abi.Denied {
		t.Errorf("one that is free: %v", st)
	}
	r.Assign(disk)
	for _, c := range []struct {
		kind        abi.IRQKind
		entry, port uint64
		st          abi.Status
	}{
		{abi.IRQMSIX, 3, port, abi.NoDevice}, {abi.IRQMSIX, ^uint64(0), port, abi.NoDevice}, {abi.IRQMSI, 0, port, abi.NoDevice},
		{abi.IRQMSIX, 1, abi.PortDomain, abi.BadArg}, {abi.IRQMSIX, 1, abi.PortDevice + abi.NumDevicePorts, abi.BadArg},
		{abi.IRQMSIX, 1, 1<<32 + port, abi.BadArg}, {abi.IRQLine + 1, 0, port, abi.BadArg},
	} {
		if _, st := r.Bind(disk, c.kind, c.entry, c.port); st != c.st {
			t.Errorf("%+v: %v", c, st)
		}
	}
	r.apic = 5
	h, st := r.Bind(disk, abi.IRQMSIX, 1, port)
	table := r.memory[0xe0_0000_2000]
	if st != abi.OK || len(table) != 12 || table[4] != 0xfee05000 || table[5] != 0 || table[6] != 0x40 || table[3]&table[11]&1 != 1 || table[7]&1 != 0 {
		t.Fatalf("%v, %#x", st, table)
	}
	if c := r.at[disk].reg[0x40/4] >> 30; c != 2 {
		t.Errorf("enabled and not masked: %d", c)
	}
	r.Deliver(0x40)
	r.Deliver(0x41)
	if fmt.Sprint(r.raised) != "[320]" {
		t.Errorf("raised %v", r.raised)
	}
	if _, st := r.Bind(disk, abi.IRQMSIX, 1, port+1); st != abi.Exists {
		t.Errorf("an entry twice: %v", st)
	}
	if _, st := r.Bind(disk, abi.IRQMSIX, 2, port); st != abi.Exists {
		t.Errorf("a port twice: %v", st)
	}
	r.want("mask", r.Mask(h, 1), abi.OK)
	if table[7]&1 != 1 {
		t.Error("not masked")
	}
	r.want("unmask", r.Mask(h, 0), abi.OK)
	if table[7]&1 != 0 {
		t.Error("masked")
	}
	r.want("both", r.Mask(h, 2), abi.BadArg)
	for _, h := range []uint64{1, 63, 64, ^uint64(0)} {
		r.want("mask what is not bound", r.Mask(h, 1), abi.BadArg)
		r.want("unbind what is not bound", r.Unbind(h), abi.BadArg)
	}
	r.want("unbind", r.Unbind(h), abi.OK)
	r.Deliver(0x40)
	if len(r.raised) != 1 || table[7]&1 != 1 || len(r.vectors) != 3 {
		t.Errorf("after the end: raised %v, table %#x, vectors %v", r.raised, table, r.vectors)
	}
	r.apic = noAPIC
	if _, st := r.Bind(disk, abi.IRQMSIX, 1, port); st != abi.NoSlot {
		t.Errorf("no message reaches that CPU: %v", st)
	}
	r.apic, r.vectors = 0, nil
	if _, st := r.Bind(disk, abi.IRQMSIX, 1, port); st != abi.NoSlot {
		t.Errorf("no vector: %v", st)
	}
}

// A table of messages that is not within a base address is none.
func TestLyingMSIX(t *testing.T) {
	for _, at := range []uint32{0x3ff0, 0x4000, 0xfffffff0, 1, 2, 6, 7} {
		r := newRig(t)
		r.at[disk].reg[0x44/4] = at
		r.Assign(disk)
		if _, st := r.Bind(disk, abi.IRQMSIX, 0, abi.PortDevice); st != abi.NoDevice {
			t.Errorf("table at %#x: %v", at, st)
		}
		r.want("a base address", r.give(disk, 0), abi.OK)
		for _, p := range r.mapped {
			if p.Start < 0xe0<<32 || p.Start+p.Size > 0xe0<<32+0x4000 {
				t.Errorf("table at %#x: %#x bytes at %#x are mapped", at, p.Size, p.Start)
			}
		}
		r.want("its end", r.release(disk, 1e7), abi.OK)
	}
}

func TestMSI(t *testing.T) {
	r := newRig(t)
	r.Assign(plain)
	if _, st := r.Bind(plain, abi.IRQMSIX, 0, abi.PortDevice); st != abi.NoDevice {
		t.Errorf("MSI-X: %v", st)
	}
	if _, st := r.Bind(plain, abi.IRQMSI, 1, abi.PortDevice); st != abi.NoDevice {
		t.Errorf("a second message: %v", st)
	}
	h, st := r.Bind(plain, abi.IRQMSI, 0, abi.PortDevice+1)
	d := r.at[plain]
	if st != abi.OK || d.reg[0x40/4]>>16 != 0x81 || d.reg[0x44/4] != 0xfee00000 || d.reg[0x48/4] != 0 || d.reg[0x4c/4] != 0x40 {
		t.Errorf("%v, %#x", st, d.reg[0x40/4:0x50/4])
	}
	r.Deliver(0x40)
	r.want("mask", r.Mask(h, 1), abi.OK)
	if d.reg[0x40/4]>>16 != 0x80 || fmt.Sprint(r.raised) != "[321]" {
		t.Errorf("%#x, raised %v", d.reg[0x40/4], r.raised)
	}
}

// What is given back is quiet, unmapped and reset, and can be had again.
func TestRelease(t *testing.T) {
	r := newRig(t)
	r.want("one that is free", r.Release(disk, nil), abi.Denied)
	r.want("nothing", r.Release(at(9, 9, 1), nil), abi.NoDevice)
	d := r.at[disk]
	for range 2 {
		r.Assign(disk)
		r.give(disk, 0)
		r.Write(disk, 4, 2, 6)
		r.Bind(disk, abi.IRQMSIX, 0, abi.PortDevice)
		d.reg[0x68/4] = pending // what it has begun takes its time
		r.mapped = nil
		if st := r.Release(disk, nil); st != abi.Again || r.command(disk)&commandMaster != 0 || d.reg[0x40/4]>>31 != 0 || len(r.vectors) != 3 {
			t.Fatalf("%v, command %#x, MSI-X %#x, vectors %v", st, r.command(disk), d.reg[0x40/4]>>30, r.vectors)
		}
		r.want("meanwhile", r.Assign(disk), abi.Busy)
		r.want("a register meanwhile", r.Write(disk, 4, 2, 4), abi.Denied)
		unmapped := false
		for range 5 {
			r.want("it waits", r.Release(disk, func(Mapped) bool { unmapped = true; return true }), abi.Again)
		}
		if unmapped {
			t.Error("unmapped while it works")
		}
		d.reg[0x68/4] = 0
		r.want("unmapping takes a while", r.Release(disk, func(Mapped) bool { return false }), abi.Again)
		r.slow = true
		r.want("memory is remembered", r.Release(disk, func(Mapped) bool { return true }), abi.Again)
		if d.reg[0x68/4]&startReset != 0 || len(r.attached) != 0 {
			t.Errorf("control %#x, attached %v", d.reg[0x68/4], r.attached)
		}
		r.slow = false
		r.want("a step", r.Release(disk, func(Mapped) bool { t.Error("unmapped again"); return true }), abi.Again)
		if d.reg[0x68/4]&startReset == 0 {
			t.Errorf("control %#x", d.reg[0x68/4])
		}
		id := d.reg[0]
		d.reg[0], d.reg[4], d.reg[5], d.reg[1] = ^uint32(0), 4, 0, statusCaps // it comes back after a while, with nothing
		r.now += resetTime + awakeTime/2
		r.want("it is not back yet", r.Release(disk, nil), abi.Again)
		d.reg[0] = id
		r.want("the end", r.Release(disk, nil), abi.OK)
		if len(r.silent) == 0 || d.reg[5] != 0xe0 || r.command(disk) != 0x403 {
			t.Errorf("base address %#x, command %#x", d.reg[5], r.command(disk))
		}
	}
	// One that does not come back is nobody's.
	r.Assign(disk)
	r.Release(disk, nil)
	r.Release(disk, nil)
	d.reg[0] = ^uint32(0)
	r.want("gone", r.release(disk, 1e8), abi.NoDevice)
	r.want("afterwards", r.Assign(disk), abi.Denied)
}

// One that was taken out while dom0 had it ends at once, and one without a reset is free.
func TestReleaseWithoutReset(t *testing.T) {
	r := newRig(t)
	r.Assign(disk)
	r.at[disk].reg[0] = ^uint32(0)
	r.want("taken out", r.release(disk, 0), abi.OK)
	r.Assign(plain)
	r.give(plain, 0)
	r.want("no reset", r.release(plain, 0), abi.OK)
	r.want("again", r.Assign(plain), abi.OK)
	r.Write(plain, 4, 2, 6)
	r.Stop()
	if c := r.command(plain); c != 0x402 {
		t.Errorf("command %#x after the end", c)
	}
}
