// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package pt_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"ringo/mm"
	"ringo/mm/phys/phystest"
	"ringo/mm/pt"
)

// translation is what a CPU finds by walking the tables: independent of the
// package's own walk, by the bits of the AMD format.
type translation struct {
	pa    mm.HPA
	flags uint64
}

func (e *env) hardware(va pt.Addr) translation {
	table := e.t.Root()
	for shift := 39; ; shift -= 9 {
		ent := e.m.Load64(table + mm.HPA(va>>shift&511*8))
		if ent&1 == 0 {
			return translation{}
		}
		if shift == 12 || ent&0x80 != 0 {
			off := mm.HPA(va) & (1<<shift - 1)
			return translation{mm.HPA(ent&0x000f_ffff_ffff_f000)&^(1<<shift-1) + off, ent & (1<<63 | 0x7f)}
		}
		table = mm.HPA(ent & 0x000f_ffff_ffff_f000)
	}
}

var atomicTests = []struct {
	name   string
	before []step
	edit   step
}{
	{"map across tables", []step{{op: "map", va: 0, pa: g1, size: m2, attr: pt.RWX}},
		step{op: "map", va: m2, pa: 5 * g1, size: 2*m2 + 3*k4, attr: pt.RW}},
	{"split of 1 GiB", []step{{op: "map", va: 0, pa: g1, size: g1, attr: pt.RWX}},
		step{op: "unmap", va: m2 + k4, size: 2 * k4}},
	{"split and protect", []step{{op: "map", va: 0, pa: g1, size: g1, attr: pt.RWX}},
		step{op: "protect", va: m2 - k4, size: 2 * k4, attr: pt.Read}},
	{"split and replace", []step{{op: "map", va: 0, pa: g1, size: g1, attr: pt.RWX}},
		step{op: "replace", va: m2 - k4, pa: 0x7000, size: m2 + 2*k4, attr: pt.RW}},
	{"large page over small ones", []step{
		{op: "map", va: 0, pa: g1, size: m2, attr: pt.RWX},
		{op: "map", va: m2, pa: 2*g1 + k4, size: m2, attr: pt.RWX},
		{op: "map", va: 2 * m2, pa: 3 * g1, size: m2, attr: pt.RWX}},
		step{op: "replace", va: m2, pa: 9 * m2, size: m2, attr: pt.RW}},
	{"tables that become empty", []step{
		{op: "map", va: m2 - k4, pa: 2 * g1, size: 3 * m2, attr: pt.RWX}},
		step{op: "unmap", va: m2 - 2*k4, size: 4 * m2}},
}

// TestEveryStore stops after every single store of an edit and lets both the
// hardware and Lookup walk: they must see the state before or after for the
// addresses of the edit, and no change for all others.
func TestEveryStore(t *testing.T) {
	probes := []pt.Addr{0, m2 - 2*k4, m2 - k4, m2, m2 + k4, m2 + 2*k4, m2 + 3*k4, 2*m2 - k4, 2 * m2,
		2*m2 + k4, 3*m2 - k4, 3 * m2, 3*m2 + 2*k4, 4*m2 - 2*k4, 4*m2 - k4, 4 * m2, g1 - k4, g1}
	for _, tt := range atomicTests {
		t.Run(tt.name, func(t *testing.T) {
			e := newEnv(t, pt.NPT(true))
			for _, s := range tt.before {
				if _, err := s.run(e.t); err != nil {
					t.Fatal(err)
				}
			}
			old := map[pt.Addr]translation{}
			for _, va := range probes {
				old[va] = e.hardware(va)
			}
			// The result, from a tree that is built alike.
			e2 := newEnv(t, pt.NPT(true))
			for _, s := range append(tt.before, tt.edit) {
				if _, err := s.run(e2.t); err != nil {
					t.Fatal(err)
				}
			}
			stores := 0
			e.m.Hook(func(phystest.Store) {
				stores++
				for _, va := range probes {
					got, want := e.hardware(va), e2.hardware(va)
					inside := va >= tt.edit.va && va-tt.edit.va < pt.Addr(tt.edit.size)
					if got != old[va] && (!inside || got != want) {
						t.Fatalf("store %d: %#x goes to %+v; before %+v, after %+v", stores, va, got, old[va], want)
					}
					if pa, _, _, ok := e.t.Lookup(va); ok != (got.flags != 0) || pa != got.pa {
						t.Fatalf("store %d: Lookup(%#x) = %#x, %v; the hardware sees %+v", stores, va, pa, ok, got)
					}
				}
			})
			if _, err := tt.edit.run(e.t); err != nil || stores == 0 {
				t.Fatalf("%d stores, %v", stores, err)
			}
			e.m.Hook(nil)
			for _, va := range probes {
				if got, want := e.hardware(va), e2.hardware(va); got != want {
					t.Errorf("%#x goes to %+v, want %+v", va, got, want)
				}
			}
			e.check(t)
		})
	}
}

