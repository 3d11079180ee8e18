// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package guest

import "encoding/binary"

const (
	elfHeader   = 64
	elfProgram  = 56
	imageOffset = 0x1000 // in the file: page aligned like the address
)

// ELF wraps the program in an ELF64 executable: one segment to load, and the
// PVH note.
func (m Image) ELF() []byte {
	le := binary.LittleEndian
	b := make([]byte, imageOffset, imageOffset+len(m.Code))
	copy(b, "\x7fELF\x02\x01\x01")
	le.PutUint16(b[16:], 2)  // ET_EXEC
	le.PutUint16(b[18:], 62) // EM_X86_64
	le.PutUint32(b[20:], 1)
	le.PutUint64(b[24:], m.Entry)
	le.PutUint64(b[32:], elfHeader)
	le.PutUint16(b[52:], elfHeader)
	le.PutUint16(b[54:], elfProgram)
	le.PutUint16(b[56:], 2)
	program(b[elfHeader:], 1, 7, imageOffset, Base, uint64(len(m.Code)), 0x1000)
	program(b[elfHeader+elfProgram:], 4, 4, imageOffset+uint64(m.Note), Base+uint64(m.Note), uint64(m.NoteLen), 4)
	return append(b, m.Code...)
}

// program writes a program header with equal addresses and sizes.
func program(b []byte, kind, flags uint32, off, addr, size, align uint64) {
	le := binary.LittleEndian
	le.PutUint32(b, kind)
	le.PutUint32(b[4:], flags)
	for i, v := range []uint64{off, addr, addr, size, size, align} {
		le.PutUint64(b[8+8*i:], v)
	}
}
