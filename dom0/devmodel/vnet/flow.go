// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vnet

import "sync/atomic"

// flows is on which pair the guest has last sent something of a flow, by the flow's hash:
// there its answers are received ("Automatic receive steering in multiqueue mode"). Flows
// with the same hash share it.
type flows [256]atomic.Uint32

// sent notes that something of a frame's flow was sent on a pair.
func (t *flows) sent(head []byte, pair int) {
	if p := &t[hash(head)]; p.Load() != uint32(pair) { // few change
		p.Store(uint32(pair))
	}
}

// receiver is the pair, of so many, that a frame is received on.
func (t *flows) receiver(head []byte, pairs int) int {
	return int(t[hash(head)].Load()) % pairs
}

// hash is that of a frame's flow, the same both ways; what is neither IPv4 nor IPv6 is one
// flow, and so are fragments between two addresses.
func hash(b []byte) uint8 {
	if len(b) < 34 {
		return 0
	}
	at := 14
	kind := be.Uint16(b[12:])
	if kind == 0x8100 {
		kind, at = be.Uint16(b[16:]), 18
	}
	b = b[at:]
	var v uint32
	var proto byte
	switch {
	case kind == 0x0800 && len(b) >= 20:
		v = be.Uint32(b[12:]) ^ be.Uint32(b[16:])
		if proto = b[9]; be.Uint16(b[6:])&0x3fff != 0 {
			proto = 0
		}
		b = b[min(int(b[0]&15)*4, len(b)):]
	case kind == 0x86dd && len(b) >= 40:
		for i := 8; i < 40; i += 4 {
			v ^= be.Uint32(b[i:])
		}
		proto, b = b[6], b[40:]
	default:
		return 0
	}
	if (proto == 6 || proto == 17) && len(b) >= 4 {
		v ^= uint32(be.Uint16(b)^be.Uint16(b[2:])) * 0x10001
	}
	return uint8(v * 0x9e37_79b1 >> 24) // Knuth, "The Art of Computer Programming", Vol. 3, "Hashing"
}
