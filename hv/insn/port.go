// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package insn

// In reads 1, 2 or 4 bytes from a port, as size says.
func In(port uint16, size uint8) uint32 {
	switch size {
	case 1:
		return uint32(IN8(port))
	case 2:
		return uint32(IN16(port))
	}
	return IN32(port)
}

// Out writes 1, 2 or 4 bytes of v to a port.
func Out(port uint16, size uint8, v uint32) {
	switch size {
	case 1:
		OUT8(port, uint8(v))
	case 2:
		OUT16(port, uint16(v))
	default:
		OUT32(port, v)
	}
}
