// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package ring

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// memory is RAM from base on, in pieces that end at multiples of chunk.
type memory struct {
	base  uint64
	chunk uint64
	b     []byte
}

const base = 0x10_0000

func newMemory(chunk uint64) *memory { return &memory{base, chunk, make([]byte, 0x20_0000)} }

func (m *memory) RAM(a, n uint64) []byte {
	off := a - m.base
	if off >= uint64(len(m.b)) {
		return nil
	}
	n = min(n, uint64(len(m.b))-off, m.chunk-off%m.chunk)
	return m.b[off : off+n : off+n]
}

func layout(size int, features uint64) Layout {
	return Layout{Size: size, Desc: base, Avail: base + 0x8_0000 + 0xffe, Used: base + 0xa_0000 + 0xffc, Features: features}
}

// TestBothSides lets the sides work against each other in random order: every
// request arrives once, in order, with its buffers, and its answer comes back;
// and whoever sleeps is woken.
func TestBothSides(t *testing.T) {
	for _, features := range []uint64{0, FeatureEventIndex, FeatureIndirect, FeatureEventIndex | FeatureIndirect} {
		for _, size := range []int{1, 2, 8, 256, MaxSize} {
			for _, chunk := range []uint64{0x1000, 0x20_0000} {
				t.Run(fmt.Sprintf("%x/%d/%x", features, size, chunk), func(t *testing.T) {
					both(t, size, features, newMemory(chunk), rand.New(rand.NewPCG(uint64(size), features)))
				})
			}
		}
	}
}

func both(t *testing.T, size int, features uint64, m *memory, rnd *rand.Rand) {
	drv, err := NewDriver(m, layout(size, features))
	if err != nil {
		t.Fatal(err)
	}
	dev, err := NewDevice(m, layout(size, features))
	if err != nil {
		t.Fatal(err)
	}
	if each := 4; features&FeatureIndirect != 0 && size <= 256 {
		const at = base + 0x1a_0000 // behind the buffers
		drv.UseTables(at, m.b[at-base:], each)
	}
	type job struct {
		id      int
		buffers []Buffer
	}
	var (
		taken             []Request
		ids               []int
		sent, came, back  int
		devBell, drvBell  = true, true // rung: the side looks
		devSleep, drvWait bool
	)
	sums := map[int]job{}
	const total = 3000
	for step := 0; back < total; step++ {
		if step > 400*total {
			t.Fatalf("stuck: %d sent, %d came, %d back", sent, came, back)
		}
		switch rnd.IntN(4) {
		case 0: // the driver adds some and notifies
			for range 1 + rnd.IntN(3) {
				var bs []Buffer
				for i := range 1 + rnd.IntN(min(size, 4)) {
					bs = append(bs, Buffer{base + 0x10_0000 + rnd.Uint64N(0x8_0000), rnd.Uint32N(0x3000), i > 0 && (bs[i-1].Write || rnd.IntN(2) == 0)})
				}
				if sent < total && drv.Add(bs, sent) {
					sums[sent] = job{sent, bs}
					sent++
				}
			}
			if drv.Notify() {
				devBell = true
			}
		case 1: // the device takes
			if !devBell && devSleep {
				continue
			}
			devBell, devSleep = false, false
			dev.Busy()
			for {
				r, ok := dev.Next()
				if !ok {
					if !dev.Sleep() {
						continue
					}
					devSleep = true
					break
				}
				want := sums[came]
				if len(r.Buffers) != len(want.buffers) {
					t.Fatalf("request %d: %+v, want %+v", came, r.Buffers, want.buffers)
				}
				for i := range r.Buffers {
					if r.Buffers[i] != want.buffers[i] {
						t.Fatalf("request %d: %+v, want %+v", came, r.Buffers, want.buffers)
					}
				}
				taken, ids = append(taken, r), append(ids, came)
				came++
			}
		case 2: // the device gives some back, in any order
			for range min(len(taken), 1+rnd.IntN(4)) {
				i := rnd.IntN(len(taken))
				var room uint64
				for _, b := range sums[ids[i]].buffers {
					if b.Write {
						room += uint64(b.Len)
					}
				}
				dev.Later(taken[i], uint32(rnd.Uint64N(room+1)))
				if rnd.IntN(2) == 0 {
					dev.Publish()
				}
				taken[i], ids[i] = taken[len(taken)-1], ids[len(ids)-1]
				taken, ids = taken[:len(taken)-1], ids[:len(ids)-1]
			}
			if dev.Publish(); dev.Interrupt() {
				drvBell = true
			}
		case 3: // the driver looks
			if !drvBell && drvWait {
				continue
			}
			drvBell, drvWait = false, false
			for {
				token, _, ok := drv.Next()
				if !ok {
					if !drv.Sleep() {
						continue
					}
					drvWait = true
					break
				}
				id := token.(int)
				if _, there := sums[id]; !there {
					t.Fatalf("request %d came back twice", id)
				}
				delete(sums, id)
				back++
			}
		}
		if dev.Broken() != nil || drv.Broken() != nil {
			t.Fatal(dev.Broken(), drv.Broken())
		}
	}
}

