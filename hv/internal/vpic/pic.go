// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package vpic is the pair of 8259A interrupt controllers of a PC/AT with the
// edge/level control registers of later chipsets (Intel 8259A data sheet;
// 82371AB data sheet, "ELCR1—Edge/Level Control Register"). Its output goes to
// LINT0 of the boot CPU's local APIC ("virtual wire mode").
//
// The run loop asks, before it looks at the local APIC's IRR:
//
//	if pic.Pending() && lapic.TakesExtINT() && canInject { inject(pic.Ack()) }
//
// What a hostile guest can do here:
//
//	any sequence of command words       -> a state of the chip; no output while
//	                                       an initialization is unfinished
//	vectors below 32                    -> an exception vector is delivered as
//	                                       an interrupt, to itself
//	a level line never served           -> one interrupt per EOI, paid by its exit
//	acknowledge with nothing pending    -> the spurious IRQ 7 or 15
package vpic

import (
	"errors"
	"sync"
	"sync/atomic"

	"ringo/hv/bus"
)

// cascade is the master's input that the slave drives.
const cascade = 2

// elcrMask holds the inputs of each chip that can be level-triggered: not the
// timer, keyboard, cascade, clock and coprocessor.
var elcrMask = [2]uint8{0xf8, 0xde}

// PIC is the pair. Methods may be called from any CPU, except that Ack is for
// the thread that runs the boot vCPU.
type PIC struct {
	out     bus.Line
	pending atomic.Bool // level of the output
	ports   [2]ports

	// mu comes before the I/O APIC's and the scheduler's locks and after those
	// of the devices that drive lines.
	mu   sync.Mutex
	chip [2]chip // master, slave
}

// New makes the pair in its power-up state: nothing passes before the guest
// initializes it. out is LINT0 of the boot CPU.
func New(out bus.Line) *PIC {
	p := &PIC{out: out}
	for i := range p.ports {
		p.ports[i].p, p.ports[i].chip = p, &p.chip[i]
	}
	p.Reset()
	return p
}

// Reset brings both chips into the power-up state; the lines keep their levels.
func (p *PIC) Reset() {
	p.mu.Lock()
	for i := range p.chip {
		p.chip[i] = chip{Lines: p.chip[i].Lines, Mask: 0xff}
	}
	p.update()
	p.mu.Unlock()
}

// Set drives input irq, 0 to 15. Others, and the cascade 2, are ignored.
func (p *PIC) Set(irq uint32, level bool) {
	if irq > 15 || irq == cascade {
		return
	}
	p.mu.Lock()
	p.chip[irq>>3].set(uint8(1)<<(irq&7), level)
	p.update()
	p.mu.Unlock()
}

// line is one input as a bus.Line.
type line struct {
	p   *PIC
	irq uint32
}

func (l line) Set(level bool) { l.p.Set(l.irq, level) }

// Line returns input irq as a line. It allocates: for construction only.
func (p *PIC) Line(irq uint32) bus.Line { return line{p, irq} }

// Pending reports whether the pair requests an interrupt.
func (p *PIC) Pending() bool { return p.pending.Load() }

// Latched reports whether input irq of the master, below 8, has an interrupt that
// another edge would not add to and that is not passed on: it is masked.
func (p *PIC) Latched(irq uint32) bool {
	bit := uint8(1) << (irq & 7)
	p.mu.Lock()
	defer p.mu.Unlock()
	c := &p.chip[0]
	return c.IRR&c.Mask&bit != 0
}

// Ack answers the CPU's interrupt acknowledge cycle: the vector to deliver. If
// the request has gone meanwhile, that is the spurious interrupt, as on the
// real chip.
func (p *PIC) Ack() (vector uint8) {
	p.mu.Lock()
	m, s := &p.chip[0], &p.chip[1]
	n, ok := m.request()
	switch {
	case !ok:
		vector = m.Base | 7
	case n != cascade:
		m.ack(n)
		vector = m.Base | n
	default:
		m.ack(n)
		if n, ok = s.request(); ok {
			s.ack(n)
		} else {
			n = 7
		}
		vector = s.Base | n
	}
	p.update()
	p.mu.Unlock()
	return vector
}

