// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package blocktest

import (
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ringo/drivers/block"
	"ringo/drivers/block/queue"
)

// Run is the conformance test of a driver: what holds for each, whatever its device.
// make makes a device that works, with its driver.
func Run(t *testing.T, make func() *Target) {
	for name, test := range map[string]func(r *Rig){
		"model":     func(r *Rig) { r.Model(3, 15) },
		"slow":      slow,
		"invalid":   invalid,
		"media":     media,
		"retried":   retried,
		"silent":    silent,
		"forgotten": forgotten,
		"dies":      dies,
		"alone":     leftAlone,
		"removed":   removed,
		"stuck":     stuck,
		"power":     power,
	} {
		t.Run(name, func(t *testing.T) { With(t, make, test) })
	}
	t.Run("close", func(t *testing.T) { closes(t, make) })
}

// slow: answers come in any order.
func slow(r *Rig) {
	x := rand.New(rand.NewPCG(1, 2))
	r.Fate(func(Command) Fault { return Fault{Delay: time.Duration(x.IntN(3)) * time.Millisecond} })
	r.Model(4, 10)
}

// invalid: what is no request is refused, and not given to the device.
func invalid(r *Rig) {
	asked := 0
	r.Fate(func(Command) Fault { asked++; return Fault{} })
	i := r.Disk.Info()
	one := r.Data(i.BlockSize)
	large := r.Data(int(i.MaxBlocks+1) * i.BlockSize)
	for _, q := range []block.Request{
		{Op: block.Read, Start: 0, Blocks: 0},
		{Op: block.Read, Start: i.Blocks, Blocks: 1, Data: one},
		{Op: block.Read, Start: ^uint64(0), Blocks: 1, Data: one},
		{Op: block.Read, Start: 0, Blocks: 2, Data: one},
		{Op: block.Write, Start: 0, Blocks: 1},
		{Op: block.Write, Start: 0, Blocks: i.MaxBlocks + 1, Data: large},
		{Op: block.Flush, Blocks: 1},
		{Op: block.Discard, Start: 0, Blocks: 1, Data: one},
		{Op: block.WriteZeroes, Start: 0, Blocks: i.MaxEmpty + 1},
		{Op: 9, Start: 0, Blocks: 1, Data: one},
	} {
		if err := r.Do(q); !errors.Is(err, block.ErrInvalid) {
			r.T.Errorf("%+v: %v", q, err)
		}
	}
	if asked > 0 {
		r.T.Errorf("the device was asked %d times", asked)
	}
}

// media: a bad block is an error that says where, at once, and is its request's alone.
func media(r *Rig) {
	asked := 0
	r.Fate(func(c Command) Fault {
		bad := c.Op <= block.Write && c.Start <= 100 && 100 < c.Start+uint64(c.Blocks)
		if bad {
			asked++
		}
		return Fault{Media: bad}
	})
	for i, op := range []block.Op{block.Read, block.Write} {
		var wg sync.WaitGroup
		for at := range uint64(8) {
			wg.Add(1)
			q := &block.Request{Op: op, Start: 80 + 4*at, Blocks: 4, Data: r.Data(4 * r.Disk.Info().BlockSize)}
			q.Done = func(q *block.Request, err error) {
				defer wg.Done()
				if bad := q.Start == 100; errors.Is(err, block.ErrMedia) != bad || !bad && err != nil {
					r.T.Errorf("%v at %d: %v", q.Op, q.Start, err)
				} else if bad && !strings.HasPrefix(err.Error(), "blocks 100 to 103: ") {
					r.T.Errorf("%v does not say where", err)
				}
			}
			r.Disk.Submit(0, q)
		}
		wg.Wait()
		if most := (i + 1) * max(r.Asks, 1); asked <= i || asked > most {
			r.T.Errorf("the device was asked %d times", asked)
		}
	}
	r.Fate(nil)
	r.Model(5, 3)
	if r.Resets() != 1 {
		r.T.Errorf("%d resets; %s", r.Resets(), r.Log())
	}
}

// retried: what may go better another time is tried again, some times.
func retried(r *Rig) {
	for _, c := range []struct {
		times, asked int
		want         error
	}{{1, 2, nil}, {3, 4, nil}, {9, 4, block.ErrDevice}} {
		asked := 0
		r.Fate(func(Command) Fault { asked++; return Fault{Fails: asked <= c.times} })
		err := r.Do(block.Request{Op: block.Write, Start: 7, Blocks: 1, Data: r.Block("")})
		if !errors.Is(err, c.want) || asked != c.asked {
			r.T.Errorf("%d times: %v after %d tries, want %v after %d; %s", c.times, err, asked, c.want, c.asked, r.Log())
		}
	}
}

// silent: an interrupt is lost.
func silent(r *Rig) {
	time.Sleep(time.Second) // what the start of the device has caused is over
	r.Fate(func(Command) Fault { return Fault{Silent: true} })
	r.OK(block.Request{Op: block.Write, Start: 7, Blocks: 1, Data: r.Block("here")})
	synctest.Wait() // the request ends before its line is written
	if r.Polling == r.Said("an interrupt was lost") || r.Resets() != 1 {
		r.T.Errorf("%d resets; %s", r.Resets(), r.Log())
	}
}

// forgotten: a command has no answer.
func forgotten(r *Rig) {
	first := true
	r.Fate(func(Command) (f Fault) {
		f.Drop, first = first, false
		return f
	})
	r.OK(block.Request{Op: block.Write, Start: 7, Blocks: 1, Data: r.Block("here")})
	if !r.Said("not finished") {
		r.T.Error(r.Log())
	}
	r.Model(5, 3)
}

