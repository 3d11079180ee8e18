// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package frame

import (
	"errors"
	"sync/atomic"

	"ringo/mm"
)

// ErrCorrupt is the error of [Pool.Check].
var ErrCorrupt = errors.New("frame: metadata is inconsistent")

// poisonWord fills free memory in builds with -tags invariants.
const poisonWord = 0xdead_f4a3_dead_f4a3

func (p *Pool) poison(a mm.HPA, size uint64) {
	for n := uint64(0); n < size; n += 8 {
		p.m.Store64(a+mm.HPA(n), poisonWord)
	}
}

// unpoison finds out whether somebody wrote to free memory, and clears it.
func (p *Pool) unpoison(a mm.HPA, size uint64) {
	for n := uint64(0); n < size; n += 8 {
		if p.m.Load64(a+mm.HPA(n)) != poisonWord {
			panic("frame: memory was written while it was free")
		}
	}
	p.m.Zero(a, size)
}

// Check verifies that bitmaps, frame words and accounts agree. It is for tests
// and for -tags invariants: its time is linear in the memory.
//
// Preconditions: no other call is going on.
func (p *Pool) Check() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	free := 0
	for f, k := p.nextFree(0); f >= 0; f, k = p.nextFree(f + 1<<k) {
		if k < MaxOrder && p.free[k].has((f^1<<k)>>k) {
			return ErrCorrupt // two free buddies
		}
		for j := range p.free { // no other block begins or lies within
			if i := p.free[j].next(f >> j); j != k && i >= 0 && i<<j < f+1<<k {
				return ErrCorrupt
			}
		}
		for i := range 1 << k {
			if w := atomic.LoadUint32(&p.words[f+i]); w != 0 && (i != 0 || w != freeClear) {
				return ErrCorrupt
			}
		}
		free += 1 << k
	}
	used := map[account]int{}
	total := free
	for i := range p.words {
		if w := p.words[i]; ownerOf(w) != Free {
			if refsOf(w) == 0 {
				return ErrCorrupt
			}
			used[account{ownerOf(w), typeOf(w)}]++
			total++
		}
	}
	if free != p.freeFrames || total != p.total || len(used) != len(p.used) {
		return ErrCorrupt
	}
	var types [Failed + 1]int
	for as, n := range used {
		if p.used[as] != n {
			return ErrCorrupt
		}
		types[as.t] += n
	}
	if types != p.types {
		return ErrCorrupt
	}
	return nil
}
