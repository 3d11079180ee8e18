// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package nat

import "math/bits"

// none ends lists of indexes.
const none = int32(-1)

// flow is what a guest's port has with an address, and of TCP with a port there.
type flow struct {
	inside, outside, remote uint32 // addresses: the guest's, ours, the other end's
	iport, xport, rport     uint16 // their ports
	proto                   uint8
	state                   uint8 // TCP's, or what was seen
	class                   class
	last                    int32 // when there was something, in seconds
	mapping                 int32
	outNext, inNext         int32 // of the hash chains
	prev, next              int32 // of the guest's list, by last
}

// class is what kind of flow one is: how long it lasts without a packet, and in which
// order flows are ended when there are too many.
type class uint8

// Classes, those first that are worth least.
const (
	closing     class = iota // TCP: ended by both sides, or cut off
	knocked                  // TCP: from outside, not answered
	told                     // UDP: from outside, not answered
	pinged                   // ping
	opening                  // TCP: from a guest, not answered
	asked                    // UDP: from a guest, not answered
	talking                  // UDP, both ways
	established              // TCP
	classes
)

// lasting is how long a flow of a class lasts without a packet, in seconds: RFC 5382
// REQ-5 (4 minutes and 2 hours 4 minutes at least), RFC 4787 REQ-5 (2 minutes at least,
// 5 recommended), RFC 5508 REQ-2 (60 seconds at least).
var lasting = [classes]int32{
	closing: 240, knocked: 240, opening: 240, established: 2*3600 + 240,
	told: 120, asked: 120, talking: 300, pinged: 60,
}

// list is of a guest's flows of one class: what has had no packet for longest is first.
type list struct{ head, tail int32 }

// guest is an address of the inside network.
type guest struct {
	flows int32
	list  [classes]list
}

func (g *guest) clear() {
	g.flows = 0
	for c := range g.list {
		g.list[c] = list{none, none}
	}
}

// worst is the flow of a guest to end first, none if there is none.
func (g *guest) worst() int32 {
	for c := range g.list {
		if g.list[c].head != none {
			return g.list[c].head
		}
	}
	return none
}

// hash is a chain for two words, by the table's key.
func (t *Table) hash(a, b uint64) uint32 {
	hi, lo := bits.Mul64(a^t.seed[0], b^t.seed[1])
	hi, lo = bits.Mul64(hi^lo^t.seed[2], 0x9e37_79b9_7f4a_7c15)
	return uint32(hi^lo) & uint32(len(t.out)-1)
}

// chain is hash of the ends of a flow.
func (t *Table) chain(ours, remote uint32, port, rport uint16, proto uint8) *int32 {
	return &t.out[t.hash(uint64(ours)<<32|uint64(remote), uint64(port)<<32|uint64(rport)<<16|uint64(proto))]
}

func (t *Table) inChain(ours, remote uint32, port, rport uint16, proto uint8) *int32 {
	return &t.in[t.hash(uint64(ours)<<32|uint64(remote), uint64(port)<<32|uint64(rport)<<16|uint64(proto))]
}

// over reports whether a flow's time is over.
func (t *Table) over(f *flow) bool { return t.now-f.last >= lasting[f.class] }

// portOf is the port of the other end as it counts for a flow: of UDP and ping none does.
func portOf(proto uint8, port uint16) uint16 {
	if proto == tcp {
		return port
	}
	return 0
}

// findOut returns the flow of a packet from a guest, none if there is none.
func (t *Table) findOut(proto uint8, inside, remote uint32, iport, rport uint16) int32 {
	rport = portOf(proto, rport)
	for i := *t.chain(inside, remote, iport, rport, proto); i != none; i = t.flows[i].outNext {
		if f := &t.flows[i]; f.inside == inside && f.remote == remote && f.iport == iport && f.rport == rport && f.proto == proto {
			return t.live(i)
		}
	}
	return none
}

