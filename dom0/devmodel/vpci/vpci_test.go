// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vpci

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ringo/dom0/devmodel/pcihost"
	"ringo/drivers/virtio/ring"
	"ringo/hv/bus"
)

// memory is 64 KiB of RAM from address 0 that counts its pins.
type memory struct {
	b    [1 << 16]byte
	pins sync.WaitGroup
}

func (m *memory) RAM(a, n uint64) []byte {
	if a >= uint64(len(m.b)) {
		return nil
	}
	return m.b[a:min(a+n, uint64(len(m.b)))]
}
func (m *memory) Pin() bool { m.pins.Add(1); return true }
func (m *memory) Unpin()    { m.pins.Done() }

// platform takes what the function sends.
type platform struct {
	msi  chan uint32
	line chan bool
}

func (p *platform) Line(uint32) bus.Line          { return p }
func (p *platform) Set(level bool)                { p.line <- level }
func (p *platform) Message(_ uint64, data uint32) { p.msi <- data }
func (p *platform) Reset()                        {}

// rig is a device with two queues that answers requests.
type rig struct {
	t    *testing.T
	d    *Device
	m    *memory
	p    *platform
	host *pcihost.Host
	bad  atomic.Bool // it panics
	bell map[int]uint64
	regs registers

	failed chan any
}

// server answers requests.
type server struct {
	r *rig
	q *Queue
}

func (s *server) Serve() Want {
	for {
		if s.r.bad.Load() {
			panic("server")
		}
		req, ok := s.q.Next()
		if !ok {
			return Notified
		}
		n := 0
		for _, b := range req.Buffers {
			s.q.Bytes(b, func(p []byte) { n += copy(p, "answer") })
		}
		s.q.Done(req, uint32(n))
		s.q.Tell()
	}
}

func (*server) End() {}

func newRig(t *testing.T) *rig {
	r := &rig{t: t}
	r.make(Kind{ID: 4, Queues: []int{8, 8}, Features: 1 << 5, Open: func(q *Queue) Server { return &server{r, q} }})
	return r
}

// make makes the device.
func (r *rig) make(k Kind) {
	r.m, r.p, r.bell = &memory{}, &platform{make(chan uint32, 100), make(chan bool, 100)}, map[int]uint64{}
	r.failed = make(chan any, 100)
	r.d = New(k, r.m, func(q int, port uint64, ok bool) {
		delete(r.bell, q)
		if ok {
			r.bell[q] = port
		}
	}, func(v any) { r.failed <- v })
	r.regs = registers{r.d}
	r.host = pcihost.New(r.p)
	r.host.Add(1, r.d.Function)
	r.config(4, 7, 2)
	r.t.Cleanup(r.d.Stop)
}

func (r *rig) config(reg int, v uint64, size uint8) {
	r.host.Config(1).Write(uint64(reg), size, v, 0)
}

func (r *rig) w(off, v uint64, size uint8) { r.regs.Write(off, size, v, 0) }
func (r *rig) r(off uint64, size uint8) uint64 {
	return r.regs.Read(off, size, 0)
}

// reset waits until the device has been reset.
func (r *rig) reset() {
	r.w(regStatus, 0, 1)
	for r.r(regStatus, 1) != 0 {
		time.Sleep(100 * time.Microsecond)
	}
}

// ready brings the device to DRIVER_OK with queue 0 at a layout.
func (r *rig) ready(l ring.Layout, features uint64) {
	r.t.Helper()
	r.reset()
	r.w(regStatus, 3, 1)
	for i := range uint64(2) {
		r.w(regDriverSelect, i, 4)
		r.w(regDriverFeature, (features|featureVersion1)>>(32*i)&0xffff_ffff, 4)
	}
	r.w(regStatus, 3|statusFeaturesOK, 1)
	r.w(regQueueSelect, 0, 2)
	r.w(regQueueSize, uint64(l.Size), 2)
	r.w(regQueueVector, 1, 2)
	for i, a := range []uint64{l.Desc, l.Avail, l.Used} {
		r.w(regQueueDesc+8*uint64(i), a&0xffff_ffff, 4)
		r.w(regQueueDesc+8*uint64(i)+4, a>>32, 4)
	}
	r.w(regQueueEnable, 1, 2)
	r.w(regStatus, 3|statusFeaturesOK|statusDriverOK, 1)
	if s := r.r(regStatus, 1) &^ statusNeedsReset; s != 15 {
		r.t.Fatalf("status %#x", s)
	}
}

