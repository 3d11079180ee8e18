// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package config

import (
	"cmp"
	"fmt"
	"strings"
)

// Bounds of what limits a card.
const (
	maxRules   = 64
	maxRule    = 200 // bytes
	maxPackets = 100_000_000
)

// Limit is how much passes a card in one direction in a second, 0 = any.
type Limit struct {
	Bytes, Packets uint64
	Burst          uint64 // bytes at once, 0 = those of a tenth of a second
}

// Limits returns how much the guest receives and sends.
//
// Preconditions: the card is valid.
func (n *NIC) Limits() (in, out Limit) {
	bytes := func(s string) uint64 {
		v, _ := ParseSize(cmp.Or(s, "0"))
		return v.Bytes
	}
	in = Limit{bytes(n.RateIn), uint64(n.PacketsIn), bytes(n.Burst)}
	return in, Limit{bytes(n.RateOut), uint64(n.PacketsOut), bytes(n.Burst)}
}

// validateLimits checks rules as far as that needs no network, and rates.
func (n *NIC) validateLimits() error {
	if len(n.Rule) > maxRules {
		return fmt.Errorf("rule: %d are too many: at most %d", len(n.Rule), maxRules)
	}
	for _, r := range n.Rule {
		if len(r) > maxRule || strings.ContainsAny(r, "\x00\n\r") {
			return fmt.Errorf("rule: %q is not a line of at most %d bytes", short(r), maxRule)
		}
	}
	for _, r := range []struct{ key, text string }{{"rate_in", n.RateIn}, {"rate_out", n.RateOut}, {"burst", n.Burst}} {
		if r.text == "" {
			continue
		}
		if v, err := ParseSize(r.text); err != nil || v.Bytes == 0 {
			return fmt.Errorf("%s: %q is not a size: write 10MiB, 512KiB or a number of MiB", r.key, short(r.text))
		}
	}
	for _, r := range []struct {
		key string
		n   int
	}{{"packets_in", n.PacketsIn}, {"packets_out", n.PacketsOut}} {
		if r.n < 0 || r.n > maxPackets {
			return fmt.Errorf("%s: %d is out of range: use 1 to %d, or leave it out", r.key, r.n, maxPackets)
		}
	}
	if n.Burst != "" && n.RateIn == "" && n.RateOut == "" {
		return fmt.Errorf("burst: it is of a rate: give rate_in or rate_out")
	}
	return nil
}

// setLimit sets what a word of the short form says of limits, and reports whether it does.
func (n *NIC) setLimit(key, text string, number func(*int)) bool {
	switch key {
	case "rule":
		n.Rule = append(n.Rule, text)
	case "rate_in":
		n.RateIn = text
	case "rate_out":
		n.RateOut = text
	case "burst":
		n.Burst = text
	case "packets_in":
		number(&n.PacketsIn)
	case "packets_out":
		number(&n.PacketsOut)
	default:
		return false
	}
	return true
}
