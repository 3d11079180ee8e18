// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package problem

import (
	"regexp"
	"testing"
)

//go:noinline
func culprit(table []int, i int) int { return table[i] }

func TestPanic(t *testing.T) {
	for want, f := range map[string]func(){
		`^internal error: runtime error: index out of range \[3\] with length 1, in ringo/dom0/problem\.culprit, line \d+$`: func() { culprit([]int{1}, 3) },
		`^internal error: why, in ringo/dom0/problem\.TestPanic\.func\d+, line \d+$`:                                        func() { panic("why") },
	} {
		func() {
			defer func() {
				p := Panic(recover())
				if p.Kind != Internal || !regexp.MustCompile(want).MatchString(p.Error()) {
					t.Errorf("%s: %v, want %s", p.Kind, p, want)
				}
			}()
			f()
		}()
	}
	if p := Panic("outside"); p.Error() != "internal error: outside" {
		t.Error(p)
	}
}
