// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package queue

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"ringo/drivers/block"
	"ringo/drivers/dma"
)

// instant is a device that answers all that it was given when it is rung.
type instant struct {
	given, answers []int
	ops            []block.Op // of all that it was ever given
	data           []byte     // of the last command, as the device sees it
	odd            bool       // no data fits
	full, hold     bool       // no room; no answers
	rung           func()     // of the interrupt
	looked         bool       // somebody has found no answer
	log            func(line string)

	mu       sync.Mutex // guards what follows
	bad      string     // what panics, mistakes times
	mistakes int
}

// err panics, if f has a mistake.
func (i *instant) err(f string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.bad == f && i.mistakes > 0 {
		i.mistakes--
		panic("a mistake")
	}
}

func (i *instant) Fits([]dma.Segment) bool { return !i.odd }

func (i *instant) Give(slot int, r *block.Request, data []dma.Segment) bool {
	if i.err("give"); i.full {
		return false
	}
	i.given, i.ops = append(i.given, slot), append(i.ops, r.Op)
	i.data = nil
	if len(data) == 1 {
		i.data = data[0].Bytes
	}
	return true
}

func (i *instant) Ring() {
	if len(i.given) > 0 {
		i.err("ring")
	}
	if i.hold || len(i.given) == 0 {
		return
	}
	i.answers, i.given = append(i.answers, i.given...), i.given[:0]
	if i.rung != nil {
		i.rung()
	}
}

func (i *instant) Next() (a Answer, ok bool) {
	if len(i.answers) == 0 {
		i.looked = true
		return a, false
	}
	i.err("next")
	a.Slot = i.answers[0]
	i.answers = i.answers[:copy(i.answers, i.answers[1:])]
	return a, true
}

func (i *instant) Broken() string { return "" }
func (i *instant) Check() string {
	i.err("check")
	return ""
}

func (i *instant) Disable() error {
	i.given, i.answers = nil, nil
	return nil
}
func (i *instant) Enable() error { return nil }

// on runs test with a disk of one queue.
func on(t *testing.T, slots int, test func(i *instant, q *Queue, d *Disk)) {
	synctest.Test(t, func(t *testing.T) {
		i := &instant{}
		k, q, d := keep(i, slots)
		test(i, q, d)
		if err := k.Close(nil); err != nil {
			t.Error(err)
		}
	})
}

func keep(i *instant, slots int) (*Keeper, *Queue, *Disk) {
	q := New("queue", i, slots, dma.Segment{Addr: 1 << 20, Bytes: make([]byte, 4096)})
	q.FlushAfter = true
	if i.log == nil {
		i.log = func(string) {}
	}
	k := Keep(i, Config{Timeout: time.Second, Present: func() bool { return true }, Stop: func() {}, Log: i.log}, []*Queue{q})
	return k, q, NewDisk(block.Info{Blocks: 100, BlockSize: 512, MaxBlocks: 8, MaxEmpty: 8, Volatile: true}, 1, []*Queue{q})
}

