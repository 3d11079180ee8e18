// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Basic checks one by one what the Go runtime expects of the kernel layer, and
// the layer's own interface.
package main

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"ringo/boot/kernel"
	"ringo/boot/layout"
	"ringo/tests/guests/kerneltest/args"
)

func main() {
	if n := runtime.NumCPU(); n != 1 {
		args.Fail("the runtime saw %d CPUs at its start", n)
	}
	n := args.StartCPUs()
	if kernel.NumCPU() != n {
		args.Fail("NumCPU %d, want %d", kernel.NumCPU(), n)
	}
	const both, stock = true, !args.TamaGo
	for _, t := range []struct {
		name string
		f    func(cpus int)
		here bool
	}{
		{"channels", channels, both}, {"maps", maps, both}, {"sleep", sleep, both}, {"timers", tickers, both},
		{"faults", faults, both}, {"traceback", traceback, both}, {"preempt", preempt, both},
		{"memory", memory, both}, {"release", release, stock}, {"collector", collector, both},
		{"mappings", mappings, both}, {"random", random, stock}, {"numbers", numbers, both}, {"files", files, stock}, {"log", logRing, both},
		{"irq", irqs, stock}, {"waitirq", waitIRQ, both}, {"runner", runners, both}, {"share", share, both},
	} {
		if !t.here {
			continue
		}
		if only := args.Get("only", -1); only >= 0 && t.name != os.Args[0] {
			continue
		}
		t0 := time.Now()
		t.f(n)
		fmt.Printf("%-10s ok %v\n", t.name, time.Since(t0).Round(time.Microsecond))
	}
	fmt.Printf("stats %+v\n", kernel.ReadStats())
	args.Pass()
}

func channels(int) {
	c := make(chan int)
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Add(1)
		go func() { defer wg.Done(); c <- i * i }()
	}
	go func() { wg.Wait(); close(c) }()
	sum := 0
	for v := range c {
		sum += v
	}
	if sum != 328350 {
		args.Fail("sum %d", sum)
	}
}

func maps(int) {
	m := map[string]int{}
	for i := range 10000 {
		m[fmt.Sprint("k", i)] = i
	}
	if len(m) != 10000 || m["k777"] != 777 {
		args.Fail("map %d %d", len(m), m["k777"])
	}
}

func sleep(int) {
	for _, d := range []time.Duration{time.Millisecond, 10 * time.Millisecond, 200 * time.Millisecond} {
		t := time.Now()
		time.Sleep(d)
		took := time.Since(t)
		fmt.Printf("  sleep %v took %v\n", d, took.Round(time.Microsecond))
		if took < d || took > d+patience {
			args.Fail("sleep %v took %v", d, took)
		}
	}
}

func tickers(int) {
	t := time.Now() // before the ticker's: this program may lose its CPU at any time
	tk := time.NewTicker(5 * time.Millisecond)
	defer tk.Stop()
	for range 20 {
		<-tk.C
	}
	if took := time.Since(t); took < 100*time.Millisecond || took > patience {
		args.Fail("20 ticks of 5 ms took %v", took)
	}
	if y := time.Now().Year(); y < 2020 || y > 2100 {
		args.Fail("wall clock says %d", y)
	}
}

type pair struct{ a, b int }

var zero int

// recovered runs f and returns what it panicked with.
func recovered(f func()) (msg string) {
	defer func() {
		if e := recover(); e != nil {
			msg = fmt.Sprint(e)
		}
	}()
	f()
	return "no panic"
}

func faults(int) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	var p *pair
	for _, c := range []struct {
		name, want string
		f          func()
	}{
		{"nil", "nil pointer dereference", func() { println(p.b) }},
		{"divide", "integer divide by zero", func() { println(1 / zero) }},
		{"page 0", "nil pointer dereference", func() { poke(8) }},
		{"unmapped", "invalid memory address", func() { poke(0x7000_0000_0000) }},
		{"text", "invalid memory address", func() { poke(0x101000) }},
		{"text in the direct map", "", func() { poke(kernel.Phys(kernel.ImageRange().Start) + 0x1000) }},
		{"pool in the direct map", "", func() { poke(kernel.Phys(kernel.PoolRange().Start)) }},
		{"between stacks", "", func() { poke(layout.CPUMap + 0x1000) }},
		{"not canonical", "", func() { poke(0x8000_0000_0000_0000) }},
	} {
		if args.TamaGo && c.want != "nil pointer dereference" && c.name != "divide" {
			continue // the end of the program, as without SetPanicOnFault
		}
		for range 3 {
			if got := recovered(c.f); got == "no panic" || !strings.Contains(got, c.want) && !strings.Contains(got, "fault") {
				args.Fail("%s: %s", c.name, got)
			}
		}
	}
}

//go:noinline
func deep(n int) string {
	if n == 0 {
		return string(debug.Stack())
	}
	return deep(n-1) + ""
}

func traceback(int) {
	if s := deep(3); strings.Count(s, "main.deep") != 4 || !strings.Contains(s, "main.go:") {
		args.Fail("traceback: %s", s)
	}
}

