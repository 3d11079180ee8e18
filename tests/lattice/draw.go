// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package lattice

import (
	"fmt"
	"strings"
)

// drawn is the width of a line of the picture, and column where its right half
// starts, in characters.
const (
	drawn  = 110
	column = 24
)

// Draw returns the rules as text, a package or folder a line, with what it may
// import of this module behind it.
func Draw() string {
	var b strings.Builder
	line := func(left, right string) {
		if right == "" {
			right = "nothing"
		}
		for _, part := range wrap(right, drawn-column) {
			fmt.Fprintf(&b, "%-*s%s\n", column, left, part)
			left = ""
		}
	}
	line("PARTS", "= "+hvParts)
	for _, r := range rules {
		line(r.pkg, strings.ReplaceAll(r.ours, hvParts, "PARTS"))
	}
	line("fakes (*test)", "their folder's, and: "+fakes.ours)
	return b.String()
}

// wrap breaks words into lines of at most width characters.
func wrap(text string, width int) (lines []string) {
	var l string
	for _, w := range strings.Fields(text) {
		if l != "" && len(l)+1+len(w) > width {
			lines, l = append(lines, l), ""
		}
		if l != "" {
			l += " "
		}
		l += w
	}
	return append(lines, l)
}
