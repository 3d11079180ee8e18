// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package screen is the console on a machine's screen: a terminal of plain text,
// under lines that stay, on VGA text or on a frame buffer.
package screen

import "sync"

// Display shows characters in cells.
type Display interface {
	Size() (columns, rows int)
	Draw(column, row int, c byte, inverse bool)
}

// inverse is the bit of a cell whose character is shown dark on light.
const inverse = 0x80

// Screen is the terminal. What is written waits in memory for Paint: writing
// neither waits for the display nor allocates.
type Screen struct {
	// Wake is called, under the lock, when there is something to paint.
	Wake func()

	d          Display
	mu         sync.Mutex
	cols, rows int
	head       int    // rows that stay, at the top
	want, have []byte // cells; have is Paint's alone
	x, y       int    // cursor
	escape     escape
}

// New makes an empty screen with head lines that stay.
func New(d Display, head int) *Screen {
	s := &Screen{d: d, head: head, y: head}
	s.cols, s.rows = d.Size()
	s.want, s.have = make([]byte, s.cols*s.rows), make([]byte, s.cols*s.rows)
	for i := range s.want {
		s.want[i] = ' '
		if i < head*s.cols {
			s.want[i] |= inverse
		}
	}
	return s
}

// Head sets one of the lines that stay.
func (s *Screen) Head(row int, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for x := range s.cols {
		c := byte(' ')
		if x < len(text) {
			c = text[x] &^ inverse
		}
		s.want[row*s.cols+x] = c | inverse
	}
	s.Wake()
}

// Write shows b as a terminal does; it knows the controls that dom0's line editor
// uses.
func (s *Screen) Write(b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range b {
		if !s.escape.take(s, c) {
			s.put(c)
		}
	}
	s.Wake()
}

func (s *Screen) put(c byte) {
	switch {
	case c == '\n':
		s.x = 0
		s.down()
	case c == '\r':
		s.x = 0
	case c == '\b':
		s.x = max(s.x-1, 0)
	case c < ' ' || c == 0x7f:
	default:
		if s.x == s.cols {
			s.x = 0
			s.down()
		}
		if c >= inverse {
			c = 0x7f // no character of ASCII: a box
		}
		s.want[s.y*s.cols+s.x] = c
		s.x++
	}
}

// down goes to the next line, and moves all up at the end.
func (s *Screen) down() {
	if s.y++; s.y < s.rows {
		return
	}
	s.y--
	copy(s.want[s.head*s.cols:], s.want[(s.head+1)*s.cols:])
	s.blank(s.y*s.cols, s.rows*s.cols)
}

func (s *Screen) blank(from, to int) {
	for i := from; i < to; i++ {
		s.want[i] = ' '
	}
}

// Paint brings the display up to date. One caller at a time.
func (s *Screen) Paint() {
	row := make([]byte, s.cols)
	for y := range s.rows {
		s.mu.Lock()
		copy(row, s.want[y*s.cols:])
		if y == s.y && s.x < s.cols {
			row[s.x] |= inverse // the cursor
		}
		s.mu.Unlock()
		have := s.have[y*s.cols:]
		for x, c := range row {
			if have[x] != c {
				have[x] = c
				s.d.Draw(x, y, c&^inverse, c&inverse != 0)
			}
		}
	}
}
