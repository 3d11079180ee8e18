// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package hardware

import "ringo/drivers/reg"

// PortIO is the instructions that access an I/O port, with 1, 2 or 4 bytes.
type PortIO struct {
	In  func(port uint16, size uint8) uint32
	Out func(port uint16, size uint8, v uint32)
}

// Window shows ports as registers.
func (io PortIO) Window(first uint16, size uint32) reg.Window { return ports{io, first, size} }

// ports are device registers in I/O ports, which the hypervisor has opened.
type ports struct {
	io    PortIO
	first uint16
	size  uint32
}

// at checks an access.
func (p ports) at(off uint32, size uint8) uint16 {
	if off%uint32(size) != 0 || uint64(off)+uint64(size) > uint64(p.size) {
		panic("hardware: an access outside a device's ports, or unaligned")
	}
	return p.first + uint16(off)
}

// Size implements [reg.Window], as do the methods below.
func (p ports) Size() uint32 { return p.size }

func (p ports) Read8(off uint32) uint8   { return uint8(p.io.In(p.at(off, 1), 1)) }
func (p ports) Read16(off uint32) uint16 { return uint16(p.io.In(p.at(off, 2), 2)) }
func (p ports) Read32(off uint32) uint32 { return p.io.In(p.at(off, 4), 4) }

// Read64 reads two doublewords, the lower first.
func (p ports) Read64(off uint32) uint64 {
	low := p.Read32(off)
	return uint64(low) | uint64(p.Read32(off+4))<<32
}

func (p ports) Write8(off uint32, v uint8)   { p.io.Out(p.at(off, 1), 1, uint32(v)) }
func (p ports) Write16(off uint32, v uint16) { p.io.Out(p.at(off, 2), 2, uint32(v)) }
func (p ports) Write32(off uint32, v uint32) { p.io.Out(p.at(off, 4), 4, v) }

// Write64 writes two doublewords, the lower first.
func (p ports) Write64(off uint32, v uint64) {
	p.Write32(off, uint32(v))
	p.Write32(off+4, uint32(v>>32))
}
