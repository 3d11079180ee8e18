// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package api

import (
	"fmt"
	"strings"

	"ringo/dom0/config"
	"ringo/dom0/network/lan"
	"ringo/dom0/problem"
)

// LAN is a network of domains.
type LAN struct {
	Name  string   `json:"name"` // as configurations have it
	Kept  bool     `json:"kept"` // it stays when nobody is in it
	Cards []NetNIC `json:"cards"`
}

// NetNIC is a network card of a domain. It receives what the network delivers.
type NetNIC struct {
	Name      string   `json:"name"` // "web1.0"
	Domain    string   `json:"domain"`
	Network   string   `json:"network"`
	MAC       string   `json:"mac"`
	MTU       int      `json:"mtu"`
	Up        bool     `json:"up"`
	Address   string   `json:"address,omitempty"` // that the network default has given it
	VLAN      int      `json:"vlan,omitempty"`
	Trunk     []uint16 `json:"trunk,omitempty"`
	Forward   []string `json:"forward,omitempty"`
	RxFrames  uint64   `json:"rx_frames"`
	RxBytes   uint64   `json:"rx_bytes"`
	RxDropped uint64   `json:"rx_dropped"` // the guest had no room
	RxErrors  uint64   `json:"rx_errors"`
	TxFrames  uint64   `json:"tx_frames"`
	TxBytes   uint64   `json:"tx_bytes"`
	TxErrors  uint64   `json:"tx_errors"` // no frames, or what could not be asked for
	Spoofed   uint64   `json:"spoofed"`   // sent from addresses that are not the card's
	Untagged  uint64   `json:"untagged"`  // sent into VLANs that the card is not in
	Nowhere   uint64   `json:"nowhere"`   // sent to nobody

	Rules     []string `json:"rules,omitempty"`
	In        *NICRate `json:"in,omitempty"`        // what the guest receives at most
	Out       *NICRate `json:"out,omitempty"`       // what it sends at most
	Denied    uint64   `json:"denied,omitempty"`    // frames both ways that the rules are against
	Limited   uint64   `json:"limited,omitempty"`   // frames both ways that were too many
	Unlearned uint64   `json:"unlearned,omitempty"` // sent from addresses that there was no room to note
}

// NICRate is how much passes a network card in a second, 0 = any.
type NICRate struct {
	Bytes   uint64 `json:"bytes"`
	Packets uint64 `json:"packets"`
	Burst   uint64 `json:"burst"` // bytes at once, 0 = those of a tenth of a second
}

// String is the limits, for people.
func (r *NICRate) String() string {
	var all []string
	if r.Bytes > 0 {
		all = append(all, config.Size{Bytes: r.Bytes}.String()+"/s")
	}
	if r.Burst > 0 {
		all = append(all, config.Size{Bytes: r.Burst}.String()+" at once")
	}
	if r.Packets > 0 {
		all = append(all, fmt.Sprintf("%d packets/s", r.Packets))
	}
	return strings.Join(all, ", ")
}

// NetworkName is a network's name; that of a private one may stand for it without what
// its configurations begin with.
type NetworkName struct {
	Name string `json:"name"`
}

// NICLink says whether the cable of a card of a domain is in.
type NICLink struct {
	Name string `json:"name"` // of the card
	Up   bool   `json:"up"`
}

// Lease is an address that a card has of the network default.
type Lease struct {
	Address string `json:"address"`
	MAC     string `json:"mac"`
	Host    string `json:"host"`
	Asked   bool   `json:"asked"` // it has asked for it
}

