// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package loader

import (
	"bytes"
	"io"
)

// sparsePage is the unit of what a sparse buffer leaves out.
const sparsePage = 4096

var zeroPage [sparsePage]byte

// sparse collects a stream, without its empty pages, up to a limit. It is
// written once, then read.
type sparse struct {
	limit int64
	used  int64
	full  bool // the limit was passed, and all is dropped
	pages [][]byte
	part  []byte // the last page, while it is not complete
}

func (s *sparse) size() int64 { return int64(len(s.pages))*sparsePage + int64(len(s.part)) }

// Write never fails: what is too large is only not kept.
func (s *sparse) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 && !s.full {
		if s.part == nil {
			s.part = make([]byte, 0, sparsePage)
			s.used += sparsePage
		}
		k := min(len(b), sparsePage-len(s.part))
		s.part = append(s.part, b[:k]...)
		b = b[k:]
		if len(s.part) == sparsePage {
			s.turn()
		}
		if s.used > s.limit {
			*s = sparse{limit: s.limit, full: true}
		}
	}
	return n, nil
}

// turn begins a new page; the room of an empty one is used again.
func (s *sparse) turn() {
	if bytes.Equal(s.part, zeroPage[:]) {
		s.pages = append(s.pages, nil)
		s.part = s.part[:0]
		return
	}
	s.pages = append(s.pages, s.part)
	s.part = nil
}

// ReadAt implements io.ReaderAt.
func (s *sparse) ReadAt(b []byte, off int64) (n int, err error) {
	for n < len(b) {
		i, o := off/sparsePage, off%sparsePage
		var k int
		switch {
		case off < 0 || off >= s.size():
			return n, io.EOF
		case i == int64(len(s.pages)):
			k = copy(b[n:], s.part[o:])
		case s.pages[i] == nil:
			k = copy(b[n:], zeroPage[o:])
		default:
			k = copy(b[n:], s.pages[i][o:])
		}
		n += k
		off += int64(k)
	}
	return n, nil
}
