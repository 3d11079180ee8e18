// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package event

import (
	"testing"

	"ringo/hv/abi"
)

func TestServer(t *testing.T) {
	var page abi.SharedInfo
	s := New(&page)
	got := map[int]int{}
	for _, p := range []int{1, 64, 300} {
		s.Handle(uint32(p), func() { got[p]++ }, nil)
	}
	page.Pending[0], page.Pending[1], page.Pending[4] = 1<<1|1<<5, 1, 1<<44
	waits := 0
	func() {
		defer func() { recover() }()
		s.Run(func() {
			if waits++; waits == 2 {
				panic("end")
			}
			page.Pending[0] = 1 << 1
		})
	}()
	if got[1] != 2 || got[64] != 1 || got[300] != 1 || s.Spurious.Load() != 1 {
		t.Errorf("handled %v, spurious %d", got, s.Spurious.Load())
	}
	s.Handle(1, nil, nil)
	page.Pending[0] = 1 << 1
	s.Poll()
	if got[1] != 2 || s.Spurious.Load() != 2 {
		t.Error("a removed handler was called")
	}
}

func TestSignal(t *testing.T) {
	s := make(Signal, 1)
	s.Set()
	s.Set()
	<-s
	select {
	case <-s:
		t.Error("two sets, two wake-ups")
	default:
	}
}

// Interrupts are off while the server looks by itself, on when it waits, and
// what comes in between is served before it waits.
func TestMask(t *testing.T) {
	var page abi.SharedInfo
	s := New(&page)
	served, late := 0, false
	s.Handle(2, func() {
		served++
		if served == 1 && page.Mask[0] != ^uint64(0) {
			t.Error("not masked while polling")
		}
		if served == 1 {
			page.Pending[0] = 1 << 2 // by the guest that was answered
		}
	}, nil)
	page.Pending[0] = 1 << 2
	func() {
		defer func() { recover() }()
		s.Run(func() {
			for w := range words {
				if page.Mask[w] != 0 || page.Pending[w] != 0 {
					t.Errorf("word %d: waits with mask %#x, pending %#x", w, page.Mask[w], page.Pending[w])
				}
			}
			if late {
				panic("end")
			}
			late = true
			page.Pending[0] = 1 << 2
		})
	}()
	if served != 3 {
		t.Errorf("served %d times, want 3", served)
	}
}

// TestFailure has a handler panic between others, whose events came with its own.
func TestFailure(t *testing.T) {
	var page abi.SharedInfo
	s := New(&page)
	got, failed := map[int]int{}, []any{}
	for _, p := range []int{1, 3, 70} {
		s.Handle(uint32(p), func() { got[p]++ }, nil)
	}
	s.Handle(2, func() {
		s.Handle(2, nil, nil) // as when its domain goes meanwhile
		var none []int
		got[none[0]]++
	}, func(v any) { failed = append(failed, v) })
	page.Pending[0], page.Pending[1] = 1<<1|1<<2|1<<3, 1<<6
	func() {
		defer func() {
			if v := recover(); v != "end" {
				t.Errorf("the wait's own panic became %v", v)
			}
		}()
		s.Run(func() { panic("end") })
	}()
	if len(failed) != 1 || got[1] == 0 || got[3] == 0 || got[70] == 0 {
		t.Errorf("failures %v, handled %v: want one, and all others", failed, got)
	}

	s.Handle(5, func() { panic("mine") }, nil)
	page.Pending[0] = 1 << 5
	func() {
		defer func() {
			if v := recover(); v != "mine" {
				t.Errorf("a panic that nobody takes became %v", v)
			}
		}()
		s.Run(func() { t.Error("went on"); panic("end") })
	}()
}

func TestQuiet(t *testing.T) {
	var page abi.SharedInfo
	s := New(&page)
	quiet := s.Quiet(65)
	for _, c := range []struct {
		word int
		bits uint64
		want bool
	}{{0, 0, true}, {1, 1 << 1, true}, {1, 1<<1 | 1<<2, false}, {0, 1 << 1, false}, {2, 1, true}, {1, 1 << 3, false}} {
		s.Handle(65, func() {}, nil)
		page.Pending = [len(page.Pending)]uint64{}
		if page.Pending[c.word] = c.bits; quiet() != c.want {
			t.Errorf("word %d is %#x: quiet %v", c.word, c.bits, !c.want)
		}
	}
}
