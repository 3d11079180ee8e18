// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import (
	"sync/atomic"
	"unsafe"

	"ringo/hv/insn"
)

// The receiver of a 16550 serial port is emptied in the handler of its
// interrupt: at 115200 baud its FIFO is full 1.4 ms after the first character,
// and no thread of the Go program runs that soon for sure. The characters wait
// in a ring. Sending is the program's business (hv/internal/uart).

// Registers by offset, and their bits (PC16550D, "Registers").
const (
	regRBR  = 0
	regIER  = 1
	regIIR  = 2
	regFCR  = 2
	regLCR  = 3
	regMCR  = 4
	regLSR  = 5
	regNone = 8 // the registers end here

	iirIdle    = 1 << 0 // no interrupt is pending
	lsrData    = 1 << 0
	lsrOverrun = 1 << 1
	// nobody is what a port without a device reads.
	nobody = 0xff

	// burstMost bounds the looks at characters and causes of one interrupt.
	burstMost = 4 * fifoSize
	// burstPauseNS is what follows such an interrupt before the next look: a
	// line of 115200 baud brings 12 characters meanwhile.
	burstPauseNS = 1_000_000

	serialRing = 4096
)

// receiver is a port with its ring. The handler is the one writer, under serlock,
// SerialRead the one reader.
type receiver struct {
	port, vector uint32
	head, tail   uint64 // atomic; bytes read and written since boot
	overruns     uint64 // atomic; characters that found the FIFO full
	dropped      uint64 // atomic; characters that found the ring full
	more         uint32 // atomic; the last burst was cut short
	buf          [serialRing]byte
}

var (
	serial  receiver
	serlock spinlock
)

// burst is an interrupt being served: the register to read now, and how many
// more turns there may be.
type burst struct {
	reg  uint16
	left uint32
}

// serialIRQ empties the port.
//
//go:nosplit
func serialIRQ() {
	serlock.lock()
	r := &serial
	b := burst{regLSR, burstMost}
	for b.reg != regNone {
		r.step(&b, insn.IN8(uint16(r.port)+b.reg))
	}
	serlock.unlock()
}

// step takes what b.reg reads and sets b.reg to what is to be read next. The
// burst ends with the line low: no character and, looked at after that, no cause
// of an interrupt. So whatever comes later makes an edge. Reading IIR takes back
// the transmitter's interrupt; the thread that is woken looks at the transmitter
// itself.
//
//go:nosplit
func (r *receiver) step(b *burst, v uint8) {
	reg := b.reg
	b.reg = regLSR
	switch reg {
	case regLSR:
		if v == nobody {
			b.reg = regNone
			return
		}
		if v&lsrOverrun != 0 {
			atomic.AddUint64(&r.overruns, 1)
		}
		b.reg = regIIR
		if v&lsrData != 0 {
			b.reg = regRBR
		}
		return
	case regRBR:
		r.put(v)
	case regIIR:
		if v&iirIdle != 0 {
			b.reg = regNone
			return
		}
	}
	if b.left--; b.left == 0 {
		b.reg = regNone
		atomic.StoreUint32(&r.more, 1)
	}
}

//go:nosplit
func (r *receiver) put(c uint8) {
	at := r.tail
	if at-atomic.LoadUint64(&r.head) == serialRing {
		atomic.AddUint64(&r.dropped, 1)
		return
	}
	*p8(addr(unsafe.Pointer(&r.buf)) + at%serialRing) = c
	atomic.StoreUint64(&r.tail, at+1)
}

// read moves characters to b.
func (r *receiver) read(b []byte) int {
	at := r.head
	n := min(int(atomic.LoadUint64(&r.tail)-at), len(b))
	for i := range n {
		b[i] = r.buf[(at+uint64(i))%serialRing]
	}
	atomic.StoreUint64(&r.head, at+uint64(n))
	return n
}

// OpenSerial makes the handler of a device vector, from [AllocVector], empty the
// receiver of the 16550 at an I/O port, which must be set up but for the route of
// its interrupt. There is one such port.
func OpenSerial(vector uint8, port uint16) {
	serial.port = uint32(port)
	atomic.StoreUint32(&serial.vector, uint32(vector))
}

// SerialRead moves what was received to b and returns how many bytes that were,
// 0 when there is nothing. One thread at a time may call it.
func SerialRead(b []byte) int { return serial.read(b) }

// SerialLost returns how many characters were lost because the port's FIFO was
// full, as far as the handler saw it, and because nobody called SerialRead.
func SerialLost() (overruns, dropped uint64) {
	return atomic.LoadUint64(&serial.overruns), atomic.LoadUint64(&serial.dropped)
}

// SerialWait blocks the calling thread, which keeps its P like a runner in Wait,
// until the port interrupts, for received characters or for room to send. It may
// return early.
func SerialWait() {
	if booted == 0 {
		return
	}
	v := uint8(atomic.LoadUint32(&serial.vector))
	if atomic.SwapUint32(&serial.more, 0) == 0 {
		WaitIRQ(v, 0)
		return
	}
	// The line may still be high, and then never makes an edge again.
	WaitIRQ(v, insn.RDTSC()+scale(burstPauseNS, tscPerNS))
	SendIPI(CPU(), v)
}
