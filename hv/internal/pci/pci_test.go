// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package pci

import (
	"fmt"
	"strings"
	"testing"

	"ringo/hv/abi"
)

// fake is a function whose registers are writable where mask says so.
type fake struct {
	reg  [ExtendedSize / 4]uint32
	mask [ExtendedSize / 4]uint32
}

// machine is PCI functions behind the ports, and behind windows. It notes what must not
// be done.
type machine struct {
	at      map[abi.PCIAddr]*fake
	address uint32
	absent  bool // there is no mechanism #1
	wrongs  []string
	asked   map[abi.PCIAddr]bool
}

func newMachine() *machine {
	return &machine{at: map[abi.PCIAddr]*fake{}, asked: map[abi.PCIAddr]bool{}}
}

// add makes a function with a command that cannot set reserved bits.
func (m *machine) add(a abi.PCIAddr, id, class, command uint32) *fake {
	d := &fake{}
	d.reg[regID/4], d.reg[regClass/4], d.reg[regCommand/4] = id, class<<8|7, command
	d.mask[regCommand/4] = 0x7
	m.at[a] = d
	return d
}

func (d *fake) bar(i int, value, mask uint32) {
	d.reg[regBAR/4+i], d.mask[regBAR/4+i] = value, mask
}

func (m *machine) Out(port uint16, v uint32) {
	switch {
	case m.absent:
	case port == portAddress:
		m.address = v & (enable | 0xfffffc)
	case port == portData && m.address&enable != 0:
		m.write(abi.PCIAddr(m.address>>8&0xffff), m.address&0xfc/4, v)
	}
}

func (m *machine) In(port uint16) uint32 {
	switch {
	case m.absent:
	case port == portAddress:
		return m.address
	case port == portData && m.address&enable != 0:
		a := abi.PCIAddr(m.address >> 8 & 0xffff)
		m.asked[a] = true
		if d := m.at[a]; d != nil {
			return d.reg[m.address&0xfc/4]
		}
	}
	return ^uint32(0)
}

func (m *machine) write(a abi.PCIAddr, n, v uint32) {
	d := m.at[a]
	if d == nil {
		return
	}
	if n >= regBAR/4 && n < regBAR/4+6 && v != d.reg[n] && d.reg[regCommand/4]&3 != 0 {
		m.wrongs = append(m.wrongs, fmt.Sprintf("base address %d of %#x moved while it decodes", n, a))
	}
	if n == regCommand/4 && v>>16 != 0 {
		m.wrongs = append(m.wrongs, fmt.Sprintf("status of %#x cleared", a))
	}
	d.reg[n] = d.reg[n]&^d.mask[n] | v&d.mask[n]
}

// window shows the functions of a segment as memory.
func (m *machine) window(segment uint16, first, last uint8) Window {
	none := ^uint32(0)
	return Window{segment, first, last, func(bus, dev, fn uint8, reg uint16) *uint32 {
		a := abi.NewPCIAddr(segment, bus, dev, fn)
		m.asked[a] = true
		if d := m.at[a]; d != nil {
			return &d.reg[reg/4]
		}
		return &none
	}}
}

func at(bus, dev, fn uint8) abi.PCIAddr { return abi.NewPCIAddr(0, bus, dev, fn) }

func TestAddress(t *testing.T) {
	a := abi.NewPCIAddr(0x1234, 0x56, 0x1f, 7)
	if a != 0x123456ff || a.Segment() != 0x1234 || a.Bus() != 0x56 || a.Device() != 0x1f || a.Function() != 7 {
		t.Errorf("%#x", a)
	}
}

