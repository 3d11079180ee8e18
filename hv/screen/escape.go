// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package screen

// escape reads control sequences (ECMA-48, "Control sequences"): ESC [ numbers
// letter. Others are swallowed.
type escape struct {
	state uint8
	n     [2]int
	i     int
}

const (
	plain  = iota
	begun  // ESC
	inside // ESC [
)

// take reports whether c belongs to a sequence.
func (e *escape) take(s *Screen, c byte) bool {
	switch {
	case c == 0x1b:
		*e = escape{state: begun}
	case e.state == begun && c == '[':
		e.state = inside
	case e.state == plain:
		return false
	case e.state == begun:
		e.state = plain
	case c >= '0' && c <= '9':
		e.n[e.i] = min(e.n[e.i]*10+int(c-'0'), 9999)
	case c == ';':
		e.i = min(e.i+1, len(e.n)-1)
	case c >= '@':
		e.state = plain
		s.control(c, e.n)
	}
	return true
}

// control does a sequence that ends with a letter.
func (s *Screen) control(c byte, n [2]int) {
	switch c {
	case 'A':
		s.y = max(s.y-max(n[0], 1), s.head)
	case 'B':
		s.y = min(s.y+max(n[0], 1), s.rows-1)
	case 'C':
		s.x = min(s.x+max(n[0], 1), s.cols-1)
	case 'D':
		s.x = max(s.x-max(n[0], 1), 0)
	case 'H':
		s.y = min(s.head+max(n[0], 1)-1, s.rows-1)
		s.x = min(max(n[1], 1)-1, s.cols-1)
	case 'J':
		from := s.y*s.cols + s.x
		if n[0] == 2 {
			from = s.head * s.cols
		}
		s.blank(from, s.rows*s.cols)
	case 'K':
		from := s.x
		if n[0] == 2 {
			from = 0
		}
		s.blank(s.y*s.cols+from, (s.y+1)*s.cols)
	}
}
