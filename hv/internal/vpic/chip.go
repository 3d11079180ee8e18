// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vpic

import "math/bits"

// step says which initialization command word a chip expects at its data port.
type step uint8

const (
	ready step = iota
	icw2
	icw3
	icw4
)

// chip is one 8259A. Its fields are exported for package State only.
type chip struct {
	Lines, IRR, ISR, Mask uint8
	ELCR                  uint8 // level-triggered inputs
	Base                  uint8 // vector of input 0
	Low                   uint8 // the input after the one of lowest priority
	Step                  step
	WantICW4, Single      bool
	AutoEOI, RotateAuto   bool
	Nested                bool // special fully nested mode
	SpecialMask           bool
	Poll, ReadISR         bool // what the next read returns
}

// set changes the level of the inputs in bit.
func (c *chip) set(bit uint8, level bool) {
	switch {
	case !level:
		c.Lines &^= bit
		c.IRR &^= bit & c.ELCR
		return
	case c.Lines&bit == 0 || c.ELCR&bit != 0:
		c.IRR |= bit
	}
	c.Lines |= bit
}

// first is the priority (0 highest) of the most urgent input in set, 8 if none.
func (c *chip) first(set uint8) uint8 {
	return uint8(bits.TrailingZeros16(uint16(bits.RotateLeft8(set, -int(c.Low))) | 1<<8))
}

// request returns the input to serve now.
func (c *chip) request() (n uint8, ok bool) {
	if c.Step != ready {
		return 0, false
	}
	busy := c.ISR
	if c.SpecialMask {
		busy &^= c.Mask
	}
	if c.Nested {
		// The slave may interrupt itself with a higher input.
		busy &^= 1 << cascade
	}
	p := c.first(c.IRR &^ c.Mask)
	return (p + c.Low) & 7, p < c.first(busy)
}

// ack takes input n into service.
func (c *chip) ack(n uint8) {
	bit := uint8(1) << n
	if c.ELCR&bit == 0 {
		c.IRR &^= bit
	}
	if !c.AutoEOI {
		c.ISR |= bit
	} else if c.RotateAuto {
		c.Low = (n + 1) & 7
	}
}

// command is a write to the even port.
func (c *chip) command(v uint8) {
	switch {
	case v&0x10 != 0: // ICW1
		*c = chip{
			Lines: c.Lines, ELCR: c.ELCR, Base: c.Base, IRR: c.Lines & c.ELCR,
			Step: icw2, WantICW4: v&1 != 0, Single: v&2 != 0,
		}
	case v&0x08 != 0: // OCW3
		c.Poll = v&0x04 != 0
		if v&0x02 != 0 {
			c.ReadISR = v&0x01 != 0
		}
		if v&0x40 != 0 {
			c.SpecialMask = v&0x20 != 0
		}
	default:
		c.end(v>>5, v&7)
	}
}

// end is OCW2: ends of interrupt and rotation. n is the input of the specific
// forms.
func (c *chip) end(op, n uint8) {
	const rotate, specific, eoi = 4, 2, 1
	switch op {
	case 0, rotate: // in automatic EOI mode
		c.RotateAuto = op == rotate
		return
	case specific: // no operation
		return
	case eoi, rotate | eoi:
		p := c.first(c.ISR)
		if p == 8 {
			return
		}
		n = (p + c.Low) & 7
	}
	if op&eoi != 0 {
		c.ISR &^= 1 << n
	}
	if op&rotate != 0 {
		c.Low = (n + 1) & 7
	}
}

// data is a write to the odd port: the mask, or the initialization that ICW1
// began.
func (c *chip) data(v uint8) {
	switch c.Step {
	case ready:
		c.Mask = v
		return
	case icw2:
		c.Base = v &^ 7
		if !c.Single {
			c.Step = icw3
			return
		}
	case icw4:
		c.AutoEOI, c.Nested = v&0x02 != 0, v&0x10 != 0
		c.Step = ready
		return
	}
	// ICW3, or ICW2 of a single chip: the wiring of the cascade is fixed.
	c.Step = ready
	if c.WantICW4 {
		c.Step = icw4
	}
}

// poll is a read of either port in poll mode: it acknowledges like the CPU.
func (c *chip) poll() uint8 {
	c.Poll = false
	n, ok := c.request()
	if !ok {
		return 0
	}
	c.ack(n)
	return 0x80 | n
}

// show is what a read of the even port (0) or of the odd one (1) returns, see
// ports.shown.
func (c *chip) show(port uint8) uint64 {
	switch {
	case c.Poll:
		return 0
	case port != 0:
		return float | uint64(c.Mask)
	case c.ReadISR:
		return float | uint64(c.ISR)
	}
	return float | uint64(c.IRR)
}