var good = ring.Layout{Size: 4, Desc: 0x1000, Avail: 0x2000, Used: 0x3000}

func TestRegisters(t *testing.T) {
	r := newRig(t)
	if r.r(regNumQueues, 2) != 2 || r.r(regQueueSize, 2) != 8 || r.r(regNotifyOff, 2) != 0 || r.r(regConfigVector, 2) != noVector {
		t.Error("after reset")
	}
	r.w(regFeatureSelect, 1, 4)
	if hi := r.r(regFeature, 4); hi != featureVersion1>>32 {
		t.Errorf("features %#x", hi)
	}
	if r.w(regFeatureSelect, 0, 4); r.r(regFeature, 4) != ring.FeatureIndirect|ring.FeatureEventIndex|1<<5 {
		t.Errorf("features %#x", r.r(regFeature, 4))
	}
	if r.w(regFeatureSelect, 2, 4); r.r(regFeature, 4) != 0 {
		t.Error("features beyond 64")
	}
	r.w(regQueueSelect, 2, 2)
	if r.r(regQueueSize, 2) != 0 {
		t.Error("a third queue")
	}
	r.w(regQueueEnable, 1, 2)
	r.w(regQueueSelect, 1, 2)
	if r.r(regNotifyOff, 2) != 1 {
		t.Error("notify offset")
	}
	for _, v := range []uint64{0, 3, 16} {
		if r.w(regQueueSize, v, 2); r.r(regQueueSize, 2) != 8 {
			t.Errorf("size %d is taken", v)
		}
	}
	if r.w(regQueueVector, 3, 2); r.r(regQueueVector, 2) != noVector {
		t.Error("a vector that is not there")
	}
	if r.w(regQueueVector, 2, 2); r.r(regQueueVector, 2) != 2 {
		t.Error("vector 2")
	}
	// Without version 1, or with more than is offered, there is no agreement, and
	// without agreement no operation.
	for _, f := range [][2]uint64{{0, 0}, {1 << 6, 1}, {0, 3}} {
		r.reset()
		r.w(regDriverFeature, f[0], 4)
		r.w(regDriverSelect, 1, 4)
		r.w(regDriverFeature, f[1], 4)
		r.w(regStatus, 3|statusFeaturesOK|statusDriverOK, 1)
		if s := r.r(regStatus, 1); s != 3 {
			t.Errorf("features %v: status %#x", f, s)
		}
	}
	if r.bell[0] != pcihost.IOBase || r.bell[1] != pcihost.IOBase+BellSize {
		t.Errorf("bells at %v", r.bell)
	}
	if r.config(0x14, 0xc800, 4); r.bell[1] != 0xc800+BellSize {
		t.Errorf("bells at %v", r.bell)
	}
	if r.config(4, 6, 2); len(r.bell) != 0 {
		t.Errorf("bells at %v", r.bell)
	}
}

// A request is answered in place, and interrupts by the pin until its cause is
// read, or by MSI-X.
func TestServe(t *testing.T) {
	r := newRig(t)
	for _, msix := range []bool{false, true} {
		if msix {
			r.w(offTable+16, 0xfee0_0000, 4)
			r.w(offTable+24, 0x55, 4)
			r.w(offTable+28, 0, 4)
			r.config(0x42, 0x8000, 2)
		}
		r.ready(good, ring.FeatureEventIndex)
		l := good
		l.Features = ring.FeatureEventIndex
		drv, err := ring.NewDriver(r.m, l)
		if err != nil {
			t.Fatal(err)
		}
		drv.Add([]ring.Buffer{{Addr: 0x4000, Len: 6, Write: true}}, nil)
		notify{r.d}.Write(0, 2, 0, 0)
		if msix {
			if v := <-r.p.msi; v != 0x55 {
				t.Errorf("message %#x", v)
			}
		} else {
			for !<-r.p.line {
			}
			if v := r.r(offISR, 1); v != isrQueue || r.r(offISR, 1) != 0 {
				t.Errorf("ISR %#x", v)
			}
			for <-r.p.line {
			}
		}
		if _, n, ok := drv.Next(); !ok || n != 6 || string(r.m.b[0x4000:0x4006]) != "answer" {
			t.Errorf("%d bytes, %q", n, r.m.b[0x4000:0x4006])
		}
	}
}

