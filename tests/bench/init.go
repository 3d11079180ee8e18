// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"

	"ringo/tools/initramfs/cpio"
)

// initPrint is what the timing init prints before a decimal number.
const initPrint = "\ninit at TSC "

// initCode prints the time-stamp counter at its first instruction and then
// sleeps. It is position independent and writes to its own page.
var initCode = []byte{
	0x0f, 0x31, // RDTSC
	0x48, 0xc1, 0xe2, 0x20, 0x48, 0x09, 0xd0, // SHL RDX, 32; OR RAX, RDX
	0x48, 0x8d, 0x3d, 0x70, 0, 0, 0, 0xb9, 10, 0, 0, 0, // LEA RDI, end; MOV ECX, 10
	0x31, 0xd2, 0x48, 0xf7, 0xf1, 0x80, 0xc2, '0', // digit: XOR EDX, EDX; DIV RCX; ADD DL, '0'
	0x48, 0xff, 0xcf, 0x88, 0x17, // DEC RDI; MOV [RDI], DL
	0x48, 0x85, 0xc0, 0x75, 0xee, 0x48, 0x89, 0xfb, // TEST RAX, RAX; JNZ digit; MOV RBX, RDI
	0x48, 0x8d, 0x35, 0x2e, 0, 0, 0, 0xba, 13, 0, 0, 0, // LEA RSI, text; MOV EDX, 13
	0xbf, 1, 0, 0, 0, 0xb8, 1, 0, 0, 0, 0x0f, 0x05, // write(1, text, 13)
	0x48, 0x89, 0xde, 0x48, 0x8d, 0x15, 0x35, 0, 0, 0, // MOV RSI, RBX; LEA RDX, end+1
	0x48, 0x29, 0xf2, 0xb8, 1, 0, 0, 0, 0x0f, 0x05, // SUB RDX, RSI; write(1, digits, ...)
	0xb8, 34, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7, // forever: pause()
	'\n', 'i', 'n', 'i', 't', ' ', 'a', 't', ' ', 'T', 'S', 'C', ' ', // text
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, // digits
	'\n', // end
}

// initELF is initCode as an executable (ELF-64 Object File Format, "ELF
// header", "Program header").
func initELF() []byte {
	const base, headers = 0x400000, 64 + 56
	size := uint64(headers + len(initCode))
	b := []byte("\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	le := binary.LittleEndian
	b = le.AppendUint16(b, 2)  // an executable
	b = le.AppendUint16(b, 62) // for x86-64
	b = le.AppendUint32(b, 1)
	b = le.AppendUint64(b, base+headers) // entry
	b = le.AppendUint64(b, 64)           // program headers
	b = le.AppendUint64(b, 0)
	b = le.AppendUint32(b, 0)
	for _, v := range []uint16{64, 56, 1, 0, 0, 0} {
		b = le.AppendUint16(b, v)
	}
	b = le.AppendUint32(b, 1) // PT_LOAD
	b = le.AppendUint32(b, 7) // read, write, execute
	for _, v := range []uint64{0, base, base, size, size, 4096} {
		b = le.AppendUint64(b, v)
	}
	return append(b, initCode...)
}

// initrd is an initramfs whose /init is the timing init.
func initrd() ([]byte, error) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	err := cpio.Write(z, []cpio.Entry{
		{Name: "dev", Mode: cpio.Dir | 0o755},
		{Name: "dev/console", Mode: cpio.Char | 0o600, Major: 5, Minor: 1},
		{Name: "init", Mode: cpio.Regular | 0o755, Data: initELF()},
	})
	if err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
