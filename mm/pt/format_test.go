// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package pt_test

import (
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
				table = mm.HPA(ent &^ 0xfff)
				if ent&0xfff != tt.table {
					t.Errorf("entry for %#x bytes: flags %#x, want %#x", size, ent&0xfff, tt.table)
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

// TestAttrs maps and looks up every combination of attributes in every format.
func TestAttrs(t *testing.T) {
	for _, f := range []*pt.Format{pt.NPT(false), pt.EPT(false), pt.Host(false)} {
		e := newEnv(t, f)
		for a := pt.Attr(0); a < 1<<7; a++ {
			valid := a&pt.Read != 0 && (a&pt.User == 0 || f.Name == "host")
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
