// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package bridge is the switch that joins guests, uplinks and dom0's own stack: what a
// port sends goes to the port where the frame's receiver is (IEEE 802.1D, "Learning" and
// "Forwarding").
//
// Send runs on the sender's goroutine and calls the receivers, one after the other, each
// once for all that a batch has for it. No lock is held meanwhile, nothing waits, nothing
// is allocated for a frame: what a receiver has no room for, it loses. Of a guest's frame
// the headers are copied before they are looked at, and it is the copy that is passed on,
// so that the guest cannot change afterwards what was checked; its data stays where it is.
//
// Without rules, a frame from one guest to another is 0.16 to 0.19 us of BenchmarkSend
// where that was written (a busy virtual machine), in batches or not, and nothing is
// copied but 160 bytes.
//
// # Threats
//
//	guest does                            switch does
//	------------------------------------  ---------------------------------------
//	sends from addresses of others        drops it; who another one is, is known
//	                                      from Join and cannot be learned away
//	sends from many addresses             the same; a port without the filter has
//	                                      [stationsMost] and others keep theirs
//	says that it has addresses of IP      drops what claims those that dom0 has given to
//	 of others                             others, in IP, ARP and neighbour discovery
//	plays router or DHCP server           drops it
//	hides that in fragments, headers,     drops what cannot be looked at
//	 or other encapsulations
//	does what its rules deny              drops it; it has [flowsMost] flows, and takes
//	                                      places from its own alone
//	sends more than its rate              drops it
//	changes a frame while it is passed    headers are a copy; data is its own
//	sends what is no frame                drops it
//	sends to groups that end at a bridge  drops it
//	sends tags, or two of them            only those that its port allows, and one
//	asks for sums or pieces that cannot   package offload counts the frame as lost
//	 be
//	receives slowly, or not at all        its frames are lost, nobody waits
//	has a receiver that panics            the frames of that call are lost, for it
package bridge

import (
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"ringo/dom0/problem"
	"ringo/drivers/nic"
)

// Bounds of a switch.
const (
	portsMost = 1024
	// batch is how many frames are passed on at once, at most.
	batch = 64
	// frameMost is how long a frame is at most, with a segment that is not cut yet, in
	// bytes.
	frameMost = nic.HeaderLen + nic.VLANLen + 40 + 1<<16
)

// Receiver is what is at a port. Its methods are called from any goroutine, and do not
// block.
type Receiver interface {
	// Deliver gets frames, whose bytes are the sender's again when it returns.
	Deliver(frames []nic.Frame)
	// Accepts says which frames may come as they are: those with Sum, and those with
	// Segment.
	Accepts() (checksum, segment bool)
}

// Options are what a port is made with.
type Options struct {
	Name string // for people: "web1.0", "uplink"
	// MAC is the address that is always here. It is that of a guest's card, from which
	// alone the guest may send, unless Unfiltered.
	MAC nic.MAC
	// Unfiltered ports send from any address, and get frames for addresses that nobody
	// knows.
	Unfiltered bool
	// Leased ports send IPv4 from those addresses alone that Allow has named. Others have
	// those that Allow has not named at another port.
	Leased bool
	// VLAN is where frames without a tag belong: 0 is the untagged network. With Trunk
	// those have a tag, which must be among Trunk; frames without one pass if VLAN is not
	// 0 or Trunk has 0.
	VLAN  uint16
	Trunk []uint16
	// Uplink is a way to other switches: it is never filtered, gets frames for addresses
	// that nobody knows, and without Trunk those of all VLANs.
	Uplink bool
	// Rules are what passes besides; nil: everything. Out and In bound how much does, out of
	// the guest and in to it.
	Rules   *Rules
	Out, In Rate
	// Fault is told what Deliver has panicked with; nil: nobody is.
	Fault func(v any)

	own bool // it is dom0's: the bytes of its frames are nobody else's
}

