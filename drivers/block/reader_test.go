// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package block_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"testing"

	"ringo/drivers/block"
	"ringo/drivers/dma"
)

func disk(t *testing.T, n int, most uint32) (*slowDisk, *block.Reader) {
	t.Helper()
	d := newDisk(n, most)
	rand.NewChaCha8([32]byte{4}).Read(d.Bytes)
	c, err := block.NewCache(&arena{Left: block.CacheMemory})
	if err != nil {
		t.Fatal(err)
	}
	other := newDisk(1<<20, 100)
	if _, err := c.Reader(other).ReadAt(make([]byte, 1<<20), 0); err != nil { // of which nothing is to be seen
		t.Fatal(err)
	}
	return d, c.Reader(d)
}

// TestReaderRanges reads ranges of all kinds, on disks that take more or less at once.
func TestReaderRanges(t *testing.T) {
	for _, most := range []uint32{1, 7, 100, 1 << 16} {
		const size = 3<<20 + 512
		d, r := disk(t, size, most)
		rng := rand.New(rand.NewPCG(1, uint64(most)))
		for range 300 {
			off, n := rng.Int64N(size+100), rng.IntN(200_000)
			b := make([]byte, n)
			got, err := r.ReadAt(b, off)
			want := d.Bytes[min(off, size):min(off+int64(n), size)]
			if got != len(want) || !bytes.Equal(b[:got], want) || (err != nil) != (got < n) || err != nil && err != io.EOF {
				t.Fatalf("%d bytes at %d: %d, %v", n, off, got, err)
			}
		}
		if _, err := r.ReadAt(make([]byte, 1), -1); !errors.Is(err, block.ErrInvalid) {
			t.Error(err)
		}
	}
}

// TestReaderKeeps reads what it has without the disk, and what it has not ahead.
func TestReaderKeeps(t *testing.T) {
	d, r := disk(t, 4<<20, 1<<16)
	b := make([]byte, 512)
	read := func(off int64) {
		t.Helper()
		if _, err := r.ReadAt(b, off); err != nil || !bytes.Equal(b, d.Bytes[off:off+512]) {
			t.Fatal(off, err)
		}
	}
	for range 10 {
		for off := int64(0); off < 4<<20; off += 512 << 10 {
			read(off + 1024)
		}
	}
	if n := d.Count(block.Read); n != 8 {
		t.Errorf("%d requests for eight lines", n)
	}
	d.Bytes[1024]++
	r.Forget()
	read(1024)
	// A file in order, by pieces: each line once.
	before := d.Count(block.Read)
	for off := int64(2 << 20); off < 4<<20; off += 512 {
		read(off)
	}
	if n := d.Count(block.Read) - before; n != 32 {
		t.Errorf("%d requests for 32 lines", n)
	}
}

// TestReaderMedium: a drive's medium may be another one, of another size, or none.
func TestReaderMedium(t *testing.T) {
	d, r := disk(t, 1<<20, 1<<16)
	first := d.Bytes
	for i, size := range []int{1 << 20, 0, 5<<20 + 512, 3 << 16, 1 << 20} {
		d.Bytes = make([]byte, size)
		if i == 0 {
			d.Bytes = first
		}
		rand.NewChaCha8([32]byte{byte(i)}).Read(d.Bytes)
		if d.Is.Blocks = uint64(size / 512); i == 3 {
			d.Is.MaxBlocks = 9 // lines are where others were
		}
		r.Forget()
		b := make([]byte, 6<<20)
		if n, err := r.ReadAt(b, 0); r.Size() != int64(size) || n != size || err != io.EOF || !bytes.Equal(b[:n], d.Bytes) {
			t.Errorf("medium %d of %d bytes: size %d, %d bytes, %v", i, size, r.Size(), n, err)
		}
	}
	r.Size()
	d.Is.MaxBlocks = 100
	b := make([]byte, 1<<20) // not forgotten, but not mistaken
	if n, err := r.ReadAt(b, 0); n != len(b) || err != nil || !bytes.Equal(b, d.Bytes) {
		t.Error(n, err)
	}
}

