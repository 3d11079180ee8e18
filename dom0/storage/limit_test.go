// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package storage

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ringo/dom0/config"
	"ringo/drivers/block"
	"ringo/drivers/dma"
)

// fast is a disk that does all at once, and counts.
type fast struct {
	n    int
	last time.Time
	bad  bool
}

func (*fast) Info() block.Info {
	return block.Info{Blocks: 1 << 20, BlockSize: 512, MaxBlocks: 1 << 14, MaxEmpty: 1 << 20, Discard: true}
}
func (*fast) Queues() int { return 3 }

func (f *fast) Submit(_ int, r *block.Request) {
	if f.bad {
		panic("a mistake")
	}
	f.n++
	f.last = time.Now()
	r.Done(r, nil)
}

// crowd is requests of one size that are made together, on all queues.
type crowd struct {
	all   []block.Request
	ended int
	errs  error
}

func newCrowd(n, blocks int) *crowd {
	c := &crowd{all: make([]block.Request, n)}
	for i := range c.all {
		c.all[i] = block.Request{Op: block.Read, Blocks: uint32(blocks), Data: []dma.Segment{{Bytes: make([]byte, 512*blocks)}}, Done: func(r *block.Request, err error) {
			if c.ended++; r.Driver != nil {
				err = errors.New("it is linked still")
			}
			c.errs = errors.Join(c.errs, err)
		}}
	}
	return c
}

func (c *crowd) ask(d block.Device) {
	for i := range c.all {
		d.Submit(i, &c.all[i])
	}
}

// As much is begun as the limits say: a burst at once, and the rest at their rate.
func TestLimits(t *testing.T) {
	for name, c := range map[string]struct {
		disk         config.Disk
		requests, of int // blocks
		least, most  time.Duration
	}{
		"none":           {config.Disk{}, 1000, 8, 0, 0},
		"iops":           {config.Disk{IOPS: 100}, 1010, 8, 9990 * time.Millisecond, 10 * time.Second},
		"iops, burst":    {config.Disk{IOPS: 100, IOPSBurst: 1000}, 1010, 8, 90 * time.Millisecond, 100 * time.Millisecond},
		"iops, few":      {config.Disk{IOPS: 1}, 3, 8, 1900 * time.Millisecond, 2 * time.Second},
		"bps":            {config.Disk{BPS: config.Size{Bytes: 1 << 20}}, 20, 2048, 18900 * time.Millisecond, 19 * time.Second},
		"bps, burst":     {config.Disk{BPS: config.Size{Bytes: 1 << 20}, BPSBurst: config.Size{Bytes: 10 << 20}}, 20, 2048, 9 * time.Second, 9*time.Second + time.Millisecond},
		"the lower":      {config.Disk{IOPS: 1000, BPS: config.Size{Bytes: 512 << 10}}, 101, 1024, 99 * time.Second, 100 * time.Second},
		"the lower iops": {config.Disk{IOPS: 1, BPS: config.Size{Bytes: 1 << 30}}, 11, 1024, 9900 * time.Millisecond, 10 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := new(fast)
			l := newLimiter(f, &c.disk)
			time.Sleep(time.Hour) // no more is saved than the burst
			all, other := newCrowd(c.requests, c.of), newCrowd(10, 8)
			began := time.Now()
			all.ask(l)
			other.ask(newLimiter(new(fast), &config.Disk{IOPS: 100}))
			if other.ended != 10 {
				t.Errorf("%s: another disk waits as well", name)
			}
			for all.ended < c.requests {
				time.Sleep(time.Millisecond)
				synctest.Wait()
			}
			if took := f.last.Sub(began); took < c.least || took > c.most || all.errs != nil || f.n != c.requests {
				t.Errorf("%s: %d took %v, want %v to %v: %v", name, f.n, took, c.least, c.most, all.errs)
			}
		})
	}
}

// Flushes, and requests without data, count as requests only.
func TestLimitEmpty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := new(fast)
		l := newLimiter(f, &config.Disk{BPS: config.Size{Bytes: 4096}})
		for range 100 {
			l.Submit(0, &block.Request{Op: block.Flush, Done: func(*block.Request, error) {}})
			l.Submit(0, &block.Request{Op: block.Discard, Blocks: 1 << 20, Done: func(*block.Request, error) {}})
		}
		if f.n != 200 {
			t.Errorf("%d have begun", f.n)
		}
	})
}

