// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package bridge

import (
	"sync"
	"time"
)

// Rate bounds what passes in one direction. 0 is no bound.
type Rate struct {
	Bytes, Packets uint64 // in a second
	// Burst is for how many bytes more may come at once after a silence; 0: those of a
	// tenth of a second. Packets may come as many as in a tenth of a second.
	Burst uint64
}

// burst is how long a silence makes up for, and leastBytes what passes in any case: the
// largest frame.
const (
	burst      = 10 // in a second
	leastBytes = frameMost
)

// bucket holds what may pass now, in bytes and packets, for one direction of a port.
type bucket struct {
	rate Rate

	mu             sync.Mutex // guards what follows; nobody is called meanwhile
	at             time.Time
	bytes, packets float64
}

func newBucket(r Rate) *bucket {
	if r.Bytes == 0 && r.Packets == 0 {
		return nil
	}
	if r.Burst == 0 {
		r.Burst = r.Bytes / burst
	}
	r.Burst = max(r.Burst, leastBytes)
	b := &bucket{rate: r}
	b.bytes, b.packets = float64(r.Burst), b.packetsMost()
	return b
}

func (b *bucket) packetsMost() float64 { return max(float64(b.rate.Packets)/burst, 1) }

// take reports whether a frame of so many bytes, which is so many packets on a wire, may
// pass.
func (b *bucket) take(bytes, packets int, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.at.IsZero() {
		s := max(now.Sub(b.at).Seconds(), 0)
		b.bytes = min(b.bytes+s*float64(b.rate.Bytes), float64(b.rate.Burst))
		b.packets = min(b.packets+s*float64(b.rate.Packets), b.packetsMost())
	}
	b.at = now
	// A segment of many packets passes if one may, and the others wait for it.
	if b.rate.Bytes > 0 && b.bytes < float64(bytes) || b.rate.Packets > 0 && b.packets < 1 {
		return false
	}
	b.bytes -= float64(bytes)
	b.packets -= float64(packets)
	return true
}

// parts is how many packets a frame is on a wire.
func (it *item) parts() int {
	f := &it.frame
	if f.Segment == 0 {
		return 1
	}
	return (f.Len() - int(f.Headers) + int(f.Segment) - 1) / int(f.Segment)
}
