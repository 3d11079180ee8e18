// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package vioapic is the virtual I/O APIC of a partition: 24 interrupt inputs
// that become messages to local APICs. It is an 82093AA with the EOI register
// of later chipsets (Intel 82093AA data sheet, "Register Description"; Intel
// I/O Controller Hub 9 data sheet, "EOIR—EOI Register"; version 0x20).
//
//	line ──▶ edge:  rises while unmasked            ──▶ message
//	         level: high, unmasked, remote IRR clear ──▶ message, remote IRR set
//	EOI  ──▶ level: remote IRR cleared; still high   ──▶ message again
//
// Polarity is stored and ignored: a line is high when its device wants service.
//
// What a hostile guest can do here:
//
//	any register, size, offset         -> reads 0, writes ignored
//	a line left asserted, EOI at once  -> one message per EOI, paid by its exit
//	SMI, ExtINT or reserved mode       -> nothing is sent
//	destinations that do not exist     -> nobody takes it; remote IRR stays clear
//	race of vCPUs                      -> one mutex, held for at most 24 pins
package vioapic

import (
	"errors"
	"sync"

	"ringo/hv/bus"
)

// Pins is the number of interrupt inputs.
const Pins = 24

// Fields of a redirection table entry (82093AA data sheet, "IOREDTBL[23:0]").
const (
	rteVector    = 0xff
	rteModeShift = 8
	rteLogical   = 1 << 11
	rteRemoteIRR = 1 << 14
	rteLevel     = 1 << 15
	rteMasked    = 1 << 16
	rteDestShift = 56
	rteWritable  = rteVector | 7<<rteModeShift | rteLogical | 1<<13 | rteLevel | rteMasked | 0xff<<rteDestShift
)

// Memory-mapped registers and the indirect ones behind them.
const (
	offSelect = 0x00
	offWindow = 0x10
	offEOI    = 0x40

	regID    = 0x00
	regVer   = 0x01
	regArb   = 0x02
	regTable = 0x10 // two 32-bit halves per pin

	version = 0x20 | (Pins-1)<<16
)

// IOAPIC is one I/O APIC; it is a bus.Device. All methods may be called from
// any CPU.
type IOAPIC struct {
	router bus.Router

	// mu comes before locks of the scheduler, which Router.Deliver may take by
	// waking a vCPU, and after those of the devices that drive lines.
	mu    sync.Mutex
	sel   uint8
	id    uint8
	lines uint32 // levels of the inputs
	table [Pins]uint64
}

// New makes an I/O APIC in its reset state: all pins masked.
func New(router bus.Router) *IOAPIC {
	d := &IOAPIC{router: router}
	d.Reset()
	return d
}

// Reset masks all pins. The lines keep their levels, as they belong to others.
func (d *IOAPIC) Reset() {
	d.mu.Lock()
	d.sel, d.id = 0, 0
	for i := range d.table {
		d.table[i] = rteMasked
	}
	d.mu.Unlock()
}

// Set drives the input gsi. Inputs that do not exist are ignored.
func (d *IOAPIC) Set(gsi uint32, level bool) {
	if gsi >= Pins {
		return
	}
	bit := uint32(1) << gsi
	d.mu.Lock()
	rising := level && d.lines&bit == 0
	if level {
		d.lines |= bit
	} else {
		d.lines &^= bit
	}
	if rising {
		d.fire(gsi)
	}
	d.mu.Unlock()
}

// Masked reports whether input gsi, below [Pins], is masked.
func (d *IOAPIC) Masked(gsi uint32) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.table[gsi]&rteMasked != 0
}

// line is one input as a bus.Line.
type line struct {
	d   *IOAPIC
	gsi uint32
}

func (l line) Set(level bool) { l.d.Set(l.gsi, level) }

// Line returns input gsi as a line. It allocates: for construction only.
func (d *IOAPIC) Line(gsi uint32) bus.Line { return line{d, gsi} }

// fire sends the message of pin i if its entry lets it now. Its line is high,
// or has just risen. The caller holds mu.
func (d *IOAPIC) fire(i uint32) {
	e := d.table[i]
	if e&(rteMasked|rteRemoteIRR) != 0 {
		return
	}
	m := bus.Message{
		Dest:    uint32(e >> rteDestShift),
		Vector:  uint8(e),
		Mode:    bus.Delivery(e >> rteModeShift & 7),
		Logical: e&rteLogical != 0,
		Level:   e&rteLevel != 0,
	}
	if !m.Logical && m.Dest == 0xff {
		m.Dest = bus.Broadcast
	}
	switch m.Mode {
	case bus.Fixed, bus.LowestPriority:
	case bus.NMI, bus.INIT:
		m.Level = false // always edge-triggered
	default:
		return
	}
	if d.router.Deliver(m) && m.Level {
		d.table[i] |= rteRemoteIRR
	}
}

