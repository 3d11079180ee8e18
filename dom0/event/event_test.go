// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package event

import (
	"sync"
	"sync/atomic"
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
	raise(&page, 1, 5, 64, 300)
	waits := 0
	func() {
		defer func() { recover() }()
		s.Run(func() {
			if waits++; waits == 2 {
				panic("end")
			}
			raise(&page, 1)
		})
	}()
	if got[1] != 2 || got[64] != 1 || got[300] != 1 || s.Spurious.Load() != 1 {
		t.Errorf("handled %v, spurious %d", got, s.Spurious.Load())
	}
	s.Handle(1, nil, nil)
	raise(&page, 1)
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
		if served == 1 && page.Masked == 0 {
			t.Error("not masked while polling")
		}
		if served == 1 {
			raise(&page, 2) // by the guest that was answered
		}
	}, nil)
	raise(&page, 2)
	func() {
		defer func() { recover() }()
		s.Run(func() {
			for w := range words {
				if page.Masked != 0 || page.Pending[w] != 0 {
					t.Errorf("word %d: waits with mask %#x, pending %#x", w, page.Masked, page.Pending[w])
				}
			}
			if late {
				panic("end")
			}
			late = true
			raise(&page, 2)
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
	raise(&page, 1, 2, 3, 70)
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
	raise(&page, 5)
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
		ports []int
		want  bool
	}{{nil, true}, {[]int{65}, true}, {[]int{65, 66}, false}, {[]int{1}, false}, {[]int{128}, false}, {[]int{1, 65}, false}, {[]int{67}, false}} {
		page = abi.SharedInfo{}
		if raise(&page, c.ports...); quiet() != c.want {
			t.Errorf("%v pending: quiet %v", c.ports, !c.want)
		}
	}
}

// TestDevices has ports of devices raised before and after they are served apart, by
// goroutine and thread at once, and a handler that fails there.
func TestDevices(t *testing.T) {
	const first = abi.PortDevice
	var page abi.SharedInfo
	s := New(&page)
	got, failed := map[int]int{}, []any{}
	for _, p := range []int{1, first, first + 63} {
		s.Handle(uint32(p), func() { got[p]++ }, nil)
	}
	s.Handle(first+5, func() {
		s.Handle(first+5, nil, nil)
		panic("its driver")
	}, func(v any) { failed = append(failed, v) })
	raise(&page, first+63)
	if !s.Poll() || got[first+63] != 1 {
		t.Errorf("before they are apart the thread handled %v", got)
	}
	raise(&page, 1)
	waits := 0
	func() {
		defer func() {
			if v := recover(); v != "end" {
				t.Errorf("the wait's own panic became %v", v)
			}
		}()
		s.Devices(nil, func(look func()) {
			if waits++; waits == 1 {
				raise(&page, first, first+5, first+63)
			}
			look()
			if waits == 2 {
				panic("end")
			}
			t.Error("went on")
		})
	}()
	// The failure has them looked at once more.
	if len(failed) != 1 || got[first] == 0 || got[first+63] < 2 || got[1] != 0 || page.Devices != 0 {
		t.Errorf("failures %v, handled %v, left %#x: want one, and all others of devices", failed, got, page.Devices)
	}
	raise(&page, first)
	if !s.Poll() || got[1] != 1 || page.Devices != 1 {
		t.Errorf("the thread handled %v, left %#x: want port 1, and no device", got, page.Devices)
	}
}

// TestLater has several threads leave work behind, again and again, also such as was left
// before and is being done: nothing is overlooked, and nobody is told twice.
func TestLater(t *testing.T) {
	const threads, rounds = 4, 20_000
	var page abi.SharedInfo
	s := New(&page)
	direct := 0
	if s.Later(func() { direct++ })(); direct != 1 {
		t.Errorf("without a goroutine of devices, called %d times", direct)
	}
	told := make(Signal, 1)
	var asked, seen [threads]atomic.Uint64
	var work sync.WaitGroup
	ready := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer func() { recover() }()
		s.Devices(told.Set, func(look func()) {
			close(ready)
			for {
				look()
				if done := func() bool {
					for i := range threads {
						if seen[i].Load() != rounds {
							return false
						}
					}
					return true
				}(); done {
					panic("end")
				}
				<-told // for ever, if something is overlooked
			}
		})
	}()
	<-ready
	for i := range threads {
		call := s.Later(func() { seen[i].Store(asked[i].Load()) })
		work.Go(func() {
			for range rounds {
				asked[i].Add(1)
				call()
			}
		})
	}
	work.Wait()
	<-ended
	if a := testing.AllocsPerRun(100, s.Later(func() {})); a > 1 {
		t.Errorf("a call allocates %v times", a)
	}
}

// raise is what the hypervisor does.
func raise(page *abi.SharedInfo, ports ...int) {
	for _, p := range ports {
		if p >= abi.PortDevice {
			atomic.OrUint64(&page.Devices, 1<<(p-abi.PortDevice))
			continue
		}
		atomic.OrUint64(&page.Pending[p/64], 1<<(p%64))
		atomic.OrUint64(&page.Ready, 1<<(p/64))
	}
}
