// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vnet

import "ringo/drivers/nic"

// maxMACs is how many addresses of a kind a filter has room for; with more, all pass.
const maxMACs = 64

// filter is what the guest wants of what is delivered ("Packet Receive Filtering", "Setting
// MAC Address Filtering", "VLAN Filtering"). The device's mu guards it.
type filter struct {
	mac     nic.MAC
	modes   [modes]bool
	unicast macs
	group   macs
	byVLAN  bool // only those in vlans, and untagged ones
	vlans   [4096 / 64]uint64
}

// Modes, numbered as the commands that set them.
const (
	promiscuous = iota
	allMulticast
	allUnicast
	noMulticast
	noUnicast
	noBroadcast
	modes
)

// macs is a table of addresses.
type macs struct {
	n    int
	all  bool // there were more than it has room for
	list [maxMACs]nic.MAC
}

func (t *macs) has(m nic.MAC) bool {
	for i := range t.list[:t.n] {
		if t.list[i] == m {
			return true
		}
	}
	return t.all
}

// begin is how a filter is after a reset. A driver that sets none gets what is for all, and
// every multicast; one that says nothing of VLANs gets all of them.
func (x *filter) begin(mac nic.MAC, features uint64) {
	*x = filter{mac: mac, byVLAN: features&featVLAN != 0 && features&featControl != 0}
	x.modes[allMulticast] = true
}

var broadcast = nic.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// pass reports whether a frame is one that the guest wants. head is its beginning.
func (x *filter) pass(head []byte) bool {
	if x.modes[promiscuous] {
		return true
	}
	if x.byVLAN && len(head) >= 16 && be.Uint16(head[12:]) == 0x8100 {
		// Number 0 is no VLAN: the tag is a priority's.
		if v := be.Uint16(head[14:]) & 0xfff; v != 0 && x.vlans[v/64]>>(v%64)&1 == 0 {
			return false
		}
	}
	to := nic.MAC(head)
	switch {
	case to == broadcast:
		return !x.modes[noBroadcast]
	case to.Multicast():
		return !x.modes[noMulticast] && (x.modes[allMulticast] || x.group.has(to))
	}
	return !x.modes[noUnicast] && (to == x.mac || x.modes[allUnicast] || x.unicast.has(to))
}
