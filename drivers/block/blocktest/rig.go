// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package blocktest

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"ringo/drivers/block"
	"ringo/drivers/dma"
)

// Device is a device in memory.
type Device interface {
	dma.Arena
	// Vanish takes it out; Die makes it need a reset; Stick keeps it from being stopped.
	Vanish()
	Die()
	Stick()
	// Stopped reports whether bus mastering is off.
	Stopped() bool
	// Resets is how often a driver has brought it up.
	Resets() int
	// Wrongs is what the driver did that it must not.
	Wrongs() []string
	// Kept is a block without the write cache.
	Kept(at uint64) []byte
}

// Disk is a driver's disk.
type Disk interface {
	block.Device
	Dead() error
	Close() error
}

// Target is a device with its driver.
type Target struct {
	Device
	// SetFate is called before Start.
	SetFate func(Fate)
	Start   func(log func(line string)) (Disk, error)
	// Lies is how many ways to lie the device has.
	Lies int
	// Polling says that the driver has no interrupts.
	Polling bool
	// Asks is how often the device is asked for a block that is bad, 1 if that is 0.
	Asks int
	// Words says that the device does not reach memory by itself.
	Words bool
	// Recovers says that no reset is needed after a lie.
	Recovers bool
}

// Rig is a target whose driver runs, in time that passes when nobody works.
type Rig struct {
	T *testing.T
	*Target
	Disk Disk

	mu   sync.Mutex
	log  []string
	fate Fate
	area dma.Segment // for the data of Model, and what it has written
	want []byte
}

// With lets test play with a target's driver, closes it, and looks whether the device
// was used as it must be.
func With(t *testing.T, make func() *Target, test func(r *Rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &Rig{T: t, Target: make()}
		r.Target.SetFate(func(c Command) (f Fault) {
			if fate := r.now(); fate != nil {
				f = fate(c)
			}
			return f
		})
		d, err := r.Start(r.Note)
		if err != nil {
			t.Fatal(err)
		}
		r.Disk = d
		test(r)
		r.Fate(nil)
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if w := r.Wrongs(); len(w) > 0 {
			t.Errorf("%q", w[:min(len(w), 5)])
		}
	})
}

// Fate sets what becomes of commands from now on.
func (r *Rig) Fate(f Fate) {
	r.mu.Lock()
	r.fate = f
	r.mu.Unlock()
}

func (r *Rig) now() Fate {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fate
}

// Note takes a line of the driver's log.
func (r *Rig) Note(line string) {
	r.mu.Lock()
	r.log = append(r.log, line)
	r.mu.Unlock()
}

// Log is what the driver has said.
func (r *Rig) Log() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.log, "\n")
}

// Said reports whether the log contains s.
func (r *Rig) Said(s string) bool { return strings.Contains(r.Log(), s) }

// Data is memory for n bytes.
func (r *Rig) Data(n int) []dma.Segment {
	s, err := r.Alloc(n, dma.Page)
	if err != nil {
		r.T.Fatal(err)
	}
	return []dma.Segment{s}
}

// Block is memory for a block that begins with s.
func (r *Rig) Block(s string) []dma.Segment {
	data := r.Data(r.Disk.Info().BlockSize)
	copy(data[0].Bytes, s)
	return data
}

// Do makes a request and waits for its end.
func (r *Rig) Do(q block.Request) error {
	done := make(chan error, 1)
	q.Done = func(_ *block.Request, err error) { done <- err }
	r.Disk.Submit(int(q.Start), &q)
	return <-done
}

// OK makes a request that must succeed.
func (r *Rig) OK(q block.Request) {
	r.T.Helper()
	if err := r.Do(q); err != nil {
		r.T.Fatalf("%v; %s", err, r.Log())
	}
}

// Model makes n rounds of random requests, many at a time, on data in pieces of all
// kinds, and compares what is read with what was written.
func (r *Rig) Model(seed uint64, n int) {
	r.T.Helper()
	x := rand.New(rand.NewPCG(seed, 4))
	const blocks = 4096
	if r.want == nil {
		r.want, r.area = make([]byte, blocks*r.Disk.Info().BlockSize), r.Data(6 << 20)[0]
	}
	for range n {
		var wg sync.WaitGroup
		// Requests at once, that do not overlap.
		for at, mem := uint64(x.IntN(64)), 0; at < blocks-1 && mem < len(r.area.Bytes)-(2<<20); at += uint64(x.IntN(100)) {
			q, piece := r.random(x, at, blocks, &mem)
			wg.Add(1)
			q.Done = func(q *block.Request, err error) {
				defer wg.Done()
				if err != nil {
					r.T.Errorf("%+v: %v", q.Op, err)
				}
				if q.Op == block.Read && !bytes.Equal(join(q.Data), piece) {
					r.T.Errorf("%d blocks at %d are not what was written", q.Blocks, q.Start)
				}
			}
			r.Disk.Submit(x.IntN(8), q)
			at += uint64(len(piece) / r.Disk.Info().BlockSize)
		}
		wg.Wait()
		if r.T.Failed() {
			r.T.Logf("%s", r.Log())
			return
		}
	}
}

// random makes a request at a block, with data at mem or behind. It returns what the
// disk holds there afterwards.
func (r *Rig) random(x *rand.Rand, at, blocks uint64, mem *int) (*block.Request, []byte) {
	info := r.Disk.Info()
	q := &block.Request{Op: block.Op(x.IntN(5)), Start: at, Blocks: 1 + uint32(x.IntN(int(min(info.MaxBlocks, 200))))}
	if q.Op == block.Discard && !info.Discard || q.Op == block.WriteZeroes && !info.WriteZeroes {
		q.Op = block.Read
	}
	q.FUA = x.IntN(4) == 0
	q.Blocks = min(q.Blocks, uint32(blocks-at))
	size := int(q.Blocks) * info.BlockSize
	piece := r.want[int(at)*info.BlockSize:][:size]
	switch q.Op {
	case block.Read, block.Write:
		q.Data, *mem = cut(x, r.area, *mem, size)
	case block.Flush:
		q.Blocks = 0
	default:
		clear(piece)
	}
	if q.Op == block.Write {
		for i := range piece {
			piece[i] = byte(x.Uint32())
		}
		b := piece
		for _, s := range q.Data {
			b = b[copy(s.Bytes, b):]
		}
	}
	return q, piece
}

// cut makes data of pieces, at places that a list of pages can describe or not.
func cut(x *rand.Rand, area dma.Segment, mem, size int) (all []dma.Segment, end int) {
	odd := x.IntN(3) == 0
	if x.IntN(2) == 0 {
		mem += 4 * x.IntN(1024)
	}
	if odd {
		mem += x.IntN(8)
	}
	for size > 0 {
		n := size
		if x.IntN(3) > 0 {
			n = min(size, 1+x.IntN(20000))
			if !odd {
				n = min(size, (mem+n+4095)&^4095-mem)
			}
		}
		all = append(all, area.Slice(mem, mem+n))
		mem, size = mem+n, size-n
		if x.IntN(2) == 0 {
			mem += 4096
		}
		if odd {
			mem += x.IntN(100)
		}
	}
	return all, (mem + 4096) &^ 4095
}

func join(data []dma.Segment) (b []byte) {
	for _, s := range data {
		b = append(b, s.Bytes...)
	}
	return b
}
