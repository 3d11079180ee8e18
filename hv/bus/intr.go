// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package bus

import (
	"math"
	"math/bits"
)

// Line is one interrupt line into a controller, or out of one. Set may be
// called from any CPU, repeatedly with the same level; it neither blocks nor
// allocates.
type Line interface{ Set(level bool) }

// Timer calls its device once, at or after the time that Set gave last; 0 means
// never. Unit and origin of the time are those of the clock that the device was
// made with. Set may be called with the device's lock held: it neither calls the
// device nor blocks.
type Timer interface{ Set(at int64) }

// Kicker is told that a deadline has moved closer: whoever sleeps until it must
// look again. Kick may be called from any CPU.
type Kicker interface{ Kick() }

// both is a line that drives two inputs.
type both struct{ a, b Line }

func (l both) Set(level bool) {
	l.a.Set(level)
	l.b.Set(level)
}

// Both joins two inputs to one line, as the 8259A and the I/O APIC of a PC
// share the ISA interrupts. It allocates: for construction only.
func Both(a, b Line) Line { return both{a, b} }

// Delivery is the delivery mode of an interrupt message (SDM Vol. 3,
// "Interrupt Command Register (ICR)" and "Message Data Register Format").
type Delivery uint8

// Delivery modes. Mode 3 is reserved.
const (
	Fixed          Delivery = 0
	LowestPriority Delivery = 1
	SMI            Delivery = 2
	NMI            Delivery = 4
	INIT           Delivery = 5
	Startup        Delivery = 6
	ExtINT         Delivery = 7
)

// Broadcast is the physical destination of every local APIC. Senders with
// 8-bit destinations translate their 0xff to it.
const Broadcast = ^uint32(0)

// Message is an interrupt message to local APICs: from an I/O APIC, an MSI or
// another local APIC.
type Message struct {
	Dest    uint32 // APIC ID, or a logical destination
	Vector  uint8  // for Startup the page number of the entry
	Mode    Delivery
	Logical bool
	Level   bool // level-triggered: the EOI is broadcast to the I/O APICs
}

// Router delivers interrupt messages. Deliver may be called from any CPU. It
// reports whether at least one local APIC took the message.
type Router interface{ Deliver(m Message) bool }

// MSIBase is the first of the 1 MiB of addresses to which a write is an
// interrupt message (SDM Vol. 3, "Message Address Register Format").
const MSIBase = 0xfee0_0000

// MSI decodes a message-signalled interrupt. It reports false when addr is not
// an interrupt address or the delivery mode is reserved.
func MSI(addr uint64, data uint32) (m Message, ok bool) {
	if addr>>20 != MSIBase>>20 {
		return m, false
	}
	m = Message{
		Dest:    uint32(addr>>12) & 0xff,
		Vector:  uint8(data),
		Mode:    Delivery(data>>8) & 7,
		Logical: addr&(1<<2) != 0,
		Level:   data&(1<<15) != 0,
	}
	if !m.Logical && m.Dest == 0xff {
		m.Dest = Broadcast
	}
	return m, m.Mode != 3 && m.Mode != Startup
}

// Scale returns a*num/den without overflow on the way, and the largest uint64
// when the result does not fit. It converts between clocks.
//
// Preconditions: den is not 0.
func Scale(a, num, den uint64) uint64 {
	hi, lo := bits.Mul64(a, num)
	if hi >= den {
		return math.MaxUint64
	}
	q, _ := bits.Div64(hi, lo, den)
	return q
}

// Rate converts spans of a clock to counts of a slower one with a single
// multiplication: it is the ratio of the two in units of 2^-64, rounded up. The
// error, never more than one count too many, is below span/2^64 counts.
type Rate struct{ ratio uint64 }

// NewRate returns the conversion from a clock of hz to counts at countHz.
//
// Preconditions: countHz is less than hz, and not 0.
func NewRate(countHz, hz uint64) Rate {
	q, rem := bits.Div64(countHz, 0, hz)
	if rem != 0 {
		q++
	}
	return Rate{q}
}

// Counts is the number of counts in a span of the clock.
func (r Rate) Counts(span uint64) uint64 {
	n, _ := bits.Mul64(span, r.ratio)
	return n
}

// Span is the shortest span of the clock that has n counts, the largest uint64
// when there is none.
func (r Rate) Span(n uint64) uint64 {
	if n >= r.ratio {
		return math.MaxUint64
	}
	s, rem := bits.Div64(n, 0, r.ratio)
	if rem != 0 && s != math.MaxUint64 {
		s++
	}
	return s
}
