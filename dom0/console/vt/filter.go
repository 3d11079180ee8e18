// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vt

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Filter makes a guest's output fit for a terminal. The zero value is ready.
// Whatever it has passed, what follows on the terminal is in no sequence, string
// or mode; colours, cursor and scrolling region are what is left to reset.
type Filter struct {
	scan   Scanner
	length int    // of the string that has begun
	part   []byte // of a character in UTF-8
	moved  bool

	// The guest's character sets (ISO 2022): whether G0 and G1 are line graphics,
	// and which of them is in use.
	graphics [2]bool
	shift    int
}

// maxString is how much of a string is waited for its end, in bytes.
const maxString = 4096

// Moved says that a sequence may have moved the cursor to another row.
func (f *Filter) Moved() bool { return f.moved }

// Append appends what may pass of src to dst.
func (f *Filter) Append(dst, src []byte) []byte {
	for _, b := range src {
		if f.scan.InString() {
			if f.length++; f.length > maxString || b == '\n' {
				f.scan.Reset()
			}
		} else {
			f.length = 0
		}
		idle := f.scan.Idle()
		switch f.scan.Byte(b) {
		case Plain:
			dst = f.plain(dst, b)
		case Sequence:
			if f.passes(f.scan.Bytes()) {
				dst = append(append(dst, ESC), f.scan.Bytes()...)
			}
		case Partial:
			if idle {
				dst = f.broken(dst)
			}
		}
	}
	return dst
}

// broken gives up a character that has not ended.
func (f *Filter) broken(dst []byte) []byte {
	if len(f.part) > 0 {
		f.part = f.part[:0]
		dst = append(dst, '?')
	}
	return dst
}

// plain appends a byte outside sequences.
func (f *Filter) plain(dst []byte, b byte) []byte {
	if b < utf8.RuneSelf {
		dst = f.broken(dst)
		return f.ascii(dst, b)
	}
	if utf8.RuneStart(b) {
		dst = f.broken(dst)
	}
	f.part = append(f.part, b)
	if !utf8.FullRune(f.part) {
		return dst
	}
	r, n := utf8.DecodeRune(f.part)
	switch {
	case r == utf8.RuneError && n == 1:
		dst = append(dst, '?') // one for all of its bytes
	case unicode.IsGraphic(r):
		dst = append(dst, f.part[:n]...)
	}
	f.part = f.part[:0]
	return dst
}

// ascii appends a byte of 7 bits.
func (f *Filter) ascii(dst []byte, b byte) []byte {
	const shiftOut, shiftIn = 0x0e, 0x0f
	switch {
	case b == shiftOut:
		f.shift = 1
	case b == shiftIn:
		f.shift = 0
	case b == '\r' || b == '\n' || b == '\b' || b == '\t':
		return append(dst, b)
	case b < 0x20 || b == 0x7f:
	case b >= '`' && f.graphics[f.shift]:
		return utf8.AppendRune(dst, graphics[b-'`'])
	default:
		return append(dst, b)
	}
	return dst
}

// graphics are the characters '`' to '~' of the special graphics set (VT220
// Programmer Reference Manual, "DEC Special Graphics").
var graphics = []rune("◆▒␉␌␍␊°±␤␋┘┐┌└┼⎺⎻─⎼⎽├┤┴┬│≤≥π≠£·")

// Sequences that pass, by their last byte. Those of columns leave the cursor in
// its row.
const (
	columns = "mKXP@CDGab`" // SGR, EL, ECH, DCH, ICH, CUF, CUB, CHA, HPR, REP, HPA
	rows    = "ABEFHJLMSTdefrsu"
	short   = "78DEM" // after ESC: DECSC, DECRC, IND, NEL, RI
)

// passes says whether a sequence, without ESC, may pass, and follows those that
// concern the filter.
func (f *Filter) passes(q []byte) bool {
	last := q[len(q)-1]
	switch {
	case len(q) == 1:
		if strings.IndexByte(short, last) < 0 {
			return false
		}
		f.moved = true
		return true
	case len(q) == 2 && (q[0] == '(' || q[0] == ')'):
		f.graphics[q[0]-'('] = last == '0'
		return false
	case q[0] != '[' || !numbers(q[1:len(q)-1]):
		return false
	case last == 'J' && bytes.ContainsRune(q, '3'):
		return false // what has scrolled away is the user's
	case strings.IndexByte(columns, last) >= 0:
		return true
	case strings.IndexByte(rows, last) >= 0:
		f.moved = true
		return true
	}
	return false
}

// numbers says whether p is parameters that every terminal takes: numbers of four
// digits at most. Private ones and intermediate bytes are not among them.
func numbers(p []byte) bool {
	digits := 0
	for _, b := range p {
		switch {
		case b >= '0' && b <= '9':
			if digits++; digits > 4 {
				return false
			}
		case b == ';' || b == ':':
			digits = 0
		default:
			return false
		}
	}
	return true
}
