// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package bridge

import (
	"sync"
	"testing"

	"ringo/drivers/nic"
)

// sink is a receiver that keeps what it gets.
type sink struct {
	mu       sync.Mutex
	got      []string
	frames   []nic.Frame // without pieces
	calls    int
	checksum bool
	segment  bool
	panics   bool
	during   func()
}

func (s *sink) Deliver(frames []nic.Frame) {
	if s.during != nil {
		s.during()
	}
	if s.panics {
		panic("a mistake")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	for i := range frames {
		b := make([]byte, frames[i].Len())
		frames[i].CopyTo(b)
		s.got = append(s.got, string(b))
		f := frames[i]
		f.Pieces = nil
		s.frames = append(s.frames, f)
	}
}

func (s *sink) Accepts() (checksum, segment bool) { return s.checksum, s.segment }

// take returns what has come, and forgets it.
func (s *sink) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	got := s.got
	s.got, s.frames, s.calls = nil, nil, 0
	return got
}

// mac is the address with a number.
func mac(n int) nic.MAC { return nic.MAC{2, 0, 0, 0, byte(n >> 8), byte(n)} }

var broadcast = nic.MAC{255, 255, 255, 255, 255, 255}

// frame is one with some bytes of data behind its type.
func frame(dst, src nic.MAC, kind uint16, data ...byte) []byte {
	b := append(append(append([]byte(nil), dst[:]...), src[:]...), byte(kind>>8), byte(kind))
	return append(b, data...)
}

// tagged puts a tag into a frame.
func tagged(b []byte, tci uint16) []byte {
	out := append(append([]byte(nil), b[:12]...), 0x81, 0, byte(tci>>8), byte(tci))
	return append(out, b[12:]...)
}

// whole makes a batch of frames.
func whole(all ...[]byte) (frames []nic.Frame) {
	for _, b := range all {
		frames = append(frames, nic.Frame{Pieces: [][]byte{b}})
	}
	return frames
}

// join adds a port, and returns what is at it.
func join(t testing.TB, s *Switch, o Options) (*Port, *sink) {
	t.Helper()
	k := &sink{checksum: true, segment: true}
	p, err := s.Join(k, o)
	if err != nil {
		t.Fatal(err)
	}
	return p, k
}