// Verbs of the networks of domains.
var (
	NetworkCreate  = act("network.create", func(a *API, in *NetworkName) error { return a.networks((*lan.Networks).Create, in) })
	NetworkDestroy = act("network.destroy", func(a *API, in *NetworkName) error { return a.networks((*lan.Networks).Destroy, in) })
	NetworkList    = add("network.list", func(a *API, _ *None) ([]LAN, error) {
		out := []LAN{}
		if a.Networks == nil {
			return out, nil
		}
		for _, n := range a.Networks.List() {
			l := LAN{Name: n.Name, Kept: n.Kept, Cards: []NetNIC{}}
			for _, c := range n.Cards {
				l.Cards = append(l.Cards, nicOf(c))
			}
			out = append(out, l)
		}
		return out, nil
	})
	// NICList is the network cards of a domain, in the order of its configuration.
	NICList = add("nic.list", func(a *API, in *Ref) ([]NetNIC, error) {
		out := []NetNIC{}
		d, err := a.Manager.Find(in.Domain)
		if err != nil || a.Networks == nil {
			return out, err
		}
		uuid, err := config.ParseUUID(d.UUID)
		if err != nil {
			return out, err
		}
		for _, c := range a.Networks.Of(uuid) {
			out = append(out, nicOf(c))
		}
		return out, nil
	})
	// Leases is who has which address of the network default, by address.
	Leases = add("network.leases", func(a *API, _ *None) ([]Lease, error) {
		out := []Lease{}
		if a.Gateway == nil {
			return out, nil
		}
		for _, e := range a.Gateway.Leases() {
			out = append(out, Lease{e.Address.String(), e.MAC.String(), e.Host, e.Asked})
		}
		return out, nil
	})
	NICSetLink = act("nic.link", func(a *API, in *NICLink) error {
		c, err := a.nic(in.Name)
		if err != nil {
			return err
		}
		return c.SetLink(in.Up)
	})
)

// NICPlug is a request to give a domain a network card, written as a setting of
// DomainCreate.
type NICPlug struct {
	Domain string `json:"domain"`
	NIC    string `json:"nic"`
}

// NICUnplug is a request to take one away, which its name, its number or its MAC names.
type NICUnplug struct {
	Domain string `json:"domain"`
	NIC    string `json:"nic"`
	Force  bool   `json:"force,omitempty"` // the domain is not asked
}

// Verbs of a domain's network cards. NetworkAttach says whether the domain hears of it,
// NetworkDetach returns when the card is out of its network.
var (
	NetworkAttach = add("network.attach", func(a *API, in *NICPlug) (Triggered, error) {
		heard, err := a.Manager.AttachCard(in.Domain, in.NIC)
		return Triggered{heard}, err
	})
	NetworkDetach = act("network.detach", func(a *API, in *NICUnplug) error {
		return a.Manager.DetachCard(in.Domain, in.NIC, in.Force)
	})
)

// networks does something to the networks of domains, if there are any.
func (a *API) networks(f func(n *lan.Networks, name string) error, in *NetworkName) error {
	if a.Networks == nil {
		return problem.New(problem.Unsupported, "", "there are no networks for domains")
	}
	return f(a.Networks, in.Name)
}

// nic finds a card of a domain.
func (a *API) nic(name string) (*lan.Card, error) {
	if a.Networks == nil {
		return nil, problem.New(problem.NotFound, "", "there is no card %q", name)
	}
	return a.Networks.Find(name)
}

func nicOf(c *lan.Card) NetNIC {
	g, p := c.Counters()
	out := NetNIC{
		Name: c.Name(), Domain: c.Domain(), Network: c.Network, MAC: c.MAC.String(), MTU: c.MTU, Up: c.Up(), VLAN: int(c.VLAN), Trunk: c.Trunk,
		RxFrames: g.RxFrames, RxBytes: g.RxBytes, RxDropped: g.RxDropped, RxErrors: g.RxErrors,
		TxFrames: g.TxFrames, TxBytes: g.TxBytes, TxErrors: g.TxErrors + p.Malformed, Spoofed: p.Spoofed, Untagged: p.Untagged, Nowhere: p.Nowhere,
	}
	if c.Address.IsValid() {
		out.Address = c.Address.String()
	}
	out.Rules, out.Denied, out.Limited, out.Unlearned = c.Rules, p.Denied, p.Limited, p.Unlearned
	for to, l := range map[**NICRate]config.Limit{&out.In: c.In, &out.Out: c.Out} {
		if l.Bytes != 0 || l.Packets != 0 {
			*to = &NICRate{l.Bytes, l.Packets, l.Burst}
		}
	}
	for _, f := range c.Forwards {
		out.Forward = append(out.Forward, f.String())
	}
	return out
}
