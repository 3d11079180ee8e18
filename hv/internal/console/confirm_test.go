// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package console

import "testing"

// A question is answered by its own code and by nothing else.
func TestConfirm(t *testing.T) {
	var c Confirm
	if _, a := c.Type('1'); a != NoQuestion {
		t.Errorf("answer %d without a question", a)
	}
	code := c.Ask('C', 12345)
	for i := range digits {
		key, a := c.Type(code[i])
		if want := []Answer{More, More, Yes}[i]; a != want || key != 'C' {
			t.Errorf("digit %d: %c, answer %d", i, key, a)
		}
	}
	if _, a := c.Type(code[0]); a != NoQuestion {
		t.Error("a question is answered twice")
	}
	for i := range digits { // a wrong key at each place
		code = c.Ask('R', uint64(i))
		for j := range i {
			c.Type(code[j])
		}
		if key, a := c.Type('y'); a != No || key != 'R' {
			t.Errorf("wrong key at %d: answer %d", i, a)
		}
		if _, a := c.Type(code[i]); a != NoQuestion {
			t.Errorf("wrong key at %d: the question stays", i)
		}
	}
}

// Codes differ: nobody can type one in advance.
func TestCodesDiffer(t *testing.T) {
	var c Confirm
	seen := map[string]int{}
	const n = 10_000
	for i := range n {
		seen[c.Ask('C', uint64(1_000_000+i*37))]++
	}
	for code, k := range seen {
		if k > 10*n/1000 {
			t.Errorf("%s comes %d times of %d", code, k, n)
		}
	}
	if len(seen) < 900 {
		t.Errorf("%d codes", len(seen))
	}
}
