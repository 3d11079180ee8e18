// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package serial is a model of the 16550A UART as a PC has it at port 0x3f8,
// interrupt line 4 (National Semiconductor PC16550D data sheet, "Registers").
//
// Transmission takes no time: what the guest writes is at the sink when the write
// returns, so the transmitter is always empty. Reception comes from a queue on
// the host's side, from which the receiver FIFO is filled as the guest empties
// it; an overrun cannot happen outside loopback. A guest that has written the
// modem control register receives only while it asserts RTS, as a line with
// hardware flow control: keys typed before the guest opens the port are kept.
//
// Accesses come from one thread and cost one uncontended lock; they do not
// allocate. They change the interrupt line while the lock is held, so that the
// order of its edges is that of their causes.
//
// # Threats
//
//	guest does                        model does
//	--------------------------------  -------------------------------------------
//	floods the transmitter            one sink call a byte; the sink is a ring that
//	                                  overwrites; no queue grows, nobody blocks
//	toggles interrupt causes          one line change an access at most; the cost
//	                                  falls on its own exits
//	never reads what is typed         the queue is bounded (QueueSize); Input refuses,
//	                                  its caller waits or drops
//	accesses 2, 4 or 8 bytes          the bytes go to successive registers, those
//	                                  beyond the last read 0xff
//	sends escape sequences            bytes are data: package console shows them to
//	                                  the attached terminal only
//	resets the FIFO in a loop         drops at most 16 received bytes each time
//	programs baud rate, parity        stored, without effect: nothing to divide by
package serial

import (
	"sync"

	"ringo/hv/bus"
)

// Where a PC has its serial ports.
const (
	Base = 0x3f8 // first port
	Size = 8     // ports
	GSI  = 4     // interrupt line

	// Base2 and GSI2 are those of the second.
	Base2 = 0x2f8
	GSI2  = 3

	Data   = regData // offsets of the ports that can have cells
	Status = regLSR
)

// Cell is told what may be done with accesses of one byte to a port without the UART.
type Cell interface {
	Answer(v byte) // reads yield v
	Post()         // writes may come later, before the next other access
	Forward()      // neither
}

// QueueSize is how many received bytes, beyond the FIFO, wait for the guest.
const QueueSize = 4096

// Sink takes transmitted bytes. Put must not block or allocate.
type Sink interface{ Put(b byte) }

const fifoSize = 16

// UART is a 16550A. Its methods are safe for concurrent use.
type UART struct {
	line bus.Line
	sink Sink
	room chan struct{}

	// mu guards what follows. Sink.Put and Line.Set are called under it.
	mu                      sync.Mutex
	ier, fcr, lcr, mcr, scr byte
	dll, dlm                byte
	err                     byte // error bits of LSR
	delta                   byte // change bits of MSR
	thri                    bool // "transmitter empty" waits to be reported
	set                     bool // MCR was written
	flow                    bool // with RTS or DTR: RTS counts
	level                   bool
	refused                 bool    // Input had no room since the last signal
	data, status            Cell    // nil: none
	posts                   bool    // what data was last told
	shared                  byte    // and status; 0: Forward
	told                    [4]byte // registers that decide, when they were
	fifo                    ring
	queue                   ring
	fifoMem                 [fifoSize]byte
	queueMem                [QueueSize]byte
}

// New returns a UART after reset that transmits to sink and interrupts through
// line.
func New(sink Sink, line bus.Line) *UART {
	u := &UART{sink: sink, line: line, room: make(chan struct{}, 1), dll: 1}
	u.fifo.mem, u.queue.mem = u.fifoMem[:], u.queueMem[:]
	return u
}

// Share gives the ports Data and Status cells: while the transmitter is only polled,
// bytes to it come in bunches, and polls not at all.
func (u *UART) Share(data, status Cell) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.data, u.status = data, status
	u.tell()
}

