// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package bridge

import (
	"math/bits"
	"sync/atomic"
)

// What a switch learns.
const (
	tableBits = 11
	probes    = 8 // places where an address may be
	// ageing is how long an address is known that sends nothing, in seconds (IEEE 802.1D,
	// "Ageing Time").
	ageing = 300
	// stationsMost and uplinkMost are how many addresses a port has, at most.
	stationsMost = 64
	uplinkMost   = 1024

	macMask = 1<<48 - 1
)

// station is an address that was seen at a port, in a VLAN.
type station struct {
	key   uint64 // the address, and from bit 48 on the VLAN
	port  *Port
	since uint32        // when it came there, as Switch.second
	seen  atomic.Uint32 // when it last sent
}

// table is the addresses that were learned. It is read without a lock.
type table struct {
	seed, factor uint64 // nobody outside knows them, so nobody can fill a place of choice
	slots        [1 << tableBits]atomic.Pointer[station]
}

func (t *table) place(key uint64) uint64 { return (key ^ t.seed) * t.factor >> (64 - tableBits) }

// find returns the station with a key, or nil.
func (t *table) find(key uint64) *station {
	at := t.place(key)
	for i := range uint64(probes) {
		if e := t.slots[(at+i)%(1<<tableBits)].Load(); e != nil && e.key == key {
			return e
		}
	}
	return nil
}

// forget removes stations.
//
// Preconditions: the switch's mu is held.
func (t *table) forget(which func(e *station) bool) {
	for i := range t.slots {
		if e := t.slots[i].Load(); e != nil && which(e) {
			t.slots[i].Store(nil)
			e.port.learned--
		}
	}
}

// old reports whether a station has been silent for too long.
func (e *station) old(now uint32) bool { return now-e.seen.Load() > ageing }

// learn notes that a key was seen at p. It reports false if there was no room.
func (p *Port) learn(key uint64, now uint32) bool {
	if e := p.s.table.find(key); e != nil && e.port == p {
		if e.seen.Load() != now {
			e.seen.Store(now)
		}
		return true
	} else if e != nil && now == e.since && !e.old(now) {
		return true // nobody moves twice in a second: two who fight for an address cost nothing
	}
	if p.full.Load() == now {
		return false
	}
	if !p.s.place(p, key, now) {
		p.full.Store(now)
		return false
	}
	return true
}

// place puts a key into the table.
func (s *Switch) place(p *Port, key uint64, now uint32) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.gone.Load() || s.state.Load().static.find(key&macMask) != nil {
		return true
	}
	most := stationsMost
	if p.o.Uplink {
		most = uplinkMost
	}
	if p.learned >= most {
		s.table.forget(func(e *station) bool { return e.port == p && e.old(now) })
	}
	if p.learned >= most {
		return false
	}
	e := &station{key: key, port: p, since: now}
	e.seen.Store(now)
	at, to := s.table.place(key), -1
	for i := range uint64(probes) {
		k := int((at + i) % (1 << tableBits))
		old := s.table.slots[k].Load()
		if old != nil && old.key == key {
			to = k
			break
		}
		if to < 0 && (old == nil || old.old(now)) {
			to = k
		}
	}
	if to < 0 {
		return false
	}
	if old := s.table.slots[to].Load(); old != nil {
		old.port.learned--
	}
	p.learned++
	s.table.slots[to].Store(e)
	return true
}

// stations are the addresses that are known from Join. They do not change.
type stations struct {
	shift uint
	keys  []uint64 // 0: none
	ports []*Port
}

// spread makes a place of an address: these are given by people, not by guests.
const spread = 0x9e3779b97f4a7c15

func makeStations(ports []*Port) stations {
	size := bits.Len(uint(2 * len(ports))) // more than two places for each
	t := stations{shift: uint(64 - size), keys: make([]uint64, 1<<size), ports: make([]*Port, 1<<size)}
	for _, p := range ports {
		if p.key == 0 {
			continue
		}
		at := int(p.key * spread >> t.shift)
		for t.keys[at] != 0 {
			at = (at + 1) & (len(t.keys) - 1)
		}
		t.keys[at], t.ports[at] = p.key, p
	}
	return t
}

// find returns the port whose address key is, or nil.
func (t *stations) find(key uint64) *Port {
	if len(t.keys) == 0 {
		return nil
	}
	for at := int(key * spread >> t.shift); t.keys[at] != 0; at = (at + 1) & (len(t.keys) - 1) {
		if t.keys[at] == key {
			return t.ports[at]
		}
	}
	return nil
}
