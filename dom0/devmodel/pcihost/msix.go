// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package pcihost

import (
	"encoding/binary"
	"sync"
)

// MSI-X (PCI Local Bus Specification 3.0, "MSI-X Capability and Table
// Structures").
const (
	msixEntry  = 16 // bytes of an entry: address, data, vector control
	msixMasked = 1  // of vector control
	msixOn     = 1 << 7
	msixMask   = 1 << 6 // both in the high byte of message control
)

// MSIX is the vectors of a function. It is the device of its table, and of the
// pending bits behind that: offsets are from the start of the table.
type MSIX struct {
	at       int // of the capability
	pba      uint64
	platform Platform

	mu      sync.Mutex // guards what follows; messages are sent under it
	table   []byte
	pending []bool
	on      bool
	mask    bool
	master  bool
}

// AddMSIX gives the function MSI-X with a number of vectors, 2048 at most. The
// table is at an offset of the range of base address register n, and the pending
// bits pba bytes behind its start; the function's device passes the accesses on.
func (f *Function) AddMSIX(vectors, n int, table, pba uint32) *MSIX {
	m := &MSIX{pba: uint64(pba), table: make([]byte, vectors*msixEntry), pending: make([]bool, vectors)}
	for i := range vectors {
		m.table[i*msixEntry+12] = msixMasked
	}
	body := binary.LittleEndian.AppendUint16(nil, uint16(vectors-1))
	body = binary.LittleEndian.AppendUint32(body, table|uint32(n))
	body = binary.LittleEndian.AppendUint32(body, table+pba|uint32(n))
	m.at = f.AddCapability(capMSIX, body, []byte{0, msixOn | msixMask})
	f.msix = m
	return m
}

// enabled reports whether the guest uses MSI-X.
func (m *MSIX) enabled() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.on
}

// control takes the high byte of message control, and whether the function may
// send anything.
func (m *MSIX) control(high byte, master bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.on, m.mask, m.master = high&msixOn != 0, high&msixMask != 0, master
	for v := range m.pending {
		m.send(v)
	}
}

// Raise sends the message of a vector, at once or when it is no longer masked. A
// vector that there is not does nothing.
func (m *MSIX) Raise(v uint16) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if int(v) < len(m.pending) && m.on {
		m.pending[v] = true
		m.send(int(v))
	}
}

// send sends the message of vector v if it is pending and may be sent.
func (m *MSIX) send(v int) {
	e := m.table[v*msixEntry:]
	if !m.pending[v] || !m.on || m.mask || !m.master || e[12]&msixMasked != 0 {
		return
	}
	m.pending[v] = false
	m.platform.Message(binary.LittleEndian.Uint64(e), binary.LittleEndian.Uint32(e[8:]))
}

// Read answers a read of the table or the pending bits.
func (m *MSIX) Read(off uint64, size uint8, _ uint64) (v uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range uint64(size) {
		v |= uint64(m.byte(off+i)) << (8 * i)
	}
	return v
}

func (m *MSIX) byte(off uint64) (b byte) {
	if off < uint64(len(m.table)) {
		return m.table[off]
	}
	if off -= m.pba; off < uint64(len(m.pending)+7)/8 {
		for i := range 8 {
			if n := int(off)*8 + i; n < len(m.pending) && m.pending[n] {
				b |= 1 << i
			}
		}
	}
	return b
}

// Write answers a write of the table; the pending bits are read-only.
func (m *MSIX) Write(off uint64, size uint8, val, _ uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range uint64(size) {
		if at := off + i; at < uint64(len(m.table)) {
			b := byte(val >> (8 * i))
			switch at % msixEntry {
			case 12:
				b &= msixMasked
			case 13, 14, 15:
				b = 0 // reserved
			}
			m.table[at] = b
		}
	}
	if v := int(off / msixEntry); v < len(m.pending) {
		m.send(v)
	}
}