// Limits change while requests wait; what waits of a queue can be dropped, and then others
// go on.
func TestLimitChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := new(fast)
		l := newLimiter(f, &config.Disk{IOPS: 1})
		all := newCrowd(301, 8)
		all.ask(l)
		if f.n != 1 {
			t.Errorf("%d have begun", f.n)
		}
		l.drop(1)
		if all.ended != 101 || f.n != 1 || !errors.Is(all.errs, block.ErrGone) {
			t.Errorf("%d have ended, %d begun: %v", all.ended, f.n, all.errs)
		}
		all.errs = nil
		l.drop(1)
		l.set(&config.Disk{IOPS: 100})
		time.Sleep(time.Second)
		synctest.Wait()
		if f.n < 100 || f.n > 112 || l.lines[0].first == nil || l.lines[2].first == nil {
			t.Errorf("%d have begun a second later", f.n)
		}
		l.set(&config.Disk{})
		synctest.Wait()
		if all.ended != 301 || f.n != 201 || l.count != 0 || all.errs != nil {
			t.Errorf("%d have ended, %d begun, %d wait: %v", all.ended, f.n, l.count, all.errs)
		}
		time.Sleep(time.Hour)
	})
}

// Requests, changes and drops at random times lose none.
func TestLimitRandom(t *testing.T) {
	for seed := range uint64(200) {
		synctest.Test(t, func(t *testing.T) {
			x := rand.New(rand.NewPCG(seed, 1))
			f := new(fast)
			l := newLimiter(f, &config.Disk{IOPS: 1 + x.IntN(100)})
			all := newCrowd(300, 1+x.IntN(64))
			for i := range all.all {
				l.Submit(x.IntN(3), &all.all[i])
				switch x.IntN(20) {
				case 0:
					time.Sleep(time.Duration(x.IntN(1000)) * time.Millisecond)
				case 1:
					l.set(&config.Disk{IOPS: x.IntN(1000), BPS: config.Size{Bytes: 4096 + x.Uint64N(1<<20)}})
				case 2:
					l.drop(x.IntN(3))
				}
			}
			for i := range 3 {
				l.drop(i)
			}
			synctest.Wait()
			if all.ended != 300 || l.count != 0 {
				t.Errorf("seed %d: %d of 300 have ended, %d wait", seed, all.ended, l.count)
			}
		})
	}
}

// A disk that fails as it is given what has waited fails that.
func TestLimitPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := new(fast)
		l := newLimiter(f, &config.Disk{IOPS: 1})
		all := newCrowd(3, 8)
		all.ask(l)
		f.bad = true
		time.Sleep(time.Minute)
		synctest.Wait()
		if all.ended != 3 || !errors.Is(all.errs, block.ErrDevice) || !strings.Contains(all.errs.Error(), "a mistake") {
			t.Errorf("%d have ended: %v", all.ended, all.errs)
		}
	})
}

// Nothing is allocated for a request, whether it waits or not.
func TestLimitAllocs(t *testing.T) {
	l := newLimiter(new(fast), &config.Disk{IOPS: 1})
	all := newCrowd(100, 8)
	for i := range all.all {
		all.all[i].Done = func(*block.Request, error) {}
	}
	all.ask(l) // the first goes through
	if n := testing.AllocsPerRun(100, func() {
		for i := range 3 {
			l.drop(i)
		}
		all.ask(l)
	}); n != 0 {
		t.Errorf("%v allocations for %d requests that wait", n, len(all.all))
	}
	for i := range 3 {
		l.drop(i)
	}
	l.set(&config.Disk{IOPS: 1_000_000, IOPSBurst: 1_000_000})
	if n := testing.AllocsPerRun(100, func() { all.ask(l) }); n != 0 {
		t.Errorf("%v allocations for %d requests", n, len(all.all))
	}
}

// A rate and a size as large as they can be do not overflow.
func TestCost(t *testing.T) {
	for _, c := range []struct {
		n, rate uint64
		want    int64
	}{{1, 1, 1e9}, {1, 1_000_000, 1000}, {1 << 40, 1 << 40, 1e9}, {1 << 63, 1, 3153600000e9}, {1<<64 - 1, 1<<64 - 1, 1e9}, {1 << 40, 4096, 1 << 28 * 1e9}} {
		if got := cost(c.n, c.rate); got != c.want {
			t.Errorf("%d at %d: %d, want %d", c.n, c.rate, got, c.want)
		}
	}
}
