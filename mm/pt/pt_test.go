// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package pt_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/mm"
	"ringo/mm/pt"
)

const (
	k4 = mm.PageSize
	m2 = mm.Page2M
	g1 = mm.Page1G
)

// step is one edit and what it must answer.
type step struct {
	op    string
	va    pt.Addr
	pa    mm.HPA
	size  uint64
	attr  pt.Attr
	flush pt.Flush
	err   error
}

func (s step) run(t *pt.Tables) (f pt.Flush, err error) {
	switch s.op {
	case "map":
		err = t.Map(s.va, s.pa, s.size, s.attr)
	case "replace":
		f, err = t.Replace(s.va, s.pa, s.size, s.attr)
	case "unmap":
		f, err = t.Unmap(s.va, s.size)
	case "protect":
		f, err = t.Protect(s.va, s.size, s.attr)
	default:
		panic(s.op)
	}
	return f, err
}

var editTests = []struct {
	name   string
	format *pt.Format
	steps  []step
	want   []pt.Leaf
	tables uint64 // after Reap
}{
	{"one page", pt.NPT(true), []step{
		{op: "map", va: 0x1000, pa: 0x7000, size: k4, attr: pt.RWX},
	}, []pt.Leaf{{0x1000, 0x7000, k4, pt.RWX}}, 4},

	{"largest pages that fit", pt.NPT(true), []step{
		{op: "map", va: g1 - m2 - k4, pa: 3*g1 - m2 - k4, size: k4 + m2 + g1 + m2 + k4, attr: pt.RW},
	}, []pt.Leaf{
		{g1 - m2 - k4, 3*g1 - m2 - k4, k4, pt.RW},
		{g1 - m2, 3*g1 - m2, m2, pt.RW},
		{g1, 3 * g1, g1, pt.RW},
		{2 * g1, 4 * g1, m2, pt.RW},
		{2*g1 + m2, 4*g1 + m2, k4, pt.RW},
	}, 6},

	{"no 1 GiB leaves", pt.EPT(false), []step{
		{op: "map", va: 0, pa: 0, size: 4 * m2, attr: pt.RX},
		{op: "unmap", va: m2, size: 2 * m2, flush: pt.Flush{VA: m2, Size: 2 * m2}},
	}, []pt.Leaf{{0, 0, m2, pt.RX}, {3 * m2, 3 * m2, m2, pt.RX}}, 3},

	{"refuses what is mapped, changing nothing", pt.NPT(true), []step{
		{op: "map", va: 2 * m2, pa: 0, size: k4, attr: pt.RW},
		{op: "map", va: 0, pa: 0x100_0000, size: 4 * m2, attr: pt.RWX, err: pt.ErrMapped},
		{op: "map", va: 2 * m2, pa: 0, size: k4, attr: pt.RW, err: pt.ErrMapped},
	}, []pt.Leaf{{2 * m2, 0, k4, pt.RW}}, 4},

	{"replace a table by a large page", pt.NPT(true), []step{
		{op: "map", va: m2 + k4, pa: 0, size: k4, attr: pt.RW},
		{op: "replace", va: m2, pa: 8 * m2, size: m2, attr: pt.RWX, flush: pt.Flush{VA: m2, Size: m2}},
	}, []pt.Leaf{{m2, 8 * m2, m2, pt.RWX}}, 3},

	{"replace inside a large page", pt.EPT(true), []step{
		{op: "map", va: 0, pa: 0, size: m2, attr: pt.RWX},
		{op: "replace", va: 0, pa: 8 * m2, size: 511 * k4, attr: pt.Read | pt.Uncached, flush: pt.Flush{VA: 0, Size: 511 * k4}},
		{op: "unmap", va: 2 * k4, size: 509 * k4, flush: pt.Flush{VA: 2 * k4, Size: 509 * k4}},
	}, []pt.Leaf{
		{0, 8 * m2, k4, pt.Read | pt.Uncached},
		{k4, 8*m2 + k4, k4, pt.Read | pt.Uncached},
		{511 * k4, 511 * k4, k4, pt.RWX},
	}, 4},

	{"replace into nothing flushes nothing", pt.EPT(true), []step{
		{op: "replace", va: 0, pa: 0, size: m2, attr: pt.RWX},
	}, []pt.Leaf{{0, 0, m2, pt.RWX}}, 3},

	{"unmap empties tables", pt.Host(true), []step{
		{op: "map", va: 0xffff_8000_0000_0000, pa: 0, size: m2 + k4, attr: pt.RW | pt.Accessed | pt.Dirty},
		{op: "unmap", va: 0xffff_8000_0000_0000, size: m2 + k4, flush: pt.Flush{VA: 0xffff_8000_0000_0000, Size: m2 + k4}},
		{op: "unmap", va: 0xffff_8000_0000_0000, size: m2 + k4},
	}, nil, 1},

	{"unmap all", pt.NPT(false), []step{
		{op: "map", va: 5*g1 + k4, pa: 0, size: k4, attr: pt.RW},
		{op: "map", va: 600 * g1, pa: 0, size: m2, attr: pt.RW},
		{op: "unmap", va: 0, size: 1 << 48, flush: pt.Flush{VA: 0, Size: 1 << 40}},
	}, nil, 1},

	{"protect splits and tells a downgrade", pt.NPT(true), []step{
		{op: "map", va: 0, pa: 0, size: g1, attr: pt.RWX | pt.Dirty},
		{op: "protect", va: g1 - k4, size: k4, attr: pt.Read, flush: pt.Flush{VA: g1 - k4, Size: k4}},
		{op: "protect", va: g1 - k4, size: k4, attr: pt.RW},                                                        // upgrade
		{op: "protect", va: g1 - k4, size: k4, attr: pt.RW},                                                        // nothing
		{op: "protect", va: g1 - k4, size: k4, attr: pt.RWX | pt.Uncached, flush: pt.Flush{VA: g1 - k4, Size: k4}}, // type
		{op: "protect", va: g1 - k4, size: 2 * k4, attr: pt.Read, err: pt.ErrAbsent},
		{op: "unmap", va: 0, size: g1 - 2*m2, flush: pt.Flush{VA: 0, Size: g1 - 2*m2}},
		{op: "unmap", va: g1 - m2, size: 510 * k4, flush: pt.Flush{VA: g1 - m2, Size: 510 * k4}},
	}, []pt.Leaf{
		{g1 - 2*m2, g1 - 2*m2, m2, pt.RWX | pt.Dirty},
		{g1 - 2*k4, g1 - 2*k4, k4, pt.RWX | pt.Dirty},
		{g1 - k4, g1 - k4, k4, pt.RWX | pt.Dirty | pt.Uncached},
	}, 4},

	{"refused arguments", pt.NPT(true), []step{
		{op: "map", size: 0, attr: pt.RW, err: pt.ErrRange},
		{op: "map", va: 1, size: k4, attr: pt.RW, err: pt.ErrRange},
		{op: "map", pa: 1, size: k4, attr: pt.RW, err: pt.ErrRange},
		{op: "map", size: k4 + 1, attr: pt.RW, err: pt.ErrRange},
		{op: "map", va: 1 << 48, size: k4, attr: pt.RW, err: pt.ErrRange},
		{op: "map", va: 1<<48 - k4, size: 2 * k4, attr: pt.RW, err: pt.ErrRange},
		{op: "map", va: ^pt.Addr(k4 - 1), size: 2 * k4, attr: pt.RW, err: pt.ErrRange},
		{op: "map", pa: 1 << 52, size: k4, attr: pt.RW, err: pt.ErrRange},
		{op: "map", pa: 1<<52 - k4, size: 2 * k4, attr: pt.RW, err: pt.ErrRange},
		{op: "map", pa: ^mm.HPA(k4 - 1), size: 2 * k4, attr: pt.RW, err: pt.ErrRange},
		{op: "map", size: k4, attr: pt.Write, err: pt.ErrAttr},
		{op: "map", size: k4, attr: pt.RW | pt.User, err: pt.ErrAttr},
		{op: "unmap", va: 1 << 48, size: k4, err: pt.ErrRange},
		{op: "map", va: 1<<48 - k4, pa: 1<<52 - k4, size: k4, attr: pt.RW},
	}, []pt.Leaf{{1<<48 - k4, 1<<52 - k4, k4, pt.RW}}, 4},

	{"canonical addresses", pt.Host(true), []step{
		{op: "map", va: 1<<47 - k4, size: 2 * k4, attr: pt.RW, err: pt.ErrRange},
		{op: "map", va: 1 << 47, size: k4, attr: pt.RW, err: pt.ErrRange},
		{op: "map", va: 0xffff_7fff_ffff_f000, size: k4, attr: pt.RW, err: pt.ErrRange},
		{op: "map", va: 1<<47 - k4, size: 1<<64 - 1<<48 + 2*k4, attr: pt.RW, err: pt.ErrRange},
		{op: "map", va: 1<<47 - k4, pa: k4, size: k4, attr: pt.RW | pt.User},
		{op: "map", va: 0xffff_ffff_ffff_f000, pa: 0, size: k4, attr: pt.RX},
	}, []pt.Leaf{
		{1<<47 - k4, k4, k4, pt.RW | pt.User},
		{0xffff_ffff_ffff_f000, 0, k4, pt.RX},
	}, 7},
}

