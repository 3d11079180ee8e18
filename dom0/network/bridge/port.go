// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package bridge

import (
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"ringo/drivers/nic"
)

// Port is one of a switch. Its methods are safe for concurrent use.
type Port struct {
	s  *Switch
	r  Receiver
	o  Options
	id int // that no other port has

	key      uint64 // MAC as a number, 0 if there is none
	filtered bool   // sends from MAC alone
	learns   bool   // has addresses that are not known yet
	tags     tags
	allowed  atomic.Pointer[[]netip.Addr]
	wall     *firewall  // nil: none
	rate     [2]*bucket // by direction; nil: none
	count    [counts]atomic.Uint64
	gate     gate
	leaving  sync.Once
	full     atomic.Uint32 // the second in which there was no room for its addresses

	gone    atomic.Bool // set with s.mu held
	learned int         // guarded by s.mu
}

func newPort(s *Switch, r Receiver, o Options) *Port {
	o.Trunk = slices.Clone(o.Trunk)
	p := &Port{s: s, r: r, o: o, filtered: !o.Uplink && !o.Unfiltered, learns: (o.Uplink || o.Unfiltered) && !o.own, tags: makeTags(&o)}
	p.wall, p.rate = newFirewall(o.Rules), [2]*bucket{in: newBucket(o.In), out: newBucket(o.Out)}
	if o.MAC.Valid() {
		p.key = number(o.MAC)
	}
	p.gate.empty = make(chan struct{}, 1)
	return p
}

// Leave takes the port out: when it returns the receiver is not called any more. It is
// not for the receiver's own Deliver.
func (p *Port) Leave() {
	p.leaving.Do(func() {
		s := p.s
		s.mu.Lock()
		p.gone.Store(true)
		s.publish(slices.DeleteFunc(slices.Clone(s.state.Load().ports), func(q *Port) bool { return q == p }), without(s.state.Load().owners, p))
		s.table.forget(func(e *station) bool { return e.port == p })
		s.used[p.id] = false
		s.mu.Unlock()
		p.gate.close()
	})
}

// gate is who is inside of a receiver: it can be closed.
type gate struct {
	n     atomic.Int64 // who is inside, less shut when it is closed
	empty chan struct{}
}

const shut = 1 << 40

// enter reports whether the gate is open; then leave follows.
func (g *gate) enter() bool {
	if g.n.Add(1) > 0 {
		return true
	}
	g.leave()
	return false
}

func (g *gate) leave() {
	if g.n.Add(-1) == -shut {
		select {
		case g.empty <- struct{}{}:
		default:
		}
	}
}

// close returns when nobody is inside, and lets nobody in. It is called once.
func (g *gate) close() {
	if g.n.Add(-shut) != -shut {
		<-g.empty
	}
}

// Counters count since the port has joined: frames into the switch, out of it to the
// receiver, and those that were dropped, by reason.
type Counters struct {
	InFrames, InBytes   uint64
	OutFrames, OutBytes uint64
	Malformed           uint64 // no frame, or from a group's address
	Spoofed             uint64 // says that it is from, or has, an address that is not the port's
	Untagged            uint64 // of a VLAN that the port is not in
	Denied              uint64 // by rules, in both directions
	Limited             uint64 // by rates, in both directions
	Nowhere             uint64 // for nobody here
	Offload             uint64 // out: sums and pieces that cannot be
	Faults              uint64 // out: the receiver has panicked
	Unlearned           uint64 // frames from addresses that there was no room for; they pass
}

// count is a place in Port.count.
const (
	inFrames = iota
	inBytes
	outFrames
	outBytes
	malformed
	spoofed
	untagged
	denied
	limited
	nowhere
	offloads
	faults
	unlearned
	counts
)

// Counters returns what was counted.
func (p *Port) Counters() Counters {
	n := func(i int) uint64 { return p.count[i].Load() }
	return Counters{
		InFrames: n(inFrames), InBytes: n(inBytes), OutFrames: n(outFrames), OutBytes: n(outBytes), Malformed: n(malformed), Spoofed: n(spoofed),
		Untagged: n(untagged), Denied: n(denied), Limited: n(limited), Nowhere: n(nowhere), Offload: n(offloads), Faults: n(faults), Unlearned: n(unlearned),
	}
}

// number is an address as a number.
func number(m nic.MAC) (v uint64) {
	for _, b := range m {
		v = v<<8 | uint64(b)
	}
	return v
}
