// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package config

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// NIC is a network card: which network its cable leads to, and what the guest sees.
type NIC struct {
	// Network is "default", "private:NAME", "bridge:UPLINK" or "none"; "" is default.
	Network string `toml:"network,omitempty" json:"network,omitempty"`
	// MAC is the card's address, "" = one made of the domain's UUID.
	MAC string `toml:"mac,omitempty" json:"mac,omitempty"`
	// MTU is the longest payload of a frame in bytes, 0 = DefaultMTU.
	MTU int `toml:"mtu,omitempty" json:"mtu,omitempty"`
	// VLAN is the VLAN of the network that the card is in, without knowing of it; 0 = none.
	VLAN int `toml:"vlan,omitempty" json:"vlan,omitempty"`
	// Trunk are the VLANs whose tags the guest may use itself.
	Trunk []int `toml:"trunk,omitempty" json:"trunk,omitempty"`
	// Forward are ports of the machine that lead to the guest: "tcp:2222:22".
	Forward []string `toml:"forward,omitempty" json:"forward,omitempty"`
	// Unfiltered lets the guest send from addresses that are not its card's.
	Unfiltered bool `toml:"unfiltered,omitempty" json:"unfiltered,omitempty"`
	// Link is "down" for a card whose cable is out, else "" or "up".
	Link string `toml:"link,omitempty" json:"link,omitempty"`
	// Rule are what may pass the card, beside answers ("allow in tcp 22", package bridge).
	Rule []string `toml:"rule,omitempty" json:"rule,omitempty"`
	// RateIn and RateOut are how many bytes the guest may receive and send in a second,
	// PacketsIn and PacketsOut how many packets, and Burst how many bytes may come at once
	// after a silence, "" for those of a tenth of a second.
	RateIn     string `toml:"rate_in,omitempty" json:"rate_in,omitempty"`
	RateOut    string `toml:"rate_out,omitempty" json:"rate_out,omitempty"`
	PacketsIn  int    `toml:"packets_in,omitempty" json:"packets_in,omitempty"`
	PacketsOut int    `toml:"packets_out,omitempty" json:"packets_out,omitempty"`
	Burst      string `toml:"burst,omitempty" json:"burst,omitempty"`
	// Slot is where it is on the guest's PCI bus, from FirstNIC on; 0 = in the first one
	// that is free.
	Slot int `toml:"slot,omitempty" json:"slot,omitempty"`
}

// Networks that have no names of their own, and what names begin with of those that do.
const (
	NetworkDefault = "default"
	NetworkNone    = "none"
	PrivatePrefix  = "private:"
	BridgePrefix   = "bridge:"
)

// Limits of a card. The MTU is that of an Ethernet card (RFC 791: at least 68).
const (
	MaxNICs    = 6
	FirstNIC   = 2 // the first of as many slots (board.FirstNIC)
	DefaultMTU = 1500
	minMTU     = 68
	maxMTU     = 9000
	maxVLAN    = 4094 // IEEE 802.1Q: 4095 is reserved
	maxTrunk   = 16

	// MaxForwards is how many ports lead to a card.
	MaxForwards = 16
)

// On returns the name of the card's network.
func (n *NIC) On() string { return cmp.Or(n.Network, NetworkDefault) }

// Bytes returns the longest payload of a frame.
func (n *NIC) Bytes() int { return cmp.Or(n.MTU, DefaultMTU) }

// Number is what the card is called by, behind its domain's name: that of its slot, from 0.
//
// Preconditions: the card is settled.
func (n *NIC) Number() int { return n.Slot - FirstNIC }

// Address returns the MAC of a card of a domain: what is configured, else one made of the
// UUID and the card's number, with the prefix that QEMU's cards have: it is locally
// administered.
//
// Preconditions: the card is valid, and settled.
func (n *NIC) Address(uuid [16]byte) (mac [6]byte) {
	if n.MAC != "" {
		b, _ := hex.DecodeString(strings.ReplaceAll(n.MAC, ":", ""))
		copy(mac[:], b)
		return mac
	}
	sum := sha256.Sum256(append(uuid[:], byte(n.Number())))
	return [6]byte{0x52, 0x54, 0x00, sum[0], sum[1], sum[2]}
}

