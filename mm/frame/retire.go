// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package frame

import (
	"slices"
	"sync/atomic"

	"ringo/mm"
)

// Retire takes the frame that holds a, whose memory has failed, out of use for
// good: at once if it is free, else when its last reference is dropped; it is
// neither read nor cleared then. It returns who the frame belongs to now and what
// it is used for: Free if nobody has it, or it is changing hands; ok is false if
// it is no memory of p. Retired frames belong to HV, as [Failed].
func (p *Pool) Retire(a mm.HPA) (o Owner, t Type, ok bool) {
	f, ok := p.index(a)
	if !ok {
		return Free, 0, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	w := atomic.LoadUint32(&p.words[f])
	at, marked := slices.BinarySearch(p.failing, f)
	switch {
	case marked || typeOf(w) == Failed && ownerOf(w) == HV:
	case ownerOf(w) == Free && p.isFree(f):
		p.carve(f, 1)
		p.freeFrames--
		p.fail(f)
		return Free, 0, true
	default:
		p.failing = slices.Insert(p.failing, at, f)
		p.marked.Store(uint32(len(p.failing)))
	}
	return ownerOf(w), typeOf(w), true
}

// Retired is the number of frames that are out of use for good, and of those that
// will be when they are freed.
func (p *Pool) Retired() (gone, marked int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.used[account{HV, Failed}], len(p.failing)
}

// The methods below need p.mu.

// isFree reports whether frame f is in a free block.
func (p *Pool) isFree(f int) bool {
	for k := range p.free {
		if p.free[k].has(f >> k) {
			return true
		}
	}
	return false
}

// fail makes frame f, which is in no free block and nobody's, a retired one.
func (p *Pool) fail(f int) {
	atomic.StoreUint32(&p.words[f], word(HV, Failed, 1))
	p.credit(account{HV, Failed}, 1)
}

// sound returns how many of n frames from f on come before the first one that is
// marked.
func (p *Pool) sound(f, n int) int {
	if i, _ := slices.BinarySearch(p.failing, f); i < len(p.failing) {
		return min(n, p.failing[i]-f)
	}
	return n
}

// release makes a run of cleared frames free, and retires those that are marked.
func (p *Pool) release(f, n int) {
	for n > 0 {
		k := p.sound(f, n)
		p.insertRun(f, k, true)
		p.freeFrames += k
		if k < n {
			i, _ := slices.BinarySearch(p.failing, f+k)
			p.failing = slices.Delete(p.failing, i, i+1)
			p.marked.Store(uint32(len(p.failing)))
			p.fail(f + k)
			k++
		}
		f, n = f+k, n-k
	}
}
