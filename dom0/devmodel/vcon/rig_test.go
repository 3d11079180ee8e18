// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vcon

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ringo/dom0/devmodel/pcihost"
	"ringo/dom0/devmodel/vpci"
	"ringo/drivers/virtio/ring"
	"ringo/hv/bus"
)

// memory is RAM from 0 on, in pieces of 16 KiB for who looks at it.
type memory struct {
	b    [1 << 20]byte
	pins atomic.Int32
}

func (m *memory) RAM(a, n uint64) []byte {
	const pieceLen = 1 << 14
	if a >= uint64(len(m.b)) {
		return nil
	}
	end := a + min(n, pieceLen-a%pieceLen)
	return m.b[a:end:end]
}
func (m *memory) Pin() bool { m.pins.Add(1); return true }
func (m *memory) Unpin()    { m.pins.Add(-1) }

// sink keeps what it has room for.
type sink struct {
	mu   sync.Mutex
	b    bytes.Buffer
	room int
}

func (s *sink) Write(p []byte) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := min(len(p), s.room)
	s.room -= n
	s.b.Write(p[:n])
	return n
}

func (s *sink) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func (s *sink) more(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.room += n
}

// rig is a device with a console and a port "agent", and a driver of it.
type rig struct {
	t           testing.TB
	m           memory
	con, agent  sink
	dev         *Device
	d           *vpci.Device
	regs        bus.Device
	queues      []*ring.Driver
	failed      chan any
	interrupted atomic.Int32
}

func (r *rig) Line(uint32) bus.Line   { return r }
func (r *rig) Set(bool)               { r.interrupted.Add(1) }
func (r *rig) Message(uint64, uint32) { r.interrupted.Add(1) }
func (r *rig) Reset()                 {}

const plenty = 1 << 30

func newRig(t testing.TB) *rig {
	r := &rig{t: t, failed: make(chan any, 100)}
	r.con.room = plenty
	r.dev = New(Config{Console: &r.con, Ports: []Sink{&r.agent}, Names: []string{"agent"}})
	r.d = vpci.New(r.dev.Kind(), &r.m, func(int, uint64, bool) {}, func(v any) { r.failed <- v })
	host := pcihost.New(r)
	host.Add(1, r.d.Function)
	r.regs = host.Memory()
	host.Config(1).Write(4, 2, 7, 0)
	t.Cleanup(func() {
		r.d.Stop()
		if n := r.m.pins.Load(); n != 0 {
			t.Errorf("%d pins are left", n)
		}
		if len(r.failed) > 0 {
			t.Errorf("a panic: %v", <-r.failed)
		}
	})
	return r
}

func (r *rig) w(off uint64, size uint8, v uint64) { r.regs.Write(off, size, v, 0) }
func (r *rig) rd(off uint64, size uint8) uint64   { return r.regs.Read(off, size, 0) & (1<<(8*size) - 1) }

// eventually waits until f is true.
func (r *rig) eventually(what string, f func() bool) {
	r.t.Helper()
	for end := time.Now().Add(time.Minute); !f(); runtime.Gosched() {
		if time.Now().After(end) {
			r.t.Fatalf("not within a minute: %s; status %#x", what, r.rd(20, 1))
		}
	}
}

// layout is where queue i lies.
func layout(i int) ring.Layout {
	at := uint64(0x1000 * (i + 1))
	return ring.Layout{Size: queueSize, Desc: at, Avail: at + 0x200, Used: at + 0x300}
}

// data is where buffer n of queue i is, of 4 KiB.
func data(i, n int) uint64 { return 0x20000 + uint64(i*queueSize+n)<<12 }

// start brings the device to DRIVER_OK with all queues.
func (r *rig) start(features uint64) {
	r.t.Helper()
	r.w(20, 1, 0)
	r.eventually("reset", func() bool { return r.rd(20, 1) == 0 })
	r.w(20, 1, 3)
	for i := range uint64(2) {
		r.w(8, 4, i)
		r.w(12, 4, (features|1<<32)>>(32*i)&0xffff_ffff)
	}
	r.w(20, 1, 11)
	n := int(r.rd(18, 2))
	if features&featPorts == 0 {
		n = 2
	}
	r.queues = nil
	for i := range n {
		l := layout(i)
		clear(r.m.b[l.Desc : l.Desc+0x1000])
		l.Features = features
		q, err := ring.NewDriver(&r.m, l)
		if err != nil {
			r.t.Fatal(err)
		}
		r.queues = append(r.queues, q)
		r.w(22, 2, uint64(i))
		r.w(24, 2, queueSize)
		for j, a := range []uint64{l.Desc, l.Avail, l.Used} {
			r.w(32+8*uint64(j), 4, a)
			r.w(36+8*uint64(j), 4, 0)
		}
		r.w(28, 2, 1)
	}
	r.w(20, 1, 15)
	if s := r.rd(20, 1); s != 15 {
		r.t.Fatalf("status %#x", s)
	}
}

// room gives the device buffers of size bytes to write, in queue i.
func (r *rig) room(i, n, size int) {
	for k := range n {
		r.queues[i].Add([]ring.Buffer{{Addr: data(i, k), Len: uint32(size), Write: true}}, k)
	}
	r.d.Kick(i)
}

// read returns what comes by queue i next, and gives the buffer back.
func (r *rig) read(i, size int) string {
	r.t.Helper()
	var s string
	r.eventually("something comes", func() bool {
		k, n, ok := r.queues[i].Next()
		if ok {
			at := data(i, k.(int))
			s = string(r.m.b[at : at+uint64(n)])
			r.queues[i].Add([]ring.Buffer{{Addr: at, Len: uint32(size), Write: true}}, k)
			r.d.Kick(i)
		}
		return ok
	})
	return s
}

// put sends by queue i, in buffer k.
func (r *rig) put(i, k int, s string) {
	at := data(i, k)
	copy(r.m.b[at:], s)
	r.queues[i].Add([]ring.Buffer{{Addr: at, Len: uint32(len(s))}}, k)
	r.d.Kick(i)
}

// done waits until queue i gives a buffer back.
func (r *rig) done(i int) {
	r.t.Helper()
	r.eventually("a buffer comes back", func() bool { _, _, ok := r.queues[i].Next(); return ok })
}

// send sends by queue i and waits.
func (r *rig) send(i int, s string) {
	r.t.Helper()
	r.put(i, 0, s)
	r.done(i)
}

func message(port, event, value uint16, more string) string {
	le := binary.LittleEndian
	return string(le.AppendUint16(le.AppendUint16(le.AppendUint32(nil, uint32(port)), event), value)) + more
}

// greet is what a driver and the device say to each other at the beginning.
func (r *rig) greet() {
	r.t.Helper()
	r.room(2, queueSize, 128)
	r.send(3, message(0, eventReady, 1, ""))
	for i := range uint16(2) {
		if got := r.read(2, 128); got != message(i, eventAdd, 1, "") {
			r.t.Fatalf("port %d: %q", i, got)
		}
	}
	for i, want := range [][]string{
		{message(0, eventConsole, 1, ""), message(0, eventOpen, 1, "")},
		{message(1, eventName, 1, "agent"), message(1, eventOpen, 0, "")},
	} {
		r.send(3, message(uint16(i), eventPortReady, 1, ""))
		for _, w := range want {
			if got := r.read(2, 128); got != w {
				r.t.Fatalf("port %d: %q, want %q", i, got, w)
			}
		}
	}
}
