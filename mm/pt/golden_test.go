// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package pt_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/mm"
	"ringo/mm/pt"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// goldenTests build a tree each; its tables are in testdata/NAME.txt.
var goldenTests = []struct {
	name   string
	format *pt.Format
	steps  []step
}{
	{"npt-guest", pt.NPT(true), []step{ // 3 GiB of RAM with a hole for devices and a ROM
		{op: "map", va: 0, pa: 0x8_0000_0000, size: 0xa0000, attr: pt.RWX},
		{op: "map", va: 0xf0000, pa: 0x7_0000_0000, size: 0x10000, attr: pt.RX},
		{op: "map", va: mm.MiB, pa: 0x8_0010_0000, size: 3*g1 - mm.MiB, attr: pt.RWX},
		{op: "map", va: 0xfee0_0000, pa: 0x7_0010_0000, size: k4, attr: pt.RW | pt.Uncached},
	}},
	{"npt-balloon", pt.NPT(true), []step{ // a 1 GiB page with one 4 KiB page taken out
		{op: "map", va: g1, pa: 8 * g1, size: g1, attr: pt.RWX},
		{op: "unmap", va: g1 + 5*m2 + 7*k4, size: k4, flush: pt.Flush{VA: g1 + 5*m2 + 7*k4, Size: k4}},
	}},
	{"ept-guest", pt.EPT(false), []step{ // no 1 GiB pages
		{op: "map", va: 0, pa: 0x8000_0000, size: 6 * m2, attr: pt.RWX},
		{op: "protect", va: 2*m2 - k4, size: 2 * k4, attr: pt.RX, flush: pt.Flush{VA: 2*m2 - k4, Size: 2 * k4}},
		{op: "map", va: 0xfec0_0000, pa: 0xfec0_0000, size: k4, attr: pt.RW | pt.Uncached},
	}},
	{"vtd-three", pt.VTD(3, m2, false), []step{ // a unit of 39 bits: the root is of level 3
		{op: "map", va: mm.MiB, pa: mm.MiB, size: 5 * mm.MiB, attr: pt.RW},
		{op: "map", va: 511 * g1, pa: 511 * g1, size: 2 * k4, attr: pt.Read},
	}},
	{"vtd-four", pt.VTD(4, g1, true), []step{
		{op: "map", va: 0, pa: 0, size: 2*g1 + k4, attr: pt.RW},
		{op: "unmap", va: g1, size: g1, flush: pt.Flush{VA: g1, Size: g1}},
	}},
	{"amd", pt.AMDVi(), []step{
		{op: "map", va: 0, pa: 0, size: 2*g1 + k4, attr: pt.RW},
		{op: "map", va: 3 * g1, pa: 3 * g1, size: m2, attr: pt.Read},
		{op: "unmap", va: 5 * k4, size: k4, flush: pt.Flush{VA: 5 * k4, Size: k4}},
	}},
	{"host-image", pt.Host(true), []step{ // an image at 1 MiB and a direct map
		{op: "map", va: 0x100000, pa: 0x200_0000, size: 0x3000, attr: pt.RX},
		{op: "map", va: 0x103000, pa: 0x200_3000, size: 0x2000, attr: pt.Read},
		{op: "map", va: 0x105000, pa: 0x200_5000, size: 0x4000, attr: pt.RW},
		{op: "map", va: 0xffff_8000_0000_0000, pa: 0, size: 4 * g1, attr: pt.RW},
		{op: "replace", va: 0xffff_8000_fec0_0000, pa: 0xfec0_0000, size: 10 * m2, attr: pt.RW | pt.Uncached,
			flush: pt.Flush{VA: 0xffff_8000_fec0_0000, Size: 10 * m2}},
	}},
}

func TestGolden(t *testing.T) {
	for _, tt := range goldenTests {
		t.Run(tt.name, func(t *testing.T) {
			e := newEnv(t, tt.format)
			for i, s := range tt.steps {
				if flush, err := s.run(e.t); err != nil || flush != s.flush {
					t.Fatalf("step %d: %+v, %v", i, flush, err)
				}
			}
			e.check(t)
			var b strings.Builder
			top := 4
			if tt.name == "vtd-three" {
				top = 3
			}
			e.dump(&b, e.t.Root(), top, 0)
			got := b.String()
			file := filepath.Join("testdata", tt.name+".txt")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("tables (-want +got; -update rewrites):\n%s", diff)
			}
			e.close(t)
		})
	}
}

// dump writes the raw entries of a table: one line for each, or for each run
// of entries that continue one another.
func (e *env) dump(b *strings.Builder, table mm.HPA, level int, base uint64) {
	span := uint64(1) << (12 + 9*(level-1))
	var last uint64 // previous entry
	run := 0
	endRun := func() {
		if run > 1 {
			fmt.Fprintf(b, "%*s ... %d more, to %#016x\n", 2*(4-level), "", run-1, last)
		}
		run = 0
	}
	for i := range uint64(512) {
		ent := e.m.Load64(table + mm.HPA(i*8))
		child := ent != 0 && level > 1 && ent&0x80 == 0
		if e.t.Format().Name == "AMD-Vi" {
			child = ent&0xe00 != 0
			if ent == 1<<9 { // nothing
				ent, child = 0, false
			}
		}
		if ent != 0 && !child && run > 0 && ent == last+span {
			last, run = ent, run+1
			continue
		}
		endRun()
		if ent == 0 {
			continue
		}
		fmt.Fprintf(b, "%*sL%d[%3d] %#012x: %#016x\n", 2*(4-level), "", level, i, base+i*span, ent)
		if child {
			e.dump(b, mm.HPA(ent&0x000f_ffff_ffff_f000), level-1, base+i*span)
			continue
		}
		last, run = ent, 1
	}
	endRun()
}
