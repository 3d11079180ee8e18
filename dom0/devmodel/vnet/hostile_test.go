// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vnet

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ringo/dom0/devmodel/vpci"
	"ringo/drivers/nic"
	"ringo/drivers/nic/offload"
	"ringo/drivers/virtio/ring"
)

// TestPanic: a panic in Send, or below Deliver, is the device's, which works again after a
// reset; who delivers does not notice.
func TestPanic(t *testing.T) {
	r := newRig(t, Config{}, everything)
	failed := func(what string) {
		t.Helper()
		if v := <-r.failed; fmt.Sprint(v) != "a mistake" {
			t.Errorf("%s: %v", what, v)
		}
		if s := r.rd(20, 1); s != 15|64 {
			t.Errorf("%s: status %#x", what, s)
		}
	}
	g := r.start(all)
	r.sent = func([]nic.Frame) { panic("a mistake") }
	g.queues[1].Add([]ring.Buffer{{Addr: framesAt, Len: 100}}, nil)
	r.d.Kick(1)
	failed("send")
	r.sent = nil
	g = r.start(all)
	g.fill(0, 10, 1600)
	x := &r.dev.receive[0]
	x.mu.Lock()
	x.piece = func([]byte) { panic("a mistake") }
	x.mu.Unlock()
	r.deliver(nil, 60, 60)
	failed("deliver")
	r.deliver(nil, 60)
	x.piece = x.collect
	g = r.start(all)
	g.fill(0, 10, 1600)
	r.deliver(nil, 60)
	if h, _, _ := g.take(0); h == nil {
		t.Error("afterwards nothing comes")
	}
	g.transmit(1, 1000, make([]byte, 72))
	if n := len(r.takeSent()); n != 1 {
		t.Errorf("afterwards %d frames are sent", n)
	}
}

// TestResets resets the device while others deliver and it sends: nobody touches memory
// that is not pinned, and in the end all works.
func TestResets(t *testing.T) {
	r := newRig(t, Config{Pairs: 2}, everything)
	r.sent = func([]nic.Frame) {}
	stop := make(chan struct{})
	var work sync.WaitGroup
	for range 2 {
		work.Go(func() {
			b := make([]byte, 3000)
			copy(b, mac[:])
			frames := []nic.Frame{{Pieces: [][]byte{b}}, {Pieces: [][]byte{b[:60]}}}
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if r.dev.Deliver(frames); i%100 == 0 {
					r.dev.SetLink(i%200 == 0)
					r.dev.Announce()
					r.dev.Accepts()
				}
				runtime.Gosched()
			}
		})
	}
	for i := range 300 {
		g := r.start(all)
		for q := range 2 {
			g.fill(2*q, 20, 1600)
			for range 10 {
				g.queues[1+2*q].Add([]ring.Buffer{{Addr: framesAt, Len: 100}}, nil)
			}
			r.d.Kick(1 + 2*q)
		}
		g.queues[4].Add([]ring.Buffer{{Addr: framesAt, Len: 2}, {Addr: framesAt + 2, Len: 1, Write: true}}, nil)
		if r.d.Kick(4); i%2 == 0 {
			runtime.Gosched()
		}
	}
	close(stop)
	work.Wait()
	r.dev.SetLink(true)
	g := r.start(all)
	g.fill(0, 10, 1600)
	r.deliver(nil, 60)
	if h, _, _ := g.take(0); h == nil {
		t.Error("afterwards nothing comes")
	}
}

// What a hostile guest changes at random: its rings, but for the used ones, which begin
// beyond, and what it sends: headers, beginnings of frames, and commands.
const (
	requests = 32
	slotLen  = 0x1000 // of what is sent
)

