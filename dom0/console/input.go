// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package console

import (
	"fmt"
	"io"
	"slices"
	"time"

	"ringo/dom0/console/vt"
)

// Keys that the line editor gets or that are kept from it.
const (
	keyCtrlC  = 3
	keyCtrlD  = 4
	keyEnd    = 5  // Ctrl-E
	keyKill   = 21 // Ctrl-U
	keyReturn = '\r'
)

// input is the keyboard: what the queue holds goes either to the line editor or
// to the attached guest. Read is the line editor's side: it ends at the end of a
// line, so that what follows is still there for whom the line makes the reader.
// All but the queue is used by one goroutine.
type input struct {
	*queue
	notify func(line string)
	rest   []byte // taken from the queue and not yet used
	gap    loss   // what is missing behind rest
	skipLF bool   // the last line ended with CR: an LF belongs to it
	cut    bool   // up to the end of the line all is dropped
	losses int    // gaps so far
	broken bool   // Ctrl-C ended the line that was read last
	scan   vt.Scanner
	mouse  int           // bytes to come of a report without numbers
	idle   time.Duration // after which a sequence has no more bytes
}

// maxIdle is how long a key or an answer of the terminal takes at most between two
// bytes: a person who typed ESC or Alt-] is not ignored for ever.
const maxIdle = time.Second

// newInput reads r from now on; notify shows a line to the user.
func newInput(r io.Reader, notify func(line string)) *input {
	return &input{queue: newQueue(r), notify: notify, idle: maxIdle}
}

// fill sees to it that rest or gap hold something and reports whether they do.
func (in *input) fill() bool {
	if len(in.rest) == 0 && in.gap.n == 0 {
		in.rest, in.gap = in.next()
	}
	return len(in.rest) > 0 || in.gap.n > 0
}

// take returns all of rest, without the LF of a CR LF pair whose CR ended the
// command line.
func (in *input) take() []byte {
	p := in.afterLine(in.rest)
	in.rest = nil
	return p
}

func (in *input) afterLine(p []byte) []byte {
	if in.skipLF && len(p) > 0 {
		in.skipLF = false
		if p[0] == '\n' {
			return p[1:]
		}
	}
	return p
}

// maxKeys is how many bytes one typed byte may become: a whole sequence.
const maxKeys = 8

// Read implements io.Reader for the line editor. Both line ends become CR.
// Ctrl-C drops the line; Ctrl-D, which would end the editor, is ignored: a
// console has no end. Only ASCII and whole, known escape sequences pass: others,
// and strings, are what a terminal answers when it is asked. Of a line of which a
// part is lost nothing is left.
//
// Preconditions: len(p) >= maxKeys, which the editor's buffer is as long as it
// holds no partial key.
func (in *input) Read(p []byte) (int, error) {
	if len(p) < maxKeys {
		panic("console: the line editor holds a partial key")
	}
	n := 0
	for n == 0 {
		for !in.fill() {
			if err := in.ended(); err != nil {
				return 0, err
			}
			in.wait()
		}
		if len(in.rest) == 0 {
			return in.lost(p), nil
		}
		in.rest = in.afterLine(in.rest)
		for len(in.rest) > 0 && len(p)-n >= maxKeys {
			b := in.rest[0]
			in.rest = in.rest[1:]
			switch {
			case in.cut:
				in.skipLF = b == '\r'
				in.cut = b != '\r' && b != '\n' && b != keyCtrlC
				in.rest = in.afterLine(in.rest)
			case in.mouse > 0:
				in.mouse--
			case in.scan.Byte(b) != vt.Plain:
				n += in.sequence(p[n:])
			case b == '\r' || b == '\n':
				in.skipLF, in.broken = b == '\r', false
				p[n] = keyReturn
				return n + 1, nil
			case b == keyCtrlC:
				in.broken = true
				return n + copy(p[n:], []byte{keyEnd, keyKill, keyReturn}), nil
			case b == keyCtrlD || b == Escape || b >= 0x80:
			default:
				p[n] = b
				n++
			}
		}
	}
	return n, nil
}

// lost tells the user of the gap, and stores what makes the editor drop the line
// that it holds. What follows belongs to a line whose beginning is lost, unless
// its end was lost too.
func (in *input) lost(p []byte) int {
	text := fmt.Sprintf("error: %d or more bytes of input were lost: the lines they belong to are not run", in.gap.n)
	if in.cut = !in.gap.line; in.cut {
		text += "; what follows up to Enter is ignored"
	}
	in.notify(text)
	in.losses++
	in.gap, in.skipLF, in.mouse = loss{}, false, 0
	in.scan.Reset()
	return copy(p, []byte{keyEnd, keyKill})
}

// wait waits for more input, and no longer than idle for more of a sequence.
func (in *input) wait() {
	if in.scan.Idle() && in.mouse == 0 {
		<-in.ready
		return
	}
	select {
	case <-in.ready:
	case <-time.After(in.idle):
		in.scan.Reset()
		in.mouse = 0
	}
}

// sequences are the escape sequences that pass, without ESC, with what the line
// editor knows them as.
var sequences = map[string]string{
	"[A": "[A", "[B": "[B", "[C": "[C", "[D": "[D", "[H": "[H", "[F": "[F",
	"OA": "[A", "OB": "[B", "OC": "[C", "OD": "[D", "OH": "[H", "OF": "[F",
	"[1~": "[H", "[7~": "[H", "[4~": "[F", "[8~": "[F", "[3~": "[3~",
	"[1;3C": "[1;3C", "[1;3D": "[1;3D", "[1;5C": "[1;3C", "[1;5D": "[1;3D",
}

// sequence stores what the editor gets for the sequence that has ended in p, if
// one has, and returns its length.
func (in *input) sequence(p []byte) int {
	if !in.scan.Idle() {
		return 0
	}
	q := string(in.scan.Bytes())
	in.scan.Reset()
	if q == "[M" {
		in.mouse = 3 // X10's mouse report: button, column, row
	}
	if out := sequences[q]; out != "" {
		return copy(p, "\x1b"+out)
	}
	return 0
}

// fence drops input until the terminal has answered vt.Ask(number), or for limit
// where it does not. It returns how many bytes it dropped that were no answers.
func (in *input) fence(number int, limit time.Duration) (dropped int) {
	end := time.After(limit)
	var scan vt.Scanner
	last := byte('\n')
	for {
		for in.fill() {
			dropped += int(in.gap.n)
			in.gap = loss{}
			for i, b := range in.rest {
				switch scan.Byte(b) {
				case vt.Plain:
					dropped++
					last = b
				case vt.Sequence:
					if vt.IsAnswer(scan.Bytes(), number) {
						in.rest = in.rest[i+1:]
						return dropped
					}
				}
			}
			in.rest = nil
		}
		if in.ended() != nil {
			return dropped
		}
		select {
		case <-in.ready:
		case <-end:
			in.cut = last != '\r' && last != '\n'
			return dropped
		}
	}
}

// history is the lines typed, newest first, without empty and repeated ones.
type history struct{ lines []string }

const maxHistory = 200

// Add implements term.History.
func (h *history) Add(line string) {
	if line == "" || len(h.lines) > 0 && h.lines[len(h.lines)-1] == line {
		return
	}
	if h.lines = append(h.lines, line); len(h.lines) > maxHistory {
		h.lines = slices.Delete(h.lines, 0, 1)
	}
}

// Len implements term.History.
func (h *history) Len() int { return len(h.lines) }

// At implements term.History.
func (h *history) At(i int) string { return h.lines[len(h.lines)-1-i] }
