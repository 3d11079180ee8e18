// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"bufio"
	"io"
	"regexp"
	"strings"
	"sync"
)

// bochsLog reads Bochs' log as it is written: nothing else tells a reset, and a
// file would grow with each exit of a guest.
type bochsLog struct {
	done chan struct{} // closed at the log's end

	mu     sync.Mutex
	resets int
	lost   int      // characters that found the serial port's receiver full
	last   []string // lines that are not mere information
}

// What Bochs 2.7 writes to its log and, at its end, to standard error.
var (
	bochsReset = regexp.MustCompile(`Reset\(HARDWARE\) called`)
	bochsOff   = regexp.MustCompile(`ACPI control: soft power off|Shutdown port: shutdown requested`)
	bochsLost  = regexp.MustCompile(`com1: (receive FIFO overflow|overrun error)`)
	bochsInfo  = regexp.MustCompile(`^\d+[id]\[`) // the line is information
)

// keptLines is how much of the log is shown after a bad end.
const keptLines = 10

// newBochsLog reads r, which it closes, to its end. Bochs resets the machine
// once at the start; at the second time it calls kill.
func newBochsLog(r io.ReadCloser, kill func()) *bochsLog {
	l := &bochsLog{done: make(chan struct{})}
	go func() {
		defer close(l.done)
		defer r.Close()
		for s := bufio.NewScanner(r); s.Scan(); {
			if l.line(s.Text()) {
				kill()
			}
		}
		io.Copy(io.Discard, r) // after a line that is too long
	}()
	return l
}

// line takes a line of the log. It reports whether the machine reset itself.
func (l *bochsLog) line(s string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !bochsInfo.MatchString(s) {
		l.last = append(l.last[max(0, len(l.last)-keptLines+1):], s)
	}
	if bochsLost.MatchString(s) {
		l.lost++
	}
	if !bochsReset.MatchString(s) {
		return false
	}
	l.resets++
	return l.resets > 1
}

// lostInput is how many typed characters the machine did not take in time.
func (l *bochsLog) lostInput() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost
}

// judge completes s, which has the exit code and all of standard error.
func (l *bochsLog) judge(s *Status) {
	<-l.done
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case s.Code == 1 && bochsOff.MatchString(s.Stderr):
		s.End = Poweroff
	case l.resets > 1:
		s.End = Reset
	}
	var lines []string
	for line := range strings.Lines(s.Stderr) {
		if !bochsInfo.MatchString(line) {
			lines = append(lines, strings.TrimRight(line, "\n"))
		}
	}
	s.Stderr = strings.Join(append(lines, l.last...), "\n")
}
