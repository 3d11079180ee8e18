// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package lan

import (
	"fmt"

	"ringo/dom0/config"
	"ringo/dom0/network/bridge"
)

// rules are those of card i of those that a domain wants, nil if it has none.
func (w *wanted) rules(i int) (*bridge.Rules, error) {
	if len(w.Rule) == 0 {
		return nil, nil
	}
	r, err := bridge.ParseRules(w.Rule)
	if err != nil {
		return nil, fmt.Errorf("nic %d: %w", i+1, err)
	}
	return r, nil
}

func rate(l config.Limit) bridge.Rate {
	return bridge.Rate{Bytes: l.Bytes, Packets: l.Packets, Burst: l.Burst}
}

// Bytes is what its network keeps on the heap for the card at most.
func (c *Card) Bytes() uint64 {
	if c.rules == nil {
		return 0
	}
	return bridge.FirewallBytes
}
