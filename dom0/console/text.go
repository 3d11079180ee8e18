// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package console

import (
	"errors"
	"fmt"
	"strings"
)

// forgetful is a history of nothing: the lines of a text are no commands.
type forgetful struct{}

// Add implements term.History, as Len and At do.
func (forgetful) Add(string)    {}
func (forgetful) Len() int      { return 0 }
func (forgetful) At(int) string { panic("console: there is no line") }

// ReadText reads lines, typed or pasted, until one that is a single dot, and returns
// those before it. Ctrl-C ends it at once. Of a text that is longer than most bytes,
// or of which a part was lost, nothing is returned, but it is read to its end: its
// lines must not be taken for commands.
func (h *Host) ReadText(prompt string, most int) (text string, err error) {
	history := h.term.History
	h.term.History, h.text = forgetful{}, true
	h.term.SetPrompt(prompt)
	defer func() {
		h.term.History, h.text = history, false
		h.term.SetPrompt(h.prompt)
	}()
	losses := h.in.losses
	var b strings.Builder
	for {
		line, err := h.ReadLine()
		switch {
		case err != nil:
			return "", err
		case h.in.broken:
			return "", errors.New("left with Ctrl-C: nothing is changed")
		case line == "." && b.Len() > most:
			return "", fmt.Errorf("the text is longer than %d bytes: nothing is changed", most)
		case line == "." && h.in.losses != losses:
			return "", errors.New("a part of the text was lost: nothing is changed, paste it again")
		case line == ".":
			return b.String(), nil
		case b.Len() <= most:
			b.WriteString(line)
			b.WriteByte('\n')
		}
	}
}
