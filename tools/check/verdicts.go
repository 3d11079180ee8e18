// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// verdictKey is the attribute (testing.T.Attr) by which a test enters a cell of
// the table of the backends: "column | row | verdict" or, with a reason,
// "column | row | verdict | note".
const verdictKey = "verdict"

// cell is a verdict ("pass", "fail", "skip", "deviates") and its note's number,
// 0 for none.
type cell struct {
	verdict string
	note    int
}

// verdicts is the table: what each backend makes of each row. Columns, rows and
// notes are in the order in which they came.
type verdicts struct {
	columns, rows, notes []string
	cells                map[[2]string]cell // by column and row
}

// add enters a cell. A second verdict on the same cell replaces the first one,
// unless that was "fail".
func (v *verdicts) add(value string) error {
	f := strings.Split(value, " | ")
	if len(f) < 3 {
		return fmt.Errorf("attribute %s: %q has fewer than three fields", verdictKey, value)
	}
	c := cell{verdict: strings.TrimRight(f[2], " |")}
	v.columns, _ = index(v.columns, f[0])
	v.rows, _ = index(v.rows, f[1])
	if len(f) > 3 && f[3] != "" {
		v.notes, c.note = index(v.notes, f[3])
		c.note++
	}
	at := [2]string{f[0], f[1]}
	if v.cells == nil {
		v.cells = map[[2]string]cell{}
	}
	if v.cells[at].verdict != "fail" {
		v.cells[at] = c
	}
	return nil
}

// index finds s in list, at whose end it is added if it is not there.
func index(list []string, s string) ([]string, int) {
	if i := slices.Index(list, s); i >= 0 {
		return list, i
	}
	return append(list, s), len(list)
}

// print writes the table, columns by letter, and the notes; nothing if no test
// said anything.
func (v *verdicts) print(w io.Writer) {
	if len(v.columns) == 0 {
		return
	}
	width := 0
	for _, r := range v.rows {
		width = max(width, len(r))
	}
	fmt.Fprintf(w, "\nThe backends:\n")
	for i, c := range v.columns {
		fmt.Fprintf(w, "  %c  %s: %s\n", 'A'+i, c, v.sum(c))
	}
	const columnWidth = 12
	line := strings.Builder{}
	fmt.Fprintf(&line, "\n%-*s", width, "")
	for i := range v.columns {
		fmt.Fprintf(&line, "  %-*c", columnWidth, 'A'+i)
	}
	for _, r := range v.rows {
		fmt.Fprintf(&line, "\n%-*s", width, r)
		for _, c := range v.columns {
			fmt.Fprintf(&line, "  %-*s", columnWidth, v.cells[[2]string{c, r}])
		}
	}
	for l := range strings.SplitSeq(line.String(), "\n") {
		fmt.Fprintln(w, strings.TrimRight(l, " "))
	}
	for i, n := range v.notes {
		fmt.Fprintf(w, "(%d) %s\n", i+1, n)
	}
}

// String is the cell as it is shown.
func (c cell) String() string {
	switch {
	case c.verdict == "":
		return "-"
	case c.note > 0:
		return fmt.Sprintf("%s (%d)", c.verdict, c.note)
	}
	return c.verdict
}

// sum counts the verdicts of a column.
func (v *verdicts) sum(column string) string {
	count := map[string]int{}
	var kinds []string
	for _, r := range v.rows {
		if c := v.cells[[2]string{column, r}]; c.verdict != "" {
			kinds, _ = index(kinds, c.verdict)
			count[c.verdict]++
		}
	}
	slices.Sort(kinds)
	for i, k := range kinds {
		kinds[i] = fmt.Sprintf("%d %s", count[k], k)
	}
	return strings.Join(kinds, ", ")
}
