// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package lattice

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// Stale returns a line for each rule that is no package's, and for each name in
// a rule that matches none, sorted. Top-level folders without a package yet are
// left out.
func Stale(all Imports) []string { return stale(all, rules) }

func stale(all Imports, rules []rule) []string {
	used := make([]bool, len(rules))
	top := map[string]bool{}
	for pkg := range all {
		top[strings.Split(pkg, "/")[0]] = true
		if isFake(pkg) {
			pkg = path.Dir(pkg)
		}
		if i := slices.IndexFunc(rules, func(r rule) bool { return match(r.pkg, pkg) }); i >= 0 {
			used[i] = true
		}
	}
	exists := func(pattern string) bool {
		if pattern == any || !top[strings.Split(pattern, "/")[0]] {
			return true
		}
		for pkg := range all {
			if match(pattern, pkg) {
				return true
			}
		}
		return false
	}
	var bad []string
	for i, r := range rules {
		switch {
		case !exists(r.pkg):
			bad = append(bad, fmt.Sprintf("rule %s: matches no package", r.pkg))
		case !used[i] && top[strings.Split(r.pkg, "/")[0]]:
			bad = append(bad, fmt.Sprintf("rule %s: another rule comes first for every package it matches", r.pkg))
		}
		for _, p := range strings.Fields(r.ours) {
			if !exists(p) {
				bad = append(bad, fmt.Sprintf("rule %s: %s matches no package", r.pkg, p))
			}
		}
	}
	slices.Sort(bad)
	return bad
}
