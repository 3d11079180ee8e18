// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package config

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestValidateLimits(t *testing.T) {
	for _, c := range []struct {
		n    NIC
		want string // "": it is valid
	}{
		{NIC{Rule: make([]string, 65)}, "nic 1: rule: 65 are too many: at most 64"},
		{NIC{Rule: []string{strings.Repeat("a", 201)}}, "is not a line of at most 200 bytes"},
		{NIC{Rule: []string{"allow\nin"}}, "is not a line"},
		{NIC{RateIn: "fast"}, `nic 1: rate_in: "fast" is not a size: write 10MiB, 512KiB or a number of MiB`},
		{NIC{RateOut: "0"}, `rate_out: "0" is not a size`},
		{NIC{RateIn: "1", Burst: "much"}, `burst: "much" is not a size`},
		{NIC{Burst: "1MiB"}, "burst: it is of a rate: give rate_in or rate_out"},
		{NIC{PacketsIn: -1}, "packets_in: -1 is out of range: use 1 to 100000000, or leave it out"},
		{NIC{PacketsOut: 1e9}, "packets_out: 1000000000 is out of range"},
		{NIC{RateIn: "10MiB", RateOut: "512K", Burst: "1", PacketsIn: 5, PacketsOut: 6, Rule: []string{"allow in tcp 22"}}, ""},
	} {
		x := Default()
		x.Name, x.NIC = "ok", []NIC{c.n}
		if got := fmt.Sprint(x.Validate()); c.want == "" && got != "<nil>" || !strings.Contains(got, c.want) {
			t.Errorf("want %q, got %s", c.want, got)
		}
	}
}

func TestLimits(t *testing.T) {
	c := Default()
	if err := c.Set("nic", "none,rate_in=10MiB,rate_out=512K,burst=1,packets_in=5,packets_out=6,rule=allow in tcp 22,rule=default deny in"); err != nil {
		t.Fatal(err)
	}
	in, out := c.NIC[0].Limits()
	if d := cmp.Diff([]Limit{{10 << 20, 5, 1 << 20}, {512 << 10, 6, 1 << 20}}, []Limit{in, out}); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"allow in tcp 22", "default deny in"}, c.NIC[0].Rule); d != "" {
		t.Error(d)
	}
	if in, out := (&NIC{}).Limits(); in != (Limit{}) || out != (Limit{}) {
		t.Error(in, out)
	}
	if err := c.Set("nic", "none,packets_in=many"); err == nil || err.Error() != `nic: packets_in: "many" is not a whole number` {
		t.Error(err)
	}
}