// float is what the upper bytes of a wider read are.
const float = ^uint64(0xff)

// update carries the slave's output to the master and the master's to the CPU, and
// shows the registers. The caller holds mu, and has changed something.
func (p *PIC) update() {
	_, ok := p.chip[1].request()
	p.chip[0].IRR &^= 1 << cascade
	if ok {
		p.chip[0].IRR |= 1 << cascade
	}
	for i := range p.chip {
		for port := range uint8(2) {
			p.ports[i].shown[port].Store(p.chip[i].show(port))
		}
	}
	_, ok = p.chip[0].request()
	if ok != p.pending.Load() {
		p.pending.Store(ok)
		p.out.Set(ok)
	}
}

// ports is the two ports of one chip as a bus.Device.
type ports struct {
	// shown is what reads of the even and of the odd port return, for readers without
	// PIC.mu; 0 where a read changes the chip.
	shown [2]atomic.Uint64
	p     *PIC
	chip  *chip
}

// Ports returns the device for the two ports of chip 0 (0x20) or 1 (0xa0).
func (p *PIC) Ports(chip uint8) bus.Device { return &p.ports[chip&1] }

// Read is a byte read; the upper bytes of a wider one float.
func (d *ports) Read(off uint64, size uint8, _ uint64) uint64 {
	if v := d.shown[off&1].Load(); v != 0 {
		return v
	}
	return d.poll()
}

// poll is a read in poll mode.
func (d *ports) poll() uint64 {
	d.p.mu.Lock()
	v := d.chip.poll()
	d.p.update()
	d.p.mu.Unlock()
	return uint64(v) | float
}

// Write takes the low byte.
func (d *ports) Write(off uint64, size uint8, val, _ uint64) {
	d.p.mu.Lock()
	c := d.chip
	if off&1 == 0 {
		c.command(uint8(val))
	} else {
		c.data(uint8(val))
	}
	d.p.update()
	d.p.mu.Unlock()
}

// elcr is the two edge/level control registers as a bus.Device.
type elcr struct{ p *PIC }

// ELCR returns the device for the two ports from 0x4d0. It allocates: for
// construction only.
func (p *PIC) ELCR() bus.Device { return elcr{p} }

// Read reads one or both registers.
func (d elcr) Read(off uint64, size uint8, _ uint64) uint64 {
	d.p.mu.Lock()
	v := ^uint64(0xffff) | uint64(d.p.chip[1].ELCR)<<8 | uint64(d.p.chip[0].ELCR)
	d.p.mu.Unlock()
	if off&1 != 0 {
		v = v>>8 | ^uint64(0xff)
	}
	return v
}

// Write writes one or both registers.
func (d elcr) Write(off uint64, size uint8, val, _ uint64) {
	d.p.mu.Lock()
	i := off & 1
	d.p.chip[i].ELCR = uint8(val) & elcrMask[i]
	if i == 0 && size > 1 {
		d.p.chip[1].ELCR = uint8(val>>8) & elcrMask[1]
	}
	d.p.update()
	d.p.mu.Unlock()
}

// State is everything a guest can notice of the master and the slave: for save,
// restore and migration.
type State [2]chip

// ErrState says that a State is not one that Export made.
var ErrState = errors.New("vpic: impossible saved state")

// Export returns the state of p.
func (p *PIC) Export() State {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.chip
}

// Import puts p into state s, which is checked as if a guest had made it up. On
// error p is unchanged.
func (p *PIC) Import(s *State) error {
	for i := range s {
		c := &s[i]
		if c.Low > 7 || c.Step > icw4 || c.Base&7 != 0 || c.ELCR&^elcrMask[i] != 0 {
			return ErrState
		}
	}
	p.mu.Lock()
	p.chip = *s
	p.update()
	p.mu.Unlock()
	return nil
}