// rings writes good requests into all queues. It returns what there is to be broken.
func (g *guest) rings(rnd *rand.Rand) (targets [][]byte) {
	le16 := le.PutUint16
	for i := range g.queues {
		at := ringAt(i)
		targets = append(targets, g.m.b[at:at+48*requests], g.m.b[at+0x4000:at+0x4000+8+2*requests])
		for n := range requests {
			desc := g.m.b[at+48*uint64(n):]
			put := func(j int, at uint64, size int, flags, next uint16) {
				le.PutUint64(desc[16*j:], at)
				le.PutUint32(desc[16*j+8:], uint32(size))
				le16(desc[16*j+12:], flags)
				le16(desc[16*j+14:], next)
			}
			le16(g.m.b[at+0x4004+2*uint64(n):], uint16(3*n))
			slot := framesAt + uint64(i)<<18 + uint64(n)*slotLen
			head := g.m.b[slot : slot+128]
			switch {
			case i == 2*g.pairs:
				b := append([]byte{classMAC, setTable}, addresses(many(2, 2), many(2, 1))...)
				if n%2 == 0 {
					b = []byte{classRx, promiscuous, 1}
				}
				copy(head, b)
				put(0, slot, 2, 1, uint16(3*n+1))
				put(1, slot+2, len(b)-2, 1, uint16(3*n+2))
				put(2, slot+200, 1, 2, 0)
			case i%2 == 0:
				put(0, slot, 700, 3, uint16(3*n+1))
				put(1, slot+0x800, 900, 2, 0)
			default:
				b, _ := tcp(rnd, n%4 == 0, 1400+1600*(n%2))
				h := with(1, 0, 0, 0, 34, 16)
				if n%2 != 0 {
					h = with(1, kindTCP4, 54, 1000, 34, 16)
				}
				copy(g.m.b[slot:], append(h, b...))
				put(0, slot, 12, 1, uint16(3*n+1))
				put(1, slot+12, 100, 1, uint16(3*n+2))
				put(2, slot+112, len(b)-100, 0, 0)
			}
			if i%2 != 0 || i == 2*g.pairs {
				targets = append(targets, head)
			}
		}
		le16(g.m.b[at+0x4000+2:], requests)
	}
	return targets
}

// mutate changes one word of what a guest has written.
func mutate(rnd *rand.Rand, targets [][]byte) {
	b := targets[rnd.IntN(len(targets))]
	at := rnd.IntN(len(b))
	switch rnd.IntN(4) {
	case 0:
		b[at] ^= 1 << rnd.IntN(8)
	case 1:
		b[at] = byte(rnd.Uint32())
	case 2:
		copy(b[at:], "\xff\xff")
	default:
		other := targets[rnd.IntN(len(targets))]
		copy(b[at:], other[rnd.IntN(len(other)-1):][:2]) // what is good elsewhere
	}
}

// settle waits until the device has answered all that it is to send and to do, or wants a
// reset, which it returns. It may do neither: a guest can have what it receives written to
// its rings. ok says that it did.
func (g *guest) settle() (broken, ok bool) {
	for end := time.Now().Add(time.Second); !ok && time.Now().Before(end); runtime.Gosched() {
		broken = g.rd(20, 1)&64 != 0
		ok = broken || g.answered()
	}
	return broken, ok
}

// answered reports whether the used rings of all queues but those to receive are where the
// available ones are.
func (g *guest) answered() bool {
	for i := range g.queues {
		used, avail := ringAt(i)+0x8002, ringAt(i)+0x4002
		if (i%2 != 0 || i == 2*g.pairs && g.features&featControl != 0) && !bytes.Equal(g.m.b[used:used+2], g.m.b[avail:avail+2]) {
			return false
		}
	}
	return true
}

// victim takes what a hostile guest sends as a switch does, and looks at it.
type victim struct {
	t       testing.TB
	mu      sync.Mutex
	s       offload.Scratch
	to      *Device
	frames  int
	longest int
}

func (v *victim) send(frames []nic.Frame) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for i := range frames {
		f := &frames[i]
		n := f.Len()
		if len(f.Pieces) == 0 || len(f.Pieces[0]) != min(n, HeadLen) || n < nic.HeaderLen || n > maxFrame || len(f.Pieces) > framePieces ||
			f.Sum && int(f.SumStart)+int(f.SumOffset)+2 > n || f.Segment > 0 && (!f.Sum || f.Segment < minSegment || int(f.Headers) >= n) {
			v.t.Errorf("%d bytes, %d pieces: %+v", n, len(f.Pieces), f)
		}
	}
	v.s.Resolve(frames, false, false, func(frames []nic.Frame) {
		for i := range frames {
			v.frames++
			v.longest = max(v.longest, frames[i].Len())
		}
		v.to.Deliver(frames)
	})
}

// good is what a guest has written, by its pairs: to be written again.
type good map[int]struct{ targets, copies [][]byte }