// findIn returns the flow of a packet from outside.
func (t *Table) findIn(proto uint8, outside, remote uint32, xport, rport uint16) int32 {
	rport = portOf(proto, rport)
	for i := *t.inChain(outside, remote, xport, rport, proto); i != none; i = t.flows[i].inNext {
		if f := &t.flows[i]; f.outside == outside && f.remote == remote && f.xport == xport && f.rport == rport && f.proto == proto {
			return t.live(i)
		}
	}
	return none
}

// live is i, unless that flow's time is over, which ends it.
func (t *Table) live(i int32) int32 {
	if t.over(&t.flows[i]) {
		t.drop(i)
		return none
	}
	return i
}

// add makes a flow, of a class. Its ends are f's, but for the port outside if that is 0.
// It returns none if no port is free.
func (t *Table) add(f flow, c class) int32 {
	g := &t.guests[f.inside-t.base]
	if g.flows >= t.share {
		t.evict(g)
	} else if t.free == none {
		t.evict(t.richest())
	}
	m := t.mapped(f.proto, f.inside, f.outside, f.iport, f.xport)
	if m == none {
		t.count.Full++
		return none
	}
	i := t.free
	t.free = t.flows[i].outNext
	f.mapping, f.xport = m, t.mappings[m].xport
	f.rport = portOf(f.proto, f.rport)
	f.last, f.class = t.now, c
	t.mappings[m].flows++
	t.flows[i] = f
	p := &t.flows[i]
	out, in := t.chain(f.inside, f.remote, f.iport, f.rport, f.proto), t.inChain(f.outside, f.remote, f.xport, f.rport, f.proto)
	p.outNext, *out = *out, i
	p.inNext, *in = *in, i
	g.flows++
	t.link(i)
	return i
}

// evict ends a guest's flow of least worth.
func (t *Table) evict(g *guest) {
	i := g.worst()
	if !t.over(&t.flows[i]) {
		t.count.Evicted++
	}
	t.drop(i)
}

// richest is the guest with most flows.
func (t *Table) richest() *guest {
	best := &t.guests[0]
	for i := range t.guests {
		if t.guests[i].flows > best.flows {
			best = &t.guests[i]
		}
	}
	return best
}

// drop ends a flow.
func (t *Table) drop(i int32) {
	f := &t.flows[i]
	t.unlink(i)
	t.guests[f.inside-t.base].flows--
	p := t.chain(f.inside, f.remote, f.iport, f.rport, f.proto)
	for *p != i {
		p = &t.flows[*p].outNext
	}
	*p = f.outNext
	p = t.inChain(f.outside, f.remote, f.xport, f.rport, f.proto)
	for *p != i {
		p = &t.flows[*p].inNext
	}
	*p = f.inNext
	t.unmap(f.mapping)
	*f = flow{outNext: t.free, mapping: none}
	t.free = i
}

// touch notes that a flow has had a packet, and is of class c now.
func (t *Table) touch(i int32, c class) {
	f := &t.flows[i]
	if f.last == t.now && f.class == c {
		return
	}
	t.unlink(i)
	f.last, f.class = t.now, c
	t.link(i)
}

// link puts a flow at the end of its guest's list.
func (t *Table) link(i int32) {
	f := &t.flows[i]
	l := &t.guests[f.inside-t.base].list[f.class]
	f.prev, f.next = l.tail, none
	if l.tail != none {
		t.flows[l.tail].next = i
	} else {
		l.head = i
	}
	l.tail = i
}

// unlink takes a flow out of its guest's list.
func (t *Table) unlink(i int32) {
	f := &t.flows[i]
	l := &t.guests[f.inside-t.base].list[f.class]
	if f.prev != none {
		t.flows[f.prev].next = f.next
	} else {
		l.head = f.next
	}
	if f.next != none {
		t.flows[f.next].prev = f.prev
	} else {
		l.tail = f.prev
	}
}