// A mistake of a driver is its device's: who submits sees no panic, nothing is locked for
// ever, and all requests end, each once: well after a reset, or with an error when there
// are too many of them.
func TestMistake(t *testing.T) {
	for _, bad := range []string{"give", "ring", "next", "check"} {
		for _, times := range []int{1, 2, 100} {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				var lines []string
				i := &instant{log: func(l string) {
					mu.Lock()
					defer mu.Unlock()
					lines = append(lines, l)
				}}
				k, q, d := keep(i, 2)
				const all = 5
				ends, errs := 0, 0
				var r [all]block.Request
				for n := range r {
					r[n] = block.Request{Op: block.Read, Start: uint64(n), Blocks: 1, Data: []dma.Segment{{Addr: 1, Bytes: make([]byte, 512)}}}
					r[n].Done = func(_ *block.Request, err error) {
						mu.Lock()
						defer mu.Unlock()
						if ends++; err != nil {
							errs++
						}
					}
					if n == 1 {
						q.mu.Lock()
						i.rung = func() { q.due.Store(true) }
						i.hold = bad == "check"
						i.mu.Lock()
						i.bad, i.mistakes = bad, times
						i.mu.Unlock()
						q.mu.Unlock()
					}
					d.Submit(0, &r[n])
				}
				time.Sleep(20 * time.Second)
				mu.Lock()
				defer mu.Unlock()
				if fails := times == 100 || bad == "check"; ends != all || (errs > 0) != fails {
					t.Errorf("%s, %d times: %d have ended, %d with an error", bad, times, ends, errs)
				}
				want := "queue: its driver has failed: a mistake: resetting it"
				if bad == "check" {
					want = "its driver has failed: a mistake"
				}
				if !slices.Contains(lines, want) {
					t.Errorf("%s: %q", bad, lines)
				}
				mu.Unlock()
				if err := k.Close(nil); err != nil {
					t.Error(err)
				}
				mu.Lock()
			})
		}
	}
}

// A queue that is closed takes nothing more; what it has comes to its end, and what was
// acknowledged is flushed then.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &instant{hold: true}
		k, q, d := keep(i, 4)
		var ends []error
		r := block.Request{Op: block.Write, Blocks: 1, Data: []dma.Segment{{Addr: 1, Bytes: make([]byte, 512)}}}
		r.Done = func(_ *block.Request, err error) { ends = append(ends, err) }
		first, late := r, r
		d.Submit(0, &first)
		go func() {
			time.Sleep(10 * time.Millisecond)
			d.Submit(0, &late)
			q.mu.Lock()
			i.hold = false
			i.Ring()
			q.unlock()
		}()
		shut := 0
		err := k.Close(func() error {
			shut = len(i.ops)
			return nil
		}, d)
		if err != nil || len(ends) != 2 || !errors.Is(ends[0], block.ErrGone) || ends[1] != nil {
			t.Errorf("%v, %v", err, ends)
		}
		if shut != 2 || i.ops[0] != block.Write || i.ops[1] != block.Flush {
			t.Errorf("the device was asked for %v, for %d of it before the end", i.ops, shut)
		}
	})
}

// What must be on the medium is flushed where the device cannot write through its cache,
// and only on disks that have one.
func TestThrough(t *testing.T) {
	on(t, 4, func(i *instant, q *Queue, d *Disk) {
		i.rung = q.Service
		other := NewDisk(block.Info{Blocks: 100, BlockSize: 512, MaxBlocks: 8}, 2, []*Queue{q})
		for _, d := range []*Disk{other, d} {
			done := false
			r := block.Request{Op: block.Write, FUA: true, Blocks: 1, Data: []dma.Segment{{Addr: 1, Bytes: make([]byte, 512)}}}
			r.Done = func(_ *block.Request, err error) { done = err == nil }
			if d.Submit(0, &r); !done {
				t.Error("it is not done")
			}
		}
		if !slices.Equal(i.ops, []block.Op{block.Write, block.Write, block.Flush}) {
			t.Errorf("the device was asked for %v", i.ops)
		}
	})
}

// A request costs no memory, nor does its answer.
func TestNoAllocation(t *testing.T) {
	on(t, 4, func(i *instant, q *Queue, d *Disk) {
		n := 0
		r := &block.Request{Op: block.Read, Blocks: 1, Data: []dma.Segment{{Addr: 1, Bytes: make([]byte, 512)}}, Done: func(*block.Request, error) { n++ }}
		for _, odd := range []bool{false, true} {
			i.odd = odd
			if got := testing.AllocsPerRun(1000, func() {
				for range 6 { // some wait
					d.Submit(0, r)
				}
				q.Service()
			}); got != 0 {
				t.Errorf("%v allocations", got)
			}
		}
		if n == 0 {
			t.Error("nothing was done")
		}
	})
}

