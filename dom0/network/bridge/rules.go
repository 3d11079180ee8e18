// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package bridge

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"ringo/dom0/problem"
)

// rulesMost is how many rules a port has, at most.
const rulesMost = 64

// Rules are a firewall: what may pass to a guest and from it, as in
//
//	allow in tcp 22
//	allow in tcp 80,443,8000-8010 192.0.2.0/24
//	deny out any 10.0.0.0/8
//	allow in icmp
//	default deny in
//
// A rule has an action, a direction as the guest sees it, a protocol (any, tcp, udp, icmp
// or a number), for tcp and udp perhaps ports, those of the receiver, and perhaps an
// address or a prefix, that of the other end. The first that fits decides; if none does,
// "default" does, which is to allow. What belongs to what was allowed passes in both
// directions: answers, and errors about it. ARP, neighbour discovery and a guest's DHCP
// pass always; other frames that are no IP packets by rules for any protocol and address,
// and by the default.
type Rules struct {
	list []rule
	deny [2]bool // by direction, if no rule fits
}

// Directions, as a guest sees them.
const (
	in = iota
	out
)

// rule is one of them.
type rule struct {
	deny      bool
	direction int
	any       bool
	icmp      bool // of either IP
	proto     uint8
	ports     [][2]uint16 // first and last; none: all
	peer      netip.Prefix
}

// ParseRules makes rules of lines.
func ParseRules(lines []string) (*Rules, error) {
	r := new(Rules)
	for _, line := range lines {
		f := strings.Fields(line)
		bad := func(remedy, format string, a ...any) error {
			return problem.New(problem.Invalid, remedy, "rule %q: "+format, append([]any{line}, a...)...)
		}
		if len(f) > 0 && f[0] == "default" {
			if len(f) != 3 || f[1] != "allow" && f[1] != "deny" || f[2] != "in" && f[2] != "out" {
				return nil, bad("say such as \"default deny in\"", "it is not a default")
			}
			r.deny[direction(f[2])] = f[1] == "deny"
			continue
		}
		if len(f) < 3 || f[0] != "allow" && f[0] != "deny" || f[1] != "in" && f[1] != "out" {
			return nil, bad("say such as \"allow in tcp 22\"", "it begins with allow or deny, in or out, and a protocol")
		}
		one := rule{deny: f[0] == "deny", direction: direction(f[1])}
		if !one.protocol(f[2]) {
			return nil, bad("any, tcp, udp, icmp, or a number", "%q is no protocol", f[2])
		}
		for _, w := range f[3:] {
			if why := one.word(w); why != "" {
				return nil, bad("", "%s", why)
			}
		}
		if r.list = append(r.list, one); len(r.list) > rulesMost {
			return nil, problem.New(problem.Invalid, "", "there are more than %d rules", rulesMost)
		}
	}
	return r, nil
}

func direction(s string) int { return slices.Index([]string{"in", "out"}, s) }

func (r *rule) protocol(s string) bool {
	switch s {
	case "any":
		r.any = true
	case "icmp":
		r.icmp = true
	case "tcp":
		r.proto = protoTCP
	case "udp":
		r.proto = protoUDP
	default:
		n, err := strconv.ParseUint(s, 10, 8)
		r.proto = uint8(n)
		return err == nil
	}
	return true
}

// word takes ports or an address. It returns what is wrong.
func (r *rule) word(s string) string {
	if strings.ContainsAny(s, ".:/") {
		p, err := netip.ParsePrefix(s)
		if a, e := netip.ParseAddr(s); e == nil && a.Zone() == "" {
			p, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		switch {
		case err != nil:
			return strconv.Quote(s) + " is neither an address nor a prefix"
		case r.peer.IsValid():
			return "it has two addresses: make two rules"
		}
		r.peer = p.Masked()
		return ""
	}
	switch {
	case r.proto != protoTCP && r.proto != protoUDP:
		return strconv.Quote(s) + " is no address, and only tcp and udp have ports"
	case r.ports != nil:
		return "it has ports twice: write them as 80,443"
	}
	for _, part := range strings.Split(s, ",") {
		first, last, span := strings.Cut(part, "-")
		if !span {
			last = first
		}
		a, err := strconv.ParseUint(first, 10, 16)
		b, err2 := strconv.ParseUint(last, 10, 16)
		if err != nil || err2 != nil || a > b {
			return strconv.Quote(part) + " is no port, nor ports such as 8000-8010"
		}
		r.ports = append(r.ports, [2]uint16{uint16(a), uint16(b)})
	}
	return ""
}

// allow reports whether a packet may pass in a direction, by the rules alone. Of a fragment
// that has no ports a rule with ports fits if it allows: without the first fragment,
// whose ports are looked at, nobody can use it.
func (r *Rules) allow(dir int, k *packet) bool {
	peer := k.src
	if dir == out {
		peer = k.dst
	}
	for i := range r.list {
		if one := &r.list[i]; one.direction == dir && one.fits(k, peer) {
			return !one.deny
		}
	}
	return !r.deny[dir]
}

// allowOther reports whether a frame that is no IP packet may pass: by rules for any
// protocol and any address.
func (r *Rules) allowOther(dir int) bool {
	for i := range r.list {
		if one := &r.list[i]; one.direction == dir && one.any && !one.peer.IsValid() {
			return !one.deny
		}
	}
	return !r.deny[dir]
}

func (r *rule) fits(k *packet, peer netip.Addr) bool {
	switch {
	case r.icmp:
		if k.proto != protoICMP && !k.icmp6() {
			return false
		}
	case !r.any && r.proto != k.proto:
		return false
	}
	if r.peer.IsValid() && !r.peer.Contains(peer) {
		return false
	}
	if r.ports == nil {
		return true
	}
	if !k.ports {
		return !r.deny
	}
	return slices.ContainsFunc(r.ports, func(p [2]uint16) bool { return p[0] <= k.to && k.to <= p[1] })
}