// Forward is a port of the machine that leads to a guest's.
type Forward struct {
	Protocol string // "tcp" or "udp"
	From, To uint16 // the machine's port, and the guest's
}

// String is the forward as configurations have it.
func (f Forward) String() string { return fmt.Sprintf("%s:%d:%d", f.Protocol, f.From, f.To) }

// ParseForward reads PROTOCOL:PORT:PORT.
func ParseForward(s string) (f Forward, err error) {
	parts := strings.Split(s, ":")
	bad := fmt.Errorf("%q leads nowhere: write tcp:2222:22, the machine's port before the guest's", short(s))
	if len(parts) != 3 || parts[0] != "tcp" && parts[0] != "udp" {
		return f, bad
	}
	f.Protocol = parts[0]
	for i, p := range []*uint16{&f.From, &f.To} {
		n, err := strconv.ParseUint(parts[i+1], 10, 16)
		if err != nil || n == 0 {
			return f, bad
		}
		*p = uint16(n)
	}
	return f, nil
}

// Forwards returns the forwards of a card.
//
// Preconditions: the card is valid.
func (n *NIC) Forwards() (all []Forward) {
	for _, s := range n.Forward {
		if f, err := ParseForward(s); err == nil {
			all = append(all, f)
		}
	}
	return all
}

// CheckNetwork checks the name of a network.
func CheckNetwork(s string) error {
	if s == NetworkDefault || s == NetworkNone {
		return nil
	}
	for _, prefix := range []string{PrivatePrefix, BridgePrefix} {
		if name, ok := strings.CutPrefix(s, prefix); ok {
			if err := CheckName(name); err != nil || len(name) > maxNetwork {
				return fmt.Errorf("%q names no network: after %s use 1 to %d of a-z, 0-9 and -, and a letter", short(s), prefix, maxNetwork)
			}
			return nil
		}
	}
	return fmt.Errorf("%q is not known: use default, private:NAME, bridge:UPLINK or none", short(s))
}

// maxNetwork is how long a network's name is, without what it begins with.
const maxNetwork = 32

func (c *Config) validateNICs() error {
	if len(c.NIC) > MaxNICs {
		return fmt.Errorf("nic: %d are too many: at most %d", len(c.NIC), MaxNICs)
	}
	macs, forwards := map[string]int{}, map[string]int{}
	for i := range c.NIC {
		n := &c.NIC[i]
		if err := n.validate(); err != nil {
			return fmt.Errorf("nic %d: %w", i+1, err)
		}
		if j, ok := macs[strings.ToLower(n.MAC)]; ok && n.MAC != "" {
			return fmt.Errorf("nic %d: mac: nic %d has %s already: leave it out to get another", i+1, j+1, n.MAC)
		}
		macs[strings.ToLower(n.MAC)] = i
		for _, f := range n.Forwards() {
			f.To = 0
			if j, ok := forwards[f.String()]; ok {
				return fmt.Errorf("nic %d: forward: nic %d has %s port %d already: choose another port", i+1, j+1, f.Protocol, f.From)
			}
			forwards[f.String()] = i
		}
	}
	return checkSlots("nic", len(c.NIC), FirstNIC, MaxNICs, func(i int) int { return c.NIC[i].Slot })
}

