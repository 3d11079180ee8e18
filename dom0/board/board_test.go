// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package board

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/hv/abi"
	"ringo/hv/bus"
)

const mib = 1 << 20

func TestLayout(t *testing.T) {
	const hole = HoleBase
	ecam := [3]uint64{hole, 3 << 30, 2}
	for _, c := range []struct {
		memory   uint64
		base     uint64
		map820   [][3]uint64
		populate [][3]uint64
	}{
		{4 * mib, 0, [][3]uint64{{0, 0xa0000, 1}, {0xc0000, 0xe0000, 2}, {0xe0000, mib, 3}, {mib, 4 * mib, 1}, ecam},
			[][3]uint64{{0, 0xa0000, 1}, {0xc0000, 4 * mib, 1}}},
		{512*mib + 5000, 0, [][3]uint64{{0, 0xa0000, 1}, {0xc0000, 0xe0000, 2}, {0xe0000, mib, 3}, {mib, 512*mib + 4096, 1}, ecam},
			[][3]uint64{{0, 0xa0000, 1}, {0xc0000, 512*mib + 4096, 1}}},
		{hole, 0, [][3]uint64{{0, 0xa0000, 1}, {0xc0000, 0xe0000, 2}, {0xe0000, mib, 3}, {mib, hole, 1}, ecam},
			[][3]uint64{{0, 0xa0000, 1}, {0xc0000, hole, 1}}},
		{5 << 30, 0, [][3]uint64{{0, 0xa0000, 1}, {0xc0000, 0xe0000, 2}, {0xe0000, mib, 3}, {mib, hole, 1}, ecam, {4 << 30, 9<<30 - hole, 1}},
			[][3]uint64{{0, 0xa0000, 1}, {0xc0000, hole, 1}, {4 << 30, 9<<30 - hole, 1}}},
		{64 * mib, 256 * mib, [][3]uint64{{0, 0xa0000, 1}, {0xc0000, 0xe0000, 2}, {0xe0000, mib, 3}, {mib, 2 * mib, 1}, {256 * mib, 318 * mib, 1}, ecam},
			[][3]uint64{{0, 0xa0000, 1}, {0xc0000, 2 * mib, 1}, {256 * mib, 318 * mib, 1}}},
		{4 * mib, hole - 2*mib, [][3]uint64{{0, 0xa0000, 1}, {0xc0000, 0xe0000, 2}, {0xe0000, mib, 3}, {mib, 2 * mib, 1}, {hole - 2*mib, hole, 1}, ecam},
			[][3]uint64{{0, 0xa0000, 1}, {0xc0000, 2 * mib, 1}, {hole - 2*mib, hole, 1}}},
	} {
		m, err := New(Config{CPUs: 1, Memory: c.memory, Base: c.base})
		if err != nil {
			t.Fatal(err)
		}
		var map820, ram [][3]uint64
		for _, r := range m.Map() {
			map820 = append(map820, [3]uint64{r.Start, r.Start + r.Size, uint64(r.Type)})
		}
		for _, r := range m.RAM() {
			ram = append(ram, [3]uint64{r.Start, r.Start + r.Size, uint64(r.Type)})
		}
		if d := cmp.Diff(c.map820, map820); d != "" {
			t.Errorf("layout of %d: -want +got\n%s", c.memory, d)
		}
		if d := cmp.Diff(c.populate, ram); d != "" {
			t.Errorf("ranges of %d: -want +got\n%s", c.memory, d)
		}
	}
	for _, n := range []uint64{0, 4*mib - 1, 1<<40 - 4<<30 + hole + 1, ^uint64(0)} {
		if _, err := New(Config{CPUs: 1, Memory: n}); err == nil {
			t.Errorf("memory of %d bytes is accepted", n)
		}
	}
	for _, base := range []uint64{1, mib, 2*mib + 4096, hole - 2*mib + 4096, hole, hole + 2*mib, ^uint64(0) &^ (2*mib - 1)} {
		if _, err := New(Config{CPUs: 1, Memory: 4*mib + 4096, Base: base}); err == nil {
			t.Errorf("memory at %#x is accepted", base)
		}
	}
	if _, err := New(Config{CPUs: 1, Memory: 5 << 30, Base: 256 * mib}); err == nil {
		t.Error("memory at 256 MiB reaches beyond 2816 MiB")
	}
}

// nobody is a device.
type nobody struct{}

func (nobody) Read(uint64, uint8, uint64) uint64   { return 0 }
func (nobody) Write(uint64, uint8, uint64, uint64) {}

// What dom0 claims overlaps neither itself, nor RAM, nor what hv has.
func TestClaims(t *testing.T) {
	m, err := New(Config{CPUs: 2, Memory: 6 << 30, RNG: true, DebugExit: true, Present: 1, NICs: []int{2, 3, 4, 5, 6, 7}, Console: true, Disks: []int{FirstDisk, Slots - 1}})
	if err != nil {
		t.Fatal(err)
	}
	var ports bus.Bus[uint16]
	var mem, config bus.Bus[uint64]
	add := func(s Span) {
		t.Helper()
		var err error
		switch s.Space {
		case abi.SpacePort:
			err = ports.Add(uint16(s.Start), s.Size, nobody{})
		case abi.SpaceConfig:
			err = config.Add(s.Start, s.Size, nobody{})
		default:
			err = mem.Add(s.Start, s.Size, nobody{})
		}
		if err != nil {
			t.Errorf("%+v: %v", s, err)
		}
	}
	for _, r := range m.RAM() {
		add(Span{abi.SpaceMemory, r.Start, r.Size, 0})
	}
	for _, s := range []Span{
		{abi.SpaceMemory, abi.IOAPICBase, abi.IOAPICSize, 0}, {abi.SpaceMemory, abi.LAPICBase, 0x1000, 0},
		{abi.SpacePort, abi.PortPIC1, 2, 0}, {abi.SpacePort, abi.PortPIC2, 2, 0}, {abi.SpacePort, abi.PortELCR, 2, 0},
		{abi.SpacePort, abi.PortPIT, 4, 0}, {abi.SpacePort, abi.PortSpeaker, 1, 0}, {abi.SpacePort, abi.PortControlA, 1, 0},
		{abi.SpacePort, abi.PortPM1aEvt, 12, 0},
	} {
		add(s)
	}
	for _, s := range m.Claims() {
		add(s)
	}
	// Of each bus that MCFG names Linux reads 32 functions, if nobody has described it.
	if i := bytes.Index(m.Tables(), []byte("MCFG")); i < 0 || m.Tables()[i+54] != 0 || m.Tables()[i+55] != 0 {
		t.Errorf("MCFG at %d names more than bus 0", i)
	}
	if len(m.Tables()) < 1000 {
		t.Errorf("%d bytes of tables", len(m.Tables()))
	}
	if _, err := New(Config{CPUs: 1, Memory: 64 * mib, NICs: []int{FirstDisk}}); err == nil {
		t.Error("a network card where disks are")
	}
	if _, err := New(Config{CPUs: 1 << 20, Memory: 64 * mib}); err == nil {
		t.Error("a million processors")
	}
}
