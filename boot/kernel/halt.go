// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import "sync/atomic"

// How long a CPU was halted is one word, which the CPU writes and others read: twice the
// ticks of the time-stamp counter until it last woke up. While it sleeps, twice the time
// of falling asleep is missing in it, and the lowest bit is set. What an interrupt does
// before the idle thread goes on, or another one, does not count as sleep.

// fallAsleep and wakeUp change the word of a CPU.
//
//go:nosplit
func fallAsleep(w *uint64, now uint64) { atomic.StoreUint64(w, *w-2*now+1) }

//go:nosplit
func wakeUp(w *uint64, now uint64) { atomic.StoreUint64(w, *w-1+2*now) }

// asleep is for how many ticks it slept until now, another CPU's time that may lag behind.
//
//go:nosplit
func asleep(w, now uint64) uint64 {
	if w&1 != 0 {
		w += 2*now - 1
	}
	return uint64(max(int64(w), 0)) / 2
}
