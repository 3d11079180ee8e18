// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package platform

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ringo/dom0/account"
	"ringo/dom0/config"
	"ringo/dom0/devmodel/pcihost"
	"ringo/dom0/devmodel/vpci"
	"ringo/dom0/guestmem"
	"ringo/dom0/loader"
	"ringo/dom0/storage"
	"ringo/drivers/block"
	"ringo/drivers/block/blocktest"
	"ringo/drivers/virtio/ring"
	"ringo/hv/bus"
)

// How a disk of the machine answers.
const (
	answersAtOnce = iota
	answersLater  // on goroutines, not in order
	answersNever  // when it is told to, with errors
	ways
)

// engine is a disk of the machine.
type engine struct {
	t    testing.TB
	way  int
	gone atomic.Bool // the guest's RAM is somebody else's
	work sync.WaitGroup

	mu   sync.Mutex // guards what follows
	m    *blocktest.Medium
	kept []*block.Request // never answered
	over bool             // and now they are
}

const engineBlocks = 2048

func (e *engine) Info() block.Info {
	return block.Info{Blocks: engineBlocks, BlockSize: 512, MaxBlocks: 64, MaxEmpty: 64, Volatile: true, Discard: true}
}
func (e *engine) Queues() int { return 2 }

func (e *engine) ReadAt(b []byte, _ int64) (int, error) { return len(b), nil }

func (e *engine) Submit(_ int, r *block.Request) {
	i := e.Info()
	if err := block.Check(&i, r); err != nil {
		r.Done(r, err)
		return
	}
	r.Driver = e
	switch e.way {
	case answersAtOnce:
		r.Done(r, e.do(r))
	case answersLater:
		e.work.Go(func() { r.Done(r, e.do(r)) })
	default:
		e.mu.Lock()
		over := e.over
		if !over {
			e.kept = append(e.kept, r)
		}
		e.mu.Unlock()
		if over {
			r.Done(r, block.ErrTimeout)
		}
	}
}

func (e *engine) do(r *block.Request) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.gone.Load() {
		e.t.Error("the disk touches RAM that is no longer the guest's")
	}
	at := r.Start
	for _, s := range r.Data {
		if r.Op == block.Write {
			e.m.Write(at, s.Bytes, r.FUA)
		} else {
			e.m.Read(at, s.Bytes)
		}
		at += uint64(len(s.Bytes) / 512)
	}
	if r.Op == block.Flush {
		e.m.Flush()
	}
	return nil
}

// giveUp ends what was never answered. It reports whether there was something.
func (e *engine) giveUp() bool {
	e.mu.Lock()
	kept := e.kept
	e.kept, e.over = nil, true
	e.mu.Unlock()
	for _, r := range kept {
		r.Done(r, block.ErrTimeout)
	}
	return len(kept) > 0
}

// driver is a guest's, of a disk with two queues at most.
type driver struct {
	ram   []byte
	dev   *vpci.Device
	regs  bus.Device
	told  chan struct{}
	asked atomic.Int64
}

func (g *driver) Line(uint32) bus.Line { return g }
func (g *driver) Set(bool)             {}
func (g *driver) Reset()               {}
func (g *driver) Message(uint64, uint32) {
	select {
	case g.told <- struct{}{}:
	default:
	}
}

const ramSize = 1 << 20

// base is where queue q has what the device and it share: descriptors, rings, headers
// and data.
func base(q int) uint64 { return uint64(q)<<19 | 0x1000 }

// start brings the device to work, and returns its rings.
func (g *driver) start(t testing.TB, mem ring.Memory, queues int, features uint64) []*ring.Driver {
	q := make([]*ring.Driver, queues)
	w := func(off uint64, size uint8, v uint64) { g.regs.Write(off, size, v, 0) }
	w(20, 1, 3)
	for i, f := range []uint64{features & 0xffff_ffff, 1} {
		w(8, 4, uint64(i))
		w(12, 4, f)
	}
	w(20, 1, 11)
	for i := range q {
		l := ring.Layout{Size: 128, Desc: base(i), Avail: base(i) + 0x1000, Used: base(i) + 0x2000, Features: features}
		w(22, 2, uint64(i))
		w(26, 2, uint64(i+1))
		for j, a := range []uint64{l.Desc, l.Avail, l.Used} {
			w(32+8*uint64(j), 4, a)
		}
		var err error
		if q[i], err = ring.NewDriver(mem, l); err != nil {
			t.Fatal(err)
		}
		w(28, 2, 1)
	}
	w(20, 1, 15)
	return q
}

// put writes a header. The device's accesses are not ordered with the guest's, who is a
// machine of its own.
//
//go:norace
func put(b []byte, kind uint32, sector uint64) {
	binary.LittleEndian.PutUint32(b, kind)
	binary.LittleEndian.PutUint64(b[8:], sector)
}

// ask makes random requests on a queue until done is closed, whatever becomes of the
// device.
func (g *driver) ask(q int, r *ring.Driver, rng *rand.Rand, done <-chan struct{}) {
	free := rng.Perm(32)
	for {
		select {
		case <-done:
			return
		default:
		}
		for {
			token, _, ok := r.Next()
			if !ok {
				break
			}
			free = append(free, token.(int))
		}
		for n := rng.IntN(8); n > 0 && len(free) > 0; n-- {
			i := free[len(free)-1]
			h, data := base(q)+0x4000+uint64(i)*64, base(q)+0x10000+uint64(i)<<13
			kind := [...]uint32{0, 0, 1, 1, 4}[rng.IntN(5)]
			put(g.ram[h:], kind, rng.Uint64N(engineBlocks-16))
			b := []ring.Buffer{{Addr: h, Len: 16}}
			if kind != 4 {
				b = append(b, ring.Buffer{Addr: data, Len: 512 << rng.IntN(5), Write: kind == 0})
			}
			if !r.Add(append(b, ring.Buffer{Addr: h + 16, Len: 1, Write: true}), i) {
				break
			}
			free = free[:len(free)-1]
			g.asked.Add(1)
		}
		if r.Notify() {
			g.dev.Kick(q)
		}
		if r.Sleep() && rng.IntN(2) == 0 {
			select {
			case <-g.told:
			case <-done:
				return
			}
		}
		runtime.Gosched()
	}
}

