// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import (
	"sync/atomic"
	"unsafe"

	"ringo/hv/insn"
)

// Everything that is written to the descriptors 1 and 2, and what the layer
// itself says, goes to the log ring and, while polled is set or for descriptor
// 2, to the console: COM1 on the bare machine, a hypercall in a partition.

const (
	com1    = 0x3f8
	comIER  = com1 + 1
	comFCR  = com1 + 2
	comLCR  = com1 + 3
	comMCR  = com1 + 4
	comLSR  = com1 + 5
	lsrTHRE = 0x20
	lsrTEMT = 0x40

	fifoSize = 16
	// uartPatience bounds the wait for the transmitter, in polls: a line at
	// 9600 baud needs 16 ms for a FIFO; a port read takes about a microsecond.
	uartPatience = 50_000
)

var (
	polled   uint32 = 1 // atomic
	uartDead uint32     // the transmitter never became ready
)

// uartInit sets 115200 baud, 8N1, FIFOs on, interrupts off.
//
//go:nosplit
func uartInit() {
	insn.OUT8(comIER, 0)
	insn.OUT8(comLCR, 0x80)
	insn.OUT8(com1, 1)
	insn.OUT8(comIER, 0)
	insn.OUT8(comLCR, 3)
	insn.OUT8(comFCR, 7)
	insn.OUT8(comMCR, 3)
}

//go:nosplit
func uartWait() bool {
	for i := 0; i < uartPatience; i++ {
		if insn.IN8(comLSR)&lsrTHRE != 0 {
			return true
		}
		insn.PAUSE()
	}
	uartDead = 1
	return false
}

// uartPut writes up to a FIFO full, with a CR before each LF, and returns how
// many bytes it took. It waits for the transmitter only.
//
//go:nosplit
func uartPut(p, n uint64) (done uint64) {
	if uartDead != 0 || !uartWait() {
		return n
	}
	for room := fifoSize; done < n && room > 1; done++ {
		b := *p8(p + done)
		if b == '\n' {
			insn.OUT8(com1, '\r')
			room--
		}
		insn.OUT8(com1, b)
		room--
	}
	return done
}

// consoleWrite is write(2) to the console: one chunk, then the thread repeats
// the call with the rest, so that interrupts come in between.
//
//go:nosplit
func consoleWrite(c *cpu, t *thread) uint64 {
	n := min(t.f.rdx-t.done, uint64(len(c.out)))
	// Standard error is where the runtime reports its end: always shown.
	show := t.f.rdi == 2 || atomic.LoadUint32(&polled) != 0
	if show {
		n = min(n, chunkMost())
	}
	if n == 0 {
		n = t.done
		t.done = 0
		return n
	}
	if !copyIn(unsafe.Pointer(&c.out), t.f.rsi+t.done, n) {
		t.done = 0
		return neg(eFAULT)
	}
	out := addr(unsafe.Pointer(&c.out))
	conlock.lock()
	if show {
		n = put(out, n)
	}
	logRing.append(out, n)
	conlock.unlock()
	if t.done += n; t.done >= t.f.rdx {
		n = t.done
		t.done = 0
		return n
	}
	restart(t)
	return keepRAX
}

// say writes a string of the layer to the console and the log.
//
//go:nosplit
func say(s string) {
	sayBytes(addr(unsafe.Pointer(unsafe.StringData(s))), uint64(len(s)))
}

//go:nosplit
func sayBytes(p, n uint64) {
	locked := booted != 0 && atomic.LoadUint32(&fatalOwner) == 0
	if locked {
		conlock.lockBare()
	}
	logRing.append(p, n)
	if atomic.LoadUint32(&polled) != 0 {
		for n > 0 {
			k := put(p, n)
			p, n = p+k, n-k
		}
	}
	if locked {
		conlock.unlock()
	}
}

//go:nosplit
func sayHex(v uint64) {
	var b [16]byte
	for i := 15; i >= 0; i-- {
		b[i&15] = "0123456789abcdef"[v&15]
		v >>= 4
	}
	sayBytes(addr(unsafe.Pointer(&b)), 16)
}

//go:nosplit
func sayDec(v uint64) {
	var b [20]byte
	i := uint64(20)
	for {
		i--
		*p8(addr(unsafe.Pointer(&b)) + i) = '0' + byte(v%10)
		if v /= 10; v == 0 || i == 0 {
			break
		}
	}
	sayBytes(addr(unsafe.Pointer(&b))+i, 20-i)
}

// Output chooses where writes to standard output go.
type Output uint32

// Outputs. The log ring gets everything with both.
const (
	LogOnly Output = iota // to the log ring only: somebody else drives the UART
	Polled                // to the console as well, polled
)

// SetOutput chooses where writes to standard output go from now on. Standard
// error, where the runtime reports its end, and the fatal paths are always
// Polled.
func SetOutput(o Output) { atomic.StoreUint32(&polled, uint32(o)) }

// ConsoleWrite writes b to the console, whatever SetOutput says, and not to the
// log. It is slow: it polls.
func ConsoleWrite(b []byte) {
	if booted == 0 {
		return
	}
	for len(b) > 0 {
		n := enter(sysLogRaw, addr(unsafe.Pointer(unsafe.SliceData(b))), uint64(len(b)), 0)
		if n == 0 || n > uint64(len(b)) {
			return
		}
		b = b[n:]
	}
}

// ownConsole (buffer, length) writes one chunk and returns its length.
//
//go:nosplit
func ownConsole(c *cpu, t *thread) uint64 {
	n := min(t.f.rsi, uint64(len(c.out)), chunkMost())
	if !copyIn(unsafe.Pointer(&c.out), t.f.rdi, n) {
		return 0
	}
	conlock.lock()
	n = put(addr(unsafe.Pointer(&c.out)), n)
	conlock.unlock()
	return n
}