// put writes a descriptor of the table at base.
func (m *memory) put(i int, addr uint64, n uint32, flags, next uint16) {
	d := m.b[i*descLen:]
	binary.LittleEndian.PutUint64(d, addr)
	binary.LittleEndian.PutUint32(d[8:], n)
	binary.LittleEndian.PutUint16(d[12:], flags)
	binary.LittleEndian.PutUint16(d[14:], next)
}

// offer makes heads available.
func (m *memory) offer(l Layout, idx uint16, heads ...uint16) {
	a := m.b[l.Avail-base:]
	for i, h := range heads {
		binary.LittleEndian.PutUint16(a[4+2*i:], h)
	}
	binary.LittleEndian.PutUint16(a[2:], idx)
}

func TestHostileDriver(t *testing.T) {
	const ram = base + 0x10_0000
	for _, c := range []struct {
		name string
		make func(m *memory, l Layout)
		want error
	}{
		{"good", func(m *memory, l Layout) { m.put(0, ram, 16, flagWrite, 0); m.offer(l, 1, 0) }, nil},
		{"index jumps", func(m *memory, l Layout) { m.offer(l, 9) }, ErrIndex},
		{"index goes back", func(m *memory, l Layout) { m.offer(l, 0xffff) }, ErrIndex},
		{"head beyond the table", func(m *memory, l Layout) { m.offer(l, 1, 8) }, ErrChain},
		{"next beyond the table", func(m *memory, l Layout) { m.put(0, ram, 1, flagNext, 8); m.offer(l, 1, 0) }, ErrChain},
		{"loop of one", func(m *memory, l Layout) { m.put(0, ram, 1, flagNext, 0); m.offer(l, 1, 0) }, ErrChain},
		{"loop of two", func(m *memory, l Layout) {
			m.put(0, ram, 1, flagNext, 1)
			m.put(1, ram, 1, flagNext, 0)
			m.offer(l, 1, 0)
		}, ErrChain},
		{"readable behind writable", func(m *memory, l Layout) {
			m.put(0, ram, 1, flagNext|flagWrite, 1)
			m.put(1, ram, 1, 0, 0)
			m.offer(l, 1, 0)
		}, ErrChain},
		{"not RAM", func(m *memory, l Layout) { m.put(0, 0x1000, 1, 0, 0); m.offer(l, 1, 0) }, ErrBuffer},
		{"end is not RAM", func(m *memory, l Layout) { m.put(0, base+0x1f_ffff, 2, 0, 0); m.offer(l, 1, 0) }, ErrBuffer},
		{"wraps", func(m *memory, l Layout) { m.put(0, math.MaxUint64-3, 8, 0, 0); m.offer(l, 1, 0) }, ErrBuffer},
		{"4 GiB", func(m *memory, l Layout) { m.put(0, ram, math.MaxUint32, 0, 0); m.offer(l, 1, 0) }, ErrBuffer},
		{"indirect", func(m *memory, l Layout) {
			m.put(0, base+16*descLen, 2*descLen, flagIndirect, 0)
			m.put(16, ram, 1, flagNext, 1)
			m.put(17, ram, 1, flagWrite, 0)
			m.offer(l, 1, 0)
		}, nil},
		{"indirect with next", func(m *memory, l Layout) {
			m.put(0, base+16*descLen, 2*descLen, flagIndirect|flagNext, 1)
			m.offer(l, 1, 0)
		}, ErrChain},
		{"nested", func(m *memory, l Layout) {
			m.put(0, base+16*descLen, descLen, flagIndirect, 0)
			m.put(16, base+16*descLen, descLen, flagIndirect, 0)
			m.offer(l, 1, 0)
		}, ErrChain},
		{"empty table", func(m *memory, l Layout) { m.put(0, ram, 0, flagIndirect, 0); m.offer(l, 1, 0) }, ErrChain},
		{"odd table", func(m *memory, l Layout) { m.put(0, ram, 17, flagIndirect, 0); m.offer(l, 1, 0) }, ErrChain},
		{"long table", func(m *memory, l Layout) { m.put(0, ram, 9*descLen, flagIndirect, 0); m.offer(l, 1, 0) }, ErrChain},
		{"table is not RAM", func(m *memory, l Layout) { m.put(0, 16, descLen, flagIndirect, 0); m.offer(l, 1, 0) }, ErrBuffer},
	} {
		m, l := newMemory(0x1000), layout(8, FeatureIndirect)
		c.make(m, l)
		d, err := NewDevice(m, l)
		if err != nil {
			t.Fatal(err)
		}
		_, ok := d.Next()
		if ok != (c.want == nil) || !errors.Is(d.Broken(), c.want) {
			t.Errorf("%s: %v, %v; want %v", c.name, ok, d.Broken(), c.want)
		}
		if c.want != nil {
			m.put(0, ram, 16, 0, 0) // now well, and too late
			m.offer(l, 1, 0)
			if _, ok := d.Next(); ok || d.Interrupt() || !d.Sleep() {
				t.Errorf("%s: a broken queue works", c.name)
			}
		}
	}
	m, l := newMemory(0x1000), layout(8, 0)
	m.put(0, ram, 16, flagIndirect, 0)
	m.offer(l, 1, 0)
	if d, _ := NewDevice(m, l); !noRequest(d) || d.Broken() != ErrChain {
		t.Error("an indirect table that was not negotiated is used")
	}
}