// tell brings the cells up to date. A byte that is sent with the transmitter's interrupt
// enabled has an answer, and one that is not for the transmitter an effect: neither waits.
func (u *UART) tell() {
	posts := u.lcr&lcrDLAB == 0 && u.mcr&mcrLoop == 0 && u.ier&ierTransmit == 0
	if posts != u.posts {
		if u.posts = posts; posts {
			u.data.Post()
		} else {
			u.data.Forward()
		}
	}
	status := u.lsr()
	if u.err != 0 {
		status = 0 // reading it has an effect
	}
	if status != u.shared {
		if u.shared = status; status != 0 {
			u.status.Answer(status)
		} else {
			u.status.Forward()
		}
	}
}

// Read answers a read of size bytes at port Base+off.
func (u *UART) Read(off uint64, size uint8, _ uint64) uint64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	v := uint64(u.read(off)) // nearly always all there is
	for i := uint64(1); i < uint64(min(size, 8)); i++ {
		v |= uint64(u.read(off+i)) << (8 * i)
	}
	if size != 1 || effective>>(off%64)&1 != 0 {
		u.update()
	}
	return v
}

// Write answers a write of size bytes at port Base+off.
func (u *UART) Write(off uint64, size uint8, val, _ uint64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for i := range uint64(min(size, 8)) {
		u.write(off+i, byte(val>>(8*i)))
	}
	u.update()
}

// Input receives bytes for the guest and returns how many there was room for.
// The rest should be offered again after a receive from Room.
func (u *UART) Input(p []byte) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	n := 0
	for n < len(p) && u.queue.push(p[n]) {
		n++
	}
	u.refused = n < len(p)
	u.update()
	return n
}

// Break receives a break, and then b. It does nothing and reports false while the
// guest has bytes to read, or does not take any.
func (u *UART) Break(b byte) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.fifo.n+u.queue.n > 0 || u.mcr&(mcrLoop|mcrRTS) != mcrRTS {
		return false
	}
	u.fifo.push(0) // a break is a zero with an error (PC16550D data sheet, "Line Status Register")
	u.err |= lsrBreak
	u.queue.push(b)
	u.update()
	return true
}

// Room returns the channel that gets a value when Input, having refused bytes,
// has room again.
func (u *UART) Room() <-chan struct{} { return u.room }

// receives reports whether what is typed goes to the guest now.
func (u *UART) receives() bool {
	switch {
	case u.mcr&mcrLoop != 0:
		return false
	case u.flow:
		return u.mcr&mcrRTS != 0
	}
	return !u.set || u.mcr&mcrOut2 != 0
}

// update moves received bytes into the FIFO and sets the interrupt line.
func (u *UART) update() {
	if u.receives() {
		for u.fifo.n < u.depth() && u.queue.n > 0 {
			u.fifo.push(u.queue.pop())
		}
		if u.refused && u.queue.n <= QueueSize/2 {
			u.refused = false
			select {
			case u.room <- struct{}{}:
			default:
			}
		}
	}
	if c := [...]byte{u.lcr, u.mcr, u.ier, u.lsr()}; u.data != nil && c != u.told {
		u.told = c
		u.tell()
	}
	// OUT2 gates the interrupt on a PC; in loopback the pin is inactive (PC16550D
	// data sheet, "Modem Control Register").
	level := u.mcr&(mcrOut2|mcrLoop) == mcrOut2 && u.cause() != iirNone
	if level != u.level {
		u.level = level
		u.line.Set(level)
	}
}

// depth is the number of bytes that the receiver holds.
func (u *UART) depth() int {
	if u.fcr&fcrEnable != 0 {
		return fifoSize
	}
	return 1
}

// ring is a byte queue in mem.
type ring struct {
	mem     []byte
	head, n int
}

func (r *ring) push(b byte) bool {
	if r.n == len(r.mem) {
		return false
	}
	r.mem[(r.head+r.n)%len(r.mem)] = b
	r.n++
	return true
}

// pop takes the oldest byte. Preconditions: n > 0.
func (r *ring) pop() byte {
	b := r.mem[r.head]
	r.head = (r.head + 1) % len(r.mem)
	r.n--
	return b
}