// What firmware has assigned is found as it was, with its size, and still there
// afterwards.
func TestBaseAddresses(t *testing.T) {
	m := newMachine()
	d := m.add(at(0, 3, 0), 0x10d38086, 0x020000, 0x0010_0003)
	d.bar(0, 0xfebc0000, 0xfffe0000)  // 128 KiB
	d.bar(1, 0xc001, 0xffffffe0)      // 32 ports
	d.bar(2, 0x0000_000c, 0xffffc000) // 64 bits, prefetchable, 16 KiB
	d.bar(3, 0xe0, 0xffffffff)        // at 896 GiB
	d.bar(4, 0, 0xfffff000)           // not assigned
	d.reg[regSubsystem/4] = 0x12345678
	large := m.add(at(0, 4, 0), 0x11112222, 0x030000, 0) // 8 GiB
	large.bar(0, 4, 0)
	large.bar(1, 0, 0xfffffffe)
	tab := NewTable(NewSpace(m, nil))
	if len(m.wrongs) > 0 || len(tab.Functions) != 2 {
		t.Fatal(m.wrongs, tab.Functions)
	}
	f := tab.Functions[0]
	want := [6]abi.PCIBAR{
		{Addr: 0xfebc0000, Size: 128 << 10, Flags: abi.BARPresent},
		{Addr: 0xc000, Size: 32, Flags: abi.BARPresent | abi.BARPort},
		{Addr: 0xe0 << 32, Size: 16 << 10, Flags: abi.BARPresent | abi.BAR64 | abi.BARPrefetch},
		{},
		{Size: 4096, Flags: abi.BARPresent},
		{},
	}
	if f.BAR != want {
		t.Errorf("%+v\nwant %+v", f.BAR, want)
	}
	if f.Vendor != 0x8086 || f.Device != 0x10d3 || f.Class != 0x020000 || f.Revision != 7 || f.Subvendor != 0x5678 || f.Subdevice != 0x1234 {
		t.Errorf("%+v", f)
	}
	if got := tab.Functions[1].BAR[0]; got.Size != 8<<30 || got.Flags&abi.BAR64 == 0 {
		t.Errorf("large window %+v", got)
	}
	if d.reg[regBAR/4] != 0xfebc0000 || d.reg[regBAR/4+3] != 0xe0 || d.reg[regCommand/4] != 0x0010_0003 {
		t.Errorf("firmware's registers changed: %#x", d.reg[:10])
	}
}

// Bridges and interrupt controllers go on decoding.
func TestDecodersLeftAlone(t *testing.T) {
	m := newMachine()
	for i, class := range []uint32{0x060000, 0x060100, 0x080020, 0x080600} {
		d := m.add(at(0, uint8(i), 0), 0x11118086, class, 3)
		d.bar(0, 0xfec00000, 0xfffff000)
		d.mask[regCommand/4] = 0
		d.mask[regBAR/4] = 0
	}
	tab := NewTable(NewSpace(m, nil))
	for _, f := range tab.Functions {
		if b := f.BAR[0]; b.Addr != 0xfec00000 || b.Size != 0 || f.BAR[1] != (abi.PCIBAR{}) {
			t.Errorf("class %#x: %+v", f.Class, f.BAR)
		}
	}
	if len(m.wrongs) > 0 {
		t.Error(m.wrongs)
	}
}

// bridge makes a bridge to PCI, of an Express port if kind is not negative.
func (m *machine) bridge(a abi.PCIAddr, secondary, last uint32, kind int) {
	d := m.add(a, 0x000c1b36, 0x060400, 7)
	d.reg[regHeader/4] = 1 << 16
	d.reg[regBuses/4] = last<<16 | secondary<<8 | uint32(a.Bus())
	if kind >= 0 {
		d.reg[regCommand/4] |= statusCaps
		d.reg[regCaps/4] = 0x40
		d.reg[0x40/4] = 0x5001 // another one before it
		d.reg[0x50/4] = capExpress | uint32(kind)<<expressType
	}
}

