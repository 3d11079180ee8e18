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
// 2, to the console: a serial port on the bare machine, a hypercall in a partition.

const (
	lsrTHRE = 0x20
	lsrTEMT = 0x40

	fifoSize = 16
	// uartPatience bounds the wait for the transmitter, in polls: a line at
	// 9600 baud needs 16 ms for a FIFO; a port read takes about a microsecond.
	uartPatience = 50_000
)

var (
	polled   uint32 = 1     // atomic
	uartDead uint32         // the transmitter never became ready
	comPort  uint16 = 0x3f8 // COM1
)

// comPorts are COM1 to COM4, four hexadecimal digits each.
const comPorts = 0x2e8_03e8_02f8_03f8

// uartInit sets 8N1, FIFOs on, interrupts off, and the baud rate for a divisor of
// 115200, unless that is 0.
//
//go:nosplit
func uartInit(divisor uint16) {
	insn.OUT8(comPort+regIER, 0)
	if divisor != 0 {
		insn.OUT8(comPort+regLCR, 0x80)
		insn.OUT8(comPort, uint8(divisor))
		insn.OUT8(comPort+regIER, uint8(divisor>>8))
	}
	insn.OUT8(comPort+regLCR, 3)
	insn.OUT8(comPort+regFCR, 7)
	insn.OUT8(comPort+regMCR, 3)
}

// divisor returns the divisor for a baud rate, 0 for 0.
//
//go:nosplit
func divisor(baud uint32) uint16 {
	if baud == 0 {
		return 0
	}
	return uint16(max(115200/baud, 1))
}

// SetSerial makes the 16550 at an I/O port the console, with a baud rate that
// divides 115200 (0: as it is), and returns the port that was it before.
func SetSerial(port uint16, baud uint32) (before uint16) {
	f := cliSave()
	before, comPort, uartDead = comPort, port, 0
	uartInit(divisor(baud))
	restoreFlags(f)
	return before
}

//go:nosplit
func uartWait() bool {
	for i := 0; i < uartPatience; i++ {
		if insn.IN8(comPort+regLSR)&lsrTHRE != 0 {
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
			insn.OUT8(comPort, '\r')
			room--
		}
		insn.OUT8(comPort, b)
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

// Log writes b to standard output.
func Log(b []byte) {
	if booted != 0 {
		enter(nrWrite, 1, addr(unsafe.Pointer(unsafe.SliceData(b))), uint64(len(b)))
	}
}

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
