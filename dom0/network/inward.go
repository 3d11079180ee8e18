// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package network

import (
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/header"

	"ringo/dom0/network/nat"
	"ringo/drivers/nic"
)

// fromWorld takes frames that have come by a card of dom0's.
func (g *Gateway) fromWorld(i *Interface, frames []nic.Frame) {
	in := &g.in
	in.mu.Lock()
	defer in.mu.Unlock()
	now, addr := g.now(), uint32(0)
	for _, e := range *g.exits.Load() {
		if e.card == i {
			addr = number(e.addr)
			break
		}
	}
	for k := 0; k < len(frames); {
		from := k
		for k < len(frames) && g.toStack(i, &frames[k], addr, now) {
			k++
		}
		if from < k {
			i.link.take(frames[from:k])
		}
		k++
	}
	g.flush(&in.batch)
}

// toStack takes one frame that came by card i, whose address is addr, and reports whether
// it is for dom0's stack.
func (g *Gateway) toStack(i *Interface, f *nic.Frame, addr uint32, now time.Duration) bool {
	if len(f.Pieces) == 0 || len(f.Pieces[0]) < header.EthernetMinimumSize+header.IPv4MinimumSize {
		return true
	}
	b := f.Pieces[0]
	if be.Uint16(b[12:]) != uint16(header.IPv4ProtocolNumber) || be.Uint32(b[30:]) != addr || nic.MAC(b[:6]) != i.link.info.MAC {
		return true
	}
	out, head := g.in.copied(f)
	p := nat.Packet{Head: head[header.EthernetMinimumSize:], Len: out.Len() - header.EthernetMinimumSize, Sum: f.Sum}
	switch g.table.In(&p, now) {
	case nat.Pass:
	case nat.Local:
		return true
	default:
		return false
	}
	to := be.Uint32(p.Head[16:])
	if mac, ok := (*g.members.Load())[to]; ok {
		copy(head, mac[:])
		copy(head[6:], g.inside.link.info.MAC[:])
		g.keep(&g.in.batch, g.inside)
		return false
	}
	g.sendTo(&g.in.batch, out, g.inside, to, now)
	return false
}
