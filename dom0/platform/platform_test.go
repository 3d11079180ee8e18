// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package platform

import (
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ringo/dom0/account"
	"ringo/dom0/board"
	"ringo/dom0/config"
	"ringo/dom0/console"
	"ringo/dom0/devmodel/rtc"
	"ringo/dom0/devmodel/serial"
	"ringo/dom0/domain"
	"ringo/dom0/event"
	"ringo/dom0/guestmem"
	"ringo/dom0/hcall"
	"ringo/dom0/hcall/hcalltest"
	"ringo/hv/abi"
)

// rig is a machine with one domain whose devices are attached, and the event
// thread of dom0.
type rig struct {
	lines chan string // for people
	*hcalltest.Machine
	hv *hcall.Client
	pc *Platform
	a  domain.Attachment
}

func newRig(t *testing.T, guest func(*hcalltest.CPU)) *rig {
	m := hcalltest.New(64<<20, 1)
	m.Guest = guest
	wake := make(event.Signal, 1)
	m.Upcall = wake.Set
	events := event.New(m.Shared)
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		events.Run(func() {
			select {
			case <-wake:
			case <-stop:
				runtime.Goexit()
			}
		})
	}()
	t.Cleanup(func() { close(stop); <-done })
	r := &rig{Machine: m, hv: m.Client()}
	r.lines = make(chan string, 10)
	r.pc = New(r.hv, events, m, nil, func(l string) { r.lines <- l })
	r.pc.now = func() int64 { return time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC).UnixNano() }
	r.a = r.create(t, "a", 1)
	return r
}

func (r *rig) create(t *testing.T, name string, uuid byte) domain.Attachment {
	args := abi.CreateArgs{VCPUs: 1, MaxBytes: 1 << 20}
	hcall.SetText(args.Name[:], name)
	if err := r.hv.Create(&args); err != nil {
		t.Fatal(err)
	}
	if err := r.hv.SetVCPU(args.ID, 0, &abi.VCPUContext{Online: 1}); err != nil {
		t.Fatal(err)
	}
	machine, err := board.New(board.Config{CPUs: 1, Memory: 64 << 20, RNG: true})
	if err != nil {
		t.Fatal(err)
	}
	a := domain.Attachment{
		ID: args.ID, VCPUs: 1, Port: args.Port, IOReq: args.IOReq, Name: name, Machine: machine, Memory: guestmem.New(nil),
	}
	a.UUID[15] = uuid
	return a
}

