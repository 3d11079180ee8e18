// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

//go:build tamago

// Command unikernel is a program without an operating system, built by TamaGo's
// compiler for one of its boards (the build tags qemu, firecracker, cloudhypervisor)
// and run as a guest: it uses its CPUs, sleeps, collects garbage, compares its clocks,
// prints what came of it, and ends itself.
package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/usbarmory/tamago/soc/intel/rtc"
)

func main() {
	n := runtime.GOMAXPROCS(0)
	fmt.Printf("unikernel %s: %d CPUs\n", board, n)
	if n == 1 {
		collect()
	} else {
		// On several CPUs a collection may end the program, wherever it runs: the runtime
		// starts another thread if one is late to stop, and has no CPU for it.
		debug.SetGCPercent(-1)
		meet(n)
	}
	clocks()
	fmt.Println("unikernel: the end")
	os.Exit(0)
}

// meet has a goroutine for each CPU wait for all the others without giving its own CPU
// to any: nothing preempts here, so that each needs one.
func meet(cpus int) {
	n := int32(cpus)
	var here atomic.Int32
	done := make(chan bool)
	for range n {
		go func() {
			here.Add(1)
			for here.Load() < n {
			}
			done <- true
		}()
	}
	for range n {
		<-done
	}
	fmt.Printf("%d goroutines have met\n", n)
}

// collect makes four times as much garbage as there is memory, and keeps some.
func collect() {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var kept [64][]byte
	for i := range 4 * ramSize >> 16 {
		b := make([]byte, 64<<10)
		for j := 0; j < len(b); j += 4096 {
			b[j] = byte(i)
		}
		kept[i%uint64(len(kept))] = b
	}
	for i, b := range kept {
		if b[0] != b[4096] || int(b[0])%len(kept) != i {
			fmt.Println("memory is not what it was")
		}
	}
	runtime.ReadMemStats(&after)
	fmt.Printf("garbage was collected: %v\n", after.NumGC > before.NumGC)
}

// clocks compares seconds of the clock chip with those of the runtime, which takes the
// TSC and, from a second after the start on, what the paravirtual clock says.
func clocks() {
	time.Sleep(1500 * time.Millisecond)
	right := false
	for try := 0; try < 10 && !right; try++ {
		right = agree()
	}
	fmt.Printf("the clocks agree: %v\n", right)
}

// agree compares three seconds. Where a CPU is slow they may disagree: the chip's
// registers are read one after the other, and the runtime's clock, when it is set by the
// paravirtual one, is late by what is between reading the one and setting the other.
func agree() bool {
	first, from := second()
	time.Sleep(2500 * time.Millisecond)
	last, to := second()
	fmt.Printf("the clock chip: %s\n", last.Format(time.RFC3339))
	const rates = time.Millisecond // differ by parts in a million
	chip := last.Sub(first)
	least, most := to.after.Sub(from.before)-rates, to.before.Sub(from.after)+rates
	fmt.Printf("%v by the chip, %v to %v by the runtime\n", chip, least, most)
	return least <= chip && chip <= most
}

// moment is one that lies between two times.
type moment struct{ after, before time.Time }

// second waits for the clock chip's next second: what it says then, and when that was.
func second() (time.Time, moment) {
	r := &rtc.RTC{}
	var old time.Time
	var m moment
	for {
		before := time.Now()
		now, err := r.Now()
		switch {
		case err != nil: // it is being updated
		case old.IsZero() || now.Equal(old):
			old, m.after = now, before
		default:
			m.before = time.Now()
			return now, m
		}
	}
}
