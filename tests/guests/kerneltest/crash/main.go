// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Crash ends in the way that mode= chooses, with all CPUs running.
package main

import (
	"runtime"
	"sync/atomic"
	"time"

	"ringo/boot/kernel"
	"ringo/tests/guests/kerneltest/args"
)

const (
	modePanic  = iota // an ordinary Go panic
	modeFatal         // kernel.Fatal from ordinary Go
	modeOOM           // more memory than the pool has
	modeReboot        // kernel.Reboot
	modeOff           // kernel.PowerOff
	modeMap           // concurrent map writes: a throw of the runtime
	modeTrap          // a fault in the layer itself
	modeStack         // goroutine stack overflow
	modeFull          // the layer's own stack runs over
	modeHang          // a CPU that takes no interrupts, with the watchdog
	modeLock          // a lock that is not given back, with the watchdog
	modeRunner        // a runner that gets nowhere, with the watchdog
)

var sink atomic.Uint64

func main() {
	n := args.StartCPUs()
	for range n - 1 {
		go func() {
			for {
				if sink.Add(1); args.TamaGo {
					check() // where it can be stopped
				}
			}
		}()
	}
	time.Sleep(20 * time.Millisecond)
	outer(args.Get("mode", 0))
}

// check has a stack check in its prologue.
//
//go:noinline
func check() {
	var b [128]byte
	runtime.KeepAlive(&b)
}

//go:noinline
func outer(mode int) {
	inner(mode)
	runtime.Gosched()
}

//go:noinline
func inner(mode int) {
	switch mode {
	case modePanic:
		panic("on purpose")
	case modeFatal:
		kernel.Fatal("on purpose")
	case modeOOM:
		eat()
	case modeReboot:
		kernel.Reboot()
	case modeOff:
		kernel.PowerOff()
	case modeMap:
		mapRace()
	case modeTrap:
		kernel.CrashForTest(kernel.CrashFault)
	case modeFull:
		kernel.CrashForTest(kernel.CrashStack)
	case modeStack:
		println(deep(0))
	case modeHang:
		watch()
		kernel.CrashForTest(kernel.CrashHang)
	case modeLock:
		watch()
		kernel.CrashForTest(kernel.CrashLock)
	case modeRunner:
		watch()
		lazyRunner()
	}
}

// watch turns the watchdog on, and sees that it does not bark at those who work and
// sleep: the goroutines of main, a runner that makes progress and then waits.
func watch() {
	const period = 20 * time.Millisecond
	kernel.StartWatchdog(uint64(period))
	done := make(chan bool)
	go func() {
		runtime.LockOSThread()
		word := new(uint64)
		kernel.Progress(0, word)
		if kernel.Runner(0) != nil {
			panic("no runner")
		}
		for until := time.Now().Add(20 * period); time.Now().Before(until); *word++ {
		}
		kernel.Wait(kernel.TSC() + kernel.TSCHz()/2)
		kernel.Leave()
		done <- true
	}()
	<-done
	println("the watchdog is content")
}

// lazyRunner is a runner that does nothing for its word.
func lazyRunner() {
	runtime.LockOSThread()
	kernel.Progress(0, new(uint64))
	if kernel.Runner(0) != nil {
		panic("no runner")
	}
	for {
		sink.Add(1)
	}
}

//go:noinline
func deep(n int) int { return deep(n+1) + 1 }

func eat() {
	var keep [][]byte
	for {
		b := make([]byte, 1<<20)
		for i := range b {
			b[i] = 1
		}
		keep = append(keep, b)
	}
}

func mapRace() {
	m := map[int]int{}
	for range 4 {
		go func() {
			for {
				m[1]++
			}
		}()
	}
	time.Sleep(time.Minute)
}
