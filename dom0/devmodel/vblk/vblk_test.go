// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vblk

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"sync"
	"testing"
	"time"

	"ringo/dom0/devmodel/pcihost"
	"ringo/dom0/devmodel/vpci"
	"ringo/drivers/block"
	"ringo/drivers/block/blocktest"
	"ringo/drivers/dma"
	"ringo/drivers/virtio/ring"
	"ringo/hv/bus"
)

// memory is 1 MiB of RAM, in pieces of 16 KiB for who looks at it.
type memory struct {
	b    [1 << 20]byte
	pins sync.WaitGroup
}

const pieceLen = 1 << 14

func (m *memory) Segment(a, n uint64) (s dma.Segment) {
	if a < uint64(len(m.b)) {
		end := a + min(n, pieceLen-a%pieceLen)
		s = dma.Segment{Addr: a + 1<<32, Bytes: m.b[a:end:end]}
	}
	return s
}
func (m *memory) RAM(a, n uint64) []byte { return m.Segment(a, n).Bytes }
func (m *memory) Pin() bool              { m.pins.Add(1); return true }
func (m *memory) Unpin()                 { m.pins.Done() }

// disk is a disk in memory that answers on goroutines of its own, not in order.
type disk struct {
	t    testing.TB
	info block.Info
	mu   sync.Mutex
	m    *blocktest.Medium
	bad  uint64        // a block that cannot be read or written, if not 0
	hold chan struct{} // if not nil, requests wait for it
	ops  map[block.Op]int
	far  bool // it reaches no guest's RAM
	at   bool // it answers at once

	taken *block.Request // while it had a mistake
}

func newDisk(t testing.TB, blockSize int) *disk {
	const size = 1 << 20
	return &disk{t: t, ops: map[block.Op]int{}, m: blocktest.NewMedium(uint64(size/blockSize), blockSize), info: block.Info{
		Blocks: uint64(size / blockSize), BlockSize: blockSize, MaxBlocks: uint32(24 << 10 / blockSize), MaxEmpty: 16, Volatile: true, Discard: true, WriteZeroes: true,
	}}
}

func (d *disk) Info() block.Info { return d.info }
func (d *disk) Queues() int      { return 2 }

func (d *disk) Submit(_ int, r *block.Request) {
	if err := block.Check(&d.info, r); err != nil {
		if r.Op > block.Write || !d.info.ReadOnly {
			d.t.Errorf("%v: %v", r, err) // the device checks
		}
		r.Done(r, err)
		return
	}
	if d.bad == 1<<40 {
		d.taken = r
		panic("a mistake")
	}
	if d.at {
		r.Done(r, d.do(r))
		return
	}
	go func() {
		if d.hold != nil {
			<-d.hold
		}
		r.Done(r, d.do(r))
	}()
}

func (d *disk) do(r *block.Request) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ops[r.Op]++
	if r.Op != block.Flush && d.bad != 0 && r.Start <= d.bad && d.bad < r.Start+uint64(r.Blocks) {
		return block.ErrMedia
	}
	data := make([]byte, int(r.Blocks)*d.info.BlockSize)
	if r.Op == block.Write {
		n := 0
		for _, s := range r.Data {
			n += copy(data[n:], s.Bytes)
		}
	}
	for _, s := range r.Data {
		if d.far != (s.Addr < 1<<32) {
			d.t.Errorf("data at %#x", s.Addr)
		}
	}
	switch r.Op {
	case block.Read:
		d.m.Read(r.Start, data)
		for _, s := range r.Data {
			data = data[copy(s.Bytes, data):]
		}
	case block.Write:
		d.m.Write(r.Start, data, r.FUA)
	case block.Flush:
		d.m.Flush()
	default:
		d.m.Zero(r.Start, uint64(r.Blocks))
	}
	return nil
}

// kept reports whether a block, which is not zeros, is on the medium.
func (d *disk) kept(at uint64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return bytes.Count(d.m.Kept(at), []byte{0}) != d.info.BlockSize
}

