// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package console

import (
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ringo/dom0/console/vt/vttest"
)

// seat is a terminal with somebody before it: its answers are typed.
type seat struct {
	mu    sync.Mutex
	term  *vttest.Terminal
	typed chan<- string
	deaf  bool // it does not answer
	log   strings.Builder
}

func (s *seat) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = s.term.Write(p)
	s.log.Write(p)
	if len(s.term.Answers) > 0 && !s.deaf {
		s.typed <- string(s.term.Answers)
	}
	s.term.Answers = nil
	return len(p), nil
}

func (s *seat) shows(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Contains(s.log.String(), text)
}

// session attaches a guest that has printed old, prints text, and is left; then
// list is typed. It returns the lines that the prompt got.
func session(t *testing.T, old, text string, raw, deaf bool) ([]string, *seat) {
	t.Helper()
	in := make(chan string, 100_000) // a terminal's answers never wait
	r, w := io.Pipe()
	go func() {
		for s := range in {
			_, _ = io.WriteString(w, s)
		}
		w.Close()
	}()
	s := &seat{term: vttest.New(), typed: in, deaf: deaf}
	h := New(r, s, "# ")
	h.patience = time.Millisecond
	if !deaf {
		h.patience = time.Minute
	}
	g := NewGuest()
	g.Connect(newDevice(1 << 20))
	put(g, old)
	left := make(chan bool)
	go func() {
		h.Attach("web1", g, raw, false)
		close(left)
	}()
	for !s.shows("Ctrl-]\r\n") {
		time.Sleep(100 * time.Microsecond)
	}
	put(g, text+"\x18\r\nTHE END") // CAN: also what has no end is over
	for gone := false; !gone && !s.shows("THE END"); {
		select {
		case <-left: // the terminal was made to type Ctrl-]
			gone = true
		case <-time.After(100 * time.Microsecond):
		}
	}
	in <- "\x1d"
	<-left
	in <- "list\n"
	close(in)
	return readAll(t, h), s
}

// evil is output that asks, sets and hides.
var evil = []string{
	"\x05", "\x1b[c", "\x1b[6n", "\x1b[5n", "\x1b[0n", "\x1b]10;?\x07", "\x1b]2;\x1d destroy web1\r\x07\x1b[21t", "\x1bP$qdestroy web1\r\x1b\\", "\x1bZ",
	"\x1b[?1003h", "\x1b[?1004h", "\x1b[?1049h", "\x1b[?25l", "\x1b(0", "\x0e", "\x1b[8;31m", "\x1b[2;5r", "\x1b[?6h", "\x1b[4h", "\x1b[2h", "\x1b%@", "\u009b5n",
	"\x1b[12l", "\x1b]4;1;#000\x07", "\x1b[12345$p", "text\r\n", "\xff", "\x1b[10;10H", "\x1b7",
}

// After the console of a hostile guest the terminal is in its start state and the
// line editor has received nothing, with and without the filter.
func TestConsoleEscape(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	mix := func() string {
		var b strings.Builder
		for range r.IntN(30) {
			b.WriteString(evil[r.IntN(len(evil))])
		}
		return b.String()
	}
	for i := range 300 {
		old, text, raw := mix(), mix(), i%2 == 0
		got, s := session(t, old, text, raw, false)
		if d := cmp.Diff([]string{"list"}, got); d != "" || !s.term.Start() {
			t.Fatalf("after %q, %q (raw %v): the prompt got %q, the terminal is %+v", old, text, raw, got, s.term.State)
		}
	}
}

// A terminal that answers nothing is waited for, but not for ever; what was typed
// meanwhile is not run, and the user is told.
func TestDeafTerminal(t *testing.T) {
	got, s := session(t, "", "\x1b[?25l", true, true)
	if d := cmp.Diff([]string{"list"}, got); d != "" || !s.term.Start() {
		t.Error(d, s.term.State)
	}
}

// What the scrollback asked is answered by nobody when it is shown again, even raw.
func TestReplayAsksNothing(t *testing.T) {
	for _, raw := range []bool{false, true} {
		g, d := NewGuest(), newDevice(1000)
		g.Connect(d)
		put(g, "\x1b[6n\x05login: ")
		typed := make(chan string, 10)
		r, w := io.Pipe()
		s := &seat{term: vttest.New(), typed: typed}
		h := New(r, s, "# ")
		h.patience = time.Millisecond
		left := make(chan bool)
		go func() {
			h.Attach("web1", g, raw, false)
			close(left)
		}()
		for !s.shows("login: ") {
			time.Sleep(100 * time.Microsecond)
		}
		if len(typed) > 0 {
			t.Errorf("raw %v: the terminal typed %q", raw, <-typed)
		}
		_, _ = io.WriteString(w, "\x1d")
		<-left
		w.Close()
	}
}

