// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package run

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"ringo/hv/abi"
	"ringo/hv/internal/part"
)

// stretch is how long each of the tests below hammers.
func stretch() time.Duration {
	if testing.Short() {
		return 100 * time.Millisecond
	}
	return 400 * time.Millisecond
}

// hammer calls f from n goroutines for the time of the test.
func hammer(wg *sync.WaitGroup, n int, f func(r *rand.Rand) bool) {
	end := time.Now().Add(stretch())
	for i := range n {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for r := rand.New(rand.NewPCG(7, uint64(i))); time.Now().Before(end) && f(r); {
			}
		}()
	}
}

// No posted interrupt, answered access or timer is lost, and no vCPU runs on
// two CPUs, while domains with one to three vCPUs move between CPUs.
func TestEventsOnManyCPUs(t *testing.T) {
	for _, cpus := range []int{1, 2, 4} {
		eventsOn(t, newWorld(t, cpus, 300_000))
	}
}

// The same when dom0 is a guest among them, which hands its CPU to the vCPU whose
// access it has answered.
func TestHandOverOnManyCPUs(t *testing.T) {
	for _, cpus := range []int{1, 2, 4} {
		w := newWorld(t, cpus, 300_000)
		w.inDom0 = true
		eventsOn(t, w)
	}
}

func eventsOn(t *testing.T, w *world) {
	cpus := len(w.cpus)
	w.run()
	var all []*simVCPU
	for i := range uint32(3) {
		_, vs := w.create('a'+byte(i), 1+i)
		all = append(all, vs...)
	}
	var wg sync.WaitGroup
	posts := make([]sync.Mutex, len(all))
	hammer(&wg, 4, func(r *rand.Rand) bool {
		i := r.IntN(len(all))
		posts[i].Lock()
		defer posts[i].Unlock()
		if !w.post(all[i]) {
			t.Errorf("%d CPUs: an interrupt was lost; state %d, waits for %d", cpus, all[i].p.State(), all[i].p.Wait())
			return false
		}
		return true
	})
	wg.Wait()
	w.end()
}

// With time slices that never end, only kicks make guests leave: interrupts
// come at once all the same, and timers wake whoever sleeps.
func TestKicksAndTimersAlone(t *testing.T) {
	w := newWorld(t, 4, 100_000_000_000) // one for each vCPU
	w.run()
	_, timed := w.create('a', 1)
	w.quiet = true
	_, still := w.create('b', 1)
	vs := []*simVCPU{still[0], timed[0]}
	var wg sync.WaitGroup
	hammer(&wg, 1, func(r *rand.Rand) bool {
		if !w.post(vs[0]) {
			t.Error("an interrupt was lost")
			return false
		}
		return true
	})
	hammer(&wg, 1, func(r *rand.Rand) bool {
		n := vs[1].timers.Load()
		if !w.until(func() bool { return vs[1].timers.Load() > n }) {
			t.Errorf("a timer was lost: state %d, waits for %d", vs[1].p.State(), vs[1].p.Wait())
			return false
		}
		return true
	})
	wg.Wait()
	w.end()
}

// A paused domain does not run, and runs again after Unpause.
func TestPauseOnManyCPUs(t *testing.T) {
	w := newWorld(t, 3, 300_000)
	w.run()
	d, vs := w.create('a', 2)
	_, other := w.create('b', 2)
	var wg sync.WaitGroup
	hammer(&wg, 1, func(r *rand.Rand) bool { return w.post(other[0]) })
	hammer(&wg, 1, func(r *rand.Rand) bool {
		if !w.until(func() bool { return d.Pause() == abi.OK }) {
			t.Error("Pause does not come to an end")
			return false
		}
		before := vs[0].runs.Load() + vs[1].runs.Load()
		time.Sleep(20 * time.Microsecond)
		if vs[0].runs.Load()+vs[1].runs.Load() != before || vs[0].inside.Load()+vs[1].inside.Load() != 0 {
			t.Error("a paused domain runs")
			return false
		}
		d.Unpause()
		if !w.post(vs[0]) || !w.post(vs[1]) {
			t.Errorf("a vCPU did not come back: states %d %d", d.VCPUs[0].State(), d.VCPUs[1].State())
			return false
		}
		return true
	})
	wg.Wait()
	w.end()
}

// However Pause and Unpause race, the last one decides.
func TestPauseRacesUnpause(t *testing.T) {
	w := newWorld(t, 2, 300_000)
	w.run()
	d, vs := w.create('a', 2)
	for end := time.Now().Add(stretch()); time.Now().Before(end); {
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				for n := range 20 {
					if (n+i)%2 == 0 {
						d.Pause()
					} else {
						d.Unpause()
					}
				}
			}()
		}
		wg.Wait()
		d.Unpause()
		if !w.post(vs[0]) || !w.post(vs[1]) {
			t.Fatalf("a vCPU stays parked: states %d %d", d.VCPUs[0].State(), d.VCPUs[1].State())
		}
	}
	w.end()
}