// Switch is a network. Its methods are safe for concurrent use.
type Switch struct {
	name  string
	now   func() time.Time
	begun time.Time
	state atomic.Pointer[state]

	mu    sync.Mutex // guards what follows, and writing state and table
	used  [portsMost]bool
	table table
}

// state is who is there. It does not change: there is a new one.
type state struct {
	ports  []*Port // in the order of joining
	static stations
	owners map[netip.Addr]*Port // from Allow; nil: dom0's

	captures []*Capture
}

// New returns a switch without ports.
func New(name string) *Switch {
	s := &Switch{name: name, now: time.Now, begun: time.Now()}
	s.table.seed, s.table.factor = rand.Uint64(), rand.Uint64()|1
	s.state.Store(&state{})
	return s
}

// Join adds a port, to which frames come from now on.
func (s *Switch) Join(r Receiver, o Options) (*Port, error) {
	if err := s.check(&o); err != nil {
		return nil, err
	}
	p := newPort(s, r, o)
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.state.Load()
	for _, q := range was.ports {
		if o.MAC.Valid() && q.o.MAC == o.MAC {
			return nil, problem.New(problem.Exists, "choose another one", "network %q: %q has the address %v already", s.name, q.o.Name, o.MAC)
		}
	}
	p.id = slices.Index(s.used[:], false)
	if p.id < 0 {
		return nil, problem.New(problem.Full, "", "network %q has %d ports, as many as there can be", s.name, portsMost)
	}
	s.used[p.id] = true
	s.publish(append(slices.Clone(was.ports), p), was.owners)
	if o.MAC.Valid() {
		s.table.forget(func(e *station) bool { return e.key&macMask == number(o.MAC) })
	}
	return p, nil
}

// check says what is wrong with options.
func (s *Switch) check(o *Options) error {
	bad := func(format string, a ...any) error {
		return problem.New(problem.Invalid, "", "network %q, %q: "+format, append([]any{s.name, o.Name}, a...)...)
	}
	switch {
	case !o.MAC.Valid() && !(o.MAC == nic.MAC{} && (o.Uplink || o.Unfiltered)):
		return bad("%v is no address of a card", o.MAC)
	case o.VLAN > vlanMost:
		return bad("VLAN %d: they are 1 to %d", o.VLAN, vlanMost)
	}
	for _, v := range o.Trunk {
		if v > vlanMost {
			return bad("VLAN %d: they are 1 to %d", v, vlanMost)
		}
	}
	return nil
}

// publish makes the state of ports.
//
// Preconditions: s.mu is held.
func (s *Switch) publish(ports []*Port, owners map[netip.Addr]*Port) {
	s.state.Store(&state{ports: ports, static: makeStations(ports), owners: owners, captures: s.state.Load().captures})
}

// without is owners without those of a port.
func without(owners map[netip.Addr]*Port, p *Port) map[netip.Addr]*Port {
	owners = maps.Clone(owners)
	maps.DeleteFunc(owners, func(_ netip.Addr, q *Port) bool { return q == p })
	return owners
}

// Info describes a port.
type Info struct {
	Name       string
	MAC        nic.MAC
	VLAN       uint16
	Trunk      []uint16
	Uplink     bool
	Unfiltered bool
	Learned    int // addresses that were seen there
	Counters   Counters
}

// Name is that of the network.
func (s *Switch) Name() string { return s.name }

// Ports describes all ports, in the order of their joining.
func (s *Switch) Ports() []Info {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Info
	for _, p := range s.state.Load().ports {
		all = append(all, Info{
			Name: p.o.Name, MAC: p.o.MAC, VLAN: p.o.VLAN, Trunk: slices.Clone(p.o.Trunk), Uplink: p.o.Uplink, Unfiltered: p.o.Unfiltered,
			Learned: p.learned, Counters: p.Counters(),
		})
	}
	return all
}

// second is a time in seconds since a second before the switch was made.
func (s *Switch) second(now time.Time) uint32 { return uint32(now.Sub(s.begun)/time.Second) + 1 }
