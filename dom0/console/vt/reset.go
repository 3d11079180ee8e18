// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vt

import (
	"bytes"
	"strconv"
)

// What brings a terminal back to its start state. Each is harmless to a terminal
// that does not know it.
const (
	// SoftReset undoes what a [Filter] has let pass in the cursor's row: colours.
	SoftReset = "\x1b[!p\x1b[?7h\x1b[?25h\x1b[0m"

	// MovedReset undoes what a Filter has let pass elsewhere too: the scrolling
	// region, the saved cursor. It leaves the cursor at the start of the last row.
	MovedReset = SoftReset + "\x1b[r" + bottom

	// HardReset undoes what a guest has done without a Filter, but for its title.
	// It leaves the cursor at the start of the last row.
	HardReset = end +
		"\x1b7\x1b[?1049l\x1b[?47l" + // the first screen; the cursor stays if it is there
		"\x1b[!p\x1b[0m" +
		"\x1b[?1l\x1b>\x1b[2l\x1b[4l\x1b[12h\x1b[20l" + // keys, insertion, echo, line ends
		"\x1b[?5l\x1b[?6l\x1b[?7h\x1b[?25h\x1b[?45l\x1b[?66l\x1b[?69l" + // screen, origin, wrapping, cursor, margins
		"\x1b[?9l\x1b[?1000l\x1b[?1001l\x1b[?1002l\x1b[?1003l\x1b[?1004l" + // mouse and focus
		"\x1b[?1005l\x1b[?1006l\x1b[?1007l\x1b[?1015l\x1b[?1016l" +
		"\x1b[?2004l\x1b[?2026l\x1b[?2031l\x1b[?2048l" + // pasting, frames, notices
		"\x1b[>4m\x1b[<99u\x1b[=0u" + // coded keys
		"\x1b%G\x1b(B\x1b)B\x1b*B\x1b+B\x0f" + // character sets
		"\x1b[0\"q\x1b[0 q\x1b[?5W" + // protection, cursor's shape, tab stops
		"\x1b]104\x1b\\\x1b]110\x1b\\\x1b]111\x1b\\\x1b]112\x1b\\" + // palette
		"\x1b[r" + bottom

	end    = "\x18\x1b\\" // of any sequence or string
	bottom = "\x1b[999;1H"
)

// Ask is a question with a number, which [IsAnswer] knows again: DECRQM for a mode
// that nobody has. A terminal answers it when it has answered all before. Numbers
// are from 10000 to 65535; a guest that does not know the number cannot make the
// terminal give that answer.
func Ask(number int) string { return "\x1b[?" + strconv.Itoa(number) + "$p" }

// IsAnswer says whether a sequence, without ESC, is the answer to Ask(number).
func IsAnswer(q []byte, number int) bool {
	head := "[?" + strconv.Itoa(number) + ";"
	return bytes.HasPrefix(q, []byte(head)) && bytes.HasSuffix(q, []byte("$y"))
}