func TestEdits(t *testing.T) {
	for _, tt := range editTests {
		t.Run(tt.name, func(t *testing.T) {
			e := newEnv(t, tt.format)
			for i, s := range tt.steps {
				gen := e.t.Generation()
				flush, err := s.run(e.t)
				if !errors.Is(err, s.err) {
					t.Fatalf("step %d: error %v, want %v", i, err, s.err)
				}
				if diff := cmp.Diff(s.flush, flush); diff != "" {
					t.Errorf("step %d: flush (-want +got):\n%s", i, diff)
				}
				if moved := e.t.Generation() != gen; moved != flush.Any() {
					t.Errorf("step %d: generation moved: %v, flush: %v", i, moved, flush.Any())
				}
				e.check(t)
			}
			e.t.Reap()
			e.check(t)
			if diff := cmp.Diff(tt.want, e.leaves()); diff != "" {
				t.Errorf("leaves (-want +got):\n%s", diff)
			}
			if got := e.t.Bytes() / mm.PageSize; got != tt.tables {
				t.Errorf("%d tables, want %d", got, tt.tables)
			}
			for _, l := range tt.want {
				checkLookup(t, e.t, l)
			}
			e.close(t)
		})
	}
}

func checkLookup(t *testing.T, tab *pt.Tables, l pt.Leaf) {
	t.Helper()
	for _, off := range []uint64{0, 1, l.Size / 2, l.Size - 1} {
		pa, size, attr, ok := tab.Lookup(l.VA + pt.Addr(off))
		if !ok || pa != l.PA+mm.HPA(off) || size != l.Size || attr != l.Attr {
			t.Errorf("Lookup(%#x) = %#x, %#x, %v, %v", l.VA+pt.Addr(off), pa, size, attr, ok)
		}
	}
}