// Domains are destroyed while they run: that ends, returns every byte, and no
// vCPU of dom0 keeps translations from before.
func TestDestroyOnManyCPUs(t *testing.T) {
	w := newWorld(t, 3, 300_000)
	dom0 := w.made
	w.run()
	_, vs := w.create('z', 1)
	free := w.m.Frames.FreeBytes()
	var wg sync.WaitGroup
	hammer(&wg, 1, func(r *rand.Rand) bool { return w.post(vs[0]) })
	hammer(&wg, 1, func(r *rand.Rand) bool {
		d, own := w.create('a', 1+r.Uint32N(3))
		for st := abi.Again; st == abi.Again; {
			st = d.MapInto(new(abi.ExtentList))
		}
		if r.IntN(2) == 0 {
			w.post(own[0])
		}
		if !w.destroy(d) {
			t.Error("Destroy does not come to an end")
			return false
		}
		for _, v := range dom0 {
			if n := v.runs.Load(); v.inside.Load() != 0 && v.entered.Load() != w.dom0.Tables.Generation() && v.runs.Load() == n {
				t.Error("a vCPU of dom0 still uses old translations")
			}
		}
		if got := w.m.Frames.FreeBytes(); got != free {
			t.Errorf("%d bytes free, %d before", got, free)
			return false
		}
		return true
	})
	wg.Wait()
	w.end()
}

// destroy destroys d from two threads: one of them is told OK.
func (w *world) destroy(d *part.Domain) bool {
	var wg sync.WaitGroup
	var ok, gone [2]bool
	for i := range 2 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			w.until(func() bool {
				st := d.Destroy()
				ok[i], gone[i] = st == abi.OK, st == abi.NoDomain
				return st != abi.Again
			})
		}()
	}
	wg.Wait()
	return ok[0] != ok[1] && gone[0] != gone[1] && w.m.Find(uint64(d.ID)) == nil
}

// INIT and start-up messages that follow each other at once start the vCPU.
func TestInitThenStartup(t *testing.T) {
	w := newWorld(t, 2, 300_000)
	w.run()
	w.quiet = true // INIT changes what an access has returned
	d, vs := w.create('a', 2)
	for end := time.Now().Add(stretch()); time.Now().Before(end); {
		n := vs[1].starts.Load()
		d.VCPUs[1].Init()
		d.VCPUs[1].Startup(8)
		if !w.until(func() bool { return vs[1].starts.Load() != n }) {
			t.Fatalf("the vCPU did not start: state %d, waits for %d", d.VCPUs[1].State(), d.VCPUs[1].Wait())
		}
	}
	w.end()
}

// A start-up message does not start a vCPU that is absent, one behind Plug does, once.
func TestUnplug(t *testing.T) {
	w := newWorld(t, 2, 300_000)
	w.run()
	w.quiet = true
	d, vs := w.create('a', 2)
	trigger := func(what abi.Trigger) {
		if st, _ := d.VCPUs[1].Trigger(what); st != abi.OK {
			t.Fatal(st)
		}
	}
	masks := func() (absent, started uint32) {
		var in abi.DomainInfo
		d.Info(&in)
		return in.Absent, in.Started
	}
	for end := time.Now().Add(stretch()); time.Now().Before(end); {
		trigger(abi.TriggerUnplug)
		d.VCPUs[1].Startup(8)
		if !w.until(func() bool { _, started := masks(); return started == 1 }) {
			t.Fatal("it was not reset")
		}
		n := vs[1].starts.Load()
		for range 10 {
			d.VCPUs[1].Startup(8)
			if !w.post(vs[0]) {
				t.Fatal("an interrupt of the other one was lost")
			}
		}
		if absent, _ := masks(); absent != 0b10 || vs[1].starts.Load() != n {
			t.Fatalf("absent %#x: started %d times", absent, vs[1].starts.Load()-n)
		}
		trigger(abi.TriggerPlug)
		d.VCPUs[1].Startup(8)
		if !w.until(func() bool { return vs[1].starts.Load() != n }) {
			t.Fatal("it does not start after Plug")
		}
		trigger(abi.TriggerPlug) // it is there: nothing happens to it
		if absent, started := masks(); absent != 0 || started != 0b11 || vs[1].starts.Load() != n+1 {
			t.Fatalf("after Plug: absent %#x, started %#x, %d times", absent, started, vs[1].starts.Load()-n)
		}
	}
	w.end()
}
