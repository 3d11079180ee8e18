// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package config

import (
	"fmt"
	"strconv"
	"strings"
)

// ParseCPUs reads a set of CPUs such as "0-3,^1" as a mask, bit per CPU; 0 stands
// for all, as "" and "all" do. A set that only excludes starts from all n CPUs.
func ParseCPUs(s string, n int) (uint64, error) {
	bad := func() (uint64, error) {
		return 0, fmt.Errorf("%q is not a set of CPUs: write 0-3, 0,2 or 0-3,^1", short(s))
	}
	if s == "" || s == "all" {
		return 0, nil
	}
	all := ^uint64(0)
	if n < maxCPU {
		all = 1<<n - 1
	}
	var mask uint64
	for i, part := range strings.Split(s, ",") {
		part, not := strings.CutPrefix(strings.TrimSpace(part), "^")
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		a, err1 := strconv.ParseUint(from, 10, 16)
		b, err2 := strconv.ParseUint(to, 10, 16)
		if err1 != nil || err2 != nil || a > b {
			return bad()
		}
		if b >= uint64(n) {
			return 0, fmt.Errorf("there is no CPU %d: this machine has CPUs 0 to %d", b, n-1)
		}
		bits := (uint64(1)<<(b-a)<<1 - 1) << a
		switch {
		case !not:
			mask |= bits
		case i == 0:
			mask = all &^ bits
		default:
			mask &^= bits
		}
	}
	if mask == 0 {
		return 0, fmt.Errorf("%q leaves no CPU to run on", short(s))
	}
	return mask, nil
}