// rig is a device and its driver.
type rig struct {
	t    testing.TB
	m    *memory
	d    *vpci.Device
	host *pcihost.Host
	mem  bus.Device
	drv  *ring.Driver
	told chan struct{}

	failed chan any
	done   map[int]byte // status of requests that have ended, by number
	n      int
}

func (r *rig) Line(uint32) bus.Line   { return r }
func (r *rig) Set(bool)               {}
func (r *rig) Reset()                 {}
func (r *rig) Message(uint64, uint32) { r.told <- struct{}{} }

func newRig(t testing.TB, c Config) *rig {
	r := &rig{t: t, m: new(memory), told: make(chan struct{}, 1000), failed: make(chan any, 10), done: map[int]byte{}}
	c.Memory = r.m
	if c.Queues == 0 {
		c.Queues = 1
	}
	r.d = vpci.New(Kind(c), r.m, func(int, uint64, bool) {}, func(v any) { r.failed <- v })
	r.host = pcihost.New(r)
	r.host.Add(1, r.d.Function)
	r.mem = r.host.Memory()
	e := r.host.Config(1)
	e.Write(4, 2, 7, 0)
	e.Write(0x42, 2, 0x8000, 0)
	for v := range uint64(2) {
		r.w(0x2000+16*v, 4, 0xfee0_0000)
		r.w(0x200c+16*v, 4, 0)
	}
	t.Cleanup(func() { r.d.Stop(); r.m.pins.Wait() })
	return r
}

func (r *rig) w(off uint64, size uint8, v uint64) { r.mem.Write(off, size, v, 0) }
func (r *rig) rd(off uint64, size uint8) uint64   { return r.mem.Read(off, size, 0) & (1<<(8*size) - 1) }

func (r *rig) reset() {
	r.w(20, 1, 0)
	for r.rd(20, 1) != 0 {
		runtime.Gosched()
	}
}

// start brings the device to work with features.
func (r *rig) start(features uint64) {
	r.reset()
	r.w(20, 1, 3)
	for i, f := range []uint64{features & 0xffff_ffff, 1} {
		r.w(8, 4, uint64(i))
		r.w(12, 4, f)
	}
	r.w(20, 1, 11)
	r.w(16, 2, 0)
	l := ring.Layout{Size: 128, Desc: 0x1000, Avail: 0x2000, Used: 0x3000, Features: features}
	var err error
	if r.drv, err = ring.NewDriver(r.m, l); err != nil {
		r.t.Fatal(err)
	}
	r.w(22, 2, 0)
	r.w(26, 2, 1)
	for i, a := range []uint64{l.Desc, l.Avail, l.Used} {
		r.w(32+8*uint64(i), 4, a)
	}
	r.w(28, 2, 1)
	if r.w(20, 1, 15); r.rd(20, 1) != 15 {
		r.t.Fatalf("status %#x", r.rd(20, 1))
	}
}

// Where request n has its header, and data; the status is behind the header.
func header(n int) uint64 { return 0x4000 + uint64(n%128)*64 }

const dataAt = 0x10000

// ask makes a request, and returns its number. at is where its data is.
func (r *rig) ask(kind uint32, sector, at uint64, size int) int {
	n := r.n
	r.n++
	h := r.m.b[header(n):]
	binary.LittleEndian.PutUint32(h, kind)
	binary.LittleEndian.PutUint64(h[8:], sector)
	h[16] = 0xee
	b := []ring.Buffer{{Addr: header(n), Len: headerLen}}
	for in := kind == typeIn || kind == typeGetID; size > 0; {
		k := min(size, 0x3000)
		b = append(b, ring.Buffer{Addr: at, Len: uint32(k), Write: in})
		at, size = at+uint64(k), size-k
	}
	b = append(b, ring.Buffer{Addr: header(n) + 16, Len: 1, Write: true})
	if !r.drv.Add(b, n) {
		r.t.Fatal("the ring is full")
	}
	r.d.Kick(0)
	return n
}

