// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package nat translates addresses and ports between guests of an inside network and the
// world (IPv4). It rewrites packets where they are and knows no cards: who has a packet
// asks [Table.Out] or [Table.In] what becomes of it.
//
// What it keeps is a flow: a connection of TCP, or what a guest's port of UDP, or ping,
// has with one address. The first packet of a guest makes it, or the first to a port that
// is forwarded. All flows of a guest's port have the same port outside, whoever is at the
// other end (endpoint-independent mapping: RFC 4787 REQ-1, RFC 5382 REQ-1, RFC 5508
// REQ-1), and no two of them share one. From outside comes what belongs to a flow: of UDP
// and ping, packets from an address that the guest has sent to (address-dependent
// filtering, RFC 4787 REQ-8, the stricter one of the two that it recommends); of TCP, the
// connection. There is no hairpinning: guests reach each other by their own addresses.
//
// # Threats
//
//	guest does                            the table does
//	------------------------------------  ---------------------------------------
//	makes flows without end               of a guest there are Config.Share at most;
//	                                      one more ends an old one of its own, those
//	                                      first that are worth least
//	and many guests do                    when all flows are in use, the guest that
//	                                      has most loses one
//	sends as if it were somebody else     only addresses of the inside network count;
//	                                      that a guest uses its own is the switch's
//	                                      to see to
//	sends pieces of packets               pieces are passed whose first one was seen
//	                                      lately; what is kept for that is divided
//	                                      into sets, a guest has half of one at most
//	chooses what falls on one hash        the hash has a key that nobody knows
//	sends nonsense                        it is dropped, and counted
//
//	the world does                        the table does
//	------------------------------------  ---------------------------------------
//	sends to a port of the translator     nothing, unless it belongs to a flow
//	opens connections to a forwarded      they are the guest's, and are ended before
//	 port without end                      any that the guest has opened
//	sends FIN, RST or ICMP for others     a flow ends by itself only; it is worth less
//	                                      until there is data again
//
// Nothing is allocated after New.
package nat

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"
)

// Ports outside that are the translator's, and no one else's on the machine; identifiers
// of pings are of the same range. [First, Last].
const (
	First = 32768
	Last  = 65535
)

// Protocols (IANA, "Assigned Internet Protocol Numbers").
const (
	icmp = 1
	tcp  = 6
	udp  = 17
)

// Config says what a table is for.
type Config struct {
	// Inside is the guests' network, with the gateway's own address in it: 10.77.0.1/24.
	// Its prefix has at least 20 bits.
	Inside netip.Prefix
	// Flows is how many there are at most, and Share how many a guest has.
	Flows, Share int
}

// Defaults of Config, and what a flow costs in bytes of dom0's heap, with its part of the
// indexes; see Bytes.
const (
	DefaultFlows = 16384
	DefaultShare = 4096
	flowBytes    = 64 + 24 + 4*8
)

// Bytes is what a table of n flows keeps at most, for a network of 256 addresses.
func Bytes(n int) uint64 { return uint64(n)*flowBytes + 64<<10 }

// Verdict is what becomes of a packet.
type Verdict uint8

// Verdicts.
const (
	// Drop: nothing; a counter says why.
	Drop Verdict = iota
	// Pass: the packet was rewritten, and is to be sent on.
	Pass
	// Local: from outside, and none of a guest's. It is as it was.
	Local
	// Expired: its time to live is over; its sender is to be told so. It is as it was.
	Expired
)

// Counters count since New. All but the first two are packets that were dropped.
type Counters struct {
	Out, In     uint64 // packets that were passed
	Malformed   uint64 // no IPv4, or headers that are not whole
	Foreign     uint64 // addresses that nobody may have there
	Unsupported uint64 // of a protocol that has no ports
	Fragments   uint64 // pieces whose first one was not seen
	Unsolicited uint64 // from outside, to ports of the translator, of no flow
	Full        uint64 // no port was free
	Evicted     uint64 // flows that were ended before their time, for others
}

