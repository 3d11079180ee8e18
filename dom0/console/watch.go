// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package console

import (
	"bytes"
	"io"
	"strings"
	"time"
)

// What Watch has room for: nothing tells how large the terminal is, a serial one and
// VGA text have as much.
const (
	watchRows    = 23
	watchColumns = 79
)

// Watch shows the text of draw, which is told how many lines there is room for, in
// place, and again every so often and at each key, until q or Ctrl-C is typed, the
// stream ends or draw fails. What was shown last stays, and what is typed behind q
// is for the line editor. Notices wait.
//
// Watch is called as Attach is.
func (h *Host) Watch(every time.Duration, draw func(rows int) (string, error)) error {
	h.hold("")
	defer func() { // also if draw panics
		for _, s := range h.release("") {
			h.Notify(s)
		}
	}()
	again := time.NewTicker(every)
	defer again.Stop()
	for first := "\x1b[H\x1b[J"; ; first = "" {
		text, err := draw(watchRows)
		if err != nil {
			return err
		}
		_, _ = io.WriteString(h.out, first+frame(text))
		if h.left(again.C) {
			return nil
		}
	}
}

// left waits for the time or for a key, and reports whether that ends Watch.
func (h *Host) left(again <-chan time.Time) bool {
	for !h.in.fill() {
		if h.in.ended() != nil {
			return true
		}
		select {
		case <-again:
			return false
		case <-h.in.ready:
		}
	}
	p := h.in.take()
	if i := bytes.IndexAny(p, "qQ\x03"); i >= 0 {
		h.in.rest = p[i+1:]
		return true
	}
	h.in.gap = loss{}
	return false
}

// frame is what shows text over the one before, with the cursor at its end.
func frame(text string) string {
	lines := strings.Split(strings.TrimSuffix(string(printable([]byte(text))), "\n"), "\n")
	lines = lines[:min(len(lines), watchRows)]
	for i, l := range lines {
		if r := []rune(l); len(r) > watchColumns {
			lines[i] = string(r[:watchColumns])
		}
	}
	return "\x1b[H" + strings.Join(lines, "\x1b[K\r\n") + "\x1b[K\x1b[J"
}
