// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package network

import (
	"fmt"
	"net/netip"
	"strings"
)

// Setting is what the command line says of a network card:
//
//	ip=dhcp  ip=none  ip=10.0.0.2/24,gw=10.0.0.1,dns=10.0.0.1,dev=net1
//
// Without dev= it is about the first one. Cards that nothing is said about ask for an
// address by DHCP.
type Setting struct {
	Device  string
	None    bool         // no IPv4 address, and none is asked for
	Address netip.Prefix // not valid: by DHCP
	Gateway netip.Addr
	DNS     []netip.Addr
}

// FirstDevice is what the first card is called.
const FirstDevice = "net0"

// ParseSettings reads those of a command line's words that are about the network. Each
// mistake is an error by itself; what is right counts.
func ParseSettings(words []string) (all []Setting, ntp []string, errs []error) {
	for _, w := range words {
		if v, ok := strings.CutPrefix(w, "ip="); ok {
			s, err := parseSetting(v)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", w, err))
				continue
			}
			all = append(all, s)
		}
		if v, ok := strings.CutPrefix(w, "ntp="); ok {
			ntp = append(ntp, strings.FieldsFunc(v, func(r rune) bool { return r == ',' })...)
		}
	}
	return all, ntp, errs
}

func parseSetting(v string) (s Setting, err error) {
	s.Device = FirstDevice
	parts := strings.Split(v, ",")
	switch parts[0] {
	case "dhcp":
	case "none":
		s.None = true
	default:
		if s.Address, err = netip.ParsePrefix(parts[0]); err != nil {
			return s, fmt.Errorf("%q is no address with the length of its prefix, such as 10.0.0.2/24, nor dhcp or none", parts[0])
		}
		if a := s.Address.Addr(); a.IsUnspecified() || a.IsMulticast() || a.IsLoopback() {
			return s, fmt.Errorf("%v is no address that a machine can have", a)
		}
	}
	for _, p := range parts[1:] {
		key, value, _ := strings.Cut(p, "=")
		switch key {
		case "dev":
			s.Device = value
		case "gw":
			s.Gateway, err = netip.ParseAddr(value)
			if err == nil && s.Address.IsValid() && s.Gateway.Is4() != s.Address.Addr().Is4() {
				err = fmt.Errorf("%v is of another kind than %v", s.Gateway, s.Address)
			}
		case "dns":
			var a netip.Addr
			a, err = netip.ParseAddr(value)
			s.DNS = append(s.DNS, a)
		default:
			err = fmt.Errorf("unknown key %q: use gw, dns or dev", key)
		}
		if err != nil {
			return s, err
		}
	}
	if s.Gateway.IsValid() && !s.Address.IsValid() {
		return s, fmt.Errorf("a gateway without an address")
	}
	return s, nil
}
