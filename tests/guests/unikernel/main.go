// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

//go:build tamago

// Command unikernel is a program without an operating system, built by TamaGo's
// compiler for one of its boards (the build tags qemu, firecracker, cloudhypervisor)
// and run as a guest: it uses its CPUs, sleeps, collects garbage, compares its clocks,
// prints what came of it, says what time it is when a key is pressed, and ends itself.
package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/usbarmory/tamago/amd64"
	kvmclock "github.com/usbarmory/tamago/kvm/clock"
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
	time.Sleep(1500 * time.Millisecond) // after a second the paravirtual clock sets the runtime's
	begun := time.Now()
	tell("before", begun)
	clocks()
	tell("after", begun)
	key("the end") // what the hypervisor says of it does not meet what we say
	os.Exit(0)
}

// tell says what the runtime's clock is when a key is pressed: to somebody who has
// another clock, and looks at it before the key is pressed and when the answer is there.
func tell(when string, begun time.Time) {
	key(when)
	fmt.Printf("%s: %.6f seconds\n", when, time.Since(begun).Seconds())
}

// key waits for one.
func key(when string) {
	fmt.Printf("%s: press a key\n", when)
	for b := [1]byte{}; b[0] == 0; time.Sleep(10 * time.Millisecond) {
		console.Read(b[:]) // what it returns differs between TamaGo's releases
	}
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
	earlier := wall()
	last, to := second()
	later := wall()
	fmt.Printf("the clock chip: %s\n", last.Format(time.RFC3339))
	const rates = time.Millisecond // differ by parts in a million
	chip := last.Sub(first)
	least, most := to.after.Sub(from.before)-rates, to.before.Sub(from.after)+rates
	fmt.Printf("%v by the chip, %v to %v by the runtime\n", chip, least, most)
	if !later.IsZero() {
		fmt.Printf("%v to %v by the paravirtual wall clock\n", earlier.UTC(), later.UTC())
		if last.Before(earlier.Add(-rates)) || last.After(later.Add(rates)) {
			return false
		}
	}
	return least <= chip && chip <= most
}

// wall is what the paravirtual clock says of the wall time. TamaGo asks with an
// instruction that AMD's processors have; on others it is zero.
func wall() (t time.Time) {
	if _, _, ecx, _ := cpu.CPUID(amd64.CPUID_VENDOR, 0); ecx == amd64.CPUID_VENDOR_ECX_AMD {
		t = kvmclock.Now()
	}
	return t
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
