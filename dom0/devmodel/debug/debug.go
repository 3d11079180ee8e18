// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package debug is the ports on which emulators take what firmware and kernels in
// development say: bytes written to 0xe9 (Bochs) and 0x402 (QEMU's isa-debugcon) go
// into a log, and a write to 0xf4 (QEMU's isa-debug-exit) ends the machine with a code.
//
// # Threats
//
//	guest does                        model does
//	--------------------------------  -------------------------------------------
//	writes without end                the log is a ring that overwrites
//	writes escape sequences           bytes are data: package cli shows text only
//	ends itself again and again       it is gone after the first time
package debug

import "sync"

// Where the ports are.
const (
	Bochs    = 0xe9
	QEMU     = 0x402
	ExitPort = 0xf4
	ExitSize = 4
)

// present is what reading a debug port returns where there is one.
const present = 0xe9

// LogSize is how many bytes a log keeps.
const LogSize = 8 << 10

// Log is the last LogSize bytes that a guest wrote. Its methods are safe for
// concurrent use and allocate nothing, but for Text.
type Log struct {
	mu  sync.Mutex
	n   uint64 // bytes ever put
	buf [LogSize]byte
}

// Put adds a byte.
func (l *Log) Put(b byte) {
	l.mu.Lock()
	l.buf[l.n%LogSize] = b
	l.n++
	l.mu.Unlock()
}

// Text returns what is kept.
func (l *Log) Text() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.n <= LogSize {
		return append([]byte(nil), l.buf[:l.n]...)
	}
	at := l.n % LogSize
	return append(append([]byte(nil), l.buf[at:]...), l.buf[:at]...)
}

// Port is a debug port as a device. Wider accesses are of one byte after the other.
type Port struct{ *Log }

// Read says that there is a debug port.
func (Port) Read(uint64, uint8, uint64) uint64 { return ^uint64(0xff) | present }

// Write takes bytes.
func (p Port) Write(_ uint64, size uint8, val, _ uint64) {
	for range size {
		p.Put(byte(val))
		val >>= 8
	}
}

// Exit is the port that ends the machine: it is called with what is written.
type Exit func(code uint32)

// Read returns zeros.
func (Exit) Read(uint64, uint8, uint64) uint64 { return 0 }

// Write ends the machine.
func (e Exit) Write(_ uint64, size uint8, val, _ uint64) {
	if size < 4 {
		val &= 1<<(8*size) - 1
	}
	e(uint32(val))
}