// restore writes what is good, and returns what there is to be broken.
func (k good) restore(g *guest, rnd *rand.Rand) [][]byte {
	x, ok := k[g.pairs]
	if !ok {
		x.targets = g.rings(rnd)
		for _, b := range x.targets {
			x.copies = append(x.copies, bytes.Clone(b))
		}
		k[g.pairs] = x
	}
	for i, b := range x.targets {
		copy(b, x.copies[i])
	}
	return x.targets
}

// attack is one life of a hostile guest: it makes changes before the device looks, and
// while it does. It returns what settle says.
func attack(r *rig, rnd *rand.Rand, k good, changes int) (broken, ok bool) {
	g := r.start([...]uint64{all, all &^ featMerge, all &^ ring.FeatureEventIndex, all | ring.FeatureIndirect, featMAC}[rnd.IntN(5)])
	targets := k.restore(g, rnd)
	early := rnd.IntN(changes + 1)
	for range early {
		mutate(rnd, targets)
	}
	kick := func() {
		for i := range g.queues {
			r.d.Kick(i)
		}
		r.deliver(nil, 60, 1500, 3000)
	}
	for kick(); changes > early; changes-- {
		mutate(rnd, targets)
	}
	kick()
	return g.settle()
}

// TestHostile has a guest make a million random changes of its rings, of what it sends, and
// of its commands. Nothing panics, what leaves the device is sound, all is answered or the
// device wants a reset, after which it works; and so does another one, to which all goes.
func TestHostile(t *testing.T) {
	const total, most = 1_000_000, 100
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	other := newRig(t, Config{}, everything)
	og := other.start(all)
	v := &victim{t: t, to: other.dev}
	r := newRig(t, Config{Pairs: 2, Send: v.send}, everything)
	broken, whole, odd, k := 0, 0, 0, good{}
	for n := 0; n < total; {
		each := 1 + rnd.IntN(most)
		n += each
		switch needs, ok := attack(r, rnd, k, each); {
		case needs:
			broken++
		case ok:
			whole++
		default:
			odd++
		}
	}
	t.Logf("%d times it wanted a reset, %d times it did not, %d times the guest had spoilt its rings; %d frames came, of %d bytes at most; %+v", broken, whole, odd, v.frames, v.longest, r.dev.Counters())
	if broken == 0 || whole < odd || v.frames == 0 {
		t.Error("not hostile enough, or too much so")
	}
	for _, g := range []*guest{og, r.start(all)} {
		g.fill(0, 10, 1600)
		g.deliver(nil, 60)
		if h, _, _ := g.take(0); h == nil {
			t.Error("afterwards nothing comes")
		}
	}
}

// FuzzQueues gives each kind of queue a ring, frames and commands of arbitrary content,
// without goroutines: an input does the same each time.
func FuzzQueues(f *testing.F) {
	rnd := rand.New(rand.NewPCG(1, 2))
	b, _ := tcp(rnd, false, 300)
	seed := make([]byte, 0x600)
	for i, d := range []struct{ at, n, flags, next int }{{0x800, 12, 1, 1}, {0x80c, 354, 0, 0}, {0x800, 3, 1, 3}, {0xa00, 1, 2, 0}, {0xb00, 700, 2, 0}} {
		le.PutUint64(seed[16*i:], uint64(d.at))
		le.PutUint32(seed[16*i+8:], uint32(d.n))
		le.PutUint16(seed[16*i+12:], uint16(d.flags))
		le.PutUint16(seed[16*i+14:], uint16(d.next))
	}
	for i, head := range []uint16{3, 0, 2, 4} {
		le.PutUint16(seed[0x402:], head)
		le.PutUint16(seed[0x404+2*i:], head)
	}
	f.Add(append(bytes.Clone(seed), append(with(1, 1, 54, 100, 34, 16), b...)...), uint64(all))
	f.Add(append(bytes.Clone(seed), append([]byte{classMAC, setTable}, addresses(many(3, 2), nil)...)...), uint64(all))
	f.Add(append(bytes.Clone(seed), classRx, promiscuous, 1), uint64(featMAC|featControl|featRx))
	d, v := New(Config{MAC: mac, MTU: nic.MTU, Pairs: 2}), victim{to: New(Config{Pairs: 1})}
	m := make(flat, 0x1000)
	f.Fuzz(func(t *testing.T, content []byte, features uint64) {
		v.t = t
		features &= all | ring.FeatureIndirect
		for _, kind := range []string{"send", "receive", "control"} {
			clear(m[copy(m, content):])
			clear(m[0x600:0x800])
			dev, err := ring.NewDevice(m, ring.Layout{Size: 16, Desc: 0, Avail: 0x400, Used: 0x600, Features: features})
			if err != nil {
				t.Fatal(err)
			}
			d.reset()
			d.begin(features)
			fuzzQueue(d, &vpci.Queue{Device: dev, Features: features}, kind, &v)
		}
	})
}

