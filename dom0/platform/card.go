// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package platform

import (
	"ringo/dom0/devmodel/vnet"
	"ringo/dom0/devmodel/vpci"
	"ringo/dom0/network/lan"
)

// pairs is how many pairs of queues a guest with so many vCPUs has to a network card.
func pairs(vcpus int) int { return min(vcpus, vnet.MaxPairs) }

// cardBytes is what dom0 keeps on its Go heap for a guest's network cards at most.
func cardBytes(all []*lan.Card, vcpus int) uint64 {
	return uint64(len(all) * (vnet.DeviceBytes + pairs(vcpus)*vnet.QueueBytes))
}

func closeCards(all []*lan.Card) {
	for _, c := range all {
		c.Close()
	}
}

// card is the device that a network card is for the guest, and puts its cable in.
func card(c *lan.Card, vcpus int) (vpci.Kind, error) {
	d := vnet.New(vnet.Config{MAC: c.MAC, MTU: c.MTU, Pairs: pairs(vcpus), Send: c.Send})
	return d.Kind(), c.Connect(d)
}
