// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import (
	"sync/atomic"
	"unsafe"

	"ringo/boot/layout"
	"ringo/mm"
)

// Pins of I/O APICs (82093AA, "Register Description"): a register is selected by one
// store and accessed by another, so all that is done at run time is done here, with
// pinlock held, a leaf.
const (
	pinSelect = 0x00
	pinWindow = 0x10
	pinTable  = 0x10 // of the registers: two for each pin
	pinMask   = 1 << 16
	pinLevel  = 1 << 15
)

// pin is where the interrupts of a vector come from. A level-triggered line stays
// asserted until a driver has seen to the device, so the handler masks the pin before
// the EOI: else the interrupt would come again before the next instruction.
type pin struct {
	chip uint64 // address of its registers, 0: the vector has no such pin
	reg  uint32 // of the low half of its entry
	low  uint32 // not masked
}

var (
	pins    [256]pin
	pinlock spinlock
)

//go:nosplit
func pinAt(vector uint64) *pin {
	return (*pin)(ptr(addr(unsafe.Pointer(&pins)) + vector%256*uint64(unsafe.Sizeof(pin{}))))
}

// pinStore writes a register of the chip at an address.
//
//go:nosplit
func pinStore(chip uint64, reg, v uint32) {
	atomic.StoreUint32(p32(chip+pinSelect), reg)
	atomic.StoreUint32(p32(chip+pinWindow), v)
}

// Preconditions of the methods: pinlock is held.

//go:nosplit
func (p *pin) set(chip uint64, n, low, high uint32) {
	p.chip, p.reg, p.low = chip, pinTable+2*n, low
	p.mask() // nothing comes of a half
	pinStore(chip, p.reg+1, high)
	p.unmask() // whoever had it before may have left it waiting
}

//go:nosplit
func (p *pin) mask() {
	if p.chip != 0 {
		pinStore(p.chip, p.reg, p.low|pinMask)
	}
}

// drop masks the pin, and leaves the vector without one.
//
//go:nosplit
func (p *pin) drop() {
	p.mask()
	p.chip = 0
}

// unmask makes the entry one of an edge before it unmasks it: the chip then forgets that
// it waits for an EOI, which does not come to it where an interrupt has passed an IOMMU
// that made an edge of it (QEMU's AMD-Vi does). It must not be before: a line that falls
// meanwhile is overlooked by some chips (Bochs').
//
//go:nosplit
func (p *pin) unmask() {
	if p.chip == 0 {
		return
	}
	if p.low&pinLevel != 0 {
		pinStore(p.chip, p.reg, p.low&^pinLevel|pinMask)
	}
	pinStore(p.chip, p.reg, p.low)
}

// maskPin keeps the level-triggered pin of a vector that has come from coming again. Of
// most vectors there is none.
//
//go:nosplit
func maskPin(vector uint64) {
	if p := pinAt(vector); p.chip != 0 && p.low&pinLevel != 0 {
		pinlock.lock()
		p.mask()
		pinlock.unlock()
	}
}

// SetPin writes the entry of a pin of the I/O APIC whose registers are at chip, and lets
// it interrupt with vector. A level-triggered one is masked whenever it has.
func SetPin(vector uint8, chip mm.HPA, n uint8, low, high uint32) {
	enter(sysSetPin, uint64(vector)|uint64(n)<<8, layout.DirectMap+uint64(chip), uint64(low&^pinMask)|uint64(high)<<32)
}

// UnmaskPin lets the pin of a vector interrupt again.
func UnmaskPin(vector uint8) { enter(sysMaskPin, uint64(vector), 0, 0) }

// MaskPin keeps it from interrupting.
func MaskPin(vector uint8) { enter(sysMaskPin, uint64(vector), 1, 0) }

// DropPin does so for good: the vector is free for others, and its pin for other vectors.
func DropPin(vector uint8) { enter(sysMaskPin, uint64(vector), 2, 0) }

// ownSetPin (vector and pin, address, entry).
//
//go:nosplit
func ownSetPin(c *cpu, t *thread) uint64 {
	pinlock.lock()
	pinAt(t.f.rdi&255).set(t.f.rsi, uint32(t.f.rdi>>8), uint32(t.f.rdx), uint32(t.f.rdx>>32))
	pinlock.unlock()
	return 0
}

// ownMaskPin (vector, 0 to unmask it, 1 to mask it, 2 to drop it).
//
//go:nosplit
func ownMaskPin(c *cpu, t *thread) uint64 {
	pinlock.lock()
	switch p := pinAt(t.f.rdi); t.f.rsi {
	case 0:
		p.unmask()
	case 1:
		p.mask()
	default:
		p.drop()
	}
	pinlock.unlock()
	return 0
}
