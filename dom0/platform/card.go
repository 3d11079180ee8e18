// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package platform

import (
	"slices"

	"ringo/dom0/devmodel/vnet"
	"ringo/dom0/devmodel/vpci"
	"ringo/dom0/network/lan"
	"ringo/dom0/problem"
)

// pairs is how many pairs of queues a guest with so many vCPUs has to a network card.
func pairs(vcpus int) int { return min(vcpus, vnet.MaxPairs) }

// cardBytes is what dom0 keeps on its Go heap for a network card of a guest at most.
func cardBytes(c *lan.Card, vcpus int) uint64 {
	return uint64(vnet.DeviceBytes+pairs(vcpus)*vnet.QueueBytes) + c.Bytes()
}

func closeCards(all []*lan.Card) {
	for _, c := range all {
		c.Close()
	}
}

// addCard puts that of some cards that belongs into a slot there, in a guest that has not
// run.
func (p *Platform) addCard(g *guest, slot int, all []*lan.Card) error {
	i := slices.IndexFunc(all, func(c *lan.Card) bool { return c.Slot == slot })
	if i < 0 {
		return problem.New(problem.Internal, "", "there is no network card for slot %d", slot)
	}
	c := all[i]
	release, err := p.memory.Reserve(cardBytes(c, g.vcpus))
	if err != nil {
		return err
	}
	k, err := card(c, g.vcpus)
	if err != nil {
		release()
		return err
	}
	p.virtio(g, slot, k, release, c.Close)
	g.plug.Fill(slot, false)
	return nil
}

// PlugCard implements [domain.Devices].
func (p *Platform) PlugCard(id uint32, c *lan.Card) (listens bool, err error) {
	return p.plugIn(id, c.Slot, c.Close, func(g *guest) (vpci.Kind, error) { return card(c, g.vcpus) },
		func(g *guest) uint64 { return cardBytes(c, g.vcpus) })
}

// card is the device that a network card is for the guest, and puts its cable in.
func card(c *lan.Card, vcpus int) (vpci.Kind, error) {
	d := vnet.New(vnet.Config{MAC: c.MAC, MTU: c.MTU, Pairs: pairs(vcpus), Send: c.Send})
	return d.Kind(), c.Connect(d)
}
