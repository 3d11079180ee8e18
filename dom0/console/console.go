// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package console is the host console: a line editor with history and completion
// on a byte stream, and the consoles of guests, which can be attached to it.
//
// The stream is a serial line or a pipe: nothing tells whether a person is at the
// other end. A line ends with CR, LF or both; what is typed is echoed. While a
// guest is attached, what is typed goes to it unchanged until Ctrl-]. Only then
// does a guest's output reach the terminal, through package vt unless the user
// wants it raw; whatever else is written is made of printable characters and
// whole lines.
package console

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"time"
	"unicode"

	"golang.org/x/term"

	"ringo/dom0/console/vt"
)

// Escape is the key that leaves a guest's console: Ctrl-].
const Escape = 0x1d

// gather is how long output is collected after its first byte: a guest writes
// byte by byte, and dom0 has better things to do than to wake up for each.
const gather = 4 * time.Millisecond

// maxHeld bounds the notices that wait while a guest is attached.
const maxHeld = 100

// Complete proposes completions of the last word of line: the word is
// line[from:], each candidate replaces it.
type Complete = func(line string) (from int, candidates []string)

// Host is the host console. ReadLine and Attach are called by one goroutine;
// Write and Notify by any.
type Host struct {
	in   *input
	out  io.Writer
	term *term.Terminal

	patience time.Duration // with a terminal that does not answer
	dropped  uint64        // typed for the attached guest and lost
	prompt   string
	text     bool // a text is read, see ReadText

	// mu guards what follows and is held while lines are written; before the
	// terminal's own lock. While attached, only pass and Tell write.
	mu       sync.Mutex
	attached bool
	shows    string // the guest that is attached, "" in Watch
	held     []string
}

// New returns the host console on a pair of streams. It reads r from now on.
func New(r io.Reader, w io.Writer, prompt string) *Host {
	h := &Host{out: w, patience: maxPatience, prompt: prompt}
	h.in = newInput(r, h.Notify)
	h.term = term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{h.in, w}, prompt)
	h.term.History = new(history)
	return h
}

// SetComplete sets the source of completions.
func (h *Host) SetComplete(c Complete) {
	h.term.AutoCompleteCallback = func(line string, pos int, key rune) (string, int, bool) {
		if key != '\t' {
			return "", 0, false
		}
		if h.text {
			return line[:pos] + " " + line[pos:], pos + 1, true
		}
		head, list := complete(c, line[:pos])
		if len(list) > 0 {
			_, _ = h.Write([]byte(strings.Join(list, "  ") + "\n"))
		}
		return head + line[pos:], len(head), true
	}
}

// complete extends head by what all candidates share, and returns the candidates
// when that is nothing.
func complete(c Complete, head string) (string, []string) {
	from, list := c(head)
	if len(list) == 0 {
		return head, nil
	}
	common := list[0]
	for _, s := range list[1:] {
		for !strings.HasPrefix(s, common) {
			common = common[:len(common)-1]
		}
	}
	if len(list) == 1 && !strings.HasSuffix(common, "=") {
		common += " "
	}
	if len(list) > 1 && len(common) <= len(head)-from {
		return head, list
	}
	return head[:from] + common, nil
}

// maxLine is the length in bytes of the longest line: the line editor holds one
// byte more, and drops what is behind it without a word.
const maxLine = 4095

// ReadLine prompts for a line and returns it without its end. Lines of which a
// part was lost are not returned; the user is told. The error is that of the
// stream, io.EOF at its end.
func (h *Host) ReadLine() (string, error) {
	for {
		line, err := h.term.ReadLine()
		if err != nil && !errors.Is(err, term.ErrPasteIndicator) {
			if err := h.in.ended(); err != nil {
				return "", err
			}
			continue
		}
		if len(line) <= maxLine {
			return line, nil
		}
		h.in.losses++
		h.Notify(fmt.Sprintf("error: the line is longer than %d bytes: it is not run", maxLine))
	}
}

// Write writes lines for the user, above the prompt. What is not printable, but for
// line ends and tabs, becomes "?": text may hold what a guest has chosen.
func (h *Host) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := h.term.Write(printable(p))
	return len(p), err
}

// Notify writes a line; while a guest is attached it waits.
func (h *Host) Notify(line string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.attached {
		_, _ = h.term.Write(printable([]byte(line + "\n")))
	} else if len(h.held) < maxHeld {
		h.held = append(h.held, line)
	}
}

// Tell is Notify, but the line does not wait while the guest of that name is attached:
// it is for one that has printed nothing.
func (h *Host) Tell(name, line string) {
	h.mu.Lock()
	if h.attached && h.shows == name {
		_, _ = h.term.Write(printable([]byte(line + "\n")))
		h.mu.Unlock()
		return
	}
	h.mu.Unlock()
	h.Notify(line)
}

