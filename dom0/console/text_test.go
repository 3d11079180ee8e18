// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package console

import (
	"io"
	"strings"
	"testing"
)

// A text ends at a dot, and nothing of it is taken for a command, whatever it is.
func TestReadText(t *testing.T) {
	long := strings.Repeat("x", maxLine)
	for _, c := range []struct{ name, typed, want, err string }{
		{"lines", "a = 1\r\n[b]\nc = \"d\"\r.\rnext\r", "a = 1\n[b]\nc = \"d\"\n", ""},
		{"nothing", ".\nnext\n", "", ""},
		{"dots", "..\n.x\n .\n.\nnext\n", "..\n.x\n .\n", ""},
		{"tabs", "\ta = 1\tb\n.\nnext\n", " a = 1 b\n", ""},
		{"Ctrl-C", "a\nb\x03next\n", "", "Ctrl-C"},
		{"Ctrl-C at once", "\x03next\n", "", "Ctrl-C"},
		{"too long", strings.Repeat("0123456789\n", 11) + ".\nnext\n", "", "longer than 100 bytes"},
		{"a line too long", "a\n" + long + "y\nb\n.\nnext\n", "", "was lost"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, w := io.Pipe()
			h := New(r, new(screen), "# ")
			h.SetComplete(func(string) (int, []string) { return 0, []string{"completed"} })
			go func() {
				_, _ = io.WriteString(w, "command\n"+c.typed)
				w.Close()
			}()
			if l, err := h.ReadLine(); l != "command" {
				t.Fatal(l, err)
			}
			got, err := h.ReadText("> ", 100)
			if got != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("%q, %v", got, err)
			}
			if l, err := h.ReadLine(); l != "next" {
				t.Errorf("the next line is %q, %v", l, err)
			}
			if n := h.term.History.Len(); n != 2 {
				t.Errorf("%d lines in the history", n)
			}
			if !strings.HasSuffix(h.out.(*screen).String(), "\r\n# next\r\n") {
				t.Errorf("the screen ends with %q", h.out.(*screen).String())
			}
		})
	}
}

// Of a text with a gap nothing is left, and it is read to its end.
func TestReadTextLost(t *testing.T) {
	h := New(newStream("a\nb", lostError{3, false}, "b\n.\nnext\n"), new(screen), "# ")
	if got, err := h.ReadText("> ", 100); got != "" || err == nil || !strings.Contains(err.Error(), "was lost") {
		t.Errorf("%q, %v", got, err)
	}
	if l, _ := h.ReadLine(); l != "next" {
		t.Errorf("the next line is %q", l)
	}
}

// Several look at a console, and one of them types.
func TestOneWriter(t *testing.T) {
	g, d := NewGuest(), newDevice(1000)
	g.Connect(d)
	a, b := newRig(t, g), newRig(t, g)
	a.typed("console\n")
	a.s.wait(t, "connected to \"web1\", leave with Ctrl-]\r\n")
	a.typed("1")
	d.wait(t, "1")
	b.typed("console\nnot this")
	b.s.wait(t, "connected to \"web1\" to read, since somebody else types (console -f takes the keyboard), leave with Ctrl-]\r\n")
	b.s.wait(t, "\a")
	put(g, "both see it")
	a.s.wait(t, "both see it")
	b.s.wait(t, "both see it")
	b.typed("\x1d")
	b.s.wait(t, "ringo# ")
	b.typed("console -f\n2")
	d.wait(t, "12")
	a.typed("nor that")
	a.s.wait(t, "\a")
	b.typed("\x1d") // then it is free
	b.s.wait(t, "ringo# ")
	a.typed("3")
	d.wait(t, "123")
	g.Close()
}
