// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package console

import (
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"
)

// watched is a host whose "watch" shows what frames are sent.
func watched(every time.Duration, draw func(int) (string, error)) (s *screen, keys *io.PipeWriter, h *Host) {
	pr, pw := io.Pipe()
	s = new(screen)
	h = New(pr, s, "ringo# ")
	go func() {
		for {
			l, err := h.ReadLine()
			if err != nil {
				return
			}
			if l != "watch" {
				_, _ = h.Write([]byte("got " + l + "\n"))
			} else if err := h.Watch(every, draw); err != nil {
				_, _ = h.Write([]byte("error: " + err.Error() + "\n"))
			}
		}
	}()
	return s, pw, h
}

// The text is shown anew by itself, cut to the terminal and without what a guest
// could draw with; both keys leave, and what follows goes to the prompt.
func TestWatch(t *testing.T) {
	n := 0
	s, keys, h := watched(time.Millisecond, func(int) (string, error) {
		n++
		return "frame " + strconv.Itoa(n) + "\n\x1b[2J" + strings.Repeat("x", 200) + strings.Repeat("\n", watchRows) + "unseen\n", nil
	})
	defer keys.Close()
	row := "\x1b[K\r\n?[2J" + strings.Repeat("x", watchColumns-4) + strings.Repeat("\x1b[K\r\n", watchRows-2) + "\x1b[K\x1b[J"
	for _, end := range []string{"q", "Q", "\x03"} {
		_, _ = io.WriteString(keys, "watch\r\n")
		s.wait(t, "\x1b[H\x1b[J\x1b[Hframe ")
		s.wait(t, row+"\x1b[Hframe ")
		h.Notify("held back")
		s.wait(t, row+"\x1b[Hframe ")
		_, _ = io.WriteString(keys, "zz"+end+"list\n")
		s.wait(t, row+"\r\nheld back\r\nringo# list\r\ngot list\r\nringo# ")
	}
}

// Any other key shows it anew; the end of the stream and an error end it.
func TestWatchKeys(t *testing.T) {
	n := 0
	s, keys, _ := watched(time.Hour, func(int) (string, error) {
		if n++; n == 3 {
			return "", errors.New("gone")
		}
		return "frame " + strconv.Itoa(n), nil
	})
	_, _ = io.WriteString(keys, "watch\n")
	s.wait(t, "frame 1\x1b[K\x1b[J")
	_, _ = io.WriteString(keys, " ")
	s.wait(t, "frame 2\x1b[K\x1b[J")
	_, _ = io.WriteString(keys, " ")
	s.wait(t, "\r\nerror: gone\r\nringo# ")
	_, _ = io.WriteString(keys, "watch\n")
	s.wait(t, "frame 4\x1b[K\x1b[J")
	keys.Close()
	s.wait(t, "\r\n")
}