// within fails the test if f does not return.
func within(t testing.TB, what string, f func()) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f()
	}()
	select {
	case <-ended:
	case <-time.After(2 * time.Minute):
		b := make([]byte, 1<<20)
		t.Fatalf("%s does not end:\n%s", what, b[:runtime.Stack(b, true)])
	}
}

// life is a guest that is stopped at any moment.
func life(t testing.TB, rng *rand.Rand) {
	e := &engine{t: t, way: rng.IntN(ways), m: blocktest.NewMedium(engineBlocks, 512)}
	s := storage.New(storage.Options{
		Disks: func() []storage.Source { return []storage.Source{{Name: "vd0", Device: e, R: e}} },
		Open: func(name string) (loader.Source, error) {
			return loader.Source{Name: name, R: bytes.NewReader(make([]byte, 512*engineBlocks)), Size: 512 * engineBlocks}, nil
		},
		Snapshots: account.New(64 << 20).Account("a snapshot"), Most: 4 << 20,
		Confined: rng.IntN(3) == 0, Memory: func(n int) (uint64, []byte, bool) { return 1 << 40, make([]byte, n), true },
	})
	c := config.Disk{Device: "vd0", Snapshot: rng.IntN(2) == 0}
	if rng.IntN(4) == 0 {
		c = config.Disk{Image: "boot:x", Snapshot: true}
	}
	if rng.IntN(4) == 0 {
		c.IOPS, c.IOPSBurst = 2000, 1 // most of them wait
	}
	d, err := s.Take(storage.Owner{Name: "a"}, &c)
	if err != nil {
		t.Fatal(err)
	}
	g := &driver{ram: make([]byte, ramSize), told: make(chan struct{}, 1)}
	mem := guestmem.New([]guestmem.Extent{{GPA: 0, Bus: 1 << 32, Bytes: g.ram}})
	k, err := (&guest{memory: mem, vcpus: 2}).disk(d)
	if err != nil {
		t.Fatal(err)
	}
	if rng.IntN(2) == 0 {
		k.Prompt = false
	}
	g.dev = vpci.New(k, mem, func(int, uint64, bool) {}, func(v any) { t.Errorf("a panic: %v", v) })
	host := pcihost.New(g)
	host.Add(1, g.dev.Function)
	g.regs = host.Memory()
	f := host.Config(1)
	f.Write(4, 2, 7, 0)
	f.Write(0x42, 2, 0x8000, 0)
	for v := range uint64(3) {
		g.regs.Write(0x2000+16*v, 4, 0xfee0_0000, 0)
		g.regs.Write(0x200c+16*v, 4, 0, 0)
	}
	for lives := rng.IntN(3); ; lives-- {
		e.mu.Lock()
		e.over = false
		e.mu.Unlock()
		q := g.start(t, mem, len(k.Queues), [...]uint64{0, ring.FeatureEventIndex, 1 << 9, 1<<9 | ring.FeatureEventIndex}[rng.IntN(4)])
		done := make(chan struct{})
		var asks sync.WaitGroup
		for i := range q {
			r := rand.New(rand.NewPCG(rng.Uint64(), 0))
			asks.Go(func() { g.ask(i, q[i], r, done) })
		}
		for n := rng.IntN(300); n > 0; n-- {
			runtime.Gosched()
		}
		if lives <= 0 {
			g.stop(t, e, func() { g.dev.Stop() })
		} else {
			g.stop(t, e, func() {
				for g.regs.Write(20, 1, 0, 0); g.regs.Read(20, 1, 0)&0xff != 0; {
					runtime.Gosched()
				}
			})
		}
		close(done)
		asks.Wait()
		if lives <= 0 {
			break
		}
	}
	within(t, "memory", mem.Close)
	e.gone.Store(true)
	d.Close()
	e.work.Wait()
}

// stop ends the device while it is asked, and a disk that never answers does so then.
func (g *driver) stop(t testing.TB, e *engine, f func()) {
	if e.way != answersNever {
		within(t, "the device", f)
		return
	}
	var late atomic.Bool
	within(t, "the device", func() {
		ended := make(chan struct{})
		go func() {
			f()
			if close(ended); !late.Load() {
				e.mu.Lock()
				defer e.mu.Unlock()
				if len(e.kept) > 0 {
					t.Error("it ends while the disk has requests")
				}
			}
		}()
		for range 50 {
			runtime.Gosched()
		}
		late.Store(true)
		e.giveUp()
		<-ended
	})
}

// TestStop stops guests' disks at random moments, while they read, write and flush: disks
// that are fast, slow, or answer when somebody gives up only, with snapshots, limits,
// images, and memory to pass through. All that is under way ends, nothing touches the
// guest's RAM afterwards, and the stop returns.
func TestStop(t *testing.T) {
	const lives = 120
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	var all sync.WaitGroup
	for n := range uint64(4) {
		rng := rand.New(rand.NewPCG(seed, n))
		all.Go(func() {
			for range lives / 4 {
				if life(t, rng); t.Failed() {
					return
				}
			}
		})
	}
	all.Wait()
}