// wait returns a request's status.
func (r *rig) wait(n int) byte {
	r.t.Helper()
	for end := time.After(20 * time.Second); ; {
		for {
			token, _, ok := r.drv.Next()
			if !ok {
				break
			}
			k := token.(int)
			r.done[k] = r.m.b[header(k)+16]
		}
		if s, ok := r.done[n]; ok {
			delete(r.done, n)
			return s
		}
		if !r.drv.Sleep() {
			continue
		}
		select {
		case <-r.told:
		case <-end:
			r.t.Fatalf("request %d is not answered, status of the device %#x", n, r.rd(20, 1))
		}
	}
}

func (r *rig) do(kind uint32, sector, at uint64, size int) byte {
	r.t.Helper()
	return r.wait(r.ask(kind, sector, at, size))
}

func pattern(b []byte, seed byte) {
	for i := range b {
		b[i] = byte(i>>9)*7 + byte(i) + seed
	}
}

// bouncePages is memory of dom0.
func bouncePages() (s []dma.Segment) {
	for i := range 5 {
		s = append(s, dma.Segment{Addr: uint64(i) << 12, Bytes: make([]byte, dma.Page)})
	}
	return s
}

// What is written is read back, in parts where it is long, also from a disk that does not
// reach the guest's RAM.
func TestReadWrite(t *testing.T) {
	for name, c := range map[string]struct {
		block  int
		bounce func() []dma.Segment
	}{"direct": {512, nil}, "4 KiB": {4096, nil}, "bounce": {512, bouncePages}} {
		t.Run(name, func(t *testing.T) {
			d := newDisk(t, c.block)
			d.far = c.bounce != nil
			r := newRig(t, Config{Disk: d, Bounce: c.bounce})
			r.start(featFlush | ring.FeatureEventIndex)
			const size = 200 << 10
			data := r.m.b[dataAt : dataAt+size]
			pattern(data, 1)
			want := bytes.Clone(data)
			if s := r.do(typeOut, 16, dataAt, size); s != statusOK {
				t.Fatalf("write: status %d", s)
			}
			clear(data)
			var all []int
			for at := 0; at < size; at += 8 << 10 {
				all = append(all, r.ask(typeIn, uint64(16+at/512), dataAt+uint64(at), 8<<10))
			}
			for _, n := range all {
				if s := r.wait(n); s != statusOK {
					t.Fatalf("read: status %d", s)
				}
			}
			if !bytes.Equal(data, want) {
				t.Error("other data")
			}
			clear(data)
			if s := r.do(typeIn, 16, dataAt, size); s != statusOK || !bytes.Equal(data, want) {
				t.Errorf("read in one: status %d", s)
			}
			if got := d.kept(16 * 512 / uint64(c.block)); got {
				t.Error("written through the cache")
			}
			if s := r.do(typeFlush, 0, 0, 0); s != statusOK || !d.kept(16*512/uint64(c.block)) {
				t.Errorf("flush: status %d", s)
			}
		})
	}
}

// Without the cache what is written is on the medium: where the driver does not know
// flushes, and where it wishes so.
func TestThrough(t *testing.T) {
	d := newDisk(t, 512)
	r := newRig(t, Config{Disk: d})
	for i, c := range []struct {
		features, writeback uint64
		kept                bool
	}{{0, 1, true}, {featFlush, 0, false}, {featFlush | featConfigWCE, 1, false}, {featFlush | featConfigWCE, 0, true}} {
		r.start(c.features)
		if r.rd(0x3000+cfgWriteback, 1) != 1 {
			t.Error("no cache after a reset")
		}
		r.w(0x3000+cfgWriteback, 1, c.writeback)
		at := uint64(100 + i)
		pattern(r.m.b[dataAt:dataAt+512], byte(i))
		if s := r.do(typeOut, at, dataAt, 512); s != statusOK || d.kept(at) != c.kept {
			t.Errorf("%v: status %d, kept %v", c, s, d.kept(at))
		}
	}
}

