// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package churn keeps the Go runtime of a program busy while the program does
// its own work: collections, stack growth, goroutines that pass data on. It
// checks what it stores, so that memory or registers that go wrong (a guest's
// values left behind by an exit, a page that two programs own) do not stay
// unnoticed. The option "torture" starts it, in the hypervisor and in dom0.
package churn

import (
	"runtime"
	"sync/atomic"
	"time"
)

// Load is a running load. Its counters are for reports.
type Load struct {
	Rounds      atomic.Uint64
	Collections atomic.Uint64
	since       atomic.Uint64 // rounds since the last collection ended
	fail        func(what string)
}

// perCollection is how many rounds may end between two collections, about 1.5
// MiB of garbage. With collections back to back the runtime's CPU limiter
// switches assists off (runtime, mgclimit.go); then nothing but this bounds the
// heap while a collection waits for a slow CPU.
const perCollection = 24

// pause lies between two rounds, so that the program still gets its work done.
const pause = 500 * time.Microsecond

// Start starts workers of each kind. fail is told of the first wrong byte, with
// a constant string; it should not return.
func Start(workers int, fail func(what string)) *Load {
	l := &Load{fail: fail}
	for i := range workers {
		seed := uint64(i+1) * 0x9e3779b97f4a7c15
		go l.trees(seed)
		go l.stacks(seed)
		a, b := make(chan []uint64), make(chan []uint64)
		go l.ping(seed, a, b)
		go l.pong(a, b)
	}
	go l.collect()
	return l
}

func (l *Load) round() {
	l.Rounds.Add(1)
	n := l.Collections.Load()
	full := l.since.Add(1) > perCollection
	for time.Sleep(pause); full && l.Collections.Load() == n; {
		time.Sleep(pause)
	}
}

// next is a step of xorshift (Marsaglia, "Xorshift RNGs").
func next(x uint64) uint64 {
	x ^= x << 13
	x ^= x >> 7
	return x ^ x<<17
}

// node is a tree whose content follows from its key.
type node struct {
	key         uint64
	left, right *node
}

func grow(key uint64, depth int) *node {
	n := &node{key: key}
	if depth > 0 {
		n.left, n.right = grow(next(key), depth-1), grow(next(^key), depth-1)
	}
	return n
}

func (n *node) sound(key uint64, depth int) bool {
	if n == nil {
		return depth < 0
	}
	return n.key == key && n.left.sound(next(key), depth-1) && n.right.sound(next(^key), depth-1)
}

// depth of the trees: 2047 nodes.
const depth = 10

// trees replaces one of a few trees per round and checks all.
func (l *Load) trees(key uint64) {
	type tree struct {
		key  uint64
		root *node
	}
	var kept [4]tree
	for i := 0; ; i++ {
		key = next(key)
		kept[i%len(kept)] = tree{key, grow(key, depth)}
		for _, t := range kept {
			if t.root != nil && !t.root.sound(t.key, depth) {
				l.fail("torture: a tree on the heap has changed")
			}
		}
		l.round()
	}
}

// stacks makes a goroutine per round whose stack grows and is copied.
func (l *Load) stacks(key uint64) {
	done := make(chan uint64)
	for {
		key = next(key)
		go func() { done <- deep(key, 100) }()
		want := key
		for range 100 {
			want = next(want)
		}
		if <-done != want {
			l.fail("torture: a stack has changed")
		}
		l.round()
	}
}

// deep keeps some words in each of n frames and compares them on the way back.
//
//go:noinline
func deep(key uint64, n int) uint64 {
	if n == 0 {
		return key
	}
	var frame [16]uint64
	for i := range frame {
		frame[i] = key + uint64(i)
	}
	r := deep(next(key), n-1)
	for i := range frame {
		if frame[i] != key+uint64(i) {
			return 0
		}
	}
	return r
}

// ping sends slices, some of them large, and gets copies back from pong.
func (l *Load) ping(key uint64, out chan<- []uint64, in <-chan []uint64) {
	for {
		key = next(key)
		s := make([]uint64, 1+key%4096)
		for i := range s {
			s[i] = key * uint64(i+1)
		}
		out <- s
		got := <-in
		if len(got) != len(s) {
			l.fail("torture: a slice has changed its length")
		}
		for i, v := range got {
			if v != key*uint64(i+1) {
				l.fail("torture: a slice has changed")
			}
		}
		l.round()
	}
}

func (l *Load) pong(in <-chan []uint64, out chan<- []uint64) {
	for s := range in {
		c := make([]uint64, len(s))
		copy(c, s)
		out <- c
	}
}

// collect collects all the time.
func (l *Load) collect() {
	for {
		runtime.GC()
		l.since.Store(0)
		l.Collections.Add(1)
		time.Sleep(pause)
	}
}