// A driver that breaks the rules is told so, and may start again.
func TestNeedsReset(t *testing.T) {
	for name, c := range map[string]struct {
		l     ring.Layout
		avail uint16
	}{
		"index jumps":  {good, 9},
		"not RAM":      {ring.Layout{Size: 4, Desc: 1 << 40, Avail: 0x2000, Used: 0x3000}, 1},
		"not aligned":  {ring.Layout{Size: 4, Desc: 0x1001, Avail: 0x2000, Used: 0x3000}, 1},
		"buffer wraps": {good, 1},
	} {
		r := newRig(t)
		binary.LittleEndian.PutUint64(r.m.b[0x1000:], ^uint64(0)-3)
		binary.LittleEndian.PutUint32(r.m.b[0x1008:], 16)
		binary.LittleEndian.PutUint16(r.m.b[0x2002:], c.avail)
		r.ready(c.l, 0)
		r.d.Kick(0)
		for !<-r.p.line {
		}
		if v := r.r(offISR, 1); v != isrConfig || r.r(regStatus, 1) != 15|statusNeedsReset {
			t.Errorf("%s: ISR %#x, status %#x", name, v, r.r(regStatus, 1))
		}
		binary.LittleEndian.PutUint16(r.m.b[0x2002:], 0)
		r.ready(good, 0)
	}
}

// The registers through configuration space.
func TestWindow(t *testing.T) {
	r := newRig(t)
	e := r.host.Config(1)
	at := e.Read(0x34, 1, 0) & 0xff
	for e.Read(at+3, 1, 0)&0xff != cfgPCI || e.Read(at, 1, 0)&0xff != capVendor {
		if at = e.Read(at+1, 1, 0) & 0xff; at == 0 {
			t.Fatal("no such capability")
		}
	}
	set := func(bar, off, n uint64) {
		r.config(int(at)+4, bar, 1)
		r.config(int(at)+8, off, 4)
		r.config(int(at)+12, n, 4)
	}
	set(barMemory, regNumQueues, 2)
	if v := e.Read(at+16, 2, 0) & 0xffff; v != 2 {
		t.Errorf("%d queues", v)
	}
	set(barMemory, regStatus, 1)
	r.config(int(at)+16, 1, 1)
	if r.r(regStatus, 1) != 1 {
		t.Error("status not written")
	}
	set(barNotify, 4, 2)
	q := &Queue{wake: make(chan struct{}, 1), d: r.d}
	r.d.live[1].Store(q)
	if r.config(int(at)+16, 1, 2); !q.due.Load() || len(q.wake) != 1 {
		t.Error("not notified")
	}
	r.d.live[1].Store(nil)
	set(barMemory, offDevice+8, 4) // no configuration
	if r.config(int(at)+16, 1, 4); e.Read(at+16, 4, 0) != 0 {
		t.Error("a configuration")
	}
	for _, c := range [][3]uint64{{2, 0, 4}, {0, memoryLen, 4}, {0, 0xffff_fffe, 2}, {0, 1, 2}, {0, 0, 3}, {0, 0, 0}, {0, 0, 0x100}} {
		set(c[0], c[1], c[2])
		r.config(int(at)+16, 0xff, 4)
		if v := e.Read(at+16, 4, 0); v != 0 {
			t.Errorf("%v reads %#x", c, v)
		}
	}
}

// FuzzRegisters writes arbitrary registers over a memory of arbitrary content:
// nothing panics, and the device can always be reset and used.
func FuzzRegisters(f *testing.F) {
	f.Add([]byte{20, 1, 3, 0, 24, 2, 4, 0, 28, 2, 1, 0, 20, 1, 15, 0}, []byte{0, 0, 1, 0})
	f.Fuzz(func(t *testing.T, ops, ram []byte) {
		r := newRig(t)
		go func() {
			for range r.p.line {
			}
		}()
		copy(r.m.b[:0x1000], ram)
		for ; len(ops) >= 4; ops = ops[4:] {
			off, size, v := uint64(ops[0]), uint8(1)<<(ops[1]&3), uint64(ops[2])|uint64(ops[3])<<8
			switch ops[1] >> 4 {
			case 1:
				r.r(off, size)
			case 2:
				r.config(int(off), v, min(size, 4))
			case 3:
				r.d.Kick(int(off & 1))
			case 4:
				r.w(off<<6, v, size)
			default:
				r.w(off%commonLen, v, size)
			}
		}
		r.config(4, 7, 2)
		r.ready(good, 0)
		r.d.Stop()
		r.m.pins.Wait()
	})
}
