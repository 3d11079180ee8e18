// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"fmt"
	"net/netip"
	"strings"

	"ringo/dom0/account"
	"ringo/dom0/config"
	"ringo/dom0/network"
	"ringo/dom0/network/bridge"
	"ringo/dom0/network/lan"
	"ringo/dom0/network/nat"
	"ringo/drivers/nic"
)

// The network default: dom0's address in it, if guests= on the hypervisor's command line
// says no other one, dom0's card, and the domain of its guests' names.
const (
	guestsAddress = "10.77.0.1/24"
	guestsDomain  = "ringo"
)

var gatewayMAC = nic.MAC{0x52, 0x54, 0, 0x77, 0, 0x01}

// newGuestNetworks makes the networks that domains can be in. Without memory for it, or with
// guests=none, there is no network default.
func newGuestNetworks(n *network.Network, options []string, uplinks *lan.Uplinks, memory *account.Account, log func(string)) (*lan.Networks, *network.Gateway) {
	o := lan.Options{Uplinks: uplinks}
	g, sw, err := newGateway(n, options, memory)
	if err != nil {
		log("error: network default: " + err.Error())
	}
	if g != nil {
		o.Default, o.Gateway = sw, g
	}
	return lan.New(o), g
}

func newGateway(n *network.Network, options []string, memory *account.Account) (*network.Gateway, *bridge.Switch, error) {
	text := guestsAddress
	for _, w := range options {
		if v, ok := strings.CutPrefix(w, "guests="); ok {
			text = v
		}
	}
	if text == config.NetworkNone {
		return nil, nil, nil
	}
	address, err := netip.ParsePrefix(text)
	if err != nil {
		return nil, nil, fmt.Errorf("guests=%s: want dom0's address in it, such as %s, or none", text, guestsAddress)
	}
	release, err := memory.Reserve(network.GatewayBytes(nat.DefaultFlows))
	if err != nil {
		return nil, nil, err
	}
	sw := bridge.New(config.NetworkDefault)
	sw.Reserve(address.Addr())
	g, err := n.NewGateway(network.GatewayOptions{
		Name: config.NetworkDefault, Card: bridge.NewCard(sw, "dom0", gatewayMAC), Address: address, Domain: guestsDomain,
	})
	if err != nil {
		release()
		return nil, nil, fmt.Errorf("guests=%s: %w", text, err)
	}
	return g, sw, nil
}
