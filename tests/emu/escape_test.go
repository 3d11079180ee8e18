// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"sync"
	"testing"

	"ringo/dom0/console/vt/vttest"
	"ringo/tools/emu"
)

// seat is a terminal at the machine's serial line: it answers what it is asked.
type seat struct {
	h *host

	mu       sync.Mutex
	term     *vttest.Terminal
	answered int
}

// Write takes the machine's output.
func (s *seat) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = s.term.Write(p)
	if a := string(s.term.Answers); a != "" {
		s.answered += len(a)
		s.term.Answers = nil
		go s.h.Send(a) // not from the goroutine that reads the machine
	}
	return len(p), nil
}

// state returns how many bytes the terminal has answered, and whether it is in its
// start state.
func (s *seat) state() (answered int, start bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.answered, s.term.Start()
}

// TestConsoleEscape prints from a guest what asks a terminal, sets modes and hides,
// on a terminal that answers: the prompt gets nothing of it, and after the console
// is left the terminal is as it was, with and without the filter.
func TestConsoleEscape(t *testing.T) {
	t.Parallel()
	h := boot(t, emu.Config{MemMiB: 1024})
	s := &seat{h: h, term: vttest.New()}
	h.Tee(s)
	h.ok("create demo.toml")
	h.attach("demo")
	h.shell()
	// The shell's own prompt asks the terminal where its cursor is: it stays away.
	h.key("while read -r l; do eval \"$l\"; done\r")
	const evil = `printf '\033[c\033[6n\005\033]10;?\007\033P$qm\033\\\033Z\033[?1003h\033[?1004h\033[?1049h\033[?25l\033(0\033[4h\033[5;9r\033[7m\033]2;x\007'`
	h.key(evil + "; echo DO''NE\r")
	h.see(verbTime, "DONE")
	h.detach()
	if n, start := s.state(); n != 0 || !start {
		t.Errorf("through the filter: the terminal typed %d bytes, its start state is %v", n, start)
	}
	h.ok("list")
	h.key("console -r demo\r")
	h.see(verbTime, "console -r demo")
	h.see(verbTime, "DONE") // shown again, filtered
	if n, _ := s.state(); n != 0 {
		t.Errorf("the scrollback made the terminal type %d bytes", n)
	}
	h.key(evil + "; echo RA''W\r")
	h.see(verbTime, "RAW")
	h.detach()
	if n, start := s.state(); n == 0 || !start {
		t.Errorf("raw: the terminal typed %d bytes, its start state is %v", n, start)
	}
	h.ok("list")
	h.ok("destroy demo")
	h.poweroff()
}
