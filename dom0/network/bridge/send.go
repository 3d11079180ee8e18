// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package bridge

import (
	"sync"
	"time"

	"ringo/drivers/nic"
	"ringo/drivers/nic/offload"
)

// work is what it takes to pass on a batch.
type work struct {
	from   *Port
	state  *state
	now    uint32    // as Switch.second, 0: not asked for yet
	clock  time.Time // when that was
	items  [batch]item
	n      int
	floods int      // items that go to more than one port
	pieces [][]byte // of items
	done   [portsMost / 64]uint64
	tally  [counts]uint64 // of from

	to      *Port
	list    [batch]nic.Frame // for it
	scratch offload.Scratch
	emit    func(frames []nic.Frame) // deliver, made once
}

// works are those that nobody uses now.
var works = sync.Pool{New: func() any {
	w := new(work)
	w.emit = w.deliver
	return w
}}

// Send takes frames from the port's side, whose bytes are the caller's again when it
// returns. It does not block. After Leave it loses them.
func (p *Port) Send(frames []nic.Frame) {
	if p.gone.Load() {
		return
	}
	w := works.Get().(*work)
	for len(frames) > 0 {
		n := min(len(frames), batch)
		w.from, w.state, w.now = p, p.s.state.Load(), 0
		for i := range frames[:n] {
			w.take(&frames[i])
		}
		w.forward()
		w.finish()
		frames = frames[n:]
	}
	works.Put(w)
}

// finish counts, and forgets what is others'.
func (w *work) finish() {
	for i, n := range w.tally {
		if n > 0 {
			w.from.count[i].Add(n)
		}
	}
	clear(w.pieces)
	for i := range w.items[:min(w.n+1, batch)] { // one more may have been looked at
		it := &w.items[i]
		it.frame, it.head, it.to = nic.Frame{}, nil, nil
	}
	w.pieces, w.n, w.floods, w.tally = w.pieces[:0], 0, 0, [counts]uint64{}
	w.from, w.state, w.to = nil, nil, nil
	clear(w.done[:])
	if cap(w.pieces) > batch*64 {
		w.pieces = nil
	}
}

// take looks at a frame and decides to where it goes.
func (w *work) take(f *nic.Frame) {
	p := w.from
	it := &w.items[w.n]
	if why := w.open(it, f); why != 0 {
		w.tally[why]++
		return
	}
	if len(w.state.captures) > 0 {
		w.capture(p, f)
	}
	if !w.source(it) || p.filtered && !w.honest(it) {
		w.tally[spoofed]++
		return
	}
	if why := w.permit(p, out, it); why != 0 {
		w.tally[why]++
		return
	}
	if len(w.state.captures) > 0 {
		w.capture(nil, f)
	}
	w.tally[inFrames]++
	w.tally[inBytes] += uint64(it.frame.Len())
	dst := it.destination()
	if dst>>40&1 != 0 {
		if dst>>4 == reserved>>4 {
			w.tally[nowhere]++
			return
		}
		it.flood = toAll
	} else if it.to = w.find(dst, it.vlan); it.to == p {
		w.tally[nowhere]++
		return
	} else if it.to == nil {
		it.flood = toUnknown
	}
	if it.flood != 0 {
		w.floods++
	}
	w.n++
}

// reserved is the first of the sixteen addresses whose frames end at a bridge (IEEE
// 802.1D, "Reserved addresses").
const reserved = 0x0180_c200_0000

// source reports whether the port may send from where a frame says that it is from, and
// learns that.
func (w *work) source(it *item) bool {
	p, src := w.from, it.source()
	if src == p.key && p.key != 0 {
		return true
	}
	if p.filtered {
		return false
	}
	if q := w.state.static.find(src); q != nil {
		return !p.o.Uplink // what comes back from there is a loop
	}
	if p.learns && !p.learn(src|uint64(it.vlan)<<48, w.time()) {
		w.tally[unlearned]++
	}
	return true
}