// flat is memory in one piece.
type flat []byte

func (m flat) RAM(a, n uint64) []byte {
	if a >= uint64(len(m)) {
		return nil
	}
	return m[a:][:min(n, uint64(len(m))-a)]
}

// fuzzQueue serves a queue, with d's address as the one that receives.
func fuzzQueue(d *Device, q *vpci.Queue, kind string, v *victim) {
	x, s := &d.receive[0], &d.send[0]
	for i := range 20 {
		if kind == "receive" {
			var h [headerLen]byte
			frame := nic.Frame{Pieces: [][]byte{make([]byte, 60*(1+i)), make([]byte, 40*i)}}
			if x.q = q; !x.put(&frame, &h, frame.Len()) {
				return
			}
			continue
		}
		r, ok := q.Next()
		if !ok {
			return
		}
		if kind == "control" {
			q.Done(r, d.answer(q, r))
			continue
		}
		if s.n = 0; s.take(q, r, &s.frames[0], 0) {
			hash(s.frames[0].Pieces[0])
			d.filter.pass(s.frames[0].Pieces[0])
			v.send(s.frames[:1])
		}
		q.Done(r, 0)
	}
}

// TestAllocations: nothing is allocated for a frame, sent or received, or for a command.
func TestAllocations(t *testing.T) {
	r := newRig(t, Config{Pairs: 2}, everything)
	var sent atomic.Uint64
	r.sent = func(f []nic.Frame) { sent.Add(uint64(len(f))) }
	g := r.start(all)
	if a := g.command(classQueues, 0, 2, 0); a != ackOK {
		t.Fatal(a)
	}
	b := flow(1, false, true)
	frames := []nic.Frame{{Pieces: [][]byte{b}}, {Pieces: [][]byte{b, b}}}
	big, _ := tcp(rand.New(rand.NewPCG(1, 2)), false, 9000)
	buffer := []ring.Buffer{{Addr: buffersAt, Len: 100, Write: true}, {Addr: buffersAt + 0x1000, Len: 3000, Write: true}}
	out := []ring.Buffer{{Addr: framesAt, Len: 12}, {Addr: framesAt + 12, Len: 60}, {Addr: framesAt + 72, Len: uint32(len(big) - 60)}}
	copy(g.m.b[framesAt:], append(with(1, 1, 54, 1400, 34, 16), big...))
	command := []ring.Buffer{{Addr: framesAt + 0x8000, Len: 3}, {Addr: framesAt + 0x8100, Len: 1, Write: true}}
	back := func(q int) {
		for {
			if _, _, ok := g.queues[q].Next(); !ok {
				return
			}
		}
	}
	round := func() {
		for range 4 {
			g.queues[0].Add(buffer, nil)
			g.queues[1].Add(out, nil)
			g.queues[4].Add(command, nil)
		}
		r.dev.Deliver(frames)
		before := sent.Load()
		r.d.Kick(1)
		r.d.Kick(4)
		for sent.Load() < before+4 {
			runtime.Gosched()
		}
		for _, q := range []int{0, 1, 4} {
			back(q)
		}
	}
	if n := testing.AllocsPerRun(200, round); n >= 1 {
		t.Errorf("%v allocations", n)
	}
	if c := r.dev.Counters(); c.TxErrors != 0 || c.RxFrames < 400 {
		t.Errorf("%+v", c)
	}
}

// TestBytes compares what a device keeps on the heap with what it says.
func TestBytes(t *testing.T) {
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	const devices = 50
	before := heap()
	var all []*Device
	for range devices {
		all = append(all, New(Config{MAC: mac, MTU: nic.MTU, Pairs: 2}))
	}
	each := int64(heap()-before) / devices
	// A ring keeps the buffers of a request, of 16 bytes, and there are as many as it has
	// entries; append may double that.
	each += 2 * 2 * 16 * (receiveSize + sendSize)
	if t.Logf("%d bytes", each); each > 2*QueueBytes+DeviceBytes {
		t.Errorf("%d bytes, %d are said", each, 2*QueueBytes+DeviceBytes)
	}
	runtime.KeepAlive(all)
}
