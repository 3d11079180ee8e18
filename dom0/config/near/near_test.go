// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package near

import "testing"

func TestHint(t *testing.T) {
	verbs := []string{"create", "list", "destroy", "info"}
	for _, c := range []struct{ word, want string }{
		{"lsit", ` (did you mean "list"?)`},
		{"creat", ` (did you mean "create"?)`},
		{"destory", ` (did you mean "destroy"?)`},
		{"inf", ` (did you mean "info"?)`},
		{"frobnicate", ""},
		{"x", ""},
		{"", ""},
	} {
		if got := Hint(c.word, verbs); got != c.want {
			t.Errorf("Hint(%q) = %q, want %q", c.word, got, c.want)
		}
	}
}

func TestNearestWins(t *testing.T) {
	if got, _ := Word("web12", []string{"web1x", "web13", "web2", "web12"}); got != "web12" {
		t.Error(got)
	}
	if got, _ := Word("memroy", []string{"memorial", "memory"}); got != "memory" {
		t.Error(got)
	}
	if d := distance("memroy", "memory"); d != 1 {
		t.Errorf("a swap is %d edits", d)
	}
}
