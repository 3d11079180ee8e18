// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package problem

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"testing"
)

func TestOf(t *testing.T) {
	plain := New(NotFound, "", "no file %q", "x")
	asked := New(NotFound, `did you mean "web2"?`, "domain %q does not exist", "wbe2")
	told := New(Full, "destroy a domain", "not enough memory")
	for _, c := range []struct {
		err  error
		want Error
		text string
	}{
		{plain, *plain, `no file "x"`},
		{asked, *asked, `domain "wbe2" does not exist (did you mean "web2"?)`},
		{told, *told, "not enough memory: destroy a domain"},
		{fmt.Errorf("kernel: %w", told), Error{Kind: Full, Message: "kernel: not enough memory", Remedy: "destroy a domain"}, "kernel: not enough memory: destroy a domain"},
		{fmt.Errorf("kernel: %w", asked), Error{Kind: NotFound, Message: `kernel: domain "wbe2" does not exist`, Remedy: `did you mean "web2"?`},
			`kernel: domain "wbe2" does not exist (did you mean "web2"?)`},
		{New(Full, "destroy web1", "it is full").Command(), Error{Kind: Full, Message: "it is full", Remedy: "destroy web1"}, "it is full (destroy web1)"},
		{fmt.Errorf("x: %w", New(Full, "destroy web1", "it is full").Command()), Error{Kind: Full, Message: "x: it is full", Remedy: "destroy web1"}, "x: it is full (destroy web1)"},
		{fmt.Errorf("kernel: %w", plain), Error{Kind: NotFound, Message: `kernel: no file "x"`}, `kernel: no file "x"`},
		{errors.Join(told, io.EOF), Error{Kind: Full, Message: "not enough memory: destroy a domain; EOF"}, "not enough memory: destroy a domain; EOF"},
		{io.EOF, Error{Kind: Internal, Message: "EOF"}, "EOF"},
	} {
		got := Of(Internal, c.err)
		if got.Kind != c.want.Kind || got.Message != c.want.Message || got.Remedy != c.want.Remedy || got.Error() != c.text {
			t.Errorf("%v: %+v %q", c.err, got, got)
		}
		if !errors.Is(got, c.err) {
			t.Errorf("%v: the cause is lost", c.err)
		}
	}
	if Of(Internal, nil) != nil {
		t.Error("nil is a problem")
	}
	b, err := json.Marshal(asked)
	if want := `{"kind":"not-found","message":"domain \"wbe2\" does not exist","remedy":"did you mean \"web2\"?"}`; err != nil || string(b) != want {
		t.Errorf("%s %v", b, err)
	}
}
