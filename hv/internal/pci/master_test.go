// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package pci

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/hv/abi"
)

// behindBridges is a machine with a bridge to buses 2 and 3, on which another leads to
// bus 3.
func behindBridges() (*machine, *Table) {
	m := newMachine()
	m.bridge(at(0, 1, 0), 2, 3, -1)
	m.bridge(at(2, 4, 0), 3, 3, -1)
	for _, a := range []abi.PCIAddr{at(0, 3, 0), at(2, 0, 0), at(3, 5, 0), at(9, 0, 0)} {
		m.add(a, 0x12341234, 0x020000, 7)
	}
	return m, NewTable(NewSpace(m, nil))
}

func TestTakeBus(t *testing.T) {
	m, table := behindBridges()
	if !table.TakeBus(at(3, 5, 0)) || m.at[at(3, 5, 0)].reg[regCommand/4] != 3 || m.at[at(2, 0, 0)].reg[regCommand/4] != 7 {
		t.Errorf("commands %#x, %#x", m.at[at(3, 5, 0)].reg[regCommand/4], m.at[at(2, 0, 0)].reg[regCommand/4])
	}
	if table.TakeBus(at(3, 6, 0)) {
		t.Error("a function that is not there")
	}
	if len(m.wrongs) > 0 {
		t.Error(m.wrongs)
	}
}

func TestAborted(t *testing.T) {
	m, table := behindBridges()
	d := m.at[at(0, 3, 0)]
	if table.Aborted(at(0, 3, 0)) || table.Aborted(at(0, 7, 0)) {
		t.Error("nothing was refused")
	}
	d.reg[regCommand/4] |= statusAborted | 1<<28
	if !table.Aborted(at(0, 3, 0)) {
		t.Error("it does not say so")
	}
	// This one bit is cleared, by a one; the command stays.
	if want := []string{"status of 0x18 cleared"}; !cmp.Equal(m.wrongs, want) || d.reg[regCommand/4]&7 != 7 {
		t.Errorf("%q, %#x", m.wrongs, d.reg[regCommand/4])
	}
}

func TestPath(t *testing.T) {
	_, table := behindBridges()
	for _, c := range []struct {
		bus  uint8
		path []uint8
		want abi.PCIAddr
		ok   bool
	}{
		{0, []uint8{3 << 3}, at(0, 3, 0), true},
		{0xff, []uint8{0x1f<<3 | 7}, at(0xff, 0x1f, 7), true}, // hidden: I/O APICs are
		{0, []uint8{1 << 3, 0}, at(2, 0, 0), true},
		{0, []uint8{1 << 3, 4 << 3, 5 << 3}, at(3, 5, 0), true},
		{0, []uint8{3 << 3, 0}, 0, false}, // no bridge
		{0, []uint8{7 << 3, 0}, 0, false}, // nobody
		{0, nil, 0, false},
	} {
		if a, ok := table.Path(0, c.bus, c.path); ok != c.ok || ok && a != c.want {
			t.Errorf("%d %x: %#x, %v", c.bus, c.path, a, ok)
		}
	}
	for bridge, want := range map[abi.PCIAddr][]abi.PCIAddr{
		at(0, 1, 0): {at(0, 1, 0), at(2, 0, 0), at(2, 4, 0), at(3, 5, 0)},
		at(2, 4, 0): {at(2, 4, 0), at(3, 5, 0)},
		at(0, 3, 0): {at(0, 3, 0)},
		at(0, 9, 0): nil,
	} {
		if d := cmp.Diff(want, table.Behind(bridge)); d != "" {
			t.Errorf("%#x: %s", bridge, d)
		}
	}
}
