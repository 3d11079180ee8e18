// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package nat

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
)

// mapping is the port outside of a guest's port, for as long as that has flows.
type mapping struct {
	inside, outside uint32
	iport, xport    uint16
	proto           uint8
	forward         bool // the port is a forward's, which keeps it
	flows           int32
	next            int32
}

// kindOf is a protocol's place in Table.used.
func kindOf(proto uint8) int {
	switch proto {
	case tcp:
		return 0
	case udp:
		return 1
	}
	return 2
}

// taken reports whether a port is; those that are not the translator's count as free.
func (t *Table) taken(kind int, port uint16) bool {
	return port >= First && t.used[kind][(port-First)/64]>>((port-First)%64)&1 != 0
}

// take and give change that.
func (t *Table) take(kind int, port uint16) {
	if port >= First {
		t.used[kind][(port-First)/64] |= 1 << ((port - First) % 64)
	}
}

func (t *Table) give(kind int, port uint16) {
	if port >= First {
		t.used[kind][(port-First)/64] &^= 1 << ((port - First) % 64)
	}
}

// insideChain is the hash chain of a guest's port.
func (t *Table) insideChain(proto uint8, inside, outside uint32, iport uint16) *int32 {
	return &t.byInside[t.hash(uint64(inside)<<32|uint64(outside), uint64(iport)<<32|uint64(proto))]
}

// mapped returns the mapping of a guest's port, which it makes if there is none: with the
// port xport, or if that is 0 with that of a forward, or any. It returns none if none is
// free.
func (t *Table) mapped(proto uint8, inside, outside uint32, iport, xport uint16) int32 {
	chain := t.insideChain(proto, inside, outside, iport)
	for i := *chain; i != none; i = t.mappings[i].next {
		m := &t.mappings[i]
		if m.inside == inside && m.outside == outside && m.iport == iport && m.proto == proto && (xport == 0 || m.xport == xport) {
			return i
		}
	}
	forward := xport != 0
	if !forward {
		xport, forward = t.forwardOf(proto, inside, iport)
	}
	if !forward {
		if xport = t.pick(kindOf(proto), iport); xport == 0 {
			return none
		}
		t.take(kindOf(proto), xport)
	}
	i := t.unmapped // there are as many as flows, and none without one
	t.unmapped = t.mappings[i].next
	t.mappings[i] = mapping{inside, outside, iport, xport, proto, forward, 0, *chain}
	*chain = i
	return i
}

// unmap takes a flow off its mapping, which ends with the last one.
func (t *Table) unmap(i int32) {
	m := &t.mappings[i]
	if m.flows--; m.flows > 0 {
		return
	}
	if !m.forward {
		t.give(kindOf(m.proto), m.xport)
	}
	p := t.insideChain(m.proto, m.inside, m.outside, m.iport)
	for *p != i {
		p = &t.mappings[*p].next
	}
	*p = m.next
	*m = mapping{next: t.unmapped}
	t.unmapped = i
}

// tries is how often pick looks, of each kind. At most half of the ports are in use where
// a table has its default size.
const tries = 32

// pick returns a free port, any (RFC 6056 says why not the next one), if possible even
// where like is even (RFC 4787 REQ-4); 0 if it has found none.
func (t *Table) pick(kind int, like uint16) uint16 {
	for n := range 2 * tries {
		p := First + uint16(rand.Uint32())%(Last-First+1)
		if n < tries {
			p = p&^1 | like&1
		}
		if !t.taken(kind, p) {
			return p
		}
	}
	return 0
}

// Forward lets the world reach a guest's port.
type Forward struct {
	// UDP, or TCP.
	UDP bool
	// Port is what the world sends to, of any address of the machine's outside.
	Port uint16
	// To is the guest's address and port.
	To netip.AddrPort
}

// String is f as people write it: tcp:2222:22.
func (f Forward) String() string {
	name := "tcp"
	if f.UDP {
		name = "udp"
	}
	return fmt.Sprintf("%s:%d:%d", name, f.Port, f.To.Port())
}

func (f Forward) proto() uint8 {
	if f.UDP {
		return udp
	}
	return tcp
}

func (f Forward) kind() int { return kindOf(f.proto()) }

// MaxForwards is how many forwards a table has at most.
const MaxForwards = 256

var errForwards = errors.New("there are as many forwards as can be (destroy a domain that has some)")

// AddForward begins to forward a port. The error is one line, for people.
func (t *Table) AddForward(f Forward) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if to := number(f.To.Addr()); f.Port == 0 || f.To.Port() == 0 || to-t.base >= t.size || to == t.gateway {
		return fmt.Errorf("forward %v: %v is no port of a guest here", f, f.To)
	}
	if len(t.forwards) >= MaxForwards {
		return errForwards
	}
	for _, o := range t.forwards {
		if o.UDP == f.UDP && o.Port == f.Port {
			return fmt.Errorf("forward %v: the port leads to %v already (choose another one)", f, o.To)
		}
	}
	for i := range t.flows { // whose port it was so far, by chance
		if p := &t.flows[i]; p.mapping != none && p.proto == f.proto() && p.xport == f.Port {
			t.drop(int32(i))
		}
	}
	t.take(f.kind(), f.Port)
	t.forwards = append(t.forwards, f)
	slices.SortFunc(t.forwards, func(a, b Forward) int { return cmp.Or(int(a.Port)-int(b.Port), a.kind()-b.kind()) })
	return nil
}

// DropForward ends a forward, and what came by it.
func (t *Table) DropForward(f Forward) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(t.forwards)
	t.forwards = slices.DeleteFunc(t.forwards, func(o Forward) bool { return o == f })
	if len(t.forwards) == n {
		return
	}
	for i := range t.flows {
		if p := &t.flows[i]; p.mapping != none && p.proto == f.proto() && p.xport == f.Port {
			t.drop(int32(i))
		}
	}
	t.give(f.kind(), f.Port)
}

// Forwards are those that there are, by port.
func (t *Table) Forwards() []Forward {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.forwards)
}

// forwardTo is where a packet from outside to a port goes by a forward.
func (t *Table) forwardTo(proto uint8, port uint16) (to netip.AddrPort, ok bool) {
	for i := range t.forwards {
		f := &t.forwards[i]
		if f.Port > port {
			break
		}
		if f.Port == port && f.proto() == proto {
			return f.To, true
		}
	}
	return to, false
}

// forwardOf is the port by which the world knows a guest's port already.
func (t *Table) forwardOf(proto uint8, inside uint32, iport uint16) (port uint16, ok bool) {
	for i := range t.forwards {
		if f := &t.forwards[i]; f.To.Port() == iport && f.proto() == proto && number(f.To.Addr()) == inside {
			return f.Port, true
		}
	}
	return 0, false
}
