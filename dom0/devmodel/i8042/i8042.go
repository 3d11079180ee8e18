// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package i8042 is a keyboard controller of a PC (IBM PC/AT Technical Reference,
// "Keyboard Controller") to which no keyboard is attached: its status, its
// command byte and self-tests, the output port, and the commands that pulse the
// processor's reset line.
//
// # Threats
//
//	guest does                            model does
//	------------------------------------  ---------------------------------------
//	resets itself                         that is what the commands are for
//	sends to a keyboard                   nothing is there to answer; one byte is
//	                                      held for the controller's answers
//	closes gate A20                       the bit is kept, the gate stays open
package i8042

import "sync"

// Where a PC has its keyboard controller: data at Base, status and command at
// Base+4. Ports 0x61 to 0x63 between them are other devices'.
const (
	Base    = 0x60
	Command = 0x64
)

// Bits of the status register.
const (
	statusFull    = 1 << 0 // a byte waits at the data port
	statusSystem  = 1 << 2 // the self-test was passed
	statusCommand = 1 << 3 // the last byte went to the command port
	statusUnlock  = 1 << 4 // the keyboard is not locked
)

// Commands.
const (
	cmdReadByte    = 0x20
	cmdWriteByte   = 0x60
	cmdTestMouse   = 0xa9
	cmdSelfTest    = 0xaa
	cmdTestKey     = 0xab
	cmdReadOutput  = 0xd0
	cmdWriteOutput = 0xd1
	cmdPulse       = 0xf0 // to 0xff: the lines whose bit is 0

	selfTestPassed = 0x55
	stuck          = 1 // answer of a test: the clock line is low, nothing is attached
)

// lineReset is the processor's reset in the output port, low to reset; lineA20 is
// gate A20.
const (
	lineReset = 1 << 0
	lineA20   = 1 << 1
)

// Controller is a keyboard controller. Its methods are safe for concurrent use.
type Controller struct {
	reset func()

	mu      sync.Mutex // guards what follows
	mode    byte       // command byte
	output  byte       // output port
	full    bool
	data    byte
	command byte // that waits for a byte at the data port
	last    bool // the last byte went to the command port
}

// New returns a controller that calls reset when the guest asks for it.
func New(reset func()) *Controller {
	return &Controller{reset: reset, mode: 0x30, output: lineReset | lineA20}
}

// Data is the data port, and Control the status and command port, as devices.
type (
	Data    struct{ *Controller }
	Control struct{ *Controller }
)

// Read takes the byte that waits.
func (d Data) Read(uint64, uint8, uint64) uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.full = false
	return ^uint64(0xff) | uint64(d.data)
}

// Write is the operand of a command, or goes to the keyboard that is not there.
func (d Data) Write(_ uint64, _ uint8, val, _ uint64) {
	d.mu.Lock()
	c := d.command
	d.command, d.last = 0, false
	reset := false
	switch c {
	case cmdWriteByte:
		d.mode = byte(val)
	case cmdWriteOutput:
		d.output = byte(val)
		reset = val&lineReset == 0
	}
	d.mu.Unlock()
	if reset {
		d.reset()
	}
}

// Read returns the status.
func (c Control) Read(uint64, uint8, uint64) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := byte(statusUnlock | statusSystem)
	if c.full {
		s |= statusFull
	}
	if c.last {
		s |= statusCommand
	}
	return ^uint64(0xff) | uint64(s)
}

// Write is a command.
func (c Control) Write(_ uint64, _ uint8, val, _ uint64) {
	c.mu.Lock()
	cmd := byte(val)
	c.command, c.last = 0, true
	switch cmd {
	case cmdReadByte:
		c.answer(c.mode)
	case cmdSelfTest:
		c.mode = 0x30
		c.answer(selfTestPassed)
	case cmdTestKey, cmdTestMouse:
		c.answer(stuck)
	case cmdReadOutput:
		c.answer(c.output)
	case cmdWriteByte, cmdWriteOutput:
		c.command = cmd
	}
	c.mu.Unlock()
	if cmd >= cmdPulse && cmd&lineReset == 0 {
		c.reset()
	}
}

// answer makes b wait at the data port. Preconditions: c.mu is held.
func (c *Controller) answer(b byte) { c.data, c.full = b, true }
