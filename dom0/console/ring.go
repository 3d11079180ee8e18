// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package console

import "sync/atomic"

// Scrollback is how many bytes of a guest's output are kept at least.
const Scrollback = 64 << 10

const (
	ringWords = Scrollback/8 + 8
	ringSize  = ringWords * 8
	// ringKeeps is what can be read safely: all but the word being written.
	ringKeeps = ringSize - 8
)

// Ring keeps the last bytes that a guest wrote. One writer at a time puts bytes
// without locks, waiting or allocation; any number of readers follow by offset.
// Bytes lie in words that are stored whole, so that readers, which may be
// overtaken, never race with the writer; they check afterwards.
type Ring struct {
	word [ringWords]atomic.Uint64
	n    atomic.Uint64 // bytes ever put
	cur  uint64        // the writer's: the word that byte n goes to
	wait atomic.Pointer[chan struct{}]
}

// Put adds a byte.
func (r *Ring) Put(b byte) {
	n := r.n.Load()
	shift := n % 8 * 8
	if shift == 0 {
		r.cur = 0
	}
	r.cur |= uint64(b) << shift
	r.word[n/8%ringWords].Store(r.cur)
	r.n.Store(n + 1)
	if w := r.wait.Load(); w != nil && r.wait.CompareAndSwap(w, nil) {
		close(*w)
	}
}

// End returns the offset behind the last byte.
func (r *Ring) End() uint64 { return r.n.Load() }

// Read copies bytes from offset off on to p. It returns their number, 0 at the
// end, and the offset of the first, which is larger than off when the ring has
// lost those before.
func (r *Ring) Read(p []byte, off uint64) (n int, first uint64) {
	for {
		end := r.n.Load()
		if end > ringKeeps {
			off = max(off, end-ringKeeps)
		}
		if off >= end {
			return 0, off
		}
		n = int(min(end-off, uint64(len(p))))
		for i := range n {
			at := off + uint64(i)
			p[i] = byte(r.word[at/8%ringWords].Load() >> (at % 8 * 8))
		}
		// All that was copied was still there if its first byte is.
		if end = r.n.Load(); end <= ringKeeps || off >= end-ringKeeps {
			return n, off
		}
	}
}

// Changed returns a channel that is closed at the next Put. To wait without a
// gap, take the channel, then Read, then receive.
func (r *Ring) Changed() <-chan struct{} {
	for {
		if w := r.wait.Load(); w != nil {
			return *w
		}
		w := make(chan struct{})
		if r.wait.CompareAndSwap(nil, &w) {
			return w
		}
	}
}