// start attaches the devices of a domain and lets it run.
func (r *rig) start(t *testing.T, a domain.Attachment) *console.Guest {
	t.Helper()
	for _, c := range a.Machine.Claims() {
		if err := r.hv.Claim(a.ID, c.Space, c.Start, c.Size, c.Cell); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.pc.Attach(a); err != nil {
		t.Fatal(err)
	}
	if err := r.hv.Unpause(a.ID); err != nil {
		t.Fatal(err)
	}
	return r.pc.Console(a.ID, config.Serial)
}

// output waits for n bytes of a guest's output.
func output(t *testing.T, g *console.Guest, n int) string {
	t.Helper()
	buf := make([]byte, 1000)
	for {
		changed := g.Changed()
		if got, _ := g.Read(buf, 0); got >= n {
			return string(buf[:got])
		}
		select {
		case <-changed:
		case <-time.After(10 * time.Second):
			t.Fatal("no output")
		}
	}
}

func print(c *hcalltest.CPU, s string) {
	for _, b := range []byte(s) {
		c.Out(serial.Base, b)
	}
}

// echo is a guest with an interrupt-driven console.
func echo(c *hcalltest.CPU) {
	c.Out(serial.Base+4, 0x0b)
	c.Out(serial.Base+1, 0x01)
	print(c, c.Name()+">")
	for {
		c.WaitIRQ(serial.GSI)
		for c.In(serial.Base+5)&1 != 0 {
			c.Out(serial.Base, c.In(serial.Base))
		}
	}
}

func TestConsole(t *testing.T) {
	r := newRig(t, echo)
	g := r.start(t, r.a)
	output(t, g, 2)
	g.Send([]byte("hello"))
	if s := output(t, g, 7); s != "a>hello" {
		t.Errorf("%q", s)
	}
	if r.pc.Console(99, config.Serial) != nil {
		t.Error("a console of nobody")
	}
}

func TestClock(t *testing.T) {
	r := newRig(t, func(c *hcalltest.CPU) {
		for _, i := range []byte{9, 8, 7} {
			c.Out(rtc.Base, i)
			c.Out(serial.Base, c.In(rtc.Base+1))
		}
	})
	if s := output(t, r.start(t, r.a), 3); s != "\x26\x11\x20" {
		t.Errorf("%x", s)
	}
}

// The console outlives a restart, and only that.
func TestRestart(t *testing.T) {
	r := newRig(t, echo)
	g := r.start(t, r.a)
	output(t, g, 2)
	r.pc.Detach(r.a.ID, true)
	if err := r.hv.Destroy(r.a.ID, nil); err != nil {
		t.Fatal(err)
	}
	b := r.create(t, "b", 1)
	if r.start(t, b) != g {
		t.Fatal("another console")
	}
	output(t, g, 4)
	g.Send([]byte("x"))
	if s := output(t, g, 5); s != "a>b>x" {
		t.Errorf("%q", s)
	}
	r.pc.Forget(r.a.UUID) // in use: stays
	select {
	case <-g.Gone():
		t.Error("gone")
	default:
	}
	r.pc.Detach(b.ID, false)
	r.pc.Detach(b.ID, false)
	<-g.Gone()
	if r.pc.Console(b.ID, config.Serial) != nil || len(r.pc.consoles) != 0 {
		t.Error("the console is kept")
	}
	// A restart that fails.
	c := r.create(t, "c", 2)
	g = r.start(t, c)
	r.pc.Detach(c.ID, true)
	r.pc.Forget(c.UUID)
	<-g.Gone()
}

// Once Detach returns nothing answers the domain's accesses, though its port is
// still raised: the page may be gone.
func TestDetach(t *testing.T) {
	r := newRig(t, func(c *hcalltest.CPU) {
		for {
			c.Out(serial.Base, 'x')
		}
	})
	g := r.start(t, r.a)
	output(t, g, 100)
	r.pc.Detach(r.a.ID, false)
	n := g.End()
	slot := &r.IOReqs(r.a.IOReq).Slot[0]
	for range 100 {
		if err := r.hv.EventSend(r.a.Port); err != nil {
			t.Fatal(err)
		}
	}
	for atomic.LoadUint32(&slot.State) != abi.IOReqReady {
		time.Sleep(time.Millisecond) // the guest has not asked again yet
	}
	time.Sleep(5 * time.Millisecond)
	if g.End() != n || atomic.LoadUint32(&slot.State) != abi.IOReqReady {
		t.Error("answered after Detach")
	}
	if err := r.hv.Destroy(r.a.ID, nil); err != nil {
		t.Fatal(err)
	}
}

// An access that was asked while dom0 was away is answered after adoption.
func TestAdopted(t *testing.T) {
	r := newRig(t, echo)
	if err := r.hv.Claim(r.a.ID, abi.SpacePort, serial.Base, serial.Size, 0); err != nil {
		t.Fatal(err)
	}
	if err := r.hv.Unpause(r.a.ID); err != nil {
		t.Fatal(err)
	}
	time.Sleep(5 * time.Millisecond)
	if err := r.pc.Attach(r.a); err != nil {
		t.Fatal(err)
	}
	output(t, r.pc.Console(r.a.ID, config.Serial), 2)
}

// Guests take no more of dom0's heap than is reserved for each, while nobody
// reads what is typed; one more than fits is refused, and all is given back.
func TestGuestBytes(t *testing.T) {
	r := newRig(t, nil)
	const guests = 12
	budget := account.New(guests*guestBytes*8/5 + 8)
	r.pc.memory = budget.Account("a guest")
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return s.HeapAlloc
	}
	var all []domain.Attachment
	for i := range guests + 1 {
		all = append(all, r.create(t, "g"+string(rune('a'+i)), byte(2+i)))
	}
	more := all[guests]
	all = all[:guests]
	typed := make([]byte, 50<<10)
	before := heap()
	for _, a := range all {
		if err := r.pc.Room(); err != nil {
			t.Fatal(err)
		}
		if err := r.pc.Attach(a); err != nil {
			t.Fatal(err)
		}
		for r.pc.Console(a.ID, config.Serial).Send(typed) == len(typed) {
		}
	}
	got := (heap() - before) / guests
	t.Logf("a guest takes %d bytes", got)
	if got > guestBytes || got < guestBytes/2 {
		t.Errorf("a guest takes %d bytes, guestBytes is %d", got, guestBytes)
	}
	const want = "dom0's memory is not enough: a guest takes 192 KiB, 0 KiB are free: destroy a guest, or boot with a dom0_mem="
	if err := r.pc.Room(); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Error(err)
	}
	if err := r.pc.Attach(more); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Error(err)
	}
	for _, a := range all {
		r.pc.Detach(a.ID, false)
	}
	if all, _ := budget.Use(); all[0].Bytes != 0 {
		t.Errorf("%d bytes remain reserved", all[0].Bytes)
	}
}