// TestRewind takes an edit back by its stores: the log is complete.
func TestRewind(t *testing.T) {
	e := newEnv(t, pt.NPT(true))
	if err := e.t.Map(0, g1, g1, pt.RWX); err != nil {
		t.Fatal(err)
	}
	mark := e.m.Mark()
	if _, err := e.t.Unmap(m2+k4, k4); err != nil {
		t.Fatal(err)
	}
	if _, _, _, ok := e.t.Lookup(m2 + k4); ok {
		t.Error("still mapped")
	}
	e.m.Rewind(mark)
	if pa, size, _, ok := e.t.Lookup(m2 + k4); !ok || pa != g1+m2+k4 || size != g1 {
		t.Errorf("after Rewind: %#x, %#x, %v", pa, size, ok)
	}
}

// TestNoFrames fails the allocator at each of its calls during one edit.
func TestNoFrames(t *testing.T) {
	for n := 0; ; n++ {
		e := newEnv(t, pt.EPT(true))
		if err := e.t.Map(0, g1, g1, pt.RWX); err != nil {
			t.Fatal(err)
		}
		mark, bytes, gen := e.m.Mark(), e.t.Bytes(), e.t.Generation()
		e.f.left = n
		// Splits two levels at each end: the middle is one piece of 2 MiB pages.
		_, err := e.t.Protect(m2-k4, 3*m2+2*k4, pt.Read)
		if err == nil {
			if n != 3 {
				t.Errorf("the edit took %d tables, want 3", n)
			}
			return
		}
		if !errors.Is(err, errNoFrames) || e.t.Bytes() != bytes || e.t.Generation() != gen {
			t.Errorf("%d frames: %v, Bytes %d, want %d", n, err, e.t.Bytes(), bytes)
		}
		for _, s := range e.m.Log()[mark:] {
			if s.Addr < e.t.Root()+k4 {
				t.Errorf("%d frames: a failed edit stored to the root at %#x", n, s.Addr)
			}
		}
		e.f.left = -1
		e.check(t)
		e.close(t)
	}
}

// TestNewFails: a tree that cannot have a root has no frames.
func TestNewFails(t *testing.T) {
	e := newEnv(t, pt.NPT(true))
	e.close(t)
	e.f.left = 0
	if tab, err := pt.New(pt.NPT(true), e.m, e.f); tab != nil || !errors.Is(err, errNoFrames) {
		t.Errorf("New = %v, %v", tab, err)
	}
}

