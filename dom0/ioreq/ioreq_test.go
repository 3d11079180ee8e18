// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package ioreq

import (
	"errors"
	"testing"

	"ringo/hv/abi"
	"ringo/hv/bus"
)

// hostFunc is a Host.
type hostFunc func(dom, vcpu uint32)

func (f hostFunc) IOReqDone(dom, vcpu uint32) error { f(dom, vcpu); return nil }

func never() bool  { return false }
func always() bool { return true }

// reg is a device of one register that remembers its last access.
type reg struct{ val, off, now uint64 }

func (r *reg) Read(off uint64, _ uint8, now uint64) uint64 { r.off, r.now = off, now; return r.val }
func (r *reg) Write(off uint64, _ uint8, val, now uint64)  { r.off, r.val, r.now = off, val, now }

func TestModels(t *testing.T) {
	var page abi.IOReqPage
	port, mem := &reg{val: 0x42}, &reg{val: 0x43}
	var done []uint32
	m := New(3, 2, &page, hostFunc(func(dom, vcpu uint32) { done = append(done, dom, vcpu) }), never)
	for _, err := range []error{m.Add(abi.SpacePort, 0x3f8, 8, port), m.Add(abi.SpaceMemory, 0x1_0000_03f8, 8, mem)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	ask := func(q abi.IOReq) uint64 {
		q.State, q.Time = abi.IOReqReady, 77
		page.Slot[1] = q
		done = nil
		m.Serve()
		if page.Slot[1].State != abi.IOReqDone || len(done) != 2 || done[0] != 3 || done[1] != 1 {
			t.Fatalf("slot %+v, done %v", page.Slot[1], done)
		}
		return page.Slot[1].Data
	}
	if v := ask(abi.IOReq{Addr: 0x3fd, Size: 1, Read: 1}); v != 0x42 || port.off != 5 || port.now != 77 {
		t.Errorf("read %#x at %d, time %d", v, port.off, port.now)
	}
	if ask(abi.IOReq{Addr: 0x3f8, Size: 1, Data: 7}); port.val != 7 || port.off != 0 {
		t.Errorf("wrote %#x at %d", port.val, port.off)
	}
	if v := ask(abi.IOReq{Space: uint8(abi.SpaceMemory), Addr: 0x1_0000_03fc, Size: 4, Read: 1}); v != 0x43 || mem.off != 4 {
		t.Errorf("read %#x of memory at %d", v, mem.off)
	}
	for _, q := range []abi.IOReq{
		{Addr: 0x3f7, Size: 2}, {Addr: 0x3ff, Size: 2}, {Addr: 0x400, Size: 2}, {Addr: ^uint64(0), Size: 2}, {Addr: 0x3f8},
		{Space: uint8(abi.SpaceMemory), Addr: 0x3f8, Size: 1}, {Space: uint8(abi.SpaceConfig), Addr: 0x3f8, Size: 1}, {Space: 7, Addr: 0x3f8, Size: 1},
	} {
		q.Read = 1
		if v := ask(q); v != ^uint64(0) {
			t.Errorf("access %+v was answered %#x", q, v)
		}
	}
	if n := testing.AllocsPerRun(100, func() {
		page.Slot[0] = abi.IOReq{State: abi.IOReqReady, Addr: 0x3f8, Size: 1}
		m.answer(&page.Slot[0])
	}); n != 0 {
		t.Errorf("an answer allocates %v times", n)
	}
}

func TestBells(t *testing.T) {
	var page abi.IOReqPage
	m := New(1, 1, &page, nil, never)
	var rung [abi.MaxBells]int
	for i := range rung {
		if n, ok := m.AddBell(func() { rung[i]++ }); !ok || n != uint32(i) {
			t.Fatalf("bell %d: %d %v", i, n, ok)
		}
	}
	if _, ok := m.AddBell(func() {}); ok {
		t.Error("too many bells")
	}
	page.Bell[0], page.Bell[1] = 1<<63|1, 1<<2
	m.Serve()
	m.Serve()
	for i, n := range rung {
		if want := i == 0 || i == 63 || i == 66; (n == 1) != want || n > 1 {
			t.Errorf("bell %d rang %d times", i, n)
		}
	}
	m.RemoveBell(5)
	again := 0
	if n, ok := m.AddBell(func() { again++ }); n != 5 || !ok {
		t.Errorf("bell %d, %v", n, ok)
	}
	m.RemoveBell(6)
	page.Bell[0] = 1<<5 | 1<<6
	if m.Serve(); again != 1 || rung[5]+rung[6] != 0 {
		t.Errorf("a doorbell that was given back rang, or its successor %d times", again)
	}
	few := New(1, 1, &page, nil, never)
	few.AddBell(func() {})
	page.Bell[0] = ^uint64(0) // by whoever: nobody has those
	few.Serve()
}

func TestAdd(t *testing.T) {
	m := New(1, 1, new(abi.IOReqPage), nil, never)
	for _, c := range []struct {
		s           abi.Space
		start, size uint64
		want        error
	}{
		{abi.SpacePort, 0x70, 2, nil},
		{abi.SpacePort, 0x71, 1, bus.ErrOverlap},
		{abi.SpacePort, 0x10070, 2, bus.ErrRange},
		{abi.SpacePort, 0xffff, 2, bus.ErrRange},
		{abi.SpaceMemory, 0x70, 2, nil},
	} {
		if err := m.Add(c.s, c.start, c.size, &reg{}); !errors.Is(err, c.want) {
			t.Errorf("Add(%d, %#x, %d) = %v, want %v", c.s, c.start, c.size, err, c.want)
		}
	}
}

// order is a device that notes values in the order in which they come.
type order struct{ got []uint64 }

func (o *order) Read(off uint64, _ uint8, _ uint64) uint64 { return uint64(len(o.got)) }
func (o *order) Write(_ uint64, _ uint8, val, now uint64)  { o.got = append(o.got, val+now) }

// Posted writes come before the accesses behind them, each once, also after the ring
// has turned over and for models that adopt a domain.
func TestPosted(t *testing.T) {
	var page abi.IOReqPage
	page.PostIn, page.PostOut = ^uint32(0)-2, ^uint32(0)-2
	for range 2 { // the second adopts
		o := new(order)
		m := New(1, 1, &page, hostFunc(func(uint32, uint32) {}), never)
		if err := m.Add(abi.SpacePort, 0x3f8, 8, o); err != nil {
			t.Fatal(err)
		}
		post := func(port uint16, val uint8) {
			page.Post[page.PostIn%abi.MaxPosts] = abi.Posted{Time: 1000, Port: port, Value: val}
			page.PostIn++
		}
		for i := range uint8(abi.MaxPosts) {
			post(0x3f8, i)
		}
		m.Serve()
		post(0x3f8, 64)
		post(0x80, 1) // nobody's
		page.Slot[0] = abi.IOReq{State: abi.IOReqReady, Addr: 0x3fd, Size: 1, Read: 1}
		m.Serve()
		if page.Slot[0].Data != abi.MaxPosts+1 || page.PostOut != page.PostIn {
			t.Errorf("the read came after %d writes", page.Slot[0].Data)
		}
		for i, v := range o.got {
			if v != 1000+uint64(i) {
				t.Fatalf("write %d is %d", i, v)
			}
		}
	}
	c := New(1, 1, &page, nil, never).Cell(5)
	for want, f := range map[uint32]func(){
		abi.CellPost: c.Post, abi.CellRead | 0x61: func() { c.Answer(0x61) }, 0: c.Forward,
	} {
		if f(); page.Cell[5] != want {
			t.Errorf("cell %#x, want %#x", page.Cell[5], want)
		}
	}
}

// A posted write that comes while Serve looks at slots is not overtaken by the access
// behind it.
func TestPostedMeanwhile(t *testing.T) {
	var page abi.IOReqPage
	o := new(order)
	m := New(1, 2, &page, hostFunc(func(_, vcpu uint32) {
		if vcpu == 0 { // the other vCPU runs now
			page.Post[0] = abi.Posted{Port: 0x3f8, Value: 7}
			page.PostIn = 1
			page.Slot[1] = abi.IOReq{State: abi.IOReqReady, Addr: 0x3f9, Size: 1, Read: 1}
		}
	}), never)
	if err := m.Add(abi.SpacePort, 0x3f8, 8, o); err != nil {
		t.Fatal(err)
	}
	page.Slot[0] = abi.IOReq{State: abi.IOReqReady, Addr: 0x3f9, Size: 1, Read: 1}
	m.Serve()
	if page.Slot[0].Data != 0 || page.Slot[1].Data != 1 {
		t.Errorf("reads came after %d and %d writes", page.Slot[0].Data, page.Slot[1].Data)
	}
}

// While a guest asks again and nobody else asks, it is answered at once, but not for
// ever; when somebody else asks, once.
func TestServeAgain(t *testing.T) {
	var page abi.IOReqPage
	answers := 0
	ask := func() { page.Slot[0] = abi.IOReq{State: abi.IOReqReady, Addr: 0x3f9, Size: 1, Read: 1} }
	for _, c := range []struct {
		quiet     func() bool
		asks, got int
	}{{always, 3, 3}, {always, 1000, passes}, {never, 3, 1}} {
		answers = 0
		m := New(1, 1, &page, hostFunc(func(uint32, uint32) {
			if answers++; answers < c.asks {
				ask()
			}
		}), c.quiet)
		ask()
		if m.Serve(); answers != c.got {
			t.Errorf("asked %d times: %d answers, want %d", c.asks, answers, c.got)
		}
	}
}
