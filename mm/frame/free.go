// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package frame

import (
	"sync/atomic"

	"ringo/mm"
)

// Free drops o's reference to the frames of [a, a+size), at most up to the next
// multiple of [Step], and returns how many bytes it has dealt with: the caller
// goes on from there when it likes. Frames that nobody else references are
// cleared and become free; the others pass to [Lent].
//
// Preconditions: o owns the frames, and no TLB knows them as o's any more.
func (p *Pool) Free(a mm.HPA, size uint64, o Owner) (done uint64) {
	if o == Free || o == Lent {
		panic("frame: impossible owner")
	}
	done = step(a, size)
	f, n := p.span(a, done)
	var d drop
	for i := range n {
		w := &p.words[f+i]
		for {
			old := atomic.LoadUint32(w)
			if ownerOf(old) != o {
				if ownerOf(old) == Free {
					panic("frame: double free")
				}
				panic("frame: freed by another than its owner")
			}
			if refsOf(old) > 1 {
				if p.lend(w, old) {
					break
				}
			} else if atomic.CompareAndSwapUint32(w, old, 0) {
				d.add(p, f+i, account{o, typeOf(old)})
				break
			}
		}
	}
	d.flush(p)
	return done
}

// lend passes a frame that others reference from its owner to Lent. The word
// changes under the lock, so that no Unref is booked before this is.
func (p *Pool) lend(w *uint32, old uint32) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !atomic.CompareAndSwapUint32(w, old, word(Lent, typeOf(old), refsOf(old)-1)) {
		return false
	}
	p.credit(account{Lent, typeOf(old)}, 1)
	p.debit(account{ownerOf(old), typeOf(old)}, 1)
	return true
}

// Ref takes one more reference to every frame of [a, a+size), at most [Step]
// bytes, or to none. It returns [ErrOwner] unless all of it is RAM that belongs
// to o. The addresses may come from a guest.
func (p *Pool) Ref(a mm.HPA, size uint64, o Owner) error {
	if size == 0 || size > Step || !mm.Aligned(a, mm.PageSize) || size%mm.PageSize != 0 {
		return ErrRange
	}
	for n := uint64(0); n < size; n += mm.PageSize {
		if err := p.ref(a+mm.HPA(n), o); err != nil {
			for left := n; left > 0; {
				left -= p.Unref(a+mm.HPA(n-left), left)
			}
			return err
		}
	}
	return nil
}

// ref references one frame.
func (p *Pool) ref(a mm.HPA, o Owner) error {
	f, ok := p.index(a)
	if !ok || o == Free || o == Lent {
		return ErrOwner
	}
	w := &p.words[f]
	for {
		old := atomic.LoadUint32(w)
		switch {
		case ownerOf(old) != o || typeOf(old) != RAM:
			return ErrOwner
		case refsOf(old) == maxRefs:
			return ErrRefs
		}
		if atomic.CompareAndSwapUint32(w, old, old+1) {
			return nil
		}
	}
}

// Unref drops references of [Pool.Ref] to the frames of [a, a+size), at most up
// to the next multiple of [Step], and returns how many bytes it has dealt with.
// Frames whose owner has freed them, and that nobody else references, are
// cleared and become free.
//
// Preconditions: the caller holds the references, and no TLB knows the frames
// by them.
func (p *Pool) Unref(a mm.HPA, size uint64) (done uint64) {
	done = step(a, size)
	f, n := p.span(a, done)
	var d drop
	for i := range n {
		w := &p.words[f+i]
		for {
			old := atomic.LoadUint32(w)
			owner, refs := ownerOf(old), refsOf(old)
			if owner == Free || owner != Lent && refs <= 1 {
				panic("frame: reference dropped that nobody took")
			}
			if refs > 1 {
				if atomic.CompareAndSwapUint32(w, old, old-1) {
					break
				}
			} else if atomic.CompareAndSwapUint32(w, old, 0) {
				d.add(p, f+i, account{Lent, typeOf(old)})
				break
			}
		}
	}
	d.flush(p)
	return done
}

// step limits [a, a+size) to the piece that one call works on.
func step(a mm.HPA, size uint64) uint64 { return min(size, Step-uint64(a)%Step) }

// drop collects the frames that lose their last reference in one call. Their
// words are 0 already, but they are in no bitmap: nobody else can reach them.
// They stay on their owner's account until they are free.
type drop struct {
	start, n int // a run of frames not cleared yet
	as       account
}

// add puts a frame into the run, or begins a new one.
func (d *drop) add(p *Pool, f int, as account) {
	if d.n > 0 && (f != d.start+d.n || as != d.as) {
		d.flush(p)
	}
	if d.n == 0 {
		d.start, d.as = f, as
	}
	d.n++
}

// flush clears the run and makes it free.
func (d *drop) flush(p *Pool) {
	if d.n == 0 {
		return
	}
	for f, n := d.start, d.n; n > 0; {
		k := n
		if p.marked.Load() != 0 {
			p.mu.Lock()
			k = p.sound(f, n)
			p.mu.Unlock()
		}
		p.clear(p.addr(f), uint64(k)*mm.PageSize)
		f, n = f+k, n-k
		if n > 0 {
			f, n = f+1, n-1 // one that has failed
		}
	}
	p.mu.Lock()
	p.release(d.start, d.n)
	p.debit(d.as, d.n)
	p.mu.Unlock()
	d.n = 0
}

// clear makes memory that is about to be free forget what it held.
func (p *Pool) clear(a mm.HPA, size uint64) {
	if size == 0 {
		return
	}
	p.m.Zero(a, size)
	if mm.Invariants {
		p.poison(a, size)
	}
}

// credit books n frames on an account. It needs p.mu.
func (p *Pool) credit(as account, n int) {
	p.used[as] += n
	p.types[as.t] += n
}

// debit takes n frames off an account. It needs p.mu.
func (p *Pool) debit(as account, n int) {
	p.types[as.t] -= n
	left := p.used[as] - n
	if left != 0 {
		p.used[as] = left
	} else {
		delete(p.used, as)
	}
}