// Raw is raw: what the guest prints reaches the terminal, and the answer the guest.
func TestRaw(t *testing.T) {
	_, s := session(t, "", "\x1b[?1049h\xff\x00\x1b]0;t\x07", true, false)
	if !s.shows("\x1b[?1049h\xff\x00\x1b]0;t\x07") || s.term.Title != "t" {
		t.Errorf("%q", s.log.String())
	}
}

// Typing into the void: what is typed behind Ctrl-] before the terminal has
// answered is dropped, and what is left of a line with it.
func TestFence(t *testing.T) {
	for _, c := range []struct {
		name, typed string
		patience    time.Duration
		dropped     int
		want        []string
	}{
		{"answered", "abc\x1b[?12345;0$ylist\n", time.Minute, 3, []string{"list"}},
		{"other answers first", "\x1b[0n\x1b[?1234;0$y\x1bPx\x1b\\\x1b[?12345;2$ylist\n", time.Minute, 0, []string{"list"}},
		{"never, in a line", "dest", time.Millisecond, 4, []string{"info"}},
		{"never, after a line", "list\n", time.Millisecond, 5, []string{"roy web1", "info"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := make(stream, 10)
			h := New(in, new(screen), "# ")
			in <- c.typed
			for h.in.next0() == 0 {
				time.Sleep(100 * time.Microsecond)
			}
			if n := h.in.fence(12345, c.patience); n != c.dropped {
				t.Errorf("%d bytes dropped, want %d", n, c.dropped)
			}
			if c.patience < time.Second {
				in <- "roy web1\ninfo\n"
			}
			close(in)
			if d := cmp.Diff(c.want, readAll(t, h)); d != "" {
				t.Error(d)
			}
		})
	}
}

// next0 is how many bytes are queued.
func (q *queue) next0() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.n
}

// A key that looks like the beginning of an answer does not swallow what is typed
// after a pause.
func TestPauseEndsSequence(t *testing.T) {
	for _, start := range []string{"\x1b]", "\x1b", "\x1b[", "\x1b[M", "\x1bP"} {
		in := make(stream)
		h := New(in, new(screen), "# ")
		h.in.idle = time.Millisecond
		got := make(chan string)
		go func() {
			defer close(got)
			for {
				l, err := h.ReadLine()
				if err != nil {
					return
				}
				if l == "list" {
					got <- l
				}
			}
		}()
		in <- start
		for done := false; !done; {
			in <- "list\n"
			select {
			case <-got:
				done = true
			case <-time.After(5 * time.Millisecond):
			}
		}
		go func() {
			for range got {
			}
		}()
		close(in)
	}
}

// FuzzKeys types anything at the prompt: the editor gets ASCII, and what an answer
// of the terminal holds never becomes a line.
func FuzzKeys(f *testing.F) {
	f.Add("li\x1b[?62;1;6cst\n", 3)
	f.Add("\x1b]lsecret\n\x1b\\list\r\n\x1b[M\r\r\r", 1)
	f.Add("\x1b[A\x1b[3~\x1b[1;5C\x03\x04\x1d\xff", 2)
	f.Fuzz(func(t *testing.T, typed string, cut int) {
		steps := []any{}
		for p := typed; p != ""; {
			n := min(max(cut, 1), len(p))
			steps = append(steps, p[:n])
			p = p[n:]
		}
		h := New(newStream(append(steps, "\x18\x1b\\\x03\x1bP1$rsecret\n\x1b\\\nlist\n")...), io.Discard, "# ")
		h.in.idle = time.Hour
		got := readAll(t, h)
		// The end of what was typed, the line of which the answer is no part, list.
		if n := len(got); n < 2 || got[n-1] != "list" || got[n-2] != "" {
			t.Errorf("%q does not end with an empty line and list", got)
		}
		for _, l := range got {
			if strings.ContainsFunc(l, func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Errorf("line %q", l)
			}
		}
	})
}
