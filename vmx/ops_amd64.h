// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// The instructions of SDM Vol. 3, "VMX Instruction Reference", that Go's
// assembler does not know, with fixed operands. ops_test.go compares the bytes
// with GNU as. VMREADDI reads field CX to the 8 bytes at DI plus a displacement
// of 32 bits, which follows as a LONG.
#define VMREADAX BYTE $0x0f; BYTE $0x78; BYTE $0xc8
#define VMREADDI BYTE $0x0f; BYTE $0x78; BYTE $0x8f
#define VMWRITEAX BYTE $0x0f; BYTE $0x79; BYTE $0xc8
#define VMCLEARAX BYTE $0x66; BYTE $0x0f; BYTE $0xc7; BYTE $0x30
#define VMPTRLDAX BYTE $0x0f; BYTE $0xc7; BYTE $0x30
#define VMPTRSTAX BYTE $0x0f; BYTE $0xc7; BYTE $0x38
#define VMXONAX BYTE $0xf3; BYTE $0x0f; BYTE $0xc7; BYTE $0x30
#define VMLAUNCH BYTE $0x0f; BYTE $0x01; BYTE $0xc2
#define VMRESUME BYTE $0x0f; BYTE $0x01; BYTE $0xc3
#define INVEPTCX BYTE $0x66; BYTE $0x0f; BYTE $0x38; BYTE $0x80; BYTE $0x08
#define INVVPIDCX BYTE $0x66; BYTE $0x0f; BYTE $0x38; BYTE $0x81; BYTE $0x08
#define STRAX BYTE $0x0f; BYTE $0x00; BYTE $0xc8
#define INT2 BYTE $0xcd; BYTE $0x02
