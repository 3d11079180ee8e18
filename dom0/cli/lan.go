// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package cli

import (
	"fmt"
	"strings"

	"ringo/dom0/api"
)

const (
	networkListHelp = `Networks and the cards that are in them; with DOMAIN its cards only. -v also shows
what was lost: dropped frames had no room in the guest or no link, spoofed ones were sent
from addresses that are not the card's, untagged ones into VLANs that it is not in,
nowhere ones to addresses that nobody has, and its rules or limits were against others.
Received is what the guest received.`
	networkCreateHelp = `Makes the network private:NAME, which joins domains with network = "private:NAME" and
leads nowhere else. It need not be made before: the first domain that names it makes it,
and then it ends with the last one. One that was made so stays until network-destroy.`
	networkAttachHelp = `  network-attach web1 network=private:db mtu=9000
The words are those of nic= for create: network= mac= mtu= vlan= trunk= forward= link=
slot= rule= rate_in= rate_out= packets_in= packets_out= burst= and unfiltered; without
any the card is in default. A guest that runs is told by ACPI, and the card stays when it
restarts. Of a domain that is off the definition is changed.`
	networkDetachHelp = `CARD is DOMAIN.NUMBER, as network-list has it, its number or its MAC. A guest that runs
is asked by ACPI, and has ten seconds to give it back; -F takes it away unasked. Its
address, its forwards and its connections end. A restart does not bring it back. Of a
domain that is off the definition is changed.`
	networkLinkHelp = `CARD is DOMAIN.NUMBER, as network-list has it. It counts until the domain ends.`
)

// lanVerbs are those about the networks of domains.
func lanVerbs() []verb {
	return []verb{
		{name: "network-list", alias: []string{"net-list", "domiflist"}, args: "[-v] [DOMAIN]", flags: "v", most: 1, kind: argDomain,
			short: "list networks of domains, and who is in them", run: networkList, text: networkListHelp},
		{name: "network-create", alias: []string{"net-create"}, args: "NAME", least: 1, most: 1, short: "make a private network", text: networkCreateHelp,
			run: func(c *call) error { return act1(api.NetworkCreate, c, api.NetworkName{Name: c.args[0]}) }},
		{name: "network-destroy", alias: []string{"net-destroy"}, args: "NAME", least: 1, most: 1, kind: argNetwork, short: "forget a private network that no domain is in",
			run: func(c *call) error { return act1(api.NetworkDestroy, c, api.NetworkName{Name: c.args[0]}) }},
		{name: "network-attach", args: "DOMAIN [network=NETWORK] [KEY=VALUE ...]", least: 1, most: -1, kind: argDefined,
			short: "give a domain another network card", text: networkAttachHelp, run: networkAttach},
		{name: "network-detach", args: "[-F] DOMAIN CARD", flags: "F", least: 2, most: 2, kind: argDefined,
			short: "take a network card away from a domain", text: networkDetachHelp, run: networkDetach},
		{name: "leases", alias: []string{"net-dhcp-leases"}, short: "list who has which address of the network default", run: leases,
			text: "A card has its address as long as its domain is there, whether or not the guest has\nasked for it by DHCP."},
		{name: "network-link", alias: []string{"domif-setlink"}, args: "CARD up|down", least: 2, most: 2, kind: argCard, short: "put the cable of a domain's card in, or take it out",
			run: networkLink, text: networkLinkHelp},
	}
}

// networkList is the verb network-list.
func networkList(c *call) error {
	var all []api.LAN
	if len(c.args) == 1 {
		cards, err := api.NICList.Call(c.API, api.Ref{Domain: c.args[0]})
		if err != nil {
			return err
		}
		all = []api.LAN{{Cards: cards}}
	} else {
		var err error
		if all, err = api.NetworkList.Call(c.API, api.None{}); err != nil {
			return err
		}
	}
	c.printf("%-20s %-16s %-17s %5s %5s %-5s %14s %14s\n", "Network", "Card", "MAC", "MTU", "VLAN", "Link", "Received(KiB)", "Sent(KiB)")
	for _, n := range all {
		if len(n.Cards) == 0 && n.Name != "" {
			c.printf("%-20s -\n", n.Name)
		}
		for i := range n.Cards {
			c.card(&n.Cards[i])
		}
	}
	return nil
}

