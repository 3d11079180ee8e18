// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Load is a program for a Linux guest with several CPUs. For a while it has threads
// send each other messages, as hackbench does, has timers of several kinds, changes
// mappings that all CPUs know, and takes CPUs offline and back online; and it checks
// what must be true however busy the machine is: no message is lost, changed or out
// of order, no timer is early or counts wrong, no clock goes back from one CPU to
// another. It prints one line.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// load is what all threads share.
type load struct {
	base time.Time // of the monotonic clock
	end  time.Duration
	last atomic.Int64 // the latest time that any thread has seen
	wg   sync.WaitGroup
	fail atomic.Pointer[string] // the first thing that was wrong

	messages, expired, sleeps, maps, offline atomic.Int64
}

func main() {
	length := flag.Duration("for", 5*time.Minute, "how long")
	plug := flag.Bool("offline", false, "take CPUs offline and back online")
	flag.Parse()
	l := &load{base: time.Now(), end: *length}
	for range 6 {
		l.group(4, 4)
	}
	for i := range 8 {
		l.thread(func() { l.ticks(time.Duration(i+1) * 700 * time.Microsecond) })
		l.thread(func() { l.naps(uint64(i)) })
	}
	for range 2 {
		l.thread(l.mappings)
	}
	if *plug {
		l.thread(l.offlines)
	}
	l.wg.Wait()
	fmt.Printf("load: messages %d, timers %d, sleeps %d, mappings %d, CPUs offline %d\n",
		l.messages.Load(), l.expired.Load(), l.sleeps.Load(), l.maps.Load(), l.offline.Load())
	if why := l.fail.Load(); why != nil {
		fmt.Println("load: wrong:", *why)
		os.Exit(1)
	}
	fmt.Println("load: all is well")
}

// thread runs f on a thread of its own.
func (l *load) thread(f func()) {
	l.wg.Add(1)
	go func() {
		runtime.LockOSThread()
		defer l.wg.Done()
		f()
	}()
}

// wrong notes what must not be.
func (l *load) wrong(format string, a ...any) {
	s := fmt.Sprintf(format, a...)
	l.fail.CompareAndSwap(nil, &s)
}

// now is the monotonic clock, which must not be behind what another thread saw before.
func (l *load) now() time.Duration {
	before := l.last.Load()
	t := int64(time.Since(l.base))
	if t < before {
		l.wrong("the clock goes back by %v", time.Duration(before-t))
	}
	for t > before && !l.last.CompareAndSwap(before, t) {
		before = l.last.Load()
	}
	return time.Duration(t)
}

// over reports whether the time is up, or something was wrong.
func (l *load) over() bool { return l.now() >= l.end || l.fail.Load() != nil }