func noRequest(d *Device) bool { _, ok := d.Next(); return !ok }

// TestUndo takes requests that are not served, and takes them again.
func TestUndo(t *testing.T) {
	m, l := newMemory(0x1000), layout(8, 0)
	drv, err := NewDriver(m, l)
	if err != nil {
		t.Fatal(err)
	}
	dev, err := NewDevice(m, l)
	if err != nil {
		t.Fatal(err)
	}
	for round := range 20 {
		for i := range 5 {
			if !drv.Add([]Buffer{{base + 0x10_0000, 16, true}}, i) {
				t.Fatal("no room")
			}
		}
		next := func() Request {
			r, ok := dev.Next()
			if !ok {
				t.Fatal(dev.Broken())
			}
			return r
		}
		dev.Later(next(), 1)
		dev.Later(next(), 2)
		next()
		dev.Undo(1)
		if _, _, ok := drv.Next(); ok {
			t.Fatal("what was undone came back")
		}
		dev.Later(next(), 3)
		dev.Publish()
		next()
		dev.Undo(1)
		for range 4 {
			dev.Later(next(), 4)
		}
		dev.Publish()
		for i := range 5 {
			want := uint32(4)
			if i == 0 {
				want = 3
			}
			if token, n, ok := drv.Next(); !ok || token != i || n != want {
				t.Fatalf("round %d: request %v with %d bytes, %v", round, token, n, drv.Broken())
			}
		}
		if _, ok := dev.Next(); ok {
			t.Fatal("a request too many")
		}
	}
}

func TestHostileDevice(t *testing.T) {
	for _, c := range []struct {
		name  string
		id, n uint32
		idx   uint16
		want  error
	}{
		{"good", 0, 16, 1, nil},
		{"index jumps", 0, 16, 9, ErrIndex},
		{"no such descriptor", 8, 16, 1, ErrChain},
		{"not under way", 1, 16, 1, ErrChain},
		{"wrote more than there is", 0, 17, 1, ErrChain},
	} {
		m, l := newMemory(0x1000), layout(8, 0)
		d, err := NewDriver(m, l)
		if err != nil || !d.Add([]Buffer{{base + 0x10_0000, 16, true}}, 7) {
			t.Fatal(err)
		}
		u := m.b[l.Used-base:]
		binary.LittleEndian.PutUint32(u[4:], c.id)
		binary.LittleEndian.PutUint32(u[8:], c.n)
		binary.LittleEndian.PutUint16(u[2:], c.idx)
		if token, n, ok := d.Next(); ok != (c.want == nil) || !errors.Is(d.Broken(), c.want) || ok && (token != 7 || n != 16) {
			t.Errorf("%s: %v %d %v, %v", c.name, token, n, ok, d.Broken())
		}
	}
}