func TestConfig(t *testing.T) {
	d := newDisk(t, 4096)
	r := newRig(t, Config{Disk: d, Serial: "a serial number that is long", Queues: 3})
	r.start(featFlush)
	for _, c := range []struct {
		off, want uint64
		size      uint8
	}{
		{cfgCapacity, 2048, 4}, {cfgCapacity + 4, 0, 4}, {cfgSegMax, segments, 4}, {cfgBlockSize, 4096, 4}, {cfgTopology + 2, 1, 2}, {cfgQueues, 3, 2},
		{cfgMaxDiscard, 128, 4}, {cfgDiscardSegs, 1, 4}, {cfgDiscardAlign, 8, 4}, {cfgMaxZeroes, 128, 4}, {cfgZeroesSegs, 1, 4}, {cfgMayUnmap, 0, 1}, {cfgLen, 0, 4},
	} {
		if v := r.rd(0x3000+c.off, c.size); v != c.want {
			t.Errorf("configuration at %d: %d, want %d", c.off, v, c.want)
		}
	}
	if s := r.do(typeGetID, 0, dataAt, 20); s != statusOK || string(r.m.b[dataAt:dataAt+21]) != "a serial number that\x00" {
		t.Errorf("status %d, %q", s, r.m.b[dataAt:dataAt+21])
	}
	const all = featSegMax | featBlockSize | featFlush | featTopology | featConfigWCE | featQueues
	if f := Kind(Config{Disk: d, Queues: 1}).Features; f != all|featDiscard|featWriteZeroes {
		t.Errorf("features %#x", f)
	}
	d.info.ReadOnly = true
	if f := Kind(Config{Disk: d, Queues: 1}).Features; f != all|featReadOnly {
		t.Errorf("features %#x", f)
	}
}

// empty asks for a range to be emptied.
func (r *rig) empty(kind uint32, sector uint64, sectors, flags uint32, size int) byte {
	r.t.Helper()
	le := binary.LittleEndian
	le.PutUint64(r.m.b[dataAt:], sector)
	le.PutUint32(r.m.b[dataAt+8:], sectors)
	le.PutUint32(r.m.b[dataAt+12:], flags)
	return r.do(kind, 0, dataAt, size)
}

func TestEmpty(t *testing.T) {
	d := newDisk(t, 512)
	r := newRig(t, Config{Disk: d})
	r.start(featFlush)
	for _, kind := range []uint32{typeDiscard, typeWriteZeroes} {
		pattern(r.m.b[dataAt:dataAt+50*512], 3)
		r.do(typeOut, 10, dataAt, 50*512)
		if s := r.empty(kind, 11, 40, 0, rangeLen); s != statusOK { // three parts
			t.Errorf("status %d", s)
		}
		r.do(typeIn, 10, dataAt, 50*512)
		if got := r.m.b[dataAt : dataAt+50*512]; got[0] != 3 || bytes.Count(got[512:41*512], []byte{0}) != 40*512 || got[41*512] == 0 && got[41*512+1] == 0 {
			t.Errorf("type %d: not that range", kind)
		}
	}
	for _, c := range []struct {
		kind           uint32
		sector         uint64
		sectors, flags uint32
		size           int
		want           byte
	}{
		{typeWriteZeroes, 1, 1, flagUnmap, rangeLen, statusOK},
		{typeDiscard, 1, 1, flagUnmap, rangeLen, statusUnsupported},
		{typeWriteZeroes, 1, 1, 2, rangeLen, statusUnsupported},
		{typeDiscard, 1, 1, 0, 2 * rangeLen, statusUnsupported},
		{typeDiscard, 1, 1, 0, 8, statusUnsupported},
		{typeDiscard, 1, 0, 0, rangeLen, statusIOErr},
		{typeDiscard, 2047, 2, 0, rangeLen, statusIOErr},
		{typeDiscard, 1 << 63, 2, 0, rangeLen, statusIOErr},
	} {
		if s := r.empty(c.kind, c.sector, c.sectors, c.flags, c.size); s != c.want {
			t.Errorf("%v: status %d", c, s)
		}
	}
	d.info.Discard, d.info.WriteZeroes = false, false
	r = newRig(t, Config{Disk: d})
	r.start(featFlush)
	if s := r.empty(typeWriteZeroes, 1, 1, 0, rangeLen); s != statusUnsupported {
		t.Errorf("status %d", s)
	}
}

