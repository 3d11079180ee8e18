// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package guest

import (
	"bytes"
	"encoding/binary"
)

const (
	elfHeader   = 64
	elfProgram  = 56
	elfProgram3 = 32     // of ELF32
	linuxNote   = 0x400  // in the file
	imageOffset = 0x1000 // in the file: page aligned like the address
	headerLen   = 128    // at the beginning of the code, for a multiboot header
)

// ELF wraps the program in an ELF64 executable: one segment to load, and the
// PVH note.
func (m Image) ELF() []byte {
	b := m.elf64(m.Entry, 2)
	program(b[elfHeader+elfProgram:], 4, 4, imageOffset+uint64(m.Note), m.Base+uint64(m.Note), uint64(m.NoteLen), 4)
	return b
}

// Multiboot is an executable that says by a header of version 1 or 2 how it is entered,
// as an ELF file of 32 or 64 bits.
func (m Image) Multiboot(version, bits int) []byte {
	b := m.elf64(m.EntryPVH, 1)
	if bits == 32 {
		b = m.elf32(m.EntryPVH)
	}
	if version == 2 {
		// Multiboot2 2.0: the loader must tell the command line, modules, the memory
		// map and the ACPI root pointer; end.
		put(b[imageOffset:], append(multiboot2(16+24+8), 1, 24, 1, 3, 6, 15, 0, 8)...)
		return b
	}
	put(b[imageOffset:], multiboot(3)...)
	return b
}

// Flat is no executable, but loaded by the addresses in its multiboot header, from the
// middle of the file.
func (m Image) Flat(version int) []byte {
	b := append(make([]byte, 64), m.Code...)
	if version == 2 {
		put(b[64:], append(multiboot2(16+24+16+8), 2, 24, uint32(m.Base), uint32(m.Base), 0, 0, 3, 12, uint32(m.EntryPVH), 0, 0, 8)...)
		return b
	}
	put(b[64:], append(multiboot(1<<16), uint32(m.Base), uint32(m.Base), 0, 0, uint32(m.EntryPVH))...)
	return b
}

// Linux32 is an executable that is a Linux for i386 by its note.
func (m Image) Linux32() []byte {
	b := m.elf32(m.Entry32)
	binary.LittleEndian.PutUint16(b[44:], 2)
	put(b[elfHeader+elfProgram3:], 4, linuxNote, 0, 0, 24, 0, 4, 4)
	put(b[linuxNote:], 6, 4, 0x100)
	copy(b[linuxNote+12:], "Linux")
	return b
}

// multiboot is the beginning of a header (Multiboot 0.6.96, "The magic fields of
// Multiboot header"), multiboot2 that of one of n bytes (Multiboot2 2.0, "The magic
// fields of Multiboot2 header").
func multiboot(flags uint32) []uint32 {
	const magic = 0x1badb002
	return []uint32{magic, flags, -(magic + flags)}
}

func multiboot2(n uint32) []uint32 {
	const magic = 0xe85250d6
	return []uint32{magic, 0, n, -(magic + n)}
}

func put(b []byte, words ...uint32) {
	for i, w := range words {
		binary.LittleEndian.PutUint32(b[4*i:], w)
	}
}

// elf64 is an ELF64 executable with room for programs program headers.
func (m Image) elf64(entry uint64, programs uint16) []byte {
	le := binary.LittleEndian
	b := make([]byte, imageOffset, imageOffset+len(m.Code))
	copy(b, "\x7fELF\x02\x01\x01")
	le.PutUint16(b[16:], 2)  // ET_EXEC
	le.PutUint16(b[18:], 62) // EM_X86_64
	le.PutUint32(b[20:], 1)
	le.PutUint64(b[24:], entry)
	le.PutUint64(b[32:], elfHeader)
	le.PutUint16(b[52:], elfHeader)
	le.PutUint16(b[54:], elfProgram)
	le.PutUint16(b[56:], programs)
	program(b[elfHeader:], 1, 7, imageOffset, m.Base, uint64(len(m.Code)), 0x1000)
	return append(b, m.Code...)
}

// elf32 is an ELF32 executable for i386.
func (m Image) elf32(entry uint64) []byte {
	le := binary.LittleEndian
	b := make([]byte, imageOffset, imageOffset+len(m.Code))
	copy(b, "\x7fELF\x01\x01\x01")
	le.PutUint16(b[16:], 2) // ET_EXEC
	le.PutUint16(b[18:], 3) // EM_386
	put(b[20:], 1, uint32(entry), elfHeader)
	le.PutUint16(b[40:], 52)
	le.PutUint16(b[42:], elfProgram3)
	le.PutUint16(b[44:], 1)
	n := uint32(len(m.Code))
	put(b[elfHeader:], 1, imageOffset, uint32(m.Base), uint32(m.Base), n, n, 7, 0x1000)
	return append(b, m.Code...)
}

// BootSector is a program of two sectors for real mode at 0x7c00: it says so on COM1,
// with a character of the second sector, and calls the BIOS.
func BootSector() []byte {
	code := []byte{
		0xbe, 0x00, 0x7d, // mov si, 0x7d00
		0xba, 0xf8, 0x03, // mov dx, COM1
		0xac,       // next: lodsb
		0x84, 0xc0, // test al, al
		0x74, 0x03, // jz done
		0xee,       // out dx, al
		0xeb, 0xf8, // jmp next
		0xcd, 0x13, // done: int 0x13
		0xeb, 0xfe, // jmp .
	}
	b := make([]byte, 1024)
	copy(b, code)
	copy(b[0x100:], bytes.Repeat([]byte("-"), 254))
	copy(b[0x100:], "real mode ")
	b[510], b[511] = 0x55, 0xaa
	copy(b[512:], " second sector\r\n\x00")
	return b
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
