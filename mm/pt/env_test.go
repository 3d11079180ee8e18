// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package pt_test

import (
	"errors"
	"testing"

	"ringo/mm"
	"ringo/mm/phys/phystest"
	"ringo/mm/pt"
)

// The frames of tables come from here; nothing else is declared, so that a walk
// that leaves the tables fails the test.
const (
	tablesBase = mm.HPA(0x4000_0000)
	tablesSize = 16 * mm.MiB
)

var errNoFrames = errors.New("no frames left")

// frames is a pt.Allocator that finds leaks and double frees, hands frames out
// with garbage in them, and can be told to fail.
type frames struct {
	t    testing.TB
	m    *phystest.Memory
	free []mm.HPA
	next mm.HPA
	used map[mm.HPA]bool
	left int // allocations until failure; negative: never
}

func (f *frames) AllocTable() (mm.HPA, error) {
	if f.left == 0 {
		return 0, errNoFrames
	}
	f.left--
	var a mm.HPA
	if n := len(f.free); n > 0 {
		a, f.free = f.free[n-1], f.free[:n-1]
	} else {
		a = f.next
		f.next += mm.PageSize
		f.scribble(a)
	}
	f.used[a] = true
	return a, nil
}

func (f *frames) FreeTable(a mm.HPA) {
	if !f.used[a] {
		f.t.Errorf("FreeTable(%#x): not allocated", a)
	}
	delete(f.used, a)
	f.scribble(a)
	f.free = append(f.free, a)
}

// scribble fills a frame with entries that look present in every format and
// lead to memory that does not exist.
func (f *frames) scribble(a mm.HPA) {
	for i := range mm.HPA(512) {
		f.m.Store64(a+i*8, 0x000b_adba_dbad_0027)
	}
}

type env struct {
	m *phystest.Memory
	f *frames
	t *pt.Tables
}

func newEnv(tb testing.TB, f *pt.Format) *env {
	tb.Helper()
	m := phystest.New(tb).Declare(tablesBase, tablesSize)
	fr := &frames{t: tb, m: m, next: tablesBase, used: map[mm.HPA]bool{}, left: -1}
	t, err := pt.New(f, m, fr)
	if err != nil {
		tb.Fatal(err)
	}
	return &env{m, fr, t}
}

// check verifies the tree and that the allocator agrees with its accounts.
func (e *env) check(tb testing.TB) {
	tb.Helper()
	if err := e.t.Check(); err != nil {
		tb.Error(err)
	}
	if got, want := e.t.Bytes(), uint64(len(e.f.used))*mm.PageSize; got != want {
		tb.Errorf("Bytes() = %d, allocated %d", got, want)
	}
}

// close frees the tree and checks that nothing leaked.
func (e *env) close(tb testing.TB) {
	tb.Helper()
	e.t.Free()
	if len(e.f.used) != 0 || e.t.Bytes() != 0 {
		tb.Errorf("after Free: %d frames, Bytes() = %d", len(e.f.used), e.t.Bytes())
	}
}

func (e *env) leaves() []pt.Leaf {
	var all []pt.Leaf
	e.t.Visit(func(l pt.Leaf) bool { all = append(all, l); return true })
	return all
}
