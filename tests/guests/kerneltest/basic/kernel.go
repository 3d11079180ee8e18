// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"ringo/boot/kernel"
	"ringo/tests/guests/kerneltest/args"
)

// patience is after how long something counts as lost, on an emulator whose
// CPUs share those of a busy host.
const patience = 20 * time.Second

// irqs: a vector as a file, read by a goroutine parked in the poller.
func irqs(n int) {
	v := kernel.AllocVector()
	fd, err := kernel.OpenIRQ(v)
	if err != nil {
		args.Fail("OpenIRQ: %v", err)
	}
	if _, err := kernel.OpenIRQ(v); err == nil {
		args.Fail("vector %#x opened twice", v)
	}
	f := os.NewFile(fd, "irq")
	const rounds = 200
	got := make(chan uint64)
	go func() {
		var b [8]byte
		for {
			if _, err := f.Read(b[:]); err != nil {
				close(got)
				return
			}
			got <- binary.LittleEndian.Uint64(b[:])
		}
	}()
	time.Sleep(5 * time.Millisecond)
	var total time.Duration
	for i := range rounds {
		t := time.Now()
		kernel.SendIPI(i%n, v)
		if c := <-got; c != 1 {
			args.Fail("interrupt %d was counted %d times", i, c)
		}
		total += time.Since(t)
	}
	fmt.Printf("  interrupt to goroutine %v\n", total/rounds)
	f.Close()
	if _, ok := <-got; ok {
		args.Fail("a read after close returned")
	}
	kernel.FreeVector(v)
}

func waitIRQ(n int) {
	var worst time.Duration
	defer func() { fmt.Printf("  interrupt to thread, worst %v\n", worst) }()
	v := kernel.AllocVector()
	var count, stop atomic.Uint64
	done := make(chan bool)
	go func() {
		runtime.LockOSThread()
		for stop.Load() == 0 {
			count.Add(kernel.WaitIRQ(v, 0))
			check()
		}
		close(done)
	}()
	time.Sleep(2 * time.Millisecond)
	for i := range 100 {
		kernel.SendIPI(i%n, v)
		for t := time.Now(); count.Load() != uint64(i+1); runtime.Gosched() {
			if time.Since(t) > patience {
				args.Fail("WaitIRQ missed interrupt %d: %d", i, count.Load())
			}
			worst = max(worst, time.Since(t))
		}
	}
	runtime.GC() // must not wait for it
	stop.Store(1)
	kernel.SendIPI(0, v)
	<-done
	time.Sleep(10 * time.Millisecond)
	kernel.WaitIRQ(v, 1) // whatever the loop left
	t := kernel.TSC()
	if kernel.WaitIRQ(v, t+kernel.TSCHz()/1000) != 0 {
		args.Fail("WaitIRQ without an interrupt")
	}
	if kernel.TSC()-t < kernel.TSCHz()/1000 {
		// An early return is allowed only for a preemption.
		fmt.Println("  WaitIRQ returned early")
	}
}

// check has a stack check in its prologue.
//
//go:noinline
func check() {
	var b [128]byte
	runtime.KeepAlive(&b)
}

type runner struct {
	wakes atomic.Uint64
	stop  atomic.Bool
	done  chan bool
	spin  bool
}

func (r *runner) run(cpu int) {
	runtime.LockOSThread()
	if err := kernel.Runner(cpu); err != nil {
		args.Fail("Runner(%d): %v", cpu, err)
	}
	for !r.stop.Load() {
		if r.spin {
			for i := 0; i < 1000 && !r.stop.Load(); i++ {
			}
			r.wakes.Add(1)
		} else {
			kernel.Wait(kernel.TSC() + 100*kernel.TSCHz())
			r.wakes.Add(1)
		}
		if kernel.CPU() != cpu {
			args.Fail("runner of %d is on %d", cpu, kernel.CPU())
		}
		check()
	}
	kernel.Leave()
	runtime.UnlockOSThread()
	close(r.done)
}

func start(n int, spin bool) []*runner {
	old := runtime.GOMAXPROCS(2*n + 1)
	_ = old
	rs := make([]*runner, n)
	for i := range rs {
		rs[i] = &runner{done: make(chan bool), spin: spin}
		go rs[i].run(i)
	}
	time.Sleep(20 * time.Millisecond)
	return rs
}

func finish(rs []*runner) {
	for i, r := range rs {
		r.stop.Store(true)
		kernel.Kick(i)
		<-r.done
	}
}

// runners kicks waiting runners one after the other, and collects garbage
// meanwhile.
func runners(n int) {
	rs := start(n, false)
	const rounds = 300
	var worst, total time.Duration
	for i := range rounds {
		r := rs[i%n]
		w := r.wakes.Load()
		t := time.Now()
		kernel.Kick(i % n)
		for r.wakes.Load() == w {
			if time.Since(t) > patience {
				args.Fail("kick %d of runner %d was lost", i, i%n)
			}
			runtime.Gosched()
		}
		total += time.Since(t)
		worst = max(worst, time.Since(t))
		if i%50 == 0 {
			runtime.GC()
		}
	}
	fmt.Printf("  kick to runner %v, worst %v\n", total/rounds, worst)
	finish(rs)
}

// share: busy runners and busy ordinary threads on every CPU must both get
// time, and sleepers must wake in time.
func share(n int) {
	rs := start(n, true)
	var stop atomic.Bool
	var work atomic.Uint64
	for range n {
		go func() {
			for !stop.Load() {
				if work.Add(1); args.TamaGo {
					check() // where it can be stopped
				}
			}
		}()
	}
	w0, o0 := uint64(0), work.Load()
	for _, r := range rs {
		w0 += r.wakes.Load()
	}
	var worst time.Duration
	for t := time.Now(); time.Since(t) < 200*time.Millisecond; {
		t1 := time.Now()
		time.Sleep(2 * time.Millisecond)
		worst = max(worst, time.Since(t1)-2*time.Millisecond)
	}
	t := time.Now()
	runtime.GC()
	gc := time.Since(t)
	stop.Store(true)
	w1 := uint64(0)
	for i, r := range rs {
		w1 += r.wakes.Load()
		if r.wakes.Load() == 0 {
			args.Fail("runner %d starves", i)
		}
	}
	fmt.Printf("  runners %d, ordinary %d rounds, sleep late by %v, GC %v\n", w1-w0, work.Load()-o0, worst, gc)
	if work.Load() == o0 {
		args.Fail("ordinary threads starve")
	}
	finish(rs)
}
