// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package near finds what the user may have meant.
package near

import "fmt"

// Word returns the candidate closest to word by edits (insert, delete, replace,
// swap neighbours), if one is close: at most a third of the word's letters, but
// at least one. Of equals the first wins. A candidate equal to word counts.
func Word(word string, candidates []string) (string, bool) {
	best, limit := "", max(1, len(word)/3)
	found := false
	for _, c := range candidates {
		if len(c)-len(word) > limit || len(word)-len(c) > limit {
			continue // and nothing is allocated for a long word
		}
		if d := distance(word, c); d <= limit && (!found || d < distance(word, best)) {
			best, found = c, true
		}
	}
	return best, found
}

// Hint returns ` (did you mean "web2"?)`, or nothing when no candidate is close.
func Hint(word string, candidates []string) string {
	if w, ok := Word(word, candidates); ok {
		return fmt.Sprintf(" (did you mean %q?)", w)
	}
	return ""
}

// distance is the number of edits from a to b (optimal string alignment).
func distance(a, b string) int {
	var two, one []int // rows i-2 and i-1 of the table
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		two, one, row = one, row, make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(one[j]+1, row[j-1]+1, one[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], two[j-2]+1)
			}
		}
	}
	return row[len(b)]
}