func printable(p []byte) []byte {
	return bytes.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) && r != '\n' && r != '\t' || r == unicode.ReplacementChar {
			return '?'
		}
		return r
	}, p)
}

// Attach connects the streams with a guest's console until Ctrl-] or until the
// guest is gone. It replays the scrollback first, but for a [Stream]'s. What the guest prints passes a
// [vt.Filter]; with raw only the scrollback does. When Attach returns, the
// terminal is as it was, but for its screen, and with raw its title.
//
// One host types at a time: the first, until it leaves or another one forces itself in.
func (h *Host) Attach(name string, g *Guest, raw, force bool) {
	typing := ""
	if !g.Take(h, force) {
		typing = " to read, since somebody else types (console -f takes the keyboard)"
	}
	defer g.Leave(h)
	if !g.opened() {
		typing += ", where nobody is yet"
	}
	_, _ = h.Write(fmt.Appendf(nil, "connected to %q%s, leave with Ctrl-]\n", name, typing))
	h.hold(name)
	h.dropped = 0
	var f vt.Filter
	alive := h.pass(g, &f, raw)
	reset := vt.SoftReset
	if f.Moved() {
		reset = vt.MovedReset
	}
	ignored := 0
	if raw {
		number := 10000 + rand.IntN(50000)
		_, _ = io.WriteString(h.out, vt.HardReset+vt.Ask(number))
		ignored = h.in.fence(number, h.patience)
		reset = "\r\x1b[K"
	}
	held := h.release(reset)
	if ignored > 0 {
		held = append(held, fmt.Sprintf("%d bytes that were typed, or sent by the terminal, with Ctrl-] were ignored", ignored))
	}
	if h.dropped > 0 {
		held = append(held, fmt.Sprintf("error: %d or more bytes typed for %q were lost", h.dropped, name))
	}
	if !alive {
		held = append(held, fmt.Sprintf("the console of %q is closed", name))
	}
	for _, s := range held {
		h.Notify(s)
	}
}

// hold gives the terminal to a guest, or with "" to Watch: notices wait.
func (h *Host) hold(shows string) {
	h.mu.Lock()
	h.attached, h.shows = true, shows
	h.mu.Unlock()
}

// release undoes hold and returns the notices that have waited.
func (h *Host) release(reset string) (held []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	held, h.held, h.attached = h.held, nil, false
	_, _ = io.WriteString(h.out, reset+"\r\n")
	return held
}

// maxPatience is how long a terminal may take to answer.
const maxPatience = time.Second

// pass copies both ways; it reports whether the guest is still there.
func (h *Host) pass(g *Guest, f *vt.Filter, raw bool) (alive bool) {
	var buf [512]byte // small: keys are looked at between two writes
	var clean []byte
	off, until := g.begin(), uint64(math.MaxUint64) // what is filtered
	defer g.leave()
	if raw {
		until = g.End()
	}
	for {
		changed := g.Changed()
		n, first := g.Read(buf[:], off)
		out := buf[:n]
		if first > off && off == 0 {
			// The oldest byte may be the middle of something: start with a line.
			out = out[bytes.IndexByte(out, '\n')+1:]
		}
		off = first + uint64(n)
		start := off - uint64(len(out)) // of out
		old := out[:min(uint64(len(out)), until-min(until, start))]
		clean = append(f.Append(clean[:0], old), out[len(old):]...)
		if len(clean) > 0 {
			_, _ = h.out.Write(clean)
		}
		g.shown(off)
		if h.in.fill() {
			if h.keys(g) {
				return true
			}
			continue
		}
		if n > 0 {
			continue
		}
		if h.in.ended() != nil {
			return true
		}
		select {
		case <-changed:
			time.Sleep(gather)
		case <-h.in.ready:
		case <-g.Gone():
			if g.End() == off {
				return false
			}
		}
	}
}

// keys sends typed bytes to the guest and reports whether Ctrl-] was among them;
// what follows it is for the line editor.
//
// Preconditions: h.in.fill() reported true.
func (h *Host) keys(g *Guest) (leave bool) {
	p := h.in.take()
	i := bytes.IndexByte(p, Escape)
	if i >= 0 {
		h.in.rest = p[i+1:]
		p = p[:i]
	}
	if len(p) > 0 && !g.Take(h, false) {
		p = nil
		_, _ = h.out.Write([]byte{'\a'})
	}
	lost := uint64(0)
	if n := g.Send(p); n < len(p) {
		lost = uint64(len(p) - n)
	}
	if i < 0 {
		lost += h.in.gap.n
		h.in.gap = loss{}
	}
	if lost > 0 {
		h.dropped += lost
		_, _ = h.out.Write([]byte{'\a'})
	}
	return i >= 0
}
