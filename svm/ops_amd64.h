// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// The instructions of APM Vol. 3 that Go's assembler does not know. Each takes
// its operand in RAX. ops_test.go compares the bytes with GNU as.
#define VMRUN BYTE $0x0f; BYTE $0x01; BYTE $0xd8
#define VMMCALL BYTE $0x0f; BYTE $0x01; BYTE $0xd9
#define VMLOAD BYTE $0x0f; BYTE $0x01; BYTE $0xda
#define VMSAVE BYTE $0x0f; BYTE $0x01; BYTE $0xdb
#define STGI BYTE $0x0f; BYTE $0x01; BYTE $0xdc
#define CLGI BYTE $0x0f; BYTE $0x01; BYTE $0xdd
