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
		s.Handle(uint32(p), func() { got[p]++ })
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
	s.Handle(1, nil)
	page.Pending[0] = 1 << 1
	s.Poll()
	if got[1] != 2 || s.Spurious.Load() != 2 {
		t.Error("a removed handler was called")
	}
}

func TestSignal(t *testing.T) {
	s := NewSignal()
	s.Set()
	s.Set()
	<-s
	select {
	case <-s:
		t.Error("two sets, two wake-ups")
	default:
	}
}

type reg struct{ val, off uint64 }

func (r *reg) Read(off uint64, size uint8) uint64       { r.off = off; return r.val }
func (r *reg) Write(off uint64, size uint8, val uint64) { r.off, r.val = off, val }

func TestModels(t *testing.T) {
	var page abi.IOReqPage
	dev := &reg{val: 0x42}
	var done []uint32
	m := &Models{
		Dom: 3, VCPUs: 2, Page: &page,
		Ranges: []Range{{abi.SpacePort, 0x3f8, 8, dev}},
		Done:   func(dom, vcpu uint32) { done = append(done, dom, vcpu) },
	}
	ask := func(addr uint64, size, read uint8, data uint64) uint64 {
		page.Slot[1] = abi.IOReq{State: abi.IOReqReady, Addr: addr, Size: size, Read: read, Data: data}
		done = nil
		m.Serve()
		if page.Slot[1].State != abi.IOReqDone || len(done) != 2 || done[0] != 3 || done[1] != 1 {
			t.Fatalf("slot %+v, done %v", page.Slot[1], done)
		}
		return page.Slot[1].Data
	}
	if v := ask(0x3fd, 1, 1, 0); v != 0x42 || dev.off != 5 {
		t.Errorf("read %#x at %d", v, dev.off)
	}
	if ask(0x3f8, 1, 0, 7); dev.val != 7 || dev.off != 0 {
		t.Errorf("wrote %#x at %d", dev.val, dev.off)
	}
	for _, addr := range []uint64{0x3f7, 0x3ff, 0x400, ^uint64(0)} {
		if v := ask(addr, 2, 1, 0); v != ^uint64(0) {
			t.Errorf("access at %#x was answered %#x", addr, v)
		}
	}
	if n := testing.AllocsPerRun(100, func() {
		page.Slot[0].State = abi.IOReqReady
		m.answer(&page.Slot[0])
	}); n != 0 {
		t.Errorf("an answer allocates %v times", n)
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
	})
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