func TestBridges(t *testing.T) {
	m := newMachine()
	m.bridge(at(0, 1, 0), 1, 3, rootPort)
	m.bridge(at(1, 0, 0), 2, 2, -1)
	m.add(at(1, 5, 0), 0x11112222, 0x020000, 0) // a ghost behind the link
	m.add(at(2, 31, 0), 0x11112222, 0x020000, 0).reg[regHeader/4] = headerMulti << 16
	m.add(at(2, 31, 7), 0x11113333, 0x020000, 0)
	m.add(at(2, 30, 1), 0x11114444, 0x020000, 0)    // no function 0: no device
	m.add(at(0x80, 0, 0), 0x11115555, 0x060000, 0)  // another root
	m.add(at(0x80, 3, 1), 0x11116666, 0x020000, 0)  // of a device with one function
	m.add(at(0x80, 3, 0), 0x11116666, 0x0c0330, 0)  //
	m.add(at(0xff, 31, 0), 0x11117777, 0x088000, 0) // the last there can be
	tab := NewTable(NewSpace(m, nil))
	var got []string
	for _, f := range tab.Functions {
		got = append(got, fmt.Sprintf("%x", uint32(f.Addr)))
	}
	if s := strings.Join(got, " "); s != "8 100 2f8 2ff 8000 8018 fff8" {
		t.Error(s)
	}
	if m.asked[at(1, 1, 0)] {
		t.Error("a link was asked for its device 1")
	}
	if f := tab.find(at(0, 1, 0)); f < 0 || tab.Functions[f].Secondary != 1 || tab.Functions[f].Subordinate != 3 {
		t.Errorf("%+v", f)
	}
	if tab.find(at(1, 5, 0)) >= 0 {
		t.Error("found what is not there")
	}
}

// A list of capabilities that goes round in circles, or leads into the header, ends.
func TestCapabilityLoop(t *testing.T) {
	m := newMachine()
	d := m.add(at(0, 1, 0), 0x11112222, 0x020000, statusCaps)
	d.reg[regCaps/4] = 0x42 // the low bits are reserved
	d.reg[0x40/4] = 0x4001
	tab := NewTable(NewSpace(m, nil))
	if got := tab.capability(at(0, 1, 0), capExpress); got != 0 {
		t.Errorf("%#x", got)
	}
	if got := tab.capability(at(0, 1, 0), 1); got != 0x40 {
		t.Errorf("%#x", got)
	}
	d.reg[0x40/4] = 0x0401
	if got := tab.capability(at(0, 1, 0), capExpress); got != 0 {
		t.Errorf("%#x", got)
	}
}

func TestQuiesce(t *testing.T) {
	m := newMachine()
	kinds := []struct {
		class, before, after, flags uint32
	}{
		{0x010802, 0x0010_0107, 0x0010_0503, abi.PCIStopped},
		{0x020000, 4, 0x400, abi.PCIStopped},
		{0x020000, 3, 0x403, 0},
		{0x020000, 0x403, 0x403, 0},
		{0x080600, 7, 3, abi.PCIStopped},
		{0x080600, 3, 3, 0},
		{0x060400, 7, 7, 0},
		{0x030000, 7, 7, abi.PCIMaster},
		{0x0c0330, 6, 6, abi.PCIMaster},
		{0x0c0500, 5, 0x401, abi.PCIStopped},
		{0xff0000, 7, 0x403, abi.PCIStopped},
	}
	for i, k := range kinds {
		d := m.add(at(0, uint8(i), 0), 0x11112222, k.class, k.before)
		d.mask[regCommand/4] = 0x547
		d.reg[regCaps/4] = 0
	}
	tab := NewTable(NewSpace(m, nil))
	if n := tab.Quiesce(); n != 5 {
		t.Errorf("%d stopped", n)
	}
	for i, k := range kinds {
		got := m.at[at(0, uint8(i), 0)].reg[regCommand/4]
		if got != k.after || tab.Functions[i].Flags != k.flags {
			t.Errorf("class %#x: command %#x, flags %#x; want %#x, %#x", k.class, got, tab.Functions[i].Flags, k.after, k.flags)
		}
	}
	if len(m.wrongs) > 0 {
		t.Error(m.wrongs)
	}
}

