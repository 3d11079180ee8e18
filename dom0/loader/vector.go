// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package loader

import (
	"ringo/dom0/board"
	"ringo/hv/abi"
)

// resetVector returns the last board.VectorSize bytes below 1 MiB. Systems that restart
// as programs for the PC/AT do, Linux with "reboot=b" among them, jump in real mode
// to F000:FFF0, where the BIOS begins; what is there resets the machine. The model
// byte at the end is that of the PC/AT (IBM PC/AT Technical Reference, "ROM BIOS").
func resetVector() []byte {
	const port, vector, model = abi.PortReset, 0x30, 0x3e
	b := make([]byte, board.VectorSize)
	copy(b, []byte{
		0xfa,                         // cli
		0xba, port & 0xff, port >> 8, // mov dx, port
		0xb0, abi.ResetValue &^ 4, 0xee, // mov al, ...; out dx, al
		0xb0, abi.ResetValue, 0xee, // the same: bit 2 rises
		0xf4,       // hlt
		0xeb, 0xfd, // jmp back to it
	})
	// jmp F000:FFC0
	copy(b[vector:], []byte{0xea, board.VectorAt & 0xff, board.VectorAt >> 8 & 0xff, 0x00, 0xf0})
	b[model] = 0xfc
	return b
}
