// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package console

import (
	"strings"
	"sync"
	"testing"
	"time"
)

// end is the other end of a stream.
type end struct {
	mu       sync.Mutex
	attended bool
	changes  int
	open     bool
	resumed  chan struct{}
}

func (e *end) Attend(on bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.attended = on
	e.changes++
}

func (e *end) Resume() {
	select {
	case e.resumed <- struct{}{}:
	default:
	}
}

func (e *end) Opened() bool { return e.open }

func (e *end) is() (attended bool, changes int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.attended, e.changes
}

// writeAll writes as the device does: what has no room waits until there is some.
func writeAll(t *testing.T, g *Guest, e *end, s string) {
	t.Helper()
	for p := []byte(s); len(p) > 0; {
		n := g.Write(p)
		if p = p[n:]; n == 0 {
			select {
			case <-e.resumed:
			case <-time.After(time.Minute):
				t.Error("no room within a minute")
				return
			}
		}
	}
}

// Nothing of a stream is lost, however much there is at once, and nothing is shown again
// to who comes later. Its other end hears whether somebody looks, also a new one.
func TestStream(t *testing.T) {
	g, first := NewGuest(), &end{resumed: make(chan struct{}, 1)}
	g.Connect(newDevice(1000))
	g.Follow(first)
	if n := g.Write(make([]byte, 2*Scrollback)); n != Scrollback || g.Write([]byte{1}) != 0 {
		t.Errorf("there is room for %d bytes", n)
	}
	r := newRig(t, g)
	e := &end{resumed: make(chan struct{}, 1)}
	for _, round := range []string{"first", "second"} {
		first.open = round == "second"
		r.typed("console\n")
		r.s.wait(t, map[bool]string{
			false: "connected to \"web1\", where nobody is yet, leave with Ctrl-]\r\n",
			true:  "connected to \"web1\", leave with Ctrl-]\r\n",
		}[first.open])
		for on := false; !on; on, _ = first.is() {
			time.Sleep(time.Millisecond)
		}
		if round == "second" {
			g.Follow(e) // the guest has restarted
			if on, _ := e.is(); !on {
				t.Error("a new end does not hear that somebody looks")
			}
			first = e
		}
		line := round + " line " + strings.Repeat("x", 60) + "\n"
		const lines = 3 * Scrollback / 60
		writeAll(t, g, first, strings.Repeat(line, lines)+"the end\n")
		r.s.wait(t, "the end")
		shown := r.s.String()
		shown = shown[strings.LastIndex(shown, "Ctrl-]"):]
		if n := strings.Count(shown, line[:len(line)-1]); n != lines || strings.Count(shown, "line") != lines {
			t.Errorf("%s: %d lines of %d are shown", round, n, lines)
		}
		r.typed("\x1d")
		r.s.wait(t, "ringo# ")
		if on, _ := first.is(); on {
			t.Error("it is not told that nobody looks")
		}
	}
	if _, n := e.is(); n != 2 {
		t.Errorf("told %d times", n)
	}
	g.Close()
}