// TestDirtyDuringSplit has the CPU note a write to a large page while it is
// being split: no piece may forget it.
func TestDirtyDuringSplit(t *testing.T) {
	e := newEnv(t, pt.NPT(true))
	if err := e.t.Map(0, g1, m2, pt.RW); err != nil {
		t.Fatal(err)
	}
	table := e.t.Root()
	for range 2 {
		table = mm.HPA(e.m.Load64(table) & 0x000f_ffff_ffff_f000)
	}
	e.m.Hook(func(s phystest.Store) {
		if s.New&^(nx|0xfff) == g1+100*k4 { // piece 100
			e.m.Store64(table, e.m.Load64(table)|0x60) // accessed and dirty
		}
	})
	if _, err := e.t.Protect(0, k4, pt.Read); err != nil {
		t.Fatal(err)
	}
	e.m.Hook(nil)
	for _, l := range e.leaves() {
		if l.Attr&(pt.Accessed|pt.Dirty) != pt.Accessed|pt.Dirty {
			t.Fatalf("%#x is %v", l.VA, l.Attr)
		}
	}
	e.check(t)
}

// TestLookupOvertaken stops a Lookup before it loads the last entry of its
// walk. Meanwhile a larger page replaces the table, and Lookup goes on just
// when the table has got its first word that is no entry; or only when the table
// was freed and filled with entries that lead astray. Both times it must find
// the new page.
func TestLookupOvertaken(t *testing.T) {
	for _, freed := range []bool{false, true} {
		e := newEnv(t, pt.NPT(true))
		if err := e.t.Map(0, g1, k4, pt.RW); err != nil {
			t.Fatal(err)
		}
		table := e.t.Root()
		for range 3 {
			table = mm.HPA(e.m.Load64(table) & 0x000f_ffff_ffff_f000)
		}
		arrived, proceed, done := make(chan bool), make(chan bool), make(chan mm.HPA)
		var stopped atomic.Bool
		e.m.HookLoad(func(a mm.HPA) {
			if a == table && stopped.CompareAndSwap(false, true) {
				arrived <- true
				<-proceed
			}
		})
		go func() {
			pa, _, _, _ := e.t.Lookup(5)
			done <- pa
		}()
		<-arrived
		var got mm.HPA
		finish := func() {
			e.m.Hook(nil)
			proceed <- true
			got = <-done
		}
		e.m.Hook(func(s phystest.Store) {
			if s.Addr == table && !freed {
				finish()
			}
		})
		if _, err := e.t.Replace(0, 2*g1, m2, pt.RW); err != nil {
			t.Fatal(err)
		}
		e.t.Reap()
		if freed {
			finish()
		}
		if got != 2*g1+5 {
			t.Errorf("freed %v: Lookup = %#x", freed, got)
		}
	}
}

// TestConcurrentLookup looks up while another goroutine edits, flushes and
// frees tables, whose frames are filled with entries that lead astray at once.
func TestConcurrentLookup(t *testing.T) {
	e := newEnv(t, pt.NPT(true))
	e.m.Quiet(true)
	if err := e.t.Map(4*m2, 4*m2, m2, pt.RW); err != nil {
		t.Fatal(err)
	}
	var stop atomic.Bool
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for n := 0; !stop.Load(); n++ {
				va := pt.Addr(n%(2*512)) * k4
				pa, _, attr, ok := e.t.Lookup(va)
				if ok && (pa != mm.HPA(va)+g1 && pa != mm.HPA(va)+2*g1 || attr&pt.Read == 0) {
					t.Errorf("Lookup(%#x) = %#x, %v", va, pa, attr)
				}
				if pa, _, _, ok := e.t.Lookup(4*m2 + 5); !ok || pa != 4*m2+5 {
					t.Errorf("the page next door went to %#x, %v", pa, ok)
				}
			}
		})
	}
	for i := range 60 {
		for _, s := range []step{
			{op: "map", va: 0, pa: g1, size: 2 * m2, attr: pt.RW},
			{op: "protect", va: m2 - k4, size: 2 * k4, attr: pt.Read},
			{op: "replace", va: 0, pa: 2 * g1, size: 2 * m2, attr: pt.RW},
			{op: "unmap", va: pt.Addr(i) * k4, size: k4},
			{op: "unmap", va: 0, size: 2 * m2},
		} {
			if _, err := s.run(e.t); err != nil {
				t.Error(err)
			}
			e.t.Reap()
		}
	}
	stop.Store(true)
	wg.Wait()
	e.check(t)
}
