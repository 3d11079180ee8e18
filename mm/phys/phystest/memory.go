// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package phystest is physical memory for tests on a developer's machine: it
// is sparse, keeps a log of every store that can be rewound, and fails the
// test when something outside the declared ranges is touched.
package phystest

import (
	"encoding/binary"
	"sync"

	"ringo/mm"
)

// TB is what Memory needs of a testing.TB.
type TB interface {
	Helper()
	Errorf(format string, args ...any)
}

// Store is one change of a 64-bit word.
type Store struct {
	Addr     mm.HPA
	Old, New uint64
}

type page [mm.PageSize / 8]uint64

type span struct{ start, last mm.HPA }

// Memory implements phys.Memory. It may be used from several goroutines.
type Memory struct {
	tb TB

	mu       sync.Mutex
	declared []span
	pages    map[mm.HPA]*page
	log      []Store
	quiet    bool
	hook     func(Store)
	busy     bool // a hook runs
	loads    func(mm.HPA)
}

// New returns memory that reads as zero and of which nothing is declared.
func New(tb TB) *Memory { return &Memory{tb: tb, pages: map[mm.HPA]*page{}} }

// Declare makes [a, a+size) accessible and returns m.
func (m *Memory) Declare(a mm.HPA, size uint64) *Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	if size != 0 {
		m.declared = append(m.declared, span{a, a + mm.HPA(size-1)})
	}
	return m
}

// Withdraw makes [a, a+size), which must have been declared in this form,
// inaccessible. Its contents stay.
func (m *Memory) Withdraw(a mm.HPA, size uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, s := range m.declared {
		if s == (span{a, a + mm.HPA(size-1)}) {
			m.declared = append(m.declared[:i], m.declared[i+1:]...)
			return
		}
	}
	m.tb.Helper()
	m.tb.Errorf("phystest: Withdraw(%#x, %#x): never declared", a, size)
}

// Quiet turns the log off (or on again): for large tests that do not rewind.
func (m *Memory) Quiet(on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.quiet = on
}

// Hook has fn called after every logged store, outside the memory's lock, on
// the goroutine that stores. It may read and store; its stores call no hook.
func (m *Memory) Hook(fn func(Store)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hook = fn
}

// HookLoad has fn called before every Load64, outside the memory's lock, on the
// goroutine that loads: to stop a reader where it hurts.
func (m *Memory) HookLoad(fn func(mm.HPA)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.loads = fn
}

// Log returns the stores since the beginning. Stores that change nothing are
// part of it; Zero appears as the words that it changed.
func (m *Memory) Log() []Store {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]Store(nil), m.log...)
}

// Mark is the length of the log: a point to rewind to.
func (m *Memory) Mark() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.log)
}

// Rewind takes back all stores since mark and drops them from the log.
func (m *Memory) Rewind(mark int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.log) > mark {
		s := m.log[len(m.log)-1]
		m.log = m.log[:len(m.log)-1]
		*m.word(s.Addr) = s.Old
	}
}

// check fails the test unless all of [a, a+n) lies within one declared range.
func (m *Memory) check(what string, a mm.HPA, n uint64) bool {
	if n == 0 {
		return true
	}
	last := a + mm.HPA(n-1)
	for _, s := range m.declared {
		if last >= a && a >= s.start && last <= s.last {
			return true
		}
	}
	m.tb.Helper()
	m.tb.Errorf("phystest: %s of %d bytes at %#x: outside the declared ranges", what, n, a)
	return false
}

func (m *Memory) check64(what string, a mm.HPA) bool {
	m.tb.Helper()
	if !mm.Aligned(a, 8) {
		m.tb.Errorf("phystest: %s at %#x: not aligned to 8", what, a)
		return false
	}
	return m.check(what, a, 8)
}

// word returns the word that holds a.
func (m *Memory) word(a mm.HPA) *uint64 {
	base := mm.AlignDown(a, mm.PageSize)
	p := m.pages[base]
	if p == nil {
		p = new(page)
		m.pages[base] = p
	}
	return &p[(a-base)/8]
}

// store changes a word and logs it.
func (m *Memory) store(a mm.HPA, v uint64) {
	w := m.word(a)
	if !m.quiet {
		m.log = append(m.log, Store{a, *w, v})
	}
	*w = v
}

// unlock ends an operation that has stored, and runs the hook for it.
func (m *Memory) unlock(mark int) {
	hook := m.hook
	if hook == nil || m.busy || len(m.log) == mark {
		m.mu.Unlock()
		return
	}
	done := append([]Store(nil), m.log[mark:]...)
	m.busy = true
	m.mu.Unlock()
	for _, s := range done {
		hook(s)
	}
	m.mu.Lock()
	m.busy = false
	m.mu.Unlock()
}

// bytes visits the words that overlap [a, a+n).
func (m *Memory) bytes(a mm.HPA, n int, fn func(word mm.HPA, from, to, at int)) {
	for at := 0; at < n; {
		word := mm.AlignDown(a+mm.HPA(at), 8)
		from := int(a) + at - int(word)
		to := min(8, from+n-at)
		fn(word, from, to, at)
		at += to - from
	}
}

func put(w uint64, from, to int, b []byte) uint64 {
	var raw [8]byte
	binary.LittleEndian.PutUint64(raw[:], w)
	copy(raw[from:to], b)
	return binary.LittleEndian.Uint64(raw[:])
}

func get(w uint64, from, to int, b []byte) {
	var raw [8]byte
	binary.LittleEndian.PutUint64(raw[:], w)
	copy(b, raw[from:to])
}
