// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Torture runs everything at once for secs= seconds and checks itself: garbage
// collections, stack growth, threads that come and go, migration between CPUs,
// signals, NMIs, interrupts, page faults and TLB shootdowns, busy and waiting
// runners. A wrong byte, a lost wake-up or a hang is a failure.
package main

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"ringo/boot/kernel"
	"ringo/tests/guests/kerneltest/args"
)

// worker is one kind of load; it returns when stop is set and counts rounds.
type worker struct {
	name   string
	copies func(cpus int) int
	run    func(id int, rounds *atomic.Uint64)
	// slow is how long a round may take at most, on a busy host.
	slow time.Duration
}

// patience is after how long without progress something hangs: hosts were seen
// that stop an emulator for most of a minute.
const patience = 2 * time.Minute

var stop atomic.Bool

func one(int) int      { return 1 }
func perCPU(n int) int { return n }
func twice(n int) int  { return 2 * n }

var workers = []worker{
	{"trees", perCPU, trees, patience},
	{"stacks", perCPU, stacks, patience},
	{"floats", twice, floats, patience},
	{"threads", one, threads, patience},
	{"sleepers", perCPU, sleepers, patience},
	{"channels", perCPU, pingPong, patience},
	{"faults", one, faults, patience},
	{"scavenger", one, scavenger, patience},
	{"collector", one, collector, patience},
	{"interrupts", one, interrupts, patience},
}

func main() {
	checkRate()
	n := args.StartCPUs()
	secs := args.Get("secs", 20)
	runtime.GOMAXPROCS(args.Get("procs", 2*n+1))
	if args.Get("runners", 1) != 0 {
		startRunners(n)
	}
	type job struct {
		w      *worker
		id     int
		rounds atomic.Uint64
	}
	var jobs []*job
	var wg sync.WaitGroup
	for i := range workers {
		w := &workers[i]
		if args.Get(w.name, 1) == 0 || args.TamaGo && w.name == "threads" { // there, a thread that ends leaves its stack behind
			continue
		}
		for id := range w.copies(n) {
			j := &job{w: w, id: id}
			jobs = append(jobs, j)
			wg.Add(1)
			go func() { defer wg.Done(); w.run(id, &j.rounds) }()
		}
	}
	// Watch: every job must make progress.
	last := make([]uint64, len(jobs))
	since := make([]time.Time, len(jobs))
	for i := range since {
		since[i] = time.Now()
	}
	end := time.Now().Add(time.Duration(secs) * time.Second)
	report := time.Now()
	for time.Now().Before(end) {
		time.Sleep(100 * time.Millisecond)
		for i, j := range jobs {
			if r := j.rounds.Load(); r != last[i] {
				last[i], since[i] = r, time.Now()
			} else if time.Since(since[i]) > j.w.slow {
				debug.SetTraceback("all")
				args.Fail("%s %d made no progress for %v", j.w.name, j.id, j.w.slow)
			}
		}
		checkRunners(n)
		if time.Since(report) > 10*time.Second {
			report = time.Now()
			fmt.Printf("%v left, stats %+v\n", time.Until(end).Round(time.Second), kernel.ReadStats())
		}
	}
	stop.Store(true)
	kickAll(n)
	wg.Wait()
	sum := map[string]uint64{}
	for _, j := range jobs {
		sum[j.w.name] += j.rounds.Load()
	}
	fmt.Printf("rounds %v\n", sum)
	fmt.Printf("stats %+v\n", kernel.ReadStats())
	s := kernel.ReadStats()
	if s.FreeFrames+s.Data+s.Tables+s.Kernel != s.PoolFrames {
		args.Fail("frames do not add up")
	}
	args.Pass()
}

// checkRate compares the rate that the layer found, perhaps on a busy host, with what
// q35's PM timer says.
func checkRate() {
	if kernel.Boot() == nil {
		return // a partition was told
	}
	first := kernel.TSCHz()
	if err := kernel.CheckRate(kernel.Reference{Port: 0x608, Bits: 24, Hz: 3_579_545}); err != nil {
		args.Fail("%v", err)
	}
	if second := kernel.TSCHz(); max(first, second)-min(first, second) > second/100 {
		args.Fail("the PIT says %d Hz, the PM timer %d", first, second)
	}
}

// node is a tree whose shape and content follow from its key.
type node struct {
	key         uint64
	left, right *node
	pad         [3]uint64
}

func build(key uint64, depth int) *node {
	n := &node{key: key, pad: [3]uint64{key, ^key, key * 3}}
	if depth > 0 {
		n.left, n.right = build(key*2+1, depth-1), build(key*2+2, depth-1)
	}
	return n
}

func (n *node) check(key uint64, depth int) {
	if n.key != key || n.pad != [3]uint64{key, ^key, key * 3} || (n.left == nil) != (depth == 0) {
		args.Fail("a tree node changed: %+v, want key %d", *n, key)
	}
	if depth > 0 {
		n.left.check(key*2+1, depth-1)
		n.right.check(key*2+2, depth-1)
	}
}

