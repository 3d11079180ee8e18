// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vpit

// How a counter's two bytes are accessed: control word bits 5:4.
const (
	rwLow  = 1
	rwHigh = 2
	rwBoth = 3
)

// channel is one counter. It counts from Count at the host's TSC start, when Held counts
// had passed already; while it does not run it stands at Held. Exported fields
// are for package State only.
type channel struct {
	start   uint64 // host's TSC
	Held    uint64 // counts
	Count   uint32 // 1 to 65536, 0 = never loaded
	Latched uint16
	Mode    uint8 // 0 to 5
	RW      uint8
	Low     uint8 // first byte of a count in two bytes
	Status  uint8 // latched status
	// Latch is the number of bytes of Latched still to be read, by RW.
	Latch      uint8
	HasStatus  bool
	BCD        bool
	Gate       bool
	Running    bool
	HalfRead   bool // the next byte read is the high one
	HalfLoaded bool // the next byte written is the high one
}

// elapsed is the number of counts since the load, at now.
func (c *channel) elapsed(p *PIT, now uint64) uint64 {
	if !c.Running || now < c.start { // another CPU's clock may lag behind
		return c.Held
	}
	return c.Held + p.rate.Counts(now-c.start)
}

// value is the counting element of a channel that was loaded with n, e counts ago (8254
// data sheet, "Mode Definitions"), in the low 16 bits.
func value(mode, n, e uint64) uint64 {
	switch {
	case n == 0:
		return 0
	case mode == 2:
		return n - e%n
	case mode == 3: // counts by two, twice per period
		twice := 2 * (e % n)
		if twice >= n {
			twice -= n
		}
		return n - twice
	}
	return n - e // goes on from 0xffff after 0
}

// count is the counting element at now.
func (c *channel) count(p *PIT, now uint64) uint16 {
	return uint16(value(uint64(c.Mode), uint64(c.Count), c.elapsed(p, now)))
}

// output is OUT after e counts.
func (c *channel) output(e uint64) bool {
	n := uint64(c.Count)
	if n == 0 || !c.Running && c.Held == 0 {
		return c.Mode != 0
	}
	switch c.Mode {
	case 0, 1:
		return e >= n
	case 2:
		return !c.Gate || e%n != n-1
	case 3:
		return !c.Gate || e%n < (n+1)/2
	}
	return e != n // a strobe of one count
}

// nextEdge is the number of counts, more than e, at which OUT rises next.
func (c *channel) nextEdge(e uint64) (at uint64, ok bool) {
	n := uint64(c.Count)
	switch c.Mode {
	case 0, 1:
		return n, e < n
	case 2, 3:
		return (e/n + 1) * n, true
	}
	return n + 1, e <= n
}

// control sets mode and access, and stops the counter until a count is written.
func (c *channel) control(v uint8) {
	m := v >> 1 & 7
	if m > 5 {
		m &= 3 // x10 and x11
	}
	*c = channel{Mode: m, RW: v >> 4 & 3, BCD: v&1 != 0, Gate: c.Gate}
}

// write takes a byte of the count and reports whether it is complete.
func (c *channel) write(v uint8, now uint64) bool {
	var n uint16
	switch {
	case c.RW == rwLow:
		n = uint16(v)
	case c.RW == rwHigh:
		n = uint16(v) << 8
	case !c.HalfLoaded:
		c.Low, c.HalfLoaded = v, true
		if c.Mode == 0 {
			c.Running = false // "writing the first byte disables counting"
		}
		return false
	default:
		n = uint16(v)<<8 | uint16(c.Low)
		c.HalfLoaded = false
	}
	c.Count = uint32(n)
	if n == 0 {
		c.Count = 1 << 16
	}
	// Modes 2 and 3 take the new count at once rather than at the end of the
	// period: nobody sees the difference but in one period.
	c.Held, c.start = 0, now
	c.Running = c.Gate && c.Mode != 1 && c.Mode != 5
	return true
}

// setGate drives GATE (8254 data sheet, "Gate Pin Operations Summary").
func (c *channel) setGate(p *PIT, gate bool, now uint64) {
	if gate == c.Gate {
		return
	}
	e := c.elapsed(p, now)
	c.Gate = gate
	switch {
	case c.Count == 0 || c.HalfLoaded && c.Mode == 0:
	case c.Mode == 0 || c.Mode == 4: // low stops the counter
		c.Held, c.start, c.Running = e, now, gate
	case gate: // a rising edge triggers or starts over
		c.Held, c.start, c.Running = 0, now, true
	case c.Mode == 2 || c.Mode == 3:
		c.Held, c.Running = e, false
	}
}

// latch freezes the count for the next reads.
func (c *channel) latch(p *PIT, now uint64) {
	if c.Latch != 0 {
		return
	}
	c.Latched = c.count(p, now)
	c.Latch = 1
	if c.RW == rwBoth {
		c.Latch = 2
	}
}

// readBack latches count and status of the read-back command.
func (c *channel) readBack(p *PIT, now uint64, count, status bool) {
	if count {
		c.latch(p, now)
	}
	if status && !c.HasStatus {
		c.HasStatus = true
		c.Status = c.RW<<4 | c.Mode<<1
		if c.BCD {
			c.Status |= 1
		}
		if c.Count == 0 {
			c.Status |= 1 << 6 // null count
		}
		if c.output(c.elapsed(p, now)) {
			c.Status |= 1 << 7
		}
	}
}

// read returns the next byte: status, then a latched count, then the live one.
func (c *channel) read(p *PIT, now uint64) uint8 {
	if c.HasStatus {
		c.HasStatus = false
		return c.Status
	}
	v := c.Latched
	if c.Latch == 0 {
		v = c.count(p, now)
	} else {
		c.Latch--
	}
	high := c.RW == rwHigh
	if c.RW == rwBoth {
		high = c.HalfRead
		c.HalfRead = !c.HalfRead
	}
	if high {
		return uint8(v >> 8)
	}
	return uint8(v)
}
