// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vnet

import (
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"ringo/dom0/devmodel/pcihost"
	"ringo/dom0/devmodel/vpci"
	"ringo/drivers/dma"
	"ringo/drivers/nic"
	"ringo/drivers/reg"
	"ringo/drivers/virtio"
	"ringo/drivers/virtio/ring"
	"ringo/hv/bus"
)

// memory is RAM from 0 on, in pieces of 16 KiB for who looks at it, and the arena of a
// driver. It is not Go's, so that the race detector takes no interest in what a guest and
// its device do with it at the same time, and it is gone when the test ends.
type memory struct {
	t    testing.TB
	b    []byte
	used int
	pins atomic.Int32
}

const (
	memoryLen = 4 << 20
	pieceLen  = 1 << 14
)

func newMemory(t testing.TB) *memory {
	b, err := syscall.Mmap(-1, 0, memoryLen, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	return &memory{t: t, b: b}
}

// RAM is what the device calls.
func (m *memory) RAM(a, n uint64) []byte {
	if m.pins.Load() == 0 {
		m.t.Error("memory is looked for that is not pinned")
	}
	return own{m}.RAM(a, n)
}
func (m *memory) Pin() bool { m.pins.Add(1); return true }
func (m *memory) Unpin()    { m.pins.Add(-1) }

// own is the memory as the guest sees it.
type own struct{ m *memory }

func (o own) RAM(a, n uint64) []byte {
	if a >= memoryLen {
		return nil
	}
	end := a + min(n, pieceLen-a%pieceLen)
	return o.m.b[a:end:end]
}

func (m *memory) Alloc(size, align int) (dma.Segment, error) {
	at := (m.used + align - 1) &^ (align - 1)
	if at+size > len(m.b) {
		return dma.Segment{}, dma.ErrMemory
	}
	m.used = at + size
	return dma.Segment{Addr: uint64(at), Bytes: m.b[at : at+size : at+size]}, nil
}

var mac = nic.MAC{0x52, 0x54, 0, 0x12, 0x34, 0x56}

// rig is a device on its bus. Sent gets what it sends.
type rig struct {
	t      testing.TB
	m      *memory
	dev    *Device
	d      *vpci.Device
	regs   bus.Device // base address 0
	config bus.Device
	failed chan any

	mu       sync.Mutex
	handlers map[uint32]func()
	messages int
	frames   []nic.Frame // copies of what was sent, while keep
	sent     func(frames []nic.Frame)
}

func (r *rig) Line(uint32) bus.Line { return r }
func (r *rig) Set(bool)             {}
func (r *rig) Reset()               {}
func (r *rig) Message(_ uint64, data uint32) {
	r.mu.Lock()
	r.messages++
	h := r.handlers[data]
	r.mu.Unlock()
	if h != nil {
		h()
	}
}

// newRig makes a device of c; its features are those of mask.
func newRig(t testing.TB, c Config, mask uint64) *rig {
	r := &rig{t: t, m: newMemory(t), failed: make(chan any, 10), handlers: map[uint32]func(){}}
	if c.MAC == (nic.MAC{}) {
		c.MAC = mac
	}
	c.MTU, c.Pairs = max(c.MTU, nic.MTU), max(c.Pairs, 1)
	if c.Send == nil {
		c.Send = r.send
	}
	r.dev = New(c)
	r.dev.features &= mask
	r.d = vpci.New(r.dev.Kind(), r.m, func(int, uint64, bool) {}, func(v any) { r.failed <- v })
	host := pcihost.New(r)
	host.Add(1, r.d.Function)
	r.regs, r.config = host.Memory(), host.Config(1)
	r.config.Write(4, 2, 7, 0)
	r.config.Write(0x42, 2, 0x8000, 0)
	for v := range uint64(2 + 2*c.Pairs) {
		r.w(0x2000+16*v, 4, 0xfee0_0000)
		r.w(0x2008+16*v, 4, v)
		r.w(0x200c+16*v, 4, 0)
	}
	t.Cleanup(func() {
		r.d.Stop()
		if n := r.m.pins.Load(); n != 0 {
			t.Errorf("%d pins are left", n)
		}
		if err := syscall.Munmap(r.m.b); err != nil {
			t.Error(err)
		}
		r.dev.Deliver([]nic.Frame{{Pieces: [][]byte{make([]byte, 60)}}})
		if len(r.failed) > 0 {
			t.Errorf("a panic: %v", <-r.failed)
		}
	})
	return r
}

// send is Config.Send: it keeps copies.
func (r *rig) send(frames []nic.Frame) {
	if r.sent != nil {
		r.sent(frames)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range frames {
		f := frames[i]
		f.Pieces = [][]byte{whole(&f)}
		r.frames = append(r.frames, f)
	}
}

func whole(f *nic.Frame) []byte {
	b := make([]byte, f.Len())
	f.CopyTo(b)
	return b
}

func (r *rig) w(off uint64, size uint8, v uint64) { r.regs.Write(off, size, v, 0) }
func (r *rig) rd(off uint64, size uint8) uint64   { return r.regs.Read(off, size, 0) & (1<<(8*size) - 1) }

// eventually waits until f is true.
func (r *rig) eventually(what string, f func() bool) {
	r.t.Helper()
	for end := time.Now().Add(time.Minute); !f(); runtime.Gosched() {
		if time.Now().After(end) {
			r.t.Fatalf("not within a minute: %s; status %#x, %+v", what, r.rd(20, 1), r.dev.Counters())
		}
	}
}

// window is a base address, for drivers.
type window struct {
	r   *rig
	bar int
}

func (w window) Size() uint32 { return 0x4000 }
func (w window) Read8(off uint32) uint8 {
	return uint8(w.r.rd(uint64(off), 1))
}
func (w window) Read16(off uint32) uint16     { return uint16(w.r.rd(uint64(off), 2)) }
func (w window) Read32(off uint32) uint32     { return uint32(w.r.rd(uint64(off), 4)) }
func (w window) Read64(off uint32) uint64     { return w.r.regs.Read(uint64(off), 8, 0) }
func (w window) Write8(off uint32, v uint8)   { w.r.w(uint64(off), 1, uint64(v)) }
func (w window) Write32(off uint32, v uint32) { w.r.w(uint64(off), 4, uint64(v)) }
func (w window) Write64(off uint32, v uint64) { w.r.w(uint64(off), 8, v) }
func (w window) Write16(off uint32, v uint16) {
	if w.bar == 1 {
		w.r.d.Kick(int(off / vpci.BellSize))
		return
	}
	w.r.w(uint64(off), 2, uint64(v))
}

// function is the device as its driver finds it.
func (r *rig) function() virtio.Function {
	return virtio.Function{
		Config:  func(off uint16) uint32 { return uint32(r.config.Read(uint64(off), 4, 0)) },
		BAR:     func(n int) (reg.Window, error) { return window{r, n}, nil },
		Arena:   r.m,
		Present: func() bool { return true },
		Master:  func() error { return nil },
		Stop:    func() {},
		Log:     func(s string) { r.t.Log(s) },
		Bind: func(n int, f func()) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.handlers[uint32(n)] = f
			return nil
		},
	}
}

// guest drives a rig's rings by hand.
type guest struct {
	*rig
	queues   []*ring.Driver
	pairs    int
	features uint64
}

// Where a guest has what, by queue: its ring, and its buffers.
func ringAt(i int) uint64 { return 0x1_0000 * uint64(1+i) }

const (
	buffersAt = 0x10_0000 // of receive queues, 1 MiB
	framesAt  = 0x20_0000 // that are sent, of all queues
	ringSize  = 256
)

// start brings the device to work with features, as far as it has them.
func (r *rig) start(features uint64) *guest {
	r.t.Helper()
	features &= r.dev.features | ring.FeatureEventIndex | ring.FeatureIndirect
	g := &guest{rig: r, pairs: 1, features: features}
	if features&featQueues != 0 {
		g.pairs = r.dev.Pairs
	}
	r.reset()
	r.w(20, 1, 3)
	for i, f := range []uint64{features & 0xffff_ffff, 1} {
		r.w(8, 4, uint64(i))
		r.w(12, 4, f)
	}
	r.w(20, 1, 11)
	r.w(16, 2, 0)
	for i := range 2*g.pairs + 1 {
		size := ringSize
		if r.w(22, 2, uint64(i)); int(r.rd(24, 2)) < size {
			size = int(r.rd(24, 2))
		}
		l := ring.Layout{Size: size, Desc: ringAt(i), Avail: ringAt(i) + 0x4000, Used: ringAt(i) + 0x8000, Features: features}
		q, err := ring.NewDriver(own{r.m}, l)
		if err != nil {
			r.t.Fatal(err)
		}
		g.queues = append(g.queues, q)
		r.w(24, 2, uint64(size))
		r.w(26, 2, uint64(1+i))
		for j, a := range []uint64{l.Desc, l.Avail, l.Used} {
			r.w(32+8*uint64(j), 4, a)
		}
		r.w(28, 2, 1)
	}
	if r.w(20, 1, 15); r.rd(20, 1) != 15 {
		r.t.Fatalf("status %#x", r.rd(20, 1))
	}
	g.eventually("it serves", func() bool {
		for i := range g.pairs {
			x := &r.dev.receive[i]
			x.mu.Lock()
			on := x.q != nil
			if x.mu.Unlock(); !on {
				return false
			}
		}
		return true
	})
	return g
}

func (r *rig) reset() {
	r.w(20, 1, 0)
	r.eventually("a reset", func() bool { return r.rd(20, 1) == 0 })
}

// fill gives a receive queue n buffers of size bytes, each in two pieces.
func (g *guest) fill(q, n, size int) {
	g.t.Helper()
	for i := range n {
		at := uint64(buffersAt + q/2<<18 + i*size)
		clear(g.m.b[at : at+uint64(size)])
		b := []ring.Buffer{{Addr: at, Len: 5, Write: true}, {Addr: at + 5, Len: uint32(size - 5), Write: true}}
		if !g.queues[q].Add(b, g.m.b[at:at+uint64(size)]) {
			g.t.Fatal("the ring is full")
		}
	}
}

// take returns a frame that has come with its header, and in how many buffers it was; nil:
// there is none.
func (g *guest) take(q int) (h, frame []byte, buffers int) {
	g.t.Helper()
	for left := 1; left > 0; left-- {
		token, n, ok := g.queues[q].Next()
		if !ok {
			if buffers > 0 || g.queues[q].Broken() != nil {
				g.t.Fatalf("%d buffers of a frame are missing: %v", left, g.queues[q].Broken())
			}
			return nil, nil, 0
		}
		b := token.([]byte)[:n]
		if buffers == 0 {
			h, b = b[:headerLen], b[headerLen:]
			left = int(le.Uint16(h[hdrBuffers:]))
		}
		frame = append(frame, b...)
		buffers++
	}
	return h, frame, buffers
}

// transmit sends frames, each with a header and in pieces of n bytes, and waits until they
// are given back.
func (g *guest) transmit(q, n int, frames ...[]byte) {
	g.t.Helper()
	at := uint64(framesAt)
	for _, f := range frames {
		copy(g.m.b[at:], f)
		var b []ring.Buffer
		for from := 0; from < len(f); from += n {
			b = append(b, ring.Buffer{Addr: at + uint64(from), Len: uint32(min(n, len(f)-from))})
		}
		if at += uint64(len(f)); !g.queues[q].Add(b, nil) {
			g.t.Fatal("the ring is full")
		}
	}
	g.d.Kick(q)
	back := 0
	g.eventually("what was sent comes back", func() bool {
		for {
			if _, _, ok := g.queues[q].Next(); !ok {
				return back >= len(frames)
			}
			back++
		}
	})
}

// taken returns what the device has sent, and forgets it.
func (r *rig) takeSent() []nic.Frame {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.frames
	r.frames = nil
	return all
}

// command asks the control queue, and returns its answer.
func (g *guest) command(class, cmd byte, data ...byte) byte {
	g.t.Helper()
	q := g.queues[2*g.pairs]
	at := uint64(framesAt)
	b := append([]byte{class, cmd}, data...)
	copy(g.m.b[at:], b)
	end := at + uint64(len(b))
	g.m.b[end] = 0xee
	if !q.Add([]ring.Buffer{{Addr: at, Len: 1}, {Addr: at + 1, Len: uint32(len(b) - 1)}, {Addr: end, Len: 1, Write: true}}, nil) {
		g.t.Fatal("the ring is full")
	}
	g.d.Kick(2 * g.pairs)
	g.eventually("a command is answered", func() bool { _, _, ok := q.Next(); return ok })
	return g.m.b[end]
}