// TestReaderErrors are of one part only, and of one time.
func TestReaderErrors(t *testing.T) {
	d, r := disk(t, 4<<20, 1<<16)
	bad := uint64(1<<20) / 512
	d.Fail = func(q *block.Request) error {
		if q.Start == bad {
			return block.ErrMedia
		}
		return nil
	}
	b := make([]byte, 4<<20)
	if n, err := r.ReadAt(b, 0); n != 1<<20 || !errors.Is(err, block.ErrMedia) {
		t.Error(n, err)
	}
	if n, err := r.ReadAt(b[:1<<20], 2<<20); n != 1<<20 || err != nil {
		t.Error(n, err)
	}
	d.Fail = nil
	if n, err := r.ReadAt(b, 0); n != len(b) || err != nil || !bytes.Equal(b, d.Bytes) {
		t.Error(n, err)
	}
}

// TestReaderMany is read by many at once, while answers come late and in another order,
// and what is kept is forgotten.
func TestReaderMany(t *testing.T) {
	d, r := disk(t, 8<<20, 1<<16)
	d.Late = 3
	stop := make(chan bool)
	var answers, readers sync.WaitGroup
	answers.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
				d.Answer()
				if n%50 == 0 {
					r.Forget()
				}
			}
		}
	})
	for i := range 16 {
		readers.Go(func() {
			rng := rand.New(rand.NewPCG(2, uint64(i)))
			b := make([]byte, 150_000)
			for range 60 {
				off := rng.Int64N(8<<20 - int64(len(b)))
				if n, err := r.ReadAt(b, off); n != len(b) || err != nil || !bytes.Equal(b, d.Bytes[off:off+int64(n)]) {
					t.Error(off, n, err)
				}
			}
		})
	}
	readers.Wait()
	close(stop)
	answers.Wait()
}

func TestReaderNoMemory(t *testing.T) {
	if _, err := block.NewCache(&arena{Left: block.CacheMemory - 1}); !errors.Is(err, dma.ErrMemory) {
		t.Error(err)
	}
}

// slowDisk is a [block.Device] of Bytes.
type slowDisk struct {
	Bytes []byte
	Is    block.Info // with the size by Bytes
	// Fail, if it is set, returns the error of a request.
	Fail func(r *block.Request) error
	// Late is how many requests wait before one is answered, the last one first; the
	// rest is answered by Answer. 0 answers at once, before Submit returns.
	Late int

	mu      sync.Mutex
	waiting []*block.Request
	counts  map[block.Op]int
}

// newDisk returns a disk of n bytes in blocks of 512, that is given most blocks a request.
func newDisk(n int, most uint32) *slowDisk {
	return &slowDisk{Bytes: make([]byte, n), Is: block.Info{BlockSize: 512, Blocks: uint64(n / 512), MaxBlocks: most}, counts: map[block.Op]int{}}
}

// Info implements [block.Device].
func (d *slowDisk) Info() block.Info { return d.Is }

// Queues implements [block.Device].
func (d *slowDisk) Queues() int { return 1 }

// Count returns how many requests of a kind there were.
func (d *slowDisk) Count(op block.Op) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.counts[op]
}

// Submit implements [block.Device].
func (d *slowDisk) Submit(_ int, r *block.Request) {
	d.mu.Lock()
	d.counts[r.Op]++
	if d.waiting = append(d.waiting, r); len(d.waiting) <= d.Late {
		d.mu.Unlock()
		return
	}
	d.answer()
}

// Answer answers the request that came last, and reports whether there was one.
func (d *slowDisk) Answer() bool {
	d.mu.Lock()
	if len(d.waiting) == 0 {
		d.mu.Unlock()
		return false
	}
	d.answer()
	return true
}

// answer answers a request and gives back the lock, which it is called with.
func (d *slowDisk) answer() {
	r := d.waiting[len(d.waiting)-1]
	d.waiting = d.waiting[:len(d.waiting)-1]
	err := block.Check(&d.Is, r)
	if err == nil && d.Fail != nil {
		err = d.Fail(r)
	}
	if err == nil && r.Op == block.Read {
		at := r.Start * uint64(d.Is.BlockSize)
		for _, s := range r.Data {
			at += uint64(copy(s.Bytes, d.Bytes[at:]))
		}
	}
	d.mu.Unlock()
	r.Done(r, err)
}

// arena is memory for devices that nobody but the test is.
type arena struct{ Left int }

// Alloc implements [dma.Arena].
func (a *arena) Alloc(size, _ int) (dma.Segment, error) {
	if size > a.Left {
		return dma.Segment{}, dma.ErrMemory
	}
	a.Left -= size
	return dma.Segment{Addr: 1 << 20, Bytes: make([]byte, size)}, nil
}
