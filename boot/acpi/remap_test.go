// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package acpi

import (
	"bytes"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/mm"
)

// dmarTable is a table of structures; a structure gets its length.
func dmarTable(width, flags byte, all ...[]byte) []byte {
	b := make([]byte, 48)
	copy(b, "DMAR")
	b[36], b[37] = width, flags
	return append(b, bytes.Join(all, nil)...)
}

// sized puts the length of a structure, of a 16-bit type, into it.
func sized(b ...byte) []byte {
	le.PutUint16(b[2:], uint16(len(b)))
	return b
}

// drhdStruct and rmrrStruct are structures of a segment, and the bytes of their scopes.
func drhdStruct(flags byte, segment uint16, base uint64, scopes ...byte) []byte {
	b := make([]byte, 16)
	b[4] = flags
	le.PutUint16(b[6:], segment)
	le.PutUint64(b[8:], base)
	return sized(append(b, scopes...)...)
}

func rmrrStruct(first, last uint64, scopes ...byte) []byte {
	b := make([]byte, 24)
	b[0] = 1
	le.PutUint64(b[8:], first)
	le.PutUint64(b[16:], last)
	return sized(append(b, scopes...)...)
}

func TestDMAR(t *testing.T) {
	nic := []byte{ScopeEndpoint, 8, 0, 0, 0, 0, 0x1c, 3}
	behind := []byte{ScopeBridge, 12, 0, 0, 0, 0x40, 1, 0, 2, 1, 3, 7}
	chip := []byte{ScopeIOAPIC, 8, 0, 0, 9, 0xff, 0x1f, 7}
	atsr := sized(2, 0, 0, 0, 0, 0, 0, 0)
	for _, c := range []struct {
		name string
		b    []byte
		want *DMAR
		warn int
	}{
		{"two units and a region", dmarTable(47, 3,
			drhdStruct(0, 0, 0xfed90000, slices.Concat(nic, behind, chip)...), atsr,
			drhdStruct(1, 2, 0xfed91000), rmrrStruct(0x7a000000, 0x7a7fffff, nic...)),
			&DMAR{48, true, true, []DRHD{
				{0, 0xfed90000, false, []Scope{{1, 0, 0, []uint8{0xe3}}, {2, 0, 0x40, []uint8{8, 0x11, 0x1f}}, {3, 9, 0xff, []uint8{0xff}}}},
				{2, 0xfed91000, true, nil},
			}, []RMRR{{0, 0x7a000000, 0x7a7fffff, []Scope{{1, 0, 0, []uint8{0xe3}}}}}}, 0},
		{"wide", dmarTable(255, 0), &DMAR{Width: 64}, 0},
		{"short", make([]byte, 47), nil, 1},
		{"structure ends behind the table", dmarTable(38, 0, []byte{0, 0, 200, 0}), &DMAR{Width: 39}, 1},
		{"structure of nothing", dmarTable(38, 0, []byte{0, 0, 0, 0}), &DMAR{Width: 39}, 1},
		{"too short a unit", dmarTable(38, 0, sized(0, 0, 0, 0, 0, 0)), &DMAR{Width: 39}, 1},
		{"region backwards", dmarTable(38, 0, rmrrStruct(0x2000, 0x1fff)), &DMAR{Width: 39}, 1},
		{"region nowhere", dmarTable(38, 0, rmrrStruct(0x2000, 1<<63)), &DMAR{Width: 39}, 1},
		{"broken scope", dmarTable(38, 0, drhdStruct(0, 0, 0x1000, slices.Concat(nic, []byte{1, 0, 0, 0, 0, 0, 0, 0})...)),
			&DMAR{39, false, false, []DRHD{{0, 0x1000, false, []Scope{{1, 0, 0, []uint8{0xe3}}}}}, nil}, 1},
		{"scope with half a hop", dmarTable(38, 0, drhdStruct(0, 0, 0x1000, 1, 9, 0, 0, 0, 0, 1, 0, 2)),
			&DMAR{39, false, false, []DRHD{{0, 0x1000, false, nil}}, nil}, 1},
	} {
		var tables Tables
		got := tables.parseDMAR(c.b)
		if d := cmp.Diff(c.want, got); d != "" || len(tables.Warnings) != c.warn {
			t.Errorf("%s: %q %s", c.name, tables.Warnings, d)
		}
	}
}

