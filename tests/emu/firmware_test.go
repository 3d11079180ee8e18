// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
)

// What firmware does on machines that no emulator is, as 32-bit code that runs between
// the boot loader and the hypervisor's entry. EAX is restored, EBX is left alone.
var (
	// x2APICOn is firmware that leaves the local APIC in x2APIC mode: IA32_APIC_BASE.
	x2APICOn = []byte{
		0x89, 0xc6, // MOV ESI, EAX
		0xb9, 0x1b, 0, 0, 0, // MOV ECX, 0x1b
		0x0f, 0x32, // RDMSR
		0x0d, 0x00, 0x0c, 0, 0, // OR EAX, 1<<11 | 1<<10
		0x0f, 0x30, // WRMSR
		0x89, 0xf0, // MOV EAX, ESI
	}
	// noPMTimer is a q35 that does not decode the ports of its power management, the
	// PM timer among them: ACPI_CNTL of the LPC bridge (ICH9 data sheet).
	noPMTimer = []byte{
		0x89, 0xc6, // MOV ESI, EAX
		0xba, 0xf8, 0x0c, 0, 0, // MOV EDX, 0xcf8
		0xb8, 0x44, 0xf8, 0x00, 0x80, // MOV EAX, 0:1f.0, register 0x44
		0xef,       // OUT DX, EAX
		0xb2, 0xfc, // MOV DL, 0xfc
		0xb0, 0x00, // MOV AL, 0
		0xee,       // OUT DX, AL
		0x89, 0xf0, // MOV EAX, ESI
	}
)

// withFirmware returns the hypervisor's image with code before its entry: both of its
// multiboot headers name the code, which lies behind them.
func withFirmware(t *testing.T, code []byte) string {
	t.Helper()
	b, err := os.ReadFile(built.HV)
	if err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	// Multiboot 0.6.96, "The layout of Multiboot header"; Multiboot2 2.0, "The entry
	// address tag".
	one := bytes.Index(b, le.AppendUint32(nil, 0x1badb002))
	two := bytes.Index(b, le.AppendUint32(nil, 0xe85250d6))
	if one < 0 || two < 0 {
		t.Fatal("an image without headers")
	}
	load := le.Uint32(b[one+12:]) - uint32(one) // address of the image's first byte
	entry := le.Uint32(b[one+28:])
	at := (two + int(le.Uint32(b[two+8:])) + 15) &^ 15
	end := at + len(code) + 5
	if end > 4096 || !bytes.Equal(b[at:end], make([]byte, end-at)) {
		t.Fatalf("no room at %#x", at)
	}
	copy(b[at:], code)
	b[end-5] = 0xe9 // JMP entry
	le.PutUint32(b[end-4:], entry-load-uint32(end))
	le.PutUint32(b[one+28:], load+uint32(at))
	for tag := two + 16; ; tag += (int(le.Uint32(b[tag+4:])) + 7) &^ 7 {
		switch le.Uint16(b[tag:]) {
		case 0:
			t.Fatal("no entry address in the multiboot 2 header")
		case 3:
			le.PutUint32(b[tag+8:], load+uint32(at))
			name := filepath.Join(t.TempDir(), "hv.img")
			if err := os.WriteFile(name, b, 0o644); err != nil {
				t.Fatal(err)
			}
			return name
		}
	}
}

// patched is firmware whose ACPI table of a signature and a length says something else:
// words, from an offset on. The table is searched from an address on.
func patched(from uint32, signature string, length, offset uint32, words ...uint32) []byte {
	le := binary.LittleEndian
	b := []byte{0x89, 0xc6, 0xbf} // MOV ESI, EAX; MOV EDI, from
	b = le.AppendUint32(b, from-1)
	b = append(b, 0x47, 0x81, 0x3f) // again: INC EDI; CMP [EDI], signature
	b = append(b, signature...)
	b = append(b, 0x75, 0xf7, 0x81, 0x7f, 4) // JNE again; CMP [EDI+4], length
	b = le.AppendUint32(b, length)
	b = append(b, 0x75, 0xee) // JNE again
	for i, w := range words {
		b = append(b, 0xc7, 0x87) // MOV [EDI+offset], word
		b = le.AppendUint32(le.AppendUint32(b, offset+4*uint32(i)), w)
	}
	b = append(b, 0xc6, 0x47, 9, 0, 0x31, 0xc0, 0xb9) // MOV [EDI+9], 0; XOR EAX, EAX; MOV ECX, length
	b = le.AppendUint32(b, length)
	return append(b,
		0x02, 0x44, 0x0f, 0xff, 0xe2, 0xfa, // next: ADD AL, [EDI+ECX-1]; LOOP next
		0xf6, 0xd8, 0x88, 0x47, 9, 0x89, 0xf0) // NEG AL; MOV [EDI+9], AL; MOV EAX, ESI
}