// Table is a translator. Its methods are safe for concurrent use.
type Table struct {
	base, size uint32 // of the inside network
	gateway    uint32
	share      int32
	seed       [3]uint64

	mu       sync.Mutex // guards what follows
	now      int32      // seconds; never goes back
	flows    []flow
	free     int32   // list of flows, by outNext
	out, in  []int32 // heads of hash chains, indexes into flows
	mappings []mapping
	unmapped int32 // list of mappings, by next
	byInside []int32
	used     [3][(Last - First + 1) / 64]uint64 // ports, by kind
	guests   []guest
	forwards []Forward
	pieces   [pieceSets][pieceWays]piece
	count    Counters
}

var errInside = errors.New("the inside network is no IPv4 network of at most 4096 addresses")

// New returns an empty table.
func New(c Config) (*Table, error) {
	if !c.Inside.Addr().Is4() || c.Inside.Bits() < 20 || c.Inside.Bits() > 30 || c.Flows <= 0 || c.Share <= 0 {
		return nil, errInside
	}
	chains := 1
	for chains < c.Flows {
		chains *= 2
	}
	t := &Table{
		base: number(c.Inside.Masked().Addr()), size: 1 << (32 - c.Inside.Bits()), gateway: number(c.Inside.Addr()),
		share: int32(min(c.Share, c.Flows)), seed: [3]uint64{rand.Uint64(), rand.Uint64(), rand.Uint64()},
		flows: make([]flow, c.Flows), mappings: make([]mapping, c.Flows),
		out: make([]int32, chains), in: make([]int32, chains), byInside: make([]int32, chains),
	}
	t.guests = make([]guest, t.size)
	t.clear()
	return t, nil
}

// clear makes all flows free.
func (t *Table) clear() {
	for i := range t.flows {
		t.flows[i] = flow{outNext: int32(i) + 1, mapping: none}
		t.mappings[i] = mapping{next: int32(i) + 1}
	}
	t.flows[len(t.flows)-1].outNext, t.mappings[len(t.mappings)-1].next = none, none
	t.free, t.unmapped = 0, 0
	for i := range t.out {
		t.out[i], t.in[i], t.byInside[i] = none, none, none
	}
	for i := range t.guests {
		t.guests[i].clear()
	}
	t.used = [3][(Last - First + 1) / 64]uint64{}
	for _, f := range t.forwards {
		t.take(f.kind(), f.Port)
	}
	t.pieces = [pieceSets][pieceWays]piece{}
}

// Flush ends all flows: the address outside is another one now.
func (t *Table) Flush() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.clear()
}

// FlushGuest ends the flows of a guest: it is gone.
func (t *Table) FlushGuest(a netip.Addr) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := number(a) - t.base; a.Is4() && n < t.size {
		for t.guests[n].flows > 0 {
			t.drop(t.guests[n].worst())
		}
	}
}

// Counters returns the table's.
func (t *Table) Counters() Counters {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.count
}

// Flows is how many there are, in all and of the guest at a.
func (t *Table) Flows(a netip.Addr) (all, guest int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.guests {
		n := int(t.guests[i].flows)
		all += n
		if a.Is4() && t.base+uint32(i) == number(a) {
			guest = n
		}
	}
	return all, guest
}

// Sweep ends flows whose time is over, as many as there is time for in one go. A flow
// whose time is over counts for nothing without it, but takes room.
func (t *Table) Sweep(now time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tick(now)
	left := sweepMost
	for i := range t.guests {
		g := &t.guests[i]
		for c := class(0); c < classes && g.flows > 0; c++ {
			for h := g.list[c].head; h != none && t.over(&t.flows[h]) && left > 0; h = g.list[c].head {
				t.drop(h)
				left--
			}
		}
	}
}

// sweepMost is how many flows a sweep ends.
const sweepMost = 1024

// tick takes the time that a caller has: since any moment, and never less than before.
func (t *Table) tick(now time.Duration) { t.now = max(t.now, int32(now/time.Second)) }

// number is an IPv4 address as one.
func number(a netip.Addr) uint32 {
	if !a.Is4() {
		return 0
	}
	b := a.As4()
	return be.Uint32(b[:])
}