// find returns the port where an address is, the sender's own if the frame is for nobody
// else, or nil if that is not known.
func (w *work) find(dst uint64, vlan uint16) *Port {
	p := w.from
	q := w.state.static.find(dst)
	if q == nil {
		e := p.s.table.find(dst | uint64(vlan)<<48)
		if e == nil || e.old(w.time()) {
			return nil
		}
		q = e.port
	}
	if !q.tags.has(vlan) {
		return p
	}
	return q
}

// permit reports whether a frame may pass a port in a direction: 0, or the counter of what
// is against it.
func (w *work) permit(p *Port, dir int, it *item) int {
	if p.wall != nil {
		k := w.packet(it)
		pass := false
		switch it.kind {
		case good:
			pass = p.wall.pass(dir, k, w.time())
		case other:
			pass = be.Uint16(it.head[12:]) == typeARP || p.wall.rules.allowOther(dir)
		}
		if !pass {
			return denied
		}
	}
	if b := p.rate[dir]; b != nil {
		w.time()
		if !b.take(it.frame.Len(), it.parts(), w.clock) {
			return limited
		}
	}
	return 0
}

func (w *work) time() uint32 {
	if w.now == 0 {
		w.clock = w.from.s.now()
		w.now = w.from.s.second(w.clock)
	}
	return w.now
}

// forward hands all frames to those whom they are for, to each at once.
func (w *work) forward() {
	for i := range w.items[:w.n] {
		if q := w.items[i].to; q != nil && w.done[q.id/64]>>(q.id%64)&1 == 0 {
			w.done[q.id/64] |= 1 << (q.id % 64)
			w.gather(q, i)
		}
	}
	if w.floods == 0 {
		return
	}
	for _, q := range w.state.ports {
		if q != w.from && w.done[q.id/64]>>(q.id%64)&1 == 0 {
			w.gather(q, 0)
		}
	}
	for i := range w.items[:w.n] {
		if it := &w.items[i]; it.flood == toUnknown && !it.passed {
			w.tally[nowhere]++
		}
	}
}

// gather makes the list of a port. Those for it alone begin with item first.
func (w *work) gather(q *Port, first int) {
	n := 0
	if w.floods > 0 {
		first = 0
	}
	for i := first; i < w.n; i++ {
		it := &w.items[i]
		if it.to != q && (it.flood == 0 || it.flood == toUnknown && !q.learns || !q.tags.has(it.vlan)) {
			continue
		}
		it.passed = true
		if q.wall != nil || q.rate[in] != nil {
			if why := w.permit(q, in, it); why != 0 {
				q.count[why].Add(1)
				continue
			}
		}
		w.shape(it, q.tags.tagged(it.vlan))
		if w.list[n] = it.frame; len(w.state.captures) > 0 {
			w.capture(q, &it.frame)
		}
		n++
	}
	if n == 0 {
		return
	}
	w.to = q
	checksum, segment := w.accepted(n)
	if checksum && segment {
		w.deliver(w.list[:n])
	} else if lost := w.scratch.Resolve(w.list[:n], checksum, segment, w.emit); lost > 0 {
		q.count[offloads].Add(uint64(lost))
	}
	clear(w.list[:n])
}

// accepted reports which of the first n frames of the list w.to takes as they are. Cards of
// the machine look for IP right behind Ethernet's header: they get nothing to compute of
// frames with a tag.
func (w *work) accepted(n int) (checksum, segment bool) {
	asked := false
	checksum, segment = true, true
	for i := range w.list[:n] {
		f := &w.list[i]
		if !f.Sum {
			continue
		}
		if !asked {
			asked = true
			checksum, segment = w.to.accepts()
		}
		if w.to.o.Uplink && be.Uint16(f.Pieces[0][12:]) == typeTag {
			return false, false
		}
	}
	return checksum, segment
}