// dies: a device that fails is reset, with requests under way on all queues, and none
// is lost.
func dies(r *Rig) {
	r.Fate(func(Command) Fault { return Fault{Delay: 200 * time.Microsecond} })
	for i := range 3 {
		go func() {
			time.Sleep(time.Duration(i)*7*time.Millisecond + 100*time.Microsecond)
			r.Die()
		}()
		r.Model(uint64(i), 4)
		time.Sleep(queue.ResetWindow)
	}
	if n := r.Resets(); n != 4 {
		r.T.Errorf("brought up %d times; %s", n, r.Log())
	}
}

// leftAlone: a device that fails again and again is left alone; requests fail, at once
// from then on.
func leftAlone(r *Rig) {
	n := 0
	r.Fate(func(Command) Fault {
		n++
		if r.Lies > 0 && !r.Recovers {
			return Fault{Lie: 1 + n%r.Lies}
		}
		return Fault{Drop: true}
	})
	// As many requests as no one of them is given up before.
	errs := make(chan error, 20)
	for i := range cap(errs) {
		q := &block.Request{Op: block.Write, Start: uint64(i), Blocks: 1, Data: r.Block(""), Done: func(_ *block.Request, err error) { errs <- err }}
		r.Disk.Submit(0, q)
	}
	for range cap(errs) {
		// A lie may begin with the truth.
		if err := <-errs; err != nil && !errors.Is(err, block.ErrDevice) && !errors.Is(err, block.ErrTimeout) {
			r.T.Error(err)
		}
	}
	if n := r.Resets(); n != 1+queue.MaxResets || !r.Said("it is left alone") {
		r.T.Errorf("brought up %d times; %s", n, r.Log())
	}
	start := time.Now()
	if err := r.Do(block.Request{Op: block.Read, Blocks: 1, Data: r.Block("")}); !errors.Is(err, block.ErrDevice) || time.Since(start) > 0 {
		r.T.Errorf("%v after %v", err, time.Since(start))
	}
}

// removed: a device that is taken out fails all requests, with ErrGone, and writes no
// memory afterwards.
func removed(r *Rig) {
	r.Fate(func(Command) Fault { return Fault{Drop: true} })
	done := make(chan error, 1000)
	for i := range cap(done) {
		q := &block.Request{Op: block.Read, Start: uint64(i), Blocks: 1, Data: r.Block("")[:1], Done: func(_ *block.Request, err error) { done <- err }}
		r.Disk.Submit(i, q)
	}
	r.Vanish()
	for range cap(done) {
		if err := <-done; !errors.Is(err, block.ErrGone) {
			r.T.Fatal(err)
		}
	}
	if !r.Stopped() || !errors.Is(r.Disk.Dead(), block.ErrGone) {
		r.T.Errorf("stopped: %v; %v", r.Stopped(), r.Disk.Dead())
	}
}

// stuck: a device that cannot be stopped loses the bus before its requests are given up.
func stuck(r *Rig) {
	if r.Words {
		return // it does no harm
	}
	r.Fate(func(Command) Fault { return Fault{Drop: true} })
	r.Stick()
	stopped := false
	done := make(chan error, 1)
	q := &block.Request{Op: block.Read, Blocks: 1, Data: r.Block(""), Done: func(_ *block.Request, err error) {
		stopped = r.Stopped()
		done <- err
	}}
	r.Disk.Submit(0, q)
	if err := <-done; !errors.Is(err, block.ErrDevice) || !stopped {
		r.T.Errorf("%v, stopped %v; %s", err, stopped, r.Log())
	}
}

// power: what was flushed, or written through the cache, is there when the power was
// away; what was not need not be, and here is not.
func power(r *Rig) {
	write := func(at uint64, what string, fua bool) {
		r.OK(block.Request{Op: block.Write, FUA: fua, Start: at, Blocks: 1, Data: r.Block(what)})
	}
	write(1, "flushed", false)
	r.OK(block.Request{Op: block.Flush})
	write(2, "through", true)
	write(3, "cached", false)
	want := map[uint64]string{1: "flushed", 2: "through"}
	if r.Disk.Info().Volatile {
		want[3] = "\x00\x00\x00"
	}
	for at, want := range want {
		if got := r.Kept(at); !strings.HasPrefix(string(got), want) {
			r.T.Errorf("block %d: %q", at, got[:8])
		}
	}
}

// closes: Close puts what is cached on the medium, and requests fail from then on.
func closes(t *testing.T, make func() *Target) {
	var rig *Rig
	With(t, make, func(r *Rig) {
		rig = r
		r.OK(block.Request{Op: block.Write, Start: 3, Blocks: 1, Data: r.Block("cached")})
	})
	if got := rig.Kept(3); !strings.HasPrefix(string(got), "cached") {
		t.Errorf("%q", got[:8])
	}
	var err error
	rig.Disk.Submit(0, &block.Request{Op: block.Read, Blocks: 1, Data: rig.Block(""), Done: func(_ *block.Request, e error) { err = e }})
	if !errors.Is(err, block.ErrGone) {
		t.Errorf("a disk that is closed: %v", err)
	}
}

// Hostile lets a device do anything at any time, n times: it ends no driver, and no
// request is left without an end.
func Hostile(t *testing.T, make func() *Target, n int) {
	for seed := range uint64(n) {
		HostileOne(t, make, seed)
	}
}