// card prints a line about a card, with -v more.
func (c *call) card(n *api.NetNIC) {
	link := "down"
	if n.Up {
		link = "up"
	}
	c.printf("%-20s %-16s %-17s %5d %5s %-5s %14d %14d\n", n.Network, n.Name, n.MAC, n.MTU, vlans(n), link, n.RxBytes>>10, n.TxBytes>>10)
	if n.Address != "" {
		c.printf("\taddress %s\n", n.Address)
	}
	if len(n.Forward) > 0 {
		c.printf("\tforward %s\n", strings.Join(n.Forward, ", "))
	}
	if len(n.Rules) > 0 {
		c.printf("\trules %s\n", strings.Join(n.Rules, "; "))
	}
	for _, l := range []struct {
		dir string
		r   *api.NICRate
	}{{"received", n.In}, {"sent", n.Out}} {
		if l.r != nil {
			c.printf("\tlimit of what is %s %s\n", l.dir, l.r)
		}
	}
	if c.given('v') {
		c.printf("\treceived %d frames, %d dropped, %d errors\n", n.RxFrames, n.RxDropped, n.RxErrors)
		c.printf("\tsent %d frames, %d errors, %d spoofed, %d untagged, %d nowhere\n", n.TxFrames, n.TxErrors, n.Spoofed, n.Untagged, n.Nowhere)
		c.printf("\tboth ways %d denied by rules, %d beyond limits; %d from addresses that were not noted\n", n.Denied, n.Limited, n.Unlearned)
	}
}

// vlans is the VLAN of a card, or those of its trunk.
func vlans(n *api.NetNIC) string {
	switch {
	case len(n.Trunk) > 0:
		return strings.Trim(strings.ReplaceAll(fmt.Sprint(n.Trunk), " ", ","), "[]")
	case n.VLAN > 0:
		return fmt.Sprint(n.VLAN)
	}
	return "-"
}

// wired prints the network cards of a domain, of one that is off those of its
// configuration.
func (c *call) wired(name string, cfg *api.Config, line func(name, format string, a ...any)) {
	all, _ := api.NICList.Call(c.API, api.Ref{Domain: name})
	for i := range cfg.NIC {
		n := api.NetNIC{Network: cfg.NIC[i].On(), MAC: cfg.NIC[i].MAC, Forward: cfg.NIC[i].Forward}
		if i < len(all) {
			n = all[i]
		}
		line("Network", "%s", strings.Join(strings.Fields(fmt.Sprint(n.Network, " ", n.MAC, " ", n.Address, " ", strings.Join(n.Forward, " "))), " "))
	}
}

// lans returns the networks of domains, none if they cannot be listed.
func (s *Shell) lans() []api.LAN {
	all, _ := api.NetworkList.Call(s.API, api.None{})
	return all
}

// private returns the names of private networks.
func (s *Shell) private() (names []string) {
	for _, n := range s.lans() {
		if name, ok := strings.CutPrefix(n.Name, "private:"); ok {
			names = append(names, name)
		}
	}
	return names
}

// cards returns the names of the cards of domains.
func (s *Shell) cards() (names []string) {
	for _, n := range s.lans() {
		names = append(names, each(n.Cards, func(c api.NetNIC) string { return c.Name })...)
	}
	return names
}

// leases is the verb leases.
func leases(c *call) error {
	all, err := api.Leases.Call(c.API, api.None{})
	if err != nil {
		return err
	}
	c.printf("%-15s %-17s %-5s %s\n", "Address", "MAC", "Asked", "Host")
	for _, l := range all {
		asked := "no"
		if l.Asked {
			asked = "yes"
		}
		c.printf("%-15s %-17s %-5s %s\n", l.Address, l.MAC, asked, l.Host)
	}
	return nil
}

// networkAttach is the verb network-attach.
func networkAttach(c *call) error {
	nic := strings.TrimPrefix(strings.Join(c.args[1:], ","), "nic=")
	out, err := api.NetworkAttach.Call(c.API, api.NICPlug{Domain: c.args[0], NIC: nic})
	if err == nil && !out.Heard {
		c.printf("the guest does not listen to ACPI's event (yet): it finds the card when it looks\n")
	}
	return err
}

// networkDetach is the verb network-detach.
func networkDetach(c *call) error {
	c.flush()
	_, err := api.NetworkDetach.Call(c.API, api.NICUnplug{Domain: c.args[0], NIC: c.args[1], Force: c.given('F')})
	return err
}

// networkLink is the verb network-link.
func networkLink(c *call) error {
	up, ok := map[string]bool{"up": true, "down": false}[c.args[1]]
	if !ok {
		return c.usage()
	}
	return act1(api.NICSetLink, c, api.NICLink{Name: c.args[0], Up: up})
}
