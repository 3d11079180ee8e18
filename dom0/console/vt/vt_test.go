// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vt

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"ringo/dom0/console/vt/vttest"
)

func filtered(s string) string { return string(new(Filter).Append(nil, []byte(s))) }

func TestFilter(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"text", "login: \r\n\tx\b", "login: \r\n\tx\b"},
		{"UTF-8", "grüß ✓ 日本", "grüß ✓ 日本"},
		{"not UTF-8", "a\xffb\xc3(\x9b2J\xe2\x82", "a?b?(?2J"},
		{"cut in two", "\xe2\x82\x1b[m\xac", "?\x1b[m?"},
		{"controls", "a\x00\x05\x07\x0b\x0c\x7fb", "ab"},
		{"C1 as UTF-8", "\u009b5n\u009d0;x\u0085", "5n0;x"},
		{"hidden and turned", "a\u202eb\u200bc\ufeff", "abc"},
		{"colours", "\x1b[1;31mred\x1b[m \x1b[38:2::1:2:3m", "\x1b[1;31mred\x1b[m \x1b[38:2::1:2:3m"},
		{"cursor", "\x1b[H\x1b[2J\x1b[10;20Hx\x1b[K\x1b7\x1b8\x1bM", "\x1b[H\x1b[2J\x1b[10;20Hx\x1b[K\x1b7\x1b8\x1bM"},
		{"scrollback", "\x1b[3J\x1b[0;3J", ""},
		{"queries", "\x1b[c\x1b[>c\x1b[=c\x1b[5n\x1b[6n\x1b[?6n\x1b[x\x1bZ\x1b[21t\x1b[?1$p\x1b[>q\x1b[?u", ""},
		{"modes", "\x1b[?1049h\x1b[?25l\x1b[4h\x1b[?1003h\x1b=\x1b>\x1b[!p\x1bc\x1b[62\"p", ""},
		{"printer", "\x1b[i\x1b[5i\x1b[?5i", ""},
		{"OSC", "a\x1b]0;title\x07b\x1b]52;c;?\x1b\\c", "abc"},
		{"DCS, APC, PM, SOS", "a\x1bP$qm\x1b\\b\x1b_x\x1b\\c\x1b^y\x1b\\d\x1bXz\x1b\\e", "abcde"},
		{"given up", "\x1b[12\x18x\x1b]0;t\x1ay\x1b[1\x1b[2mz\x1b[5\r\n", "xy\x1b[2mz\r\n"},
		{"a string without end", "\x1bP stray\nnext line", "\nnext line"},
		{"a long string", "\x1b]" + strings.Repeat("x", maxString+3), "xxx"},
		{"a long sequence", "\x1b[" + strings.Repeat("1;", 30) + "mx", "x"},
		{"a large number", "\x1b[99999B\x1b[9999B", "\x1b[9999B"},
		{"keypad keys", "\x1bOAx", "x"},
		{"line graphics", "\x1b(0lqk\x1b(Blqk \x1b)0\x0ex~a\x0fx", "┌─┐lqk │·▒x"},
		{"other charsets", "\x1b(A\x1b%@\x1b*0x", "x"},
		{"no end", "abc\x1b", "abc"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := filtered(c.in); got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

func TestMoved(t *testing.T) {
	for in, want := range map[string]bool{
		"text\r\n\x1b[1;32mOK\x1b[0m\x1b[K\x1b[5C": false, "\x1b[H": true, "\x1b[2J": true, "\x1b[A": true, "\x1bM": true, "\x1b[2;5r": true,
	} {
		f := new(Filter)
		if f.Append(nil, []byte(in)); f.Moved() != want {
			t.Errorf("%q: %v", in, f.Moved())
		}
	}
}

// recorded is what programs write to a terminal of each kind when they start, work
// and end, written down after their terminfo entries and what they are known to
// print: what differs between them, not whole sessions.
var recorded = map[string]string{
	"vim": "\x1b[?1049h\x1b[22;0;0t\x1b[>4;2m\x1b[?1h\x1b=\x1b[?2004h\x1b[?1004h\x1b[1;24r\x1b[?12h\x1b[?12l\x1b[22;2t\x1b[22;1t" +
		"\x1b[27m\x1b[23m\x1b[29m\x1b[m\x1b[H\x1b[2J\x1b[?25l\x1b[24;1H\"x\" [New]\x1b[2;1H▽\x1b[6n\x1b[2;1H  \x1b[3;1H\x1bPzz\x1b\\\x1b[0%m\x1b[6n" +
		"\x1b[3;1H           \x1b[1;1H\x1b[>c\x1b]10;?\x07\x1b]11;?\x07\x1b[34m~\x1b[m\x1b[?25h\x1bP+q436f\x1b\\" +
		"\x1b[?2004l\x1b[>4;m\x1b[23;2t\x1b[23;1t\x1b[24;1H\x1b[K\x1b[?1004l\x1b[?2004l\x1b[?1l\x1b>\x1b[?1049l\x1b[23;0;0t\x1b[?25h",
	"killed in an editor": "\x1b[?1049h\x1b[22;0;0t\x1b[1;24r\x1b(B\x1b[m\x1b[4l\x1b[?7h\x1b[?12l\x1b[?25h\x1b[?1h\x1b=\x1b[?1000h\x1b[?1006h\x1b[39;49m\x1b[K",
	"shell":               "\x1b[?2004h\x1b]0;root@web1: ~\x07root@web1:~# ls\r\n\x1b[?2004l\r\x1b[0m\x1b[01;34mbin\x1b[0m\x07\x1b[6n",
	"installer":           "\x1b)0\x1b[1;24r\x1b[m\x0f\x1b[?7h\x1b[?1h\x1b=\x1b[H\x1b[J\x1b[5;10H\x1b[34;47m\x0elqqk\x0f\x1b[6;10H\x0ex\x0f  \x0ex\x0f\x1b[?25l",
	"multiplexer":         "\x1b[?1049h\x1b(B\x1b[m\x1b[?1l\x1b>\x1b[H\x1b[2J\x1b[>4;1m\x1b[?1000l\x1b[?1002h\x1b[?1006h\x1b[c\x1b[>c\x1b[>q\x1b]10;?\x1b\\\x1b]11;?\x1b\\\x1b[?12l\x1b[?25h\x1b[=1u\x1b[?2031h",
	"login manager":       "\x1bc\x1b[!p\x1b]R\x1b[?25h\x1b[6n\x1b[32766;32766H\x1b[6n\x1b[0;1mweb1 login: ",
	"log":                 "[    0.000000] Linux version\r\n[\x1b[0;32m  OK  \x1b[0m] Started \x1b[0;1;39mgetty\x1b[0m.\r\n",
	"image":               "\x1bPq#0;2;0;0;0#1~~@@vv@@~~$#2??}}GG}}??-\x1b\\\x1b_Gf=24,s=1,v=1;AAAA\x1b\\\x1b]1337;File=:AAAA\x07",
}

// alphabet is what the random tests make output of, besides random bytes.
var alphabet = append(strings.Split("\x1b \x1b[ \x1b] \x1bP \x1b_ \x1b^ \x1bX \x1b\\ \x05 \x07 \x0e \x0f \x18 \x1a \x7f \x9b \u009b \u009d x ü ! ? > = < 0 1 4 5 25 ; : $ \" % ( ) \r \n \r\n \x00", " "),
	" ", "\x1b[c", "\x1b[6n", "\x1b[5n", "\x1b[?1049h", "\x1b[?1003h", "\x1b[?25l", "\x1b[?6h", "\x1b[?7l", "\x1b[4h", "\x1b[2h", "\x1b[20h", "\x1b[12l",
	"\x1b[7;31m", "\x1b[5;10r", "\x1b[H", "\x1b[21t", "\x1b]0;destroy x\r\x07", "\x1bP$qm\x1b\\", "\x1b]10;?\x07", "\x1b(0", "\x1b%@", "\x1b7", "\x1b=", "\x1bH",
	"\x1b[3g", "\x1b[>4;2m", "\x1b[=5u", "\x1b[>1u", "\x1b[3 q", "\x1b[1\"q", "\x1b]4;1;#000\x07", "\x1b[5i", "\x1b[3J", "\x1bn", "\x1bc", "\x1b[?69h", "\x1b[3;9s",
)

// random returns output of a hostile guest.
func random(r *rand.Rand) string {
	var b strings.Builder
	for range 1 + r.IntN(40) {
		if r.IntN(8) == 0 {
			b.WriteByte(byte(r.Uint32()))
		} else {
			b.WriteString(alphabet[r.IntN(len(alphabet))])
		}
	}
	return b.String()
}

// harmless fails unless out leaves nothing behind on a terminal.
func harmless(t *testing.T, in string) {
	t.Helper()
	f, term := new(Filter), vttest.New()
	out := f.Append(nil, []byte(in))
	_, _ = term.Write(out)
	if len(term.Answers) > 0 || term.Title != "" || term.Printed > 0 || term.Wiped > 0 || len(term.Modes) > 0 || term.Parser != "" {
		t.Errorf("%q passes as %q, and the terminal is %+v", in, out, term)
	}
	reset := SoftReset
	if f.Moved() {
		reset = MovedReset
	}
	row := term.Row
	_, _ = term.Write([]byte(reset))
	if !term.Start() || len(term.Answers) > 0 {
		t.Errorf("%q passes as %q; after the reset %+v", in, out, term.State)
	}
	if want := vttest.Rows - 1; f.Moved() && term.Row != want || !f.Moved() && term.Row != row {
		t.Errorf("%q: after the reset in row %d, before it in %d", in, term.Row, row)
	}
}

// Whatever a guest prints, the terminal types nothing and is soon as it was.
func TestFilteredIsHarmless(t *testing.T) {
	for name, s := range recorded {
		t.Run(name, func(t *testing.T) {
			for i := range len(s) + 1 { // also when it ends in the middle
				harmless(t, s[:i])
			}
		})
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		if harmless(t, random(r)); t.Failed() {
			return
		}
	}
}

// Without a filter a reset is all that helps, and it does.
func TestHardReset(t *testing.T) {
	check := func(s string) {
		term := vttest.New()
		_, _ = term.Write([]byte(s))
		_, _ = term.Write([]byte(HardReset))
		if !term.Start() || term.Row != vttest.Rows-1 {
			t.Errorf("%q leaves %+v, row %d", s, term.State, term.Row)
		}
		term.Answers = nil
		_, _ = term.Write([]byte(Ask(12345)))
		if q := bytes.TrimPrefix(term.Answers, []byte{ESC}); !IsAnswer(q, 12345) || IsAnswer(q, 1234) {
			t.Errorf("%q: the answer to Ask is %q", s, q)
		}
	}
	for _, s := range recorded {
		for i := range len(s) + 1 {
			check(s[:i])
		}
	}
	r := rand.New(rand.NewPCG(3, 4))
	for range 20_000 {
		if check(random(r)); t.Failed() {
			return
		}
	}
}

// A filter that lets everything pass would be found out: the terminal of these
// tests answers, and keeps what it was told.
func TestTerminalCanFail(t *testing.T) {
	for _, q := range []string{"\x05", "\x1b[c", "\x1b[6n", "\x1b]10;?\x07", "\x1bP$qm\x1b\\", "\x1bZ", "\x1b[21t", "\u009b5n", "\x1b[?1004h"} {
		term := vttest.New()
		if _, _ = term.Write([]byte(q)); len(term.Answers) == 0 {
			t.Errorf("no answer to %q", q)
		}
	}
	for _, q := range []string{"\x1b[?25l", "\x1b(0", "\x1b[7m", "\x1b[2;3r", "\x1b7", "\x0e", "\x1b]4;1;#000\x07", "\x1b]0;", "\x1b[4h", "\x1b=", "\x1b[?1049h", "\x1b%@", "\xc3"} {
		term := vttest.New()
		if _, _ = term.Write([]byte(q)); term.Start() {
			t.Errorf("%q leaves nothing behind", q)
		}
	}
}

// What passes is text and allowed sequences, whatever the guest prints and however
// it is cut into pieces.
func FuzzFilter(f *testing.F) {
	for _, s := range recorded {
		f.Add([]byte(s), 3)
	}
	r := rand.New(rand.NewPCG(5, 6))
	for range 50 {
		f.Add([]byte(random(r)), 1+r.IntN(9))
	}
	f.Fuzz(func(t *testing.T, in []byte, cut int) {
		harmless(t, string(in))
		want := filtered(string(in))
		g, got := new(Filter), []byte(nil)
		for p := in; len(p) > 0; {
			n := min(max(cut, 1), len(p))
			got = g.Append(got, p[:n])
			p = p[n:]
		}
		if string(got) != want {
			t.Errorf("in pieces of %d: %q, at once %q", cut, got, want)
		}
		if !utf8.Valid(got) || len(got) > 3*len(in) {
			t.Errorf("%q passes as %q", in, got)
		}
		if again := filtered(want); again != want {
			t.Errorf("what passed, %q, passes as %q the second time", want, again)
		}
	})
}

func TestFilterAllocations(t *testing.T) {
	f, dst := new(Filter), make([]byte, 0, 1024)
	in := []byte(recorded["vim"] + "grüß")
	if n := testing.AllocsPerRun(100, func() { dst = f.Append(dst[:0], in) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkFilter(b *testing.B) {
	f, in := new(Filter), bytes.Repeat([]byte(fmt.Sprint(recorded["log"])), 100)
	var dst []byte
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		dst = f.Append(dst[:0], in)
	}
}