func TestLookupMisses(t *testing.T) {
	e := newEnv(t, pt.Host(true))
	if err := e.t.Map(m2, 0, m2, pt.RW); err != nil {
		t.Fatal(err)
	}
	for _, va := range []pt.Addr{0, m2 - 1, 2 * m2, g1, 1 << 39, 1 << 47, 1<<48 + m2, ^pt.Addr(0)} {
		if pa, _, _, ok := e.t.Lookup(va); ok {
			t.Errorf("Lookup(%#x) = %#x, want nothing", va, pa)
		}
	}
}

func TestLookupDoesNotAllocate(t *testing.T) {
	e := newEnv(t, pt.NPT(true))
	if err := e.t.Map(0, 0, m2+k4, pt.RWX); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() {
		e.t.Lookup(5)
		e.t.Lookup(m2)
		e.t.Lookup(g1)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestCheck damages a tree in several ways, each of which Check must find.
func TestCheck(t *testing.T) {
	for name, tt := range map[string]struct {
		damage func(e *env, table mm.HPA) // the last table, of 4 KiB pages
		want   error
	}{
		"nothing":          {func(*env, mm.HPA) {}, nil},
		"accessed":         {func(e *env, a mm.HPA) { e.m.Store64(a, e.m.Load64(a)|0x20) }, nil},
		"reserved bit":     {func(e *env, a mm.HPA) { e.m.Store64(a, e.m.Load64(a)|1<<52) }, pt.ErrEntry},
		"supervisor page":  {func(e *env, a mm.HPA) { e.m.Store64(a, e.m.Load64(a)&^4) }, pt.ErrEntry},
		"half an entry":    {func(e *env, a mm.HPA) { e.m.Store64(a+8, 0x1000) }, pt.ErrEntry},
		"empty table":      {func(e *env, a mm.HPA) { e.m.Store64(a, 0) }, pt.ErrEmpty},
		"read-only table":  {func(e *env, _ mm.HPA) { e.m.Store64(e.t.Root(), e.m.Load64(e.t.Root())&^2) }, pt.ErrEntry},
		"subtree vanished": {func(e *env, _ mm.HPA) { e.m.Store64(e.t.Root(), 0) }, pt.ErrCount},
		"1 GiB page":       {func(e *env, _ mm.HPA) { e.m.Store64(e.t.Root()+8, 0x87) }, pt.ErrEntry},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, pt.NPT(false))
			if err := e.t.Map(0, 0, k4, pt.RW); err != nil {
				t.Fatal(err)
			}
			table := e.t.Root()
			for range 3 {
				table = mm.HPA(e.m.Load64(table) & 0x000f_ffff_ffff_f000)
			}
			tt.damage(e, table)
			if err := e.t.Check(); !errors.Is(err, tt.want) {
				t.Errorf("Check = %v, want %v", err, tt.want)
			}
		})
	}
}