func TestLayout(t *testing.T) {
	for _, c := range []struct {
		change func(*Layout)
		want   error
	}{
		{func(*Layout) {}, nil},
		{func(l *Layout) { l.Size = 0 }, ErrLayout},
		{func(l *Layout) { l.Size = 3 }, ErrLayout},
		{func(l *Layout) { l.Size = 65536 }, ErrLayout},
		{func(l *Layout) { l.Desc += 8 }, ErrLayout},
		{func(l *Layout) { l.Avail++ }, ErrLayout},
		{func(l *Layout) { l.Used += 2 }, ErrLayout},
		{func(l *Layout) { l.Desc = 0 }, ErrBuffer},
		{func(l *Layout) { l.Avail = base + 0x20_0000 - 8 }, ErrBuffer},
		{func(l *Layout) { l.Used = math.MaxUint64 - 3 }, ErrBuffer},
	} {
		l := layout(8, 0)
		c.change(&l)
		m := newMemory(0x1000)
		if _, err := NewDevice(m, l); !errors.Is(err, c.want) {
			t.Errorf("%+v: %v, want %v", l, err, c.want)
		}
		if _, err := NewDriver(m, l); !errors.Is(err, c.want) {
			t.Errorf("%+v: driver: %v, want %v", l, err, c.want)
		}
	}
}

// FuzzDevice gives the device a ring of arbitrary content: it ends, stays within
// memory and never hands out a buffer that is not RAM.
func FuzzDevice(f *testing.F) {
	f.Add([]byte{0, 0, 1, 0, 0, 0}, uint64(0))
	f.Add(make([]byte, 400), uint64(FeatureIndirect|FeatureEventIndex))
	f.Fuzz(func(t *testing.T, content []byte, features uint64) {
		m := &memory{base, 0x1000, make([]byte, 0x3000)}
		l := Layout{Size: 16, Desc: base + 0x2f0, Avail: base + 0x1f0, Used: base + 0xff0, Features: features}
		copy(m.b[0x1f0:0x2ff0], content)
		d, err := NewDevice(m, l)
		if err != nil {
			t.Fatal(err)
		}
		for range 100 {
			r, ok := d.Next()
			if !ok {
				break
			}
			if len(r.Buffers) > 16+1 {
				t.Fatalf("%d buffers", len(r.Buffers))
			}
			for _, b := range r.Buffers {
				if b.Len > 0 && (b.Addr < base || b.Addr+uint64(b.Len) > base+0x3000) {
					t.Fatalf("%+v is not RAM", b)
				}
				n := 0
				d.Bytes(b, func(p []byte) { n += len(p) })
				if n != int(b.Len) {
					t.Fatalf("%d bytes of %+v", n, b)
				}
			}
			d.Done(r, 0)
			d.Interrupt()
			d.Sleep()
		}
	})
}

// FuzzDriver lets a device write what it likes into the used ring, and change the index
// at any time: the driver gives back each request once at most, and no more bytes than
// it had room for.
func FuzzDriver(f *testing.F) {
	f.Add([]byte{0, 0, 1, 0, 0, 0, 0, 0, 16, 0, 0, 0}, uint64(0))
	f.Add(make([]byte, 200), uint64(FeatureIndirect|FeatureEventIndex))
	f.Fuzz(func(t *testing.T, content []byte, features uint64) {
		m, l := newMemory(0x1000), layout(8, features)
		d, err := NewDriver(m, l)
		if err != nil {
			t.Fatal(err)
		}
		if features&FeatureIndirect != 0 {
			d.UseTables(base+0x1a_0000, m.b[0x1a_0000:], 3)
		}
		var out [1 << 16]bool
		sent, buffers := 0, []Buffer{{base, 8, false}, {base, 16, true}, {base, 1, true}}
		used := m.b[l.Used-base:][:4+8*8+2]
		for len(content) > 0 {
			for sent < len(out) && d.Add(buffers[:1+sent%3], sent) {
				out[sent], sent = true, sent+1
			}
			d.Notify()
			n := copy(used, content)
			content = content[n:]
			for range 20 {
				token, n, ok := d.Next()
				if !ok {
					break
				}
				if i := token.(int); !out[i] || n > []uint32{0, 16, 17}[i%3] {
					t.Fatalf("request %d with %d bytes", i, n)
				}
				out[token.(int)] = false
			}
			d.Sleep()
		}
	})
}