// qemuIVRS is the table of QEMU 7.2.22: -device amd-iommu,intremap=on -device edu.
var qemuIVRS = slices.Concat(make([]byte, 36),
	[]byte{0, 0x28, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
	[]byte{0x10, 0xd1, 0x3c, 0, 0x10, 0, 0x40, 0, 0, 0, 0xd8, 0xfe, 0, 0, 0, 0, 0, 0, 0, 0, 0x44, 0, 0, 0},
	[]byte{2, 0, 0, 0, 2, 8, 0, 0, 2, 0x10, 0, 0, 2, 0x18, 0, 0, 2, 0xf8, 0, 0, 2, 0xfa, 0, 0, 2, 0xfb, 0, 0},
	[]byte{0x48, 0, 0, 0, 0, 0xa0, 0, 1})

// ivhdBlock and ivmdBlock are blocks; ivmdBlock's are of 1 MiB at 2 GiB.
func ivhdBlock(kind byte, entries ...byte) []byte {
	n := 24
	if kind != ivhd10 {
		n = 40
	}
	b := make([]byte, n)
	b[0], b[1], b[4], b[6], b[11] = kind, 1, 2, 0x40, 0xfd
	return sized(append(b, entries...)...)
}

func ivmdBlockBytes(kind, flags byte, first, last uint16) []byte {
	b := make([]byte, 32)
	b[0], b[1] = kind, flags
	le.PutUint16(b[4:], first)
	le.PutUint16(b[6:], last)
	le.PutUint64(b[16:], 2<<30)
	le.PutUint64(b[24:], 1<<20)
	return sized(b...)
}

func TestIVRS(t *testing.T) {
	table := func(all ...[]byte) []byte { return append(make([]byte, 48), bytes.Join(all, nil)...) }
	unit := func(kind uint8) IVHD { return IVHD{Type: kind, Flags: 1, ID: 2, Cap: 0x40, Base: 0xfd000000} }
	aliased := unit(ivhd11)
	aliased.Aliases = []IVAlias{{0x100, 0x100, 0x20}, {0x200, 0x2ff, 0x30}, {0x400, 0x400, 0x31}}
	aliased.Special = []IVSpecial{{IVHPET, 1, 0xa1}}
	for _, c := range []struct {
		name string
		b    []byte
		want *IVRS
		warn int
	}{
		{"QEMU", qemuIVRS, &IVRS{Units: []IVHD{
			{Type: 0x10, Flags: 0xd1, ID: 0x10, Cap: 0x40, Base: 0xfed80000, Special: []IVSpecial{{IVIOAPIC, 0, 0xa0}}},
		}}, 0},
		{"aliases", table(ivhdBlock(ivhd11, slices.Concat(
			[]byte{0x42, 0, 1, 0, 0, 0x20, 0, 0}, []byte{0x43, 0, 2, 0, 0, 0x30, 0, 0}, []byte{4, 0xff, 2, 0},
			[]byte{0x43, 0, 4, 0, 0, 0x31, 0, 0}, []byte{4, 0, 3, 0}, []byte{4, 0xff, 9, 0},
			append(append([]byte{0xf0}, make([]byte, 20)...), 2, 'a', 'b'), []byte{0x48, 0, 0, 0, 1, 0xa1, 0, 2})...)),
			&IVRS{Units: []IVHD{aliased}}, 0},
		{"highest type", table(ivhdBlock(ivhd10), ivhdBlock(ivhd40), ivhdBlock(ivhd11)), &IVRS{Units: []IVHD{unit(ivhd40)}}, 0},
		{"regions", table(ivmdBlockBytes(0x20, 3, 7, 9), ivmdBlockBytes(0x21, 7, 7, 9), ivmdBlockBytes(0x22, 8, 7, 9)),
			&IVRS{Regions: []IVMD{
				{0, 0xffff, 2 << 30, 1 << 20, true, false}, {7, 7, 2 << 30, 1 << 20, true, true}, {7, 9, 2 << 30, 1 << 20, true, true},
			}}, 0},
		{"regions of nothing", table(ivmdBlockBytes(0x22, 7, 9, 7), ivmdBlockBytes(0x21, 0, 7, 7)), &IVRS{}, 2},
		{"unknown block", table(sized(0x99, 0, 0, 0, 0)), &IVRS{}, 0},
		{"short block", table(sized(0x40, 0, 0, 0, 0)), &IVRS{}, 1},
		{"short", make([]byte, 47), nil, 1},
		{"block of nothing", table([]byte{0x10, 0, 0, 0}), &IVRS{}, 1},
		{"entry ends behind the block", table(ivhdBlock(ivhd10, 0x48, 0, 0, 0)), &IVRS{Units: []IVHD{unit(ivhd10)}}, 1},
		{"name ends behind the block", table(ivhdBlock(ivhd40, append(append([]byte{0xf0}, make([]byte, 20)...), 2, 'a')...)),
			&IVRS{Units: []IVHD{unit(ivhd40)}}, 1},
	} {
		var tables Tables
		got := tables.parseIVRS(c.b)
		if d := cmp.Diff(c.want, got); d != "" || len(tables.Warnings) != c.warn {
			t.Errorf("%s: %q %s", c.name, tables.Warnings, d)
		}
	}
}

// checkRemapping fails when a table says what nobody may believe.
func checkRemapping(t *testing.T, tables *Tables) {
	t.Helper()
	if d := tables.DMAR; d != nil {
		for _, r := range d.Regions {
			if r.First > r.Last || r.Last >= mm.MaxHPA {
				t.Errorf("%+v", r)
			}
		}
		if len(d.Units) > MaxRemapping || len(d.Regions) > MaxRemapping {
			t.Errorf("%d units, %d regions", len(d.Units), len(d.Regions))
		}
	}
	if r := tables.IVRS; r != nil {
		for _, m := range r.Regions {
			if m.Size == 0 || m.First > m.Last || !mm.Within(m.Start, m.Size, uint64(mm.MaxHPA)) {
				t.Errorf("%+v", m)
			}
		}
		for _, u := range r.Units {
			for _, a := range u.Aliases {
				if a.First > a.Last {
					t.Errorf("%+v", u)
				}
			}
		}
	}
}
