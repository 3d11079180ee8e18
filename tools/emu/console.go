// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"time"
)

// Console is one end of a serial line: what the machine printed, and a way to
// type. Carriage returns and terminal control sequences are taken out of the
// kept text, so that a line editor's redrawing does not hide words.
type Console struct {
	w io.Writer

	mu    sync.Mutex
	text  []byte // cleaned output, oldest first
	next  int    // Expect searches from here
	limit int
	err   error // why no more output will come
	wake  chan struct{}
	clean cleaner
	tee   io.Writer
}

// NewConsole reads r until it ends and types to w. It keeps at most limit bytes.
func NewConsole(r io.Reader, w io.Writer, limit int) *Console {
	c := &Console{w: w, limit: limit, wake: make(chan struct{})}
	go c.read(r)
	return c
}

// Tee copies all output, also what came already, to w as it came but for the
// part before, which is cleaned.
func (c *Console) Tee(w io.Writer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w.Write(c.text)
	c.tee = w
}

func (c *Console) read(r io.Reader) {
	buf := make([]byte, 4096)
	for {
		n, err := r.Read(buf)
		c.mu.Lock()
		if c.tee != nil && n > 0 {
			c.tee.Write(buf[:n])
		}
		c.text = c.clean.append(c.text, buf[:n])
		if cut := len(c.text) - c.limit; cut > c.limit/4 {
			c.text = append(c.text[:0], c.text[cut:]...)
			c.next = max(0, c.next-cut)
		}
		c.err = err
		close(c.wake)
		c.wake = make(chan struct{})
		c.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// Drain waits until all output is read, after the machine has ended.
func (c *Console) Drain() {
	for {
		c.mu.Lock()
		wake, ended := c.wake, c.err != nil
		c.mu.Unlock()
		if ended {
			return
		}
		<-wake
	}
}

// Send types s as it is.
func (c *Console) Send(s string) error {
	_, err := io.WriteString(c.w, s)
	return err
}

// Transcript is all output so far, cleaned.
func (c *Console) Transcript() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return string(c.text)
}

// Last is the last n lines of the output so far.
func (c *Console) Last(n int) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return tail(c.text, n)
}

// Expect waits until one of the texts appears after the last match and returns
// which, and the output before it. The earliest text wins, among equals the
// first in the list.
func (c *Console) Expect(d time.Duration, texts ...string) (which int, before string, err error) {
	before, err = c.wait(d, fmt.Sprintf("%q", texts), func(b []byte) (int, int) {
		start, end := -1, 0
		for i, t := range texts {
			if at := bytes.Index(b, []byte(t)); at >= 0 && (start < 0 || at < start) {
				start, end, which = at, at+len(t), i
			}
		}
		return start, end
	})
	return which, before, err
}

// ExpectRE waits until re matches the output after the last match and returns
// the match and its groups. Output comes in pieces: what re ends with must not be able to
// go on, as a number does.
func (c *Console) ExpectRE(d time.Duration, re *regexp.Regexp) (groups []string, err error) {
	_, err = c.wait(d, "/"+re.String()+"/", func(b []byte) (int, int) {
		m := re.FindSubmatchIndex(b)
		if m == nil {
			return -1, 0
		}
		for i := 0; i < len(m); i += 2 {
			g := ""
			if m[i] >= 0 {
				g = string(b[m[i]:m[i+1]])
			}
			groups = append(groups, g)
		}
		return m[0], m[1]
	})
	return groups, err
}

// Unread lets the next Expect search the last match's end again, which must be
// the text end.
func (c *Console) Unread(end string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if bytes.HasSuffix(c.text[:c.next], []byte(end)) {
		c.next -= len(end)
	}
}

// wait calls find with the unseen output at each change until it finds.
func (c *Console) wait(d time.Duration, what string, find func([]byte) (start, end int)) (string, error) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		c.mu.Lock()
		unseen := c.text[c.next:]
		if start, end := find(unseen); start >= 0 {
			before := string(unseen[:start])
			c.next += end
			c.mu.Unlock()
			return before, nil
		}
		wake, ended, last := c.wake, c.err, tail(unseen, 150)
		c.mu.Unlock()
		if ended != nil {
			return "", fmt.Errorf("console ended (%w) before %s; last output:\n%s", ended, what, last)
		}
		select {
		case <-wake:
		case <-timer.C:
			return "", &TimeoutError{What: what, After: d, Last: last}
		}
	}
}

// TimeoutError is a wait that took too long.
type TimeoutError struct {
	What  string
	After time.Duration
	Last  string // the last lines of output
}

// Error names what was missed and shows what came instead.
func (e *TimeoutError) Error() string {
	return fmt.Sprintf("no %s within %v; last output:\n%s", e.What, e.After, e.Last)
}

// tail is the last n lines of b.
func tail(b []byte, n int) string {
	lines := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// cleaner drops carriage returns and ANSI control sequences (ECMA-48, "Control
// sequences") from a stream, across the borders of reads.
type cleaner struct{ state int }

const (
	plain = iota
	escape
	control
)

func (k *cleaner) append(dst, src []byte) []byte {
	for _, b := range src {
		switch {
		case k.state == escape && b == '[':
			k.state = control
		case k.state == escape:
			k.state = plain // a two-byte sequence
		case k.state == control:
			if b >= 0x40 && b <= 0x7e {
				k.state = plain
			}
		case b == 0x1b:
			k.state = escape
		case b == '\r' || b == 0:
		default:
			dst = append(dst, b)
		}
	}
	return dst
}