func trees(id int, rounds *atomic.Uint64) {
	const depth = 9
	keep := build(uint64(id), depth)
	for !stop.Load() {
		t := build(rounds.Load(), depth)
		keep.check(uint64(id), depth)
		t.check(rounds.Load(), depth)
		rounds.Add(1)
	}
}

//go:noinline
func grow(n int, seed uint64) uint64 {
	var b [16]uint64
	for i := range b {
		b[i] = seed + uint64(i)
	}
	r := seed
	if n > 0 {
		r = grow(n-1, seed+1)
	}
	for i := range b {
		if b[i] != seed+uint64(i) {
			args.Fail("a stack word changed: %d, want %d", b[i], seed+uint64(i))
		}
	}
	return r + 1
}

func stacks(id int, rounds *atomic.Uint64) {
	for !stop.Load() {
		depth := rand.IntN(400)
		done := make(chan uint64)
		go func() { done <- grow(depth, 7) }()
		if r := <-done; r != 7+uint64(depth)+uint64(depth)+1 {
			args.Fail("stack depth %d: %d", depth, r)
		}
		rounds.Add(1)
	}
}

// floats keeps values in FPU registers of a loop that is preempted.
func floats(id int, rounds *atomic.Uint64) {
	for !stop.Load() {
		a, b, c, d := 1.0, 2.0, 3.0, float64(id)
		k := uint64(id)
		for i := range 200000 {
			a, b, c, d = b, c, d, a
			k = k*6364136223846793005 + 1442695040888963407
			if i&3 == 3 && (a != 1 || b != 2 || c != 3 || d != float64(id)) {
				args.Fail("floating point registers changed: %v %v %v %v", a, b, c, d)
			}
		}
		if want := lcg(uint64(id), 200000); k != want {
			args.Fail("integer registers changed: %d, want %d", k, want)
		}
		rounds.Add(1)
	}
}

var lcgMemo sync.Map

func lcg(k uint64, n int) uint64 {
	if v, ok := lcgMemo.Load(k); ok {
		return v.(uint64)
	}
	seed := k
	for range n {
		k = k*6364136223846793005 + 1442695040888963407
	}
	lcgMemo.Store(seed, k)
	return k
}

// threads makes threads that end: a locked goroutine that returns takes its
// thread with it.
func threads(id int, rounds *atomic.Uint64) {
	for !stop.Load() {
		var wg sync.WaitGroup
		for range 8 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				runtime.LockOSThread()
				time.Sleep(time.Duration(rand.IntN(500)) * time.Microsecond)
			}()
		}
		wg.Wait()
		rounds.Add(1)
	}
}

func sleepers(id int, rounds *atomic.Uint64) {
	for !stop.Load() {
		d := time.Duration(rand.IntN(3000)) * time.Microsecond
		t := time.Now()
		time.Sleep(d)
		if time.Since(t) < d {
			args.Fail("slept %v instead of %v", time.Since(t), d)
		}
		rounds.Add(1)
	}
}

// pingPong passes messages between two threads. Each one readies the other's goroutine
// as the next on its P, and a change of a locked thread counts as a new turn, so that
// the runtime's monitor never asks them to stop: where all other Ps are busy, the
// goroutines that wait on this P would wait for minutes (seen: three of them in a local
// queue that stood still for 1800 turns). So it gives its place up now and then.
func pingPong(id int, rounds *atomic.Uint64) {
	c, d := make(chan uint64), make(chan uint64)
	go func() {
		runtime.LockOSThread() // every message changes threads
		for v := range c {
			d <- v + 1
		}
		close(d)
	}()
	for !stop.Load() {
		r := rounds.Load()
		c <- r
		if v := <-d; v != r+1 {
			args.Fail("message %d, want %d", v, r+1)
		}
		if rounds.Add(1)%64 == 0 {
			runtime.Gosched()
		}
	}
	close(c)
}

func faults(id int, rounds *atomic.Uint64) {
	for !stop.Load() {
		func() {
			defer func() {
				if recover() == nil {
					args.Fail("a nil dereference did not panic")
				}
			}()
			var p *node
			p.key++
		}()
		rounds.Add(1)
		time.Sleep(100 * time.Microsecond)
	}
}

// scavenger makes the runtime give memory back and take it again: TLB
// shootdowns.
func scavenger(id int, rounds *atomic.Uint64) {
	for !stop.Load() {
		b := make([]byte, 1<<20)
		for i := 0; i < len(b); i += 512 {
			if b[i] != 0 {
				args.Fail("new memory is not zero")
			}
			b[i] = byte(i >> 9)
		}
		for i := 0; i < len(b); i += 512 {
			if b[i] != byte(i>>9) {
				args.Fail("memory changed at %d", i)
			}
		}
		b = nil
		debug.FreeOSMemory()
		rounds.Add(1)
		time.Sleep(3 * time.Millisecond)
	}
}

func collector(id int, rounds *atomic.Uint64) {
	for !stop.Load() {
		runtime.GC()
		rounds.Add(1)
		time.Sleep(time.Duration(rand.IntN(10)) * time.Millisecond)
	}
}
