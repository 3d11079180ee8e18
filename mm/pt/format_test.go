// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package pt_test

import (
	"math/bits"
	"testing"

	"ringo/mm"
	"ringo/mm/pt"
)

const nx = 1 << 63

// TestEntries compares leaves with values put together from the manuals by
// hand: APM Vol. 2, "4-Kbyte Page Translation" and following, SDM Vol. 3, the
// tables of "EPT Translation Mechanism".
func TestEntries(t *testing.T) {
	for _, tt := range []struct {
		f     *pt.Format
		size  uint64
		attr  pt.Attr
		want  uint64 // without address
		table uint64 // entries above it
	}{
		{pt.NPT(true), k4, pt.RWX, 0x7, 0x27},
		{pt.NPT(true), k4, pt.RX, 0x5, 0x27},
		{pt.NPT(true), k4, pt.Read, 0x5 | nx, 0x27},
		{pt.NPT(true), k4, pt.RW | pt.Uncached, 0x1f | nx, 0x27},
		{pt.NPT(true), m2, pt.RWX | pt.Accessed, 0xa7, 0x27},
		{pt.NPT(true), g1, pt.RWX | pt.Accessed | pt.Dirty, 0xe7, 0x27},
		{pt.Host(true), k4, pt.RWX, 0x3, 0x27},
		{pt.Host(true), k4, pt.RX | pt.User, 0x5, 0x27},
		{pt.Host(true), m2, pt.RW | pt.Uncached, 0x9b | nx, 0x27},
		{pt.Host(true), g1, pt.Read | pt.Dirty, 0xc1 | nx, 0x27},
		{pt.EPT(true), k4, pt.RWX, 0x37, 0x7},
		{pt.EPT(true), k4, pt.Read, 0x31, 0x7},
		{pt.EPT(true), k4, pt.RX, 0x35, 0x7},
		{pt.EPT(true), m2, pt.RW | pt.Uncached, 0x83, 0x7},
		{pt.EPT(true), g1, pt.RW | pt.Accessed | pt.Dirty, 0x3b3, 0x7},
		{pt.VTD(4, g1, false), k4, pt.RW, 0x3, 0x3},
		{pt.VTD(4, g1, true), m2, pt.RW, 0x883, 0x3},
		{pt.VTD(4, g1, false), g1, pt.Read, 0x81, 0x3},
		{pt.AMDVi(), k4, pt.RW, 7<<60 | 1, 3 << 61},
		{pt.AMDVi(), m2, pt.Read, 3<<60 | 1, 3 << 61},
		{pt.AMDVi(), g1, pt.RW, 7<<60 | 1, 3 << 61},
	} {
		t.Run(tt.f.Name+" "+tt.attr.String(), func(t *testing.T) {
			e := newEnv(t, tt.f)
			const pa = 0xf_ffff_c000_0000
			if err := e.t.Map(0, pa, tt.size, tt.attr); err != nil {
				t.Fatal(err)
			}
			table, size := e.t.Root(), uint64(512*g1)
			for ; size > tt.size; size /= 512 {
				ent := e.m.Load64(table)
				const addr = 0x000f_ffff_ffff_f000
				table = mm.HPA(ent & addr)
				want := tt.table
				if device(tt.f) && tt.table>>61 != 0 { // present, and the level below
					want |= 1 | (level(size)-1)<<9
				}
				if ent&^addr != want {
					t.Errorf("entry for %#x bytes: flags %#x, want %#x", size, ent&^addr, want)
				}
			}
			if got := e.m.Load64(table); got != pa|tt.want {
				t.Errorf("leaf %#x, want %#x", got, pa|tt.want)
			}
			if _, _, attr, _ := e.t.Lookup(0); attr != tt.attr {
				t.Errorf("Lookup says %v, want %v", attr, tt.attr)
			}
		})
	}
}

// level is that of entries of so many bytes.
func level(size uint64) uint64 { return uint64(bits.Len64(size)-13)/9 + 1 }

// TestAttrs maps and looks up every combination of attributes in every format.
func TestAttrs(t *testing.T) {
	for _, f := range formats(false) {
		e := newEnv(t, f)
		for a := pt.Attr(0); a < 1<<7; a++ {
			valid := a&pt.Read != 0 && (a&pt.User == 0 || f.Name == "host")
			if device(f) {
				valid = a&^pt.Write == pt.Read
			}
			err := e.t.Map(0, m2, m2, a)
			if (err == nil) != valid {
				t.Errorf("%s, %v: %v", f.Name, a, err)
			}
			if _, _, got, ok := e.t.Lookup(0); ok != valid || ok && got != a {
				t.Errorf("%s, %v: Lookup says %v, %v", f.Name, a, got, ok)
			}
			e.check(t)
			if _, err := e.t.Unmap(0, m2); err != nil {
				t.Fatal(err)
			}
			e.t.Reap()
		}
		e.close(t)
	}
}

func TestAttrString(t *testing.T) {
	for a, want := range map[pt.Attr]string{
		0:                                   "---- wb --",
		pt.RWX | pt.User | pt.Dirty:         "rwxu wb -D",
		pt.Read | pt.Uncached | pt.Accessed: "r--- uc A-",
	} {
		if got := a.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