func preempt(n int) {
	var stop atomic.Bool
	var wg sync.WaitGroup
	for range n + 2 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			f := 1.0
			for i := 1; !stop.Load(); i++ {
				f = f*1.0000001 + 0.5
				if f > 1e9 {
					f = 1
				}
				if args.TamaGo {
					check() // where it can be stopped
				}
			}
			if f < 0 {
				args.Fail("floating point")
			}
		}()
	}
	time.Sleep(50 * time.Millisecond)
	t := time.Now()
	runtime.GC()
	stop.Store(true)
	wg.Wait()
	if took := time.Since(t); took > patience {
		args.Fail("stopping tight loops took %v", took)
	}
}

func memory(int) {
	const size = 3 << 20
	for range 20 {
		b := make([]byte, size)
		for i := 0; i < size; i += 4096 {
			if b[i] != 0 {
				args.Fail("memory is not zero")
			}
			b[i] = 0xff
		}
		wait(0)
	}
}

// wait lets a test that makes garbage beside live bytes wait for the collector when it
// is ahead of that by a third of the pool. The runtime does not see to that: while a
// collection's worker is on a CPU that does not run, as where an emulator runs the CPUs
// in turn, the program goes on, to more than three times the heap's goal, from which the
// next one is made.
func wait(live uint64) {
	var m runtime.MemStats
	if runtime.ReadMemStats(&m); m.HeapAlloc > live+kernel.PoolRange().Size/3 {
		runtime.GC()
	}
}

// release checks that memory that the runtime gives back really is free again.
func release(int) {
	debug.FreeOSMemory()
	s0 := kernel.ReadStats()
	b := make([]byte, 4<<20)
	for i := range b {
		b[i] = 1
	}
	s1 := kernel.ReadStats()
	runtime.KeepAlive(b)
	b = nil
	debug.FreeOSMemory()
	s2 := kernel.ReadStats()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fmt.Printf("  data frames %d, %d, %d\n", s0.Data, s1.Data, s2.Data)
	// The runtime keeps some idle pages; what it gave back must be free.
	kept := (m.HeapIdle - m.HeapReleased) >> 12
	if s1.Data < s0.Data+900 || s2.Data > s0.Data+300+kept {
		args.Fail("frames: %d, %d with 4 MiB, %d after, %d kept", s0.Data, s1.Data, s2.Data, kept)
	}
	if s2.FreeFrames+s2.Data+s2.Tables+s2.Kernel != s2.PoolFrames {
		args.Fail("frames do not add up: %+v", s2)
	}
}

// unasked is how many collections the runtime has begun by itself.
func unasked() uint32 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.NumGC - m.NumForcedGC
}

// collector keeps live= MiB and allocates churn= MiB.
func collector(int) {
	live, churn := args.Get("live", 2), args.Get("churn", 40)
	const block = 64 << 10
	keep := make([][]byte, live<<20/block)
	before := unasked()
	for i := range churn << 20 / block {
		b := make([]byte, block)
		for j := 0; j < block; j += 4096 {
			b[j] = byte(i)
		}
		k := i % len(keep)
		if old := keep[k]; old != nil && (old[0] != old[4096] || old[0] != byte(i-len(keep))) {
			args.Fail("block %d changed", i)
		}
		keep[k] = b
		if i%16 == 0 {
			wait(uint64(live) << 20)
		}
	}
	if unasked() == before {
		args.Fail("no collection")
	}
}

// mappings: nothing is writable and executable, not even by another address.
func mappings(int) {
	if err := kernel.CheckMappings(); err != nil {
		args.Fail("%v", err)
	}
}

// numbers are random where they were asked for, and nowhere else.
func numbers(int) {
	for n := range 200 {
		var b, zero [400]byte
		if m, err := rand.Read(b[100 : 100+n]); m != n || err != nil {
			args.Fail("random numbers are read")
		}
		if got := b[100 : 100+n]; n >= 16 && bytes.Equal(got, zero[:n]) {
			args.Fail("random numbers are random")
		}
		clear(b[100 : 100+n])
		if b != zero {
			args.Fail("random numbers stay where they belong")
		}
	}
}

func random(int) {
	f, err := os.Open("/dev/urandom")
	if err == nil {
		f.Close()
		args.Fail("/dev/urandom exists")
	}
	a, b := map[int]int{}, map[int]int{}
	for i := range 100 {
		a[i], b[i] = i, i
	}
}

func files(int) {
	if _, err := os.ReadFile("/etc/hosts"); !os.IsNotExist(err) {
		args.Fail("open: %v", err)
	}
	if err := os.Mkdir("/x", 0o700); err == nil {
		args.Fail("mkdir worked")
	}
	if n, err := os.Stdin.Read(make([]byte, 8)); n != 0 || err == nil {
		args.Fail("stdin: %d %v", n, err)
	}
	if h, err := os.Hostname(); err != nil || h != "ringo" {
		args.Fail("host name %q %v", h, err)
	}
}

func logRing(int) {
	kernel.SetOutput(kernel.LogOnly)
	at := kernel.LogEnd()
	fmt.Println("only in the log")
	kernel.SetOutput(kernel.Polled)
	b := make([]byte, 100)
	n, first := kernel.LogRead(b, at)
	if string(b[:n]) != "only in the log\n" || first != at {
		args.Fail("log %q from %d, want from %d", b[:n], first, at)
	}
	kernel.ConsoleWrite([]byte("  raw console\n"))
}
