// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package uart drives the 16550 serial port that carries the host console, by
// interrupts: neither a full transmitter nor an absent port ever blocks a CPU. It
// sets the port up and sends; received characters are taken by the interrupt
// handler itself (boot/kernel, OpenSerial).
package uart

import "sync"

// Ports is access to the eight registers of the UART, by offset.
type Ports interface {
	In(off uint16) uint8
	Out(off uint16, v uint8)
}

// Registers, by offset (PC16550D, "Registers").
const (
	data     = 0 // RBR, THR; DLL while LCR.DLAB
	enable   = 1 // IER; DLM while LCR.DLAB
	fifo     = 2 // FCR write, IIR read
	line     = 3 // LCR
	modem    = 4 // MCR
	status   = 5 // LSR
	scratch  = 7
	dlab     = 1 << 7
	overrun  = 1 << 1
	txEmpty  = 1 << 5
	nobody   = 0xff // what a port without a device reads
	ierRx    = 1 << 0
	ierTx    = 1 << 1
	mcrOut2  = 1 << 3 // gates the interrupt line on PCs
	mcrReady = 3      // DTR, RTS
	fifoSize = 16
	clock    = 115200
	ringSize = 32 << 10
)

// Line is the character format.
type Line struct {
	Baud   uint32 // 0: as it is
	Data   uint8  // bits, 5 to 8
	Parity byte   // 'n', 'e', 'o'
	Stop   uint8  // bits, 1 or 2
}

// UART is an initialised port. Its methods may be called from any CPU.
type UART struct {
	mu       sync.Mutex
	p        Ports
	ring     [ringSize]byte
	head     uint32 // next byte to send
	n        uint32 // bytes waiting
	ier      uint8
	overruns uint64
}

// Open sets the port up. It reports false when no UART answers.
func Open(p Ports, l Line) (*UART, bool) {
	p.Out(scratch, 0xa5)
	if p.In(scratch) != 0xa5 {
		return nil, false
	}
	lcr := l.Data - 5
	if l.Stop == 2 {
		lcr |= 1 << 2
	}
	switch l.Parity {
	case 'o':
		lcr |= 1 << 3
	case 'e':
		lcr |= 3 << 3
	}
	p.Out(enable, 0)
	if l.Baud > 0 {
		div := uint16(clock / min(l.Baud, clock))
		p.Out(line, lcr|dlab)
		p.Out(data, uint8(div))
		p.Out(enable, uint8(div>>8))
	}
	p.Out(line, lcr)
	p.Out(fifo, 0x07) // on, both cleared, interrupt at one byte
	p.Out(modem, mcrReady|mcrOut2)
	u := &UART{p: p, ier: ierRx}
	p.Out(enable, u.ier)
	return u, true
}

// Write queues b and sends what the transmitter takes now. It returns how many
// bytes it took; the rest found the ring full.
func (u *UART) Write(b []byte) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	n := 0
	for n < len(b) {
		if u.n == ringSize {
			u.pump()
			if u.n == ringSize {
				break
			}
		}
		u.ring[(u.head+u.n)%ringSize] = b[n]
		u.n++
		n++
	}
	u.pump()
	return n
}

// patience is how often Flush looks at a busy transmitter before it gives up: a
// port access takes a microsecond, 16 bytes at 1200 baud 133 ms.
const patience = 1 << 19

// Flush waits until the port has taken all that is queued, for the last words
// before the machine goes off. It gives up on a port that takes nothing.
func (u *UART) Flush() {
	u.mu.Lock()
	defer u.mu.Unlock()
	for polls := 0; u.n > 0 && polls < patience; polls++ {
		n := u.n
		if u.pump(); u.n < n {
			polls = 0
		}
	}
}

// Transmit sends what waits, as far as the transmitter takes it. It is to be
// called after each interrupt of the port.
func (u *UART) Transmit() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.pump()
}

// Overruns is how many characters found the receiver full, as far as sending saw
// it: whoever reads the line status takes the news away.
func (u *UART) Overruns() uint64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.overruns
}

// pump sends from the ring while the transmitter is empty, and asks for an
// interrupt when bytes remain.
//
// Preconditions: u.mu is held.
func (u *UART) pump() {
	for u.n > 0 {
		s := u.p.In(status)
		if s&overrun != 0 && s != nobody {
			u.overruns++
		}
		if s&txEmpty == 0 {
			break
		}
		for i := 0; i < fifoSize && u.n > 0; i++ {
			u.p.Out(data, u.ring[u.head%ringSize])
			u.head = (u.head + 1) % ringSize
			u.n--
		}
	}
	ier := uint8(ierRx)
	if u.n > 0 {
		ier |= ierTx
	}
	if ier != u.ier {
		u.ier = ier
		u.p.Out(enable, ier)
	}
}