// Mistakes and errors of the disk are the request's.
func TestErrors(t *testing.T) {
	d := newDisk(t, 4096)
	d.bad = 9
	r := newRig(t, Config{Disk: d})
	r.start(featFlush)
	for _, c := range []struct {
		kind   uint32
		sector uint64
		size   int
		want   byte
	}{
		{typeIn, 2048 - 8, 4096, statusOK},
		{typeIn, 2048, 4096, statusIOErr},
		{typeIn, 2048 - 8, 8192, statusIOErr},
		{typeOut, 1 << 63, 4096, statusIOErr},
		{typeIn, 1<<64 - 8, 8192, statusIOErr},
		{typeIn, 1, 4096, statusIOErr},
		{typeIn, 0, 512, statusIOErr},
		{typeIn, 0, 4097, statusIOErr},
		{typeIn, 0, 0, statusIOErr},
		{typeOut, 0, 0, statusIOErr},
		{typeIn, 72, 4096, statusIOErr},
		{typeOut, 0, 80 << 10, statusIOErr}, // of its parts one
		{typeIn, 80, 4096, statusOK},
		{2, 0, 0, statusUnsupported},
		{1 << 31, 0, 512, statusUnsupported},
	} {
		if s := r.do(c.kind, c.sector, dataAt, c.size); s != c.want {
			t.Errorf("%v: status %d", c, s)
		}
	}
	d.info.ReadOnly, d.bad = true, 0
	r = newRig(t, Config{Disk: d})
	r.start(0)
	if s := r.do(typeOut, 0, dataAt, 4096); s != statusIOErr {
		t.Errorf("a write: status %d", s)
	}
	if s := r.do(typeIn, 0, dataAt, 4096); s != statusOK {
		t.Errorf("a read: status %d", s)
	}
}

// Rings and requests that cannot be answered.
func TestNeedsReset(t *testing.T) {
	for name, b := range map[string][]ring.Buffer{
		"no status":      {{Addr: 0x4000, Len: 16}},
		"empty status":   {{Addr: 0x4000, Len: 16}, {Addr: 0x5000, Len: 0, Write: true}},
		"short header":   {{Addr: 0x4000, Len: 15}, {Addr: 0x5000, Len: 1, Write: true}},
		"no header":      {{Addr: 0x5000, Len: 1, Write: true}},
		"not in memory":  {{Addr: 0x4000, Len: 16}, {Addr: 1 << 40, Len: 512, Write: true}, {Addr: 0x5000, Len: 1, Write: true}},
		"half in memory": {{Addr: 0x4000, Len: 16}, {Addr: 0xfff00, Len: 512, Write: true}, {Addr: 0x5000, Len: 1, Write: true}},
	} {
		d := newDisk(t, 512)
		r := newRig(t, Config{Disk: d})
		r.start(0)
		r.drv.Add(b, nil)
		r.d.Kick(0)
		<-r.told
		if s := r.rd(20, 1); s != 15|64 {
			t.Errorf("%s: status %#x", name, s)
		}
		r.start(0)
		if s := r.do(typeIn, 0, dataAt, 512); s != statusOK {
			t.Errorf("%s: then status %d", name, s)
		}
	}
}