// Windows show other segments, extended registers, and everything where there are no
// ports.
func TestWindows(t *testing.T) {
	m := newMachine()
	express := func(a abi.PCIAddr) *fake {
		d := m.add(a, 0x11112222, 0x088000, statusCaps) // not measured: windows have no masks
		d.reg[regCaps/4], d.reg[0x40/4] = 0x40, capExpress
		d.reg[0x100/4], d.reg[0xffc/4] = 0x14c3_0001, 0x99
		return d
	}
	express(at(0, 1, 0))
	express(at(9, 1, 0)) // outside the window
	express(abi.NewPCIAddr(7, 3, 0, 0))
	m.add(at(0, 2, 0), 0x11113333, 0x088000, 0) // not Express
	windows := []Window{m.window(0, 0, 8), m.window(7, 3, 4)}
	tab := NewTable(NewSpace(m, windows))
	if len(tab.Functions) != 4 {
		t.Fatal(tab.Functions)
	}
	for a, want := range map[abi.PCIAddr]uint32{
		at(0, 1, 0): 0x14c30001, at(9, 1, 0): 0xffffffff, at(0, 2, 0): 0xffffffff, abi.NewPCIAddr(7, 3, 0, 0): 0x14c30001,
	} {
		if got, st := tab.Read(a, 0x100, 4); st != abi.OK || got != want {
			t.Errorf("%#x: %#x, %v", uint32(a), got, st)
		}
	}
	m.absent = true
	if n := len(NewTable(NewSpace(m, windows)).Functions); n != 3 {
		t.Errorf("%d functions without ports", n)
	}
	if n := len(NewTable(NewSpace(nil, nil)).Functions); n != 0 {
		t.Errorf("%d functions without a mechanism", n)
	}
	if v := NewSpace(nil, nil).Load(at(0, 0, 0), 0); v != ^uint32(0) {
		t.Errorf("%#x where nothing answers", v)
	}
}

// A window that shows another bus' registers, as broken firmware has it, is no source
// of extended registers.
func TestWrongWindow(t *testing.T) {
	m := newMachine()
	d := m.add(at(0, 1, 0), 0x11112222, 0x020000, statusCaps)
	d.reg[regCaps/4], d.reg[0x40/4] = 0x40, capExpress
	w := Window{0, 0, 255, func(uint8, uint8, uint8, uint16) *uint32 { v := uint32(0xdead); return &v }}
	if f := NewTable(NewSpace(m, []Window{w})).Functions; len(f) != 1 || f[0].Flags&abi.PCIExtended != 0 {
		t.Errorf("%+v", f)
	}
}

func TestRead(t *testing.T) {
	m := newMachine()
	m.add(at(0, 1, 0), 0x11112222, 0x020000, 0)
	m.at[at(0, 1, 0)].reg[0x44/4] = 0x44332211
	tab := NewTable(NewSpace(m, nil))
	for _, c := range []struct {
		reg, size uint64
		want      uint32
		st        abi.Status
	}{
		{0x44, 4, 0x44332211, abi.OK}, {0x46, 2, 0x4433, abi.OK}, {0x45, 1, 0x22, abi.OK}, {0x47, 1, 0x44, abi.OK},
		{0x45, 2, 0, abi.BadArg}, {0x44, 3, 0, abi.BadArg}, {0x44, 8, 0, abi.BadArg}, {0x44, 0, 0, abi.BadArg},
		{4096, 4, 0, abi.BadArg}, {^uint64(3), 4, 0, abi.BadArg}, {4092, 4, 0xffffffff, abi.OK}, {0x101, 1, 0xff, abi.OK},
	} {
		if got, st := tab.Read(at(0, 1, 0), c.reg, c.size); got != c.want || st != c.st {
			t.Errorf("%d bytes at %#x: %#x, %v", c.size, c.reg, got, st)
		}
	}
	if _, st := tab.Read(at(0, 2, 0), 0, 4); st != abi.NoDevice {
		t.Error(st)
	}
}

// A machine on which everything answers does not fill the memory.
func TestTooMany(t *testing.T) {
	tab := NewTable(NewSpace(everywhere{}, nil))
	if !tab.Full || len(tab.Functions) != MaxFunctions {
		t.Errorf("%d functions", len(tab.Functions))
	}
}

// everywhere is a bus where each address answers.
type everywhere struct{}

func (everywhere) Out(uint16, uint32) {}
func (everywhere) In(port uint16) uint32 {
	if port == portAddress {
		return enable
	}
	return 0x00800080
}