// An interrupt that comes while a request is given is not waited for, nor lost: whoever
// gives it takes the answer.
func TestDoneAtOnce(t *testing.T) {
	on(t, 4, func(i *instant, q *Queue, d *Disk) {
		i.rung = q.Service
		var ended atomic.Int64
		r := &block.Request{Op: block.Read, Blocks: 1, Data: []dma.Segment{{Addr: 1, Bytes: make([]byte, 512)}}}
		r.Done = func(r *block.Request, err error) {
			if ended.Add(1) < 10*enough {
				d.Submit(0, r)
			}
			if err != nil {
				t.Error(err)
			}
		}
		d.Submit(0, r)
		// Who gives one request does not have to stay for all that follow.
		if done := ended.Load(); done > 2*enough {
			t.Errorf("%d are done before the first was given", done)
		}
		synctest.Wait()
		if done := ended.Load(); done != 10*enough || q.busy() {
			t.Errorf("%d are done", done)
		}
		i.rung = nil
		d.Submit(0, r)
		if ended.Load() != 10*enough {
			t.Error("done without an interrupt")
		}
		q.mu.Lock()
		q.Service()
		q.unlock()
		if done := ended.Load(); done != 10*enough+1 {
			t.Errorf("%d are done", done)
		}
	})
}

// A device that interrupts only after a look at its answers interrupts from the start, and
// after a pause.
func TestOpenLooks(t *testing.T) {
	on(t, 4, func(i *instant, q *Queue, d *Disk) {
		if !i.looked {
			t.Error("nobody has looked")
		}
		q.Pause()
		i.looked = false
		q.Service()
		if q.Open(); !i.looked {
			t.Error("nobody has looked after a pause")
		}
	})
}

// Data that the device cannot be told of goes through memory of the driver's, one
// request at a time.
func TestBounce(t *testing.T) {
	on(t, 4, func(i *instant, q *Queue, d *Disk) {
		i.odd = true
		var done []error
		write := &block.Request{Op: block.Write, Blocks: 1, Data: []dma.Segment{{Bytes: []byte("ab")}, {Bytes: make([]byte, 510)}}}
		write.Done = func(_ *block.Request, err error) { done = append(done, err) }
		read := *write
		read.Op = block.Read
		read.Data = []dma.Segment{{Bytes: make([]byte, 1)}, {Bytes: make([]byte, 511)}}
		d.Submit(0, write)
		d.Submit(0, &read)
		if len(i.answers) != 1 || string(i.data[:2]) != "ab" {
			t.Errorf("%v, %q", i.answers, i.data[:2])
		}
		i.hold = true
		q.Service() // the write, and the read begins
		copy(i.data, "xy")
		i.hold = false
		q.Service()
		q.Service()
		if len(done) != 2 || done[0] != nil || done[1] != nil || read.Data[0].Bytes[0] != 'x' || read.Data[1].Bytes[0] != 'y' {
			t.Errorf("%v, %q, %q", done, read.Data[0].Bytes, read.Data[1].Bytes[:1])
		}
	})
}

// What finds no room waits, in order, and is not done before it is answered.
func TestRoom(t *testing.T) {
	on(t, 2, func(i *instant, q *Queue, d *Disk) {
		i.full = true
		done := 0
		r := &block.Request{Op: block.Flush, Done: func(*block.Request, error) { done++ }}
		for range 5 {
			d.Submit(0, r)
		}
		q.Service()
		if done != 0 || !q.busy() {
			t.Errorf("%d are done", done)
		}
		i.full = false
		q.Service()
		q.Service()
		if done != 5 || q.busy() {
			t.Errorf("%d are done", done)
		}
		if err := d.do(block.Request{Op: block.Read, Blocks: 9}); !errors.Is(err, block.ErrInvalid) {
			t.Error(err)
		}
	})
}

// do makes a request that ends at once.
func (d *Disk) do(r block.Request) (got error) {
	r.Done = func(_ *block.Request, err error) { got = err }
	d.Submit(0, &r)
	return got
}