func (n *NIC) validate() error {
	if err := CheckNetwork(n.On()); err != nil {
		return fmt.Errorf("network: %w", err)
	}
	if err := checkMAC(n.MAC); n.MAC != "" && err != nil {
		return fmt.Errorf("mac: %w", err)
	}
	switch {
	case n.MTU != 0 && (n.MTU < minMTU || n.MTU > maxMTU):
		return fmt.Errorf("mtu: %d is out of range: use %d to %d", n.MTU, minMTU, maxMTU)
	case n.VLAN < 0 || n.VLAN > maxVLAN:
		return fmt.Errorf("vlan: %d is out of range: use 1 to %d", n.VLAN, maxVLAN)
	case n.VLAN != 0 && len(n.Trunk) > 0:
		return fmt.Errorf("give vlan or trunk, not both")
	case len(n.Trunk) > maxTrunk:
		return fmt.Errorf("trunk: %d are too many: at most %d", len(n.Trunk), maxTrunk)
	case slices.ContainsFunc(n.Trunk, func(v int) bool { return v < 1 || v > maxVLAN }):
		return fmt.Errorf("trunk: a VLAN is out of range: use 1 to %d", maxVLAN)
	case n.Link != "" && n.Link != "up" && n.Link != "down":
		return fmt.Errorf("link: %q is not known: use up or down", short(n.Link))
	case len(n.Forward) > MaxForwards:
		return fmt.Errorf("forward: %d are too many: at most %d", len(n.Forward), MaxForwards)
	case len(n.Forward) > 0 && n.On() != NetworkDefault:
		return fmt.Errorf("forward: only the network default has ports that lead to guests")
	case (n.VLAN != 0 || len(n.Trunk) > 0) && (n.On() == NetworkDefault || n.On() == NetworkNone):
		return fmt.Errorf("vlan: the network %s has none: use a private network or a bridge", n.On())
	}
	for _, s := range n.Forward {
		if _, err := ParseForward(s); err != nil {
			return fmt.Errorf("forward: %w", err)
		}
	}
	return n.validateLimits()
}

func checkMAC(s string) error {
	parts := strings.Split(s, ":")
	ok := len(parts) == 6
	for _, p := range parts {
		_, err := strconv.ParseUint(p, 16, 8)
		ok = ok && err == nil && len(p) == 2
	}
	if !ok {
		return fmt.Errorf("%q is not an address: write 52:54:00:12:34:56", short(s))
	}
	if n, _ := strconv.ParseUint(parts[0], 16, 8); n&1 != 0 {
		return fmt.Errorf("%q is a group address: the first octet must be even", short(s))
	}
	if strings.Trim(s, "0:") == "" {
		return fmt.Errorf("%q is no card's address: leave it out to get one", short(s))
	}
	return nil
}

// addNIC adds a card that is written as NETWORK or in words with commas between them, as
// network=default,mac=52:54:00:12:34:56,forward=tcp:2222:22. forward and trunk may be
// repeated.
func (c *Config) addNIC(value string) error {
	var n NIC
	for i, word := range strings.Split(value, ",") {
		key, text, given := strings.Cut(word, "=")
		if i == 0 && !given {
			key, text, given = "network", word, true
		}
		if err := n.set(key, text, given); err != nil {
			return fmt.Errorf("nic: %w", err)
		}
	}
	c.NIC = append(slices.Clip(c.NIC), n)
	return nil
}

// set sets what a word of the short form says.
func (n *NIC) set(key, text string, given bool) (err error) {
	number := func(p *int) {
		if *p, err = strconv.Atoi(text); err != nil {
			err = fmt.Errorf("%s: %q is not a whole number", key, short(text))
		}
	}
	switch {
	case key == "unfiltered" && !given:
		n.Unfiltered = true
	case !given:
		return fmt.Errorf("%q is not known: write NETWORK,mac=MAC,mtu=BYTES,vlan=VLAN,trunk=VLAN,forward=tcp:2222:22,link=down,slot=NUMBER,rule=RULE (ports with commas in a file only),rate_in=SIZE,rate_out=SIZE,packets_in=NUMBER,packets_out=NUMBER,burst=SIZE or unfiltered", short(key))
	case key == "network":
		n.Network = text
	case key == "mac":
		n.MAC = text
	case key == "link":
		n.Link = text
	case key == "forward":
		n.Forward = append(n.Forward, text)
	case key == "mtu":
		number(&n.MTU)
	case key == "vlan":
		number(&n.VLAN)
	case key == "slot":
		number(&n.Slot)
	case n.setLimit(key, text, number):
	case key == "trunk":
		n.Trunk = append(n.Trunk, 0)
		number(&n.Trunk[len(n.Trunk)-1])
	default:
		return n.set(key, "", false)
	}
	return err
}
