// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package frame

import (
	"math/bits"
	"sync/atomic"

	"ringo/mm"
)

// The methods of this file need p.mu.

// insert makes a block of order k free and merges it with free neighbours:
//
//	f and f^(1<<k) both free at order k  ->  one block at order k+1
func (p *Pool) insert(f, k int, clean bool) {
	for k < MaxOrder && p.free[k].has((f^1<<k)>>k) {
		clean = p.remove(f^1<<k, k) && clean
		f &^= 1 << k
		k++
	}
	w := uint32(0)
	if clean {
		w = freeClear
	}
	atomic.StoreUint32(&p.words[f], w)
	p.free[k].set(f >> k)
}

// remove takes a block of order k out of the free ones and reports whether it
// is clear.
func (p *Pool) remove(f, k int) (clean bool) {
	clean = atomic.LoadUint32(&p.words[f]) == freeClear
	atomic.StoreUint32(&p.words[f], 0)
	p.free[k].clear(f >> k)
	return clean
}

// insertRun makes n frames free, as the largest blocks that fit.
func (p *Pool) insertRun(f, n int, clean bool) {
	for n > 0 {
		k := min(bits.Len(uint(n))-1, bits.TrailingZeros(uint(f)|sectionFrames))
		p.insert(f, k, clean)
		f, n = f+1<<k, n-1<<k
	}
}

// find returns the free block to take 2^order frames from, none of which may
// be at limit or above: the lowest one, or else the highest one of the smallest
// order, which keeps large blocks whole.
func (p *Pool) find(order, limit int, low bool) (f, k int, ok bool) {
	last := limit - 1<<order // where the frames may begin at most
	for j := order; j <= MaxOrder && last >= 0; j++ {
		if !low {
			if i := p.free[j].prev(last >> j); i >= 0 {
				return i << j, j, true
			}
			continue
		}
		if i := p.free[j].next(0); i >= 0 && i<<j <= last && (!ok || i<<j < f) {
			f, k, ok = i<<j, j, true
		}
	}
	return f, k, ok
}

// take allocates n <= 2^order frames, which begin at a multiple of 2^order.
func (p *Pool) take(n, order, limit int, low bool) (f int, clean, ok bool) {
	f, k, ok := p.find(order, limit, low)
	if !ok {
		return 0, false, false
	}
	clean = p.remove(f, k)
	for k > order {
		k--
		if low || f+1<<k+1<<order > limit {
			p.insert(f+1<<k, k, clean)
		} else {
			p.insert(f, k, clean)
			f += 1 << k
		}
	}
	p.insertRun(f+n, 1<<order-n, clean)
	return f, clean, true
}

// scan looks for n free frames in a row that begin at a multiple of align and
// end at limit at most, lowest first. Its time is linear in the free blocks.
func (p *Pool) scan(n, align, limit int) (start int, ok bool) {
	start, end := 0, 0 // the run of free frames so far
	for {
		f, k := p.nextFree(end)
		if f < 0 || f >= limit {
			return 0, false
		}
		if f != end || !p.adjoins(f) {
			start = f
		}
		end = f + 1<<k
		if s := (start + align - 1) &^ (align - 1); s+n <= min(end, limit) {
			return s, true
		}
	}
}

// nextFree returns the first free block that begins at f or above, or -1.
func (p *Pool) nextFree(f int) (first, order int) {
	first = -1
	for k := range p.free {
		if i := p.free[k].next((f + 1<<k - 1) >> k); i >= 0 && (first < 0 || i<<k < first) {
			first, order = i<<k, k
		}
	}
	return first, order
}

// adjoins reports whether frame f lies right behind frame f-1 in memory.
func (p *Pool) adjoins(f int) bool {
	s := f / sectionFrames
	return f%sectionFrames != 0 || s > 0 && p.bases[s-1]+sectionSize == p.bases[s]
}

// carve allocates n free frames from f on, as found by scan.
func (p *Pool) carve(f, n int) (clean bool) {
	clean = true
	for at := f; at < f+n; {
		h, k := p.covering(at)
		was := p.remove(h, k)
		clean = was && clean
		at = h + 1<<k
		if h < f {
			p.insertRun(h, f-h, was)
		}
		if at > f+n {
			p.insertRun(f+n, at-(f+n), was)
		}
	}
	return clean
}

// covering returns the free block that holds frame f.
func (p *Pool) covering(f int) (first, order int) {
	for k := range p.free {
		if p.free[k].has(f >> k) {
			return f >> k << k, k
		}
	}
	panic("frame: free block not found")
}

// limit is the number of frames below address a; 0 stands for all.
func (p *Pool) limit(a mm.HPA) (n int) {
	for _, base := range p.bases {
		switch {
		case a == 0 || a >= base+sectionSize:
			n += sectionFrames
		case a > base:
			n += int((a - base) / mm.PageSize)
		}
	}
	return n
}
