// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package hardware

import (
	"slices"
	"strings"
	"testing"

	"ringo/drivers/ata/atatest"
	"ringo/drivers/block"
	"ringo/drivers/dma"
	"ringo/drivers/ide/idetest"
	"ringo/drivers/reg"
	"ringo/hv/abi"
)

const atIDE = abi.BARPresent | abi.BARPort | abi.BARFixed

// piix is a controller whose second channel is empty.
var piix = abi.PCIFunction{Addr: 9, Class: 0x010180, Vendor: 0x8086, Device: 0x7010, BAR: [6]abi.PCIBAR{
	{Addr: 0x1f0, Size: 8, Flags: atIDE}, {Addr: 0x3f6, Size: 1, Flags: atIDE}, {Addr: 0x170, Size: 8, Flags: atIDE},
	{Addr: 0x376, Size: 1, Flags: atIDE}, {Addr: 0xc200, Size: 16, Flags: abi.BARPresent | abi.BARPort},
}}

// portsOf are the ports at which a channel is, as the first one.
func portsOf(c *idetest.Channel) PortIO {
	find := func(port uint16) (reg.Window, uint32) {
		for first, w := range map[uint16]reg.Window{0x1f0: c.Command(), 0x3f6: c.Control(), 0xc200: c.Master()} {
			if port >= first && uint32(port-first) < w.Size() {
				return w, uint32(port - first)
			}
		}
		return nil, 0
	}
	return PortIO{
		In: func(port uint16, size uint8) uint32 {
			switch w, off := find(port); {
			case w == nil:
				return ^uint32(0)
			case size == 1:
				return uint32(w.Read8(off))
			case size == 2:
				return uint32(w.Read16(off))
			default:
				return w.Read32(off)
			}
		},
		Out: func(port uint16, size uint8, v uint32) {
			switch w, off := find(port); {
			case w == nil:
			case size == 1:
				w.Write8(off, uint8(v))
			case size == 2:
				w.Write16(off, uint16(v))
			default:
				w.Write32(off, v)
			}
		},
	}
}

// A controller in compatibility mode has disks by channel and drive, which interrupt by
// the lines of the AT; it keeps its ports when it becomes a bus master.
func TestIDE(t *testing.T) {
	c := idetest.New()
	c.Drives[1] = atatest.NewCD(100)
	m := &machine{all: []abi.PCIFunction{piix}, bind: func(_ int, f func()) error { return c.Bind(f) }}
	r := newRigWith(m, nil, c, portsOf(c))
	r.Start()
	var names []string
	for _, d := range r.Disks() {
		names = append(names, d.Name)
	}
	if !slices.Equal(names, []string{"ide0c0d0", "ide0c0d1"}) {
		t.Fatalf("disks %v, log %q", names, r.log)
	}
	for _, want := range []string{"map 0", "map 1", "map 4", "bind 2"} {
		if !slices.Contains(m.calls, want) {
			t.Errorf("no %s: %v", want, m.calls)
		}
	}
	if m.command != 7 {
		t.Errorf("command %#x", m.command)
	}
	d := r.Disk("ide0c0d0")
	data, _ := c.Alloc(4096, 4096)
	copy(data.Bytes, "something")
	if err := d.do(block.Request{Op: block.Write, Start: 8, Blocks: 8, Data: []dma.Segment{data}}); err != nil {
		t.Fatal(err)
	}
	clear(data.Bytes)
	if err := d.do(block.Request{Op: block.Read, Start: 8, Blocks: 8, Data: []dma.Segment{data}}); err != nil || !strings.HasPrefix(string(data.Bytes), "something") {
		t.Errorf("%v, %q", err, data.Bytes[:10])
	}
	if w := c.Wrongs(); len(w) > 0 || len(r.log) > 0 {
		t.Error(w, r.log)
	}
}

// A controller without drives, or in native mode, is given back, with a line.
func TestNoIDE(t *testing.T) {
	for name, want := range map[string]string{
		"empty":  "ide0 at 00:01.1 is not used: there are no drives",
		"native": "ide0: channel 0 is not used: it is in native mode; ide0 at 00:01.1 is not used: there are no drives",
	} {
		c, f := idetest.New(), piix
		switch name {
		case "empty":
			c.Drives[0] = nil
		case "native":
			f.BAR[0].Flags = abi.BARPresent | abi.BARPort
		}
		m := &machine{all: []abi.PCIFunction{f}}
		r := newRigWith(m, nil, c, portsOf(c))
		r.Start()
		if got := strings.Join(r.log, "; "); got != want || m.calls[len(m.calls)-1] != "release 0" {
			t.Errorf("%s: %q, %v", name, got, m.calls)
		}
	}
}

// An access beyond a window's end, or an unaligned one, is a mistake of the driver's.
func TestPortWindow(t *testing.T) {
	var said []uint32
	w := PortIO{
		In:  func(port uint16, size uint8) uint32 { return uint32(port)<<8 | uint32(size) },
		Out: func(port uint16, size uint8, v uint32) { said = append(said, uint32(port)<<8|uint32(size), v) },
	}.Window(0x1f0, 8)
	if got := []uint64{uint64(w.Read8(7)), uint64(w.Read16(2)), uint64(w.Read32(4)), w.Read64(0)}; !slices.Equal(got, []uint64{0x01, 0xf202, 0x1f404, 0x1f4040001f004}) || w.Size() != 8 {
		t.Errorf("%#x", got)
	}
	w.Write8(7, 1)
	w.Write16(0, 2)
	w.Write64(0, 4<<32|3)
	if !slices.Equal(said, []uint32{0x1f701, 1, 0x1f002, 2, 0x1f004, 3, 0x1f404, 4}) {
		t.Errorf("%#x", said)
	}
	one := PortIO{}.Window(0x3f6, 1)
	for _, f := range []func(){func() { one.Read16(0) }, func() { w.Read8(8) }, func() { w.Read16(1) }, func() { w.Read64(4) }, func() { w.Write32(6, 0) }} {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("it was made")
				}
			}()
			f()
		}()
	}
}
