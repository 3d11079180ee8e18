// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package bridge

import (
	"encoding/binary"
	"slices"
	"sync"
	"time"

	"ringo/dom0/problem"
	"ringo/drivers/nic"
)

// Bounds of captures.
const (
	capturesMost = 8 // of a switch
	// CaptureMost is how much memory a capture may have, in bytes.
	CaptureMost = 16 << 20
)

// The format of a capture ("PCAP Capture File Format", draft-ietf-opsawg-pcap): little
// endian, with microseconds, of Ethernet frames.
const (
	pcapMagic    = 0xa1b2c3d4
	pcapMajor    = 2
	pcapMinor    = 4
	pcapEthernet = 1
	pcapHeader   = 24
	pcapRecord   = 16
	pcapSnap     = 1 << 18
)

// CaptureOptions say what is captured.
type CaptureOptions struct {
	// Port: what it sends, also what is dropped then, and what it gets. nil: what all send
	// and may.
	Port *Port
	// Bytes is the memory for it, all of which is taken at once; Frames and Snap are how
	// many frames there are, and how much of each, at most; 0: as many as there is room
	// for, and all of each.
	Bytes, Frames, Snap int
}

// Captured counts the frames of a capture.
type Captured struct {
	Frames int
	Bytes  int    // of the file
	Cut    uint64 // frames of which only the beginning is there
	Lost   uint64 // frames that there was no room for
}

// Capture is frames of a switch, in the format of pcap. Its methods are safe for
// concurrent use.
type Capture struct {
	s *Switch
	o CaptureOptions

	mu  sync.Mutex // guards what follows; nobody is called meanwhile
	b   []byte
	did Captured
}

// Capture begins to note frames. When there is no more room those that come are counted.
func (s *Switch) Capture(o CaptureOptions) (*Capture, error) {
	if o.Bytes < 1<<12 || o.Bytes > CaptureMost {
		return nil, problem.New(problem.Invalid, "", "a capture of %d bytes: it has %d to %d", o.Bytes, 1<<12, CaptureMost)
	}
	if o.Frames <= 0 {
		o.Frames = o.Bytes
	}
	if o.Snap <= 0 {
		o.Snap = frameMost
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	next := *s.state.Load()
	if len(next.captures) == capturesMost {
		return nil, problem.New(problem.Full, "end one", "network %q has %d captures", s.name, capturesMost)
	}
	c := &Capture{s: s, o: o, b: make([]byte, pcapHeader, o.Bytes)}
	le := binary.LittleEndian
	le.PutUint32(c.b, pcapMagic)
	le.PutUint16(c.b[4:], pcapMajor)
	le.PutUint16(c.b[6:], pcapMinor)
	le.PutUint32(c.b[16:], pcapSnap)
	le.PutUint32(c.b[20:], pcapEthernet)
	next.captures = append(slices.Clone(next.captures), c)
	s.state.Store(&next)
	return c, nil
}

// Stop ends the capture: what was captured stays.
func (c *Capture) Stop() {
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	next := *s.state.Load()
	next.captures = slices.DeleteFunc(slices.Clone(next.captures), func(d *Capture) bool { return d == c })
	s.state.Store(&next)
}

// File returns what was captured until now, and what was counted. The bytes are not
// changed any more.
func (c *Capture) File() ([]byte, Captured) {
	c.mu.Lock()
	defer c.mu.Unlock()
	did := c.did
	did.Bytes = len(c.b)
	return c.b[:len(c.b):len(c.b)], did
}

// add notes a frame.
func (c *Capture) add(f *nic.Frame, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	size := f.Len()
	n := min(size, c.o.Snap)
	at := len(c.b)
	if c.did.Frames == c.o.Frames || at+pcapRecord+n > cap(c.b) {
		c.did.Lost++
		return
	}
	if n < size {
		c.did.Cut++
	}
	c.did.Frames++
	c.b = c.b[:at+pcapRecord+n]
	h, le := c.b[at:], binary.LittleEndian
	us := now.UnixMicro()
	le.PutUint32(h, uint32(us/1e6))
	le.PutUint32(h[4:], uint32(us%1e6))
	le.PutUint32(h[8:], uint32(n))
	le.PutUint32(h[12:], uint32(size))
	h = h[pcapRecord:]
	for _, p := range f.Pieces {
		h = h[copy(h, p):]
	}
}

// capture notes a frame where somebody wants it: at a port, or nil: as one of the switch.
func (w *work) capture(p *Port, f *nic.Frame) {
	for _, c := range w.state.captures {
		if c.o.Port == p {
			w.time()
			c.add(f, w.clock)
		}
	}
}