// EOI ends the level-triggered interrupts of vector: local APICs broadcast it.
// A line that is still high interrupts again.
func (d *IOAPIC) EOI(vector uint8) {
	d.mu.Lock()
	for i := range d.table {
		if e := d.table[i]; e&rteRemoteIRR != 0 && uint8(e) == vector {
			d.table[i] = e &^ rteRemoteIRR
			d.refire(uint32(i))
		}
	}
	d.mu.Unlock()
}

// refire sends the message of a level-triggered pin whose line is high. The
// caller holds mu.
func (d *IOAPIC) refire(i uint32) {
	if d.table[i]&rteLevel != 0 && d.lines&(1<<i) != 0 {
		d.fire(i)
	}
}

// Read answers a read of the register page. Registers are 32 bits wide: a
// narrower read sees the low bytes, a wider one zeros above.
func (d *IOAPIC) Read(off uint64, size uint8, _ uint64) uint64 {
	var v uint32
	d.mu.Lock()
	switch off {
	case offSelect:
		v = uint32(d.sel)
	case offWindow:
		v = d.get()
	}
	d.mu.Unlock()
	return uint64(v) & (1<<(8*size) - 1)
}

// Write answers a write to the register page.
func (d *IOAPIC) Write(off uint64, size uint8, val, _ uint64) {
	switch {
	case off == offSelect:
		d.mu.Lock()
		d.sel = uint8(val)
		d.mu.Unlock()
	case size < 4:
	case off == offWindow:
		d.mu.Lock()
		d.put(uint32(val))
		d.mu.Unlock()
	case off == offEOI:
		d.EOI(uint8(val))
	}
}

// get reads the selected register. The caller holds mu.
func (d *IOAPIC) get() uint32 {
	switch d.sel {
	case regID, regArb:
		return uint32(d.id) << 24
	case regVer:
		return version
	}
	i := (d.sel - regTable) >> 1
	if d.sel < regTable || i >= Pins {
		return 0
	}
	return uint32(d.table[i] >> (32 * (d.sel & 1)))
}

// put writes the selected register. The caller holds mu.
func (d *IOAPIC) put(v uint32) {
	if d.sel == regID {
		d.id = uint8(v>>24) & 0xf
		return
	}
	i := (d.sel - regTable) >> 1
	if d.sel < regTable || i >= Pins {
		return
	}
	shift := 32 * (d.sel & 1)
	old := d.table[i]
	keep := old&^(0xffff_ffff<<shift) | uint64(v)<<shift
	e := keep&rteWritable | old&rteRemoteIRR
	if e&rteLevel == 0 {
		// A change to edge ends the interrupt: how systems without an EOI
		// register acknowledge by hand.
		e &^= rteRemoteIRR
	}
	d.table[i] = e
	d.refire(uint32(i)) // a level line may have waited for the unmask
}

// State is everything a guest can notice: for save, restore and migration.
type State struct {
	Table [Pins]uint64
	Lines uint32
	Sel   uint8
	ID    uint8
}

// ErrState says that a State is not one that Export made.
var ErrState = errors.New("vioapic: impossible saved state")

// Export returns the state of d.
func (d *IOAPIC) Export() State {
	d.mu.Lock()
	defer d.mu.Unlock()
	return State{Table: d.table, Lines: d.lines, Sel: d.sel, ID: d.id}
}

// Import puts d into state s, which is checked as if a guest had made it up. On
// error d is unchanged.
func (d *IOAPIC) Import(s *State) error {
	for _, e := range s.Table {
		if e&^(rteWritable|rteRemoteIRR) != 0 || e&rteRemoteIRR != 0 && e&rteLevel == 0 {
			return ErrState
		}
	}
	if s.Lines>>Pins != 0 || s.ID > 15 {
		return ErrState
	}
	d.mu.Lock()
	d.table, d.lines, d.sel, d.id = s.Table, s.Lines, s.Sel, s.ID
	d.mu.Unlock()
	return nil
}
