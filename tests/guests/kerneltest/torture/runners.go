// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"runtime"
	"sync/atomic"
	"time"

	"ringo/boot/kernel"
	"ringo/tests/guests/kerneltest/args"
)

// guard is what a runner of the hypervisor looks like to the layer: it waits,
// spins as if in a guest, and is kicked.
type guard struct {
	rounds atomic.Uint64
	kicked atomic.Uint64
	last   uint64
	since  time.Time
	done   chan bool
}

var guards []*guard

func startRunners(n int) {
	for i := range n {
		g := &guard{since: time.Now(), done: make(chan bool)}
		guards = append(guards, g)
		go g.run(i)
	}
}

func (g *guard) run(cpu int) {
	runtime.LockOSThread()
	if err := kernel.Runner(cpu); err != nil {
		args.Fail("Runner(%d): %v", cpu, err)
	}
	kick := kernel.KickWord(cpu)
	for x := uint64(cpu); !stop.Load(); g.rounds.Add(1) {
		if kernel.CPU() != cpu {
			args.Fail("runner of %d is on %d", cpu, kernel.CPU())
		}
		switch x = x*6364136223846793005 + 1442695040888963407; x >> 62 {
		case 0: // in a "guest" that runs until it is kicked or 100 us are over
			kernel.Arm(kernel.TSC() + kernel.TSCHz()/20000)
			for end := kernel.TSC() + kernel.TSCHz()/10000; kernel.TSC() < end; {
				if atomic.SwapUint32(kick, 0) != 0 {
					g.kicked.Add(1)
					break
				}
			}
		default:
			kernel.Wait(kernel.TSC() + kernel.TSCHz()/1000)
		}
		check()
	}
	kernel.Leave()
	close(g.done)
}

//go:noinline
func check() {
	var b [128]byte
	runtime.KeepAlive(&b)
}

func checkRunners(n int) {
	for i, g := range guards {
		if r := g.rounds.Load(); r != g.last {
			g.last, g.since = r, time.Now()
		} else if time.Since(g.since) > patience {
			args.Fail("runner %d made no progress", i)
		}
		kernel.Kick(i)
		if i%2 == 0 {
			kernel.SendNMI(i)
		}
	}
}

func kickAll(n int) {
	for i, g := range guards {
		kernel.Kick(i)
		<-g.done
	}
}

// interrupts raises a vector on changing CPUs and waits for it.
func interrupts(id int, rounds *atomic.Uint64) {
	v := kernel.AllocVector()
	var got atomic.Uint64
	go func() {
		runtime.LockOSThread()
		for !stop.Load() {
			got.Add(kernel.WaitIRQ(v, kernel.TSC()+kernel.TSCHz()/100))
			check()
		}
	}()
	for !stop.Load() {
		g := got.Load()
		kernel.SendIPI(int(g)%kernel.NumCPU(), v)
		for t := time.Now(); got.Load() == g && !stop.Load(); runtime.Gosched() {
			if time.Since(t) > patience {
				args.Fail("an interrupt was lost")
			}
		}
		rounds.Add(1)
		time.Sleep(200 * time.Microsecond)
	}
}
