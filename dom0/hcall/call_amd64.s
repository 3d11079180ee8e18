// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

#include "textflag.h"

// The Go assembler knows neither instruction.
// APM Vol. 3, "VMMCALL"; SDM Vol. 3, "VMCALL-Call to VM Monitor".
#define VMMCALL BYTE $0x0f; BYTE $0x01; BYTE $0xd9
#define VMCALL  BYTE $0x0f; BYTE $0x01; BYTE $0xc1

// Registers of package abi: RAX is the number and the status; RDI, RSI, RDX, R8
// and R9 are the arguments; RDX is the value. The hypervisor keeps all others,
// so g (R14) and the zero (X15) of Go survive.

// func vmmcall(nr, a0, a1, a2, a3, a4 uint64) (status, value uint64)
TEXT ·vmmcall(SB), NOSPLIT, $0-64
	MOVQ nr+0(FP), AX
	MOVQ a0+8(FP), DI
	MOVQ a1+16(FP), SI
	MOVQ a2+24(FP), DX
	MOVQ a3+32(FP), R8
	MOVQ a4+40(FP), R9
	VMMCALL
	MOVQ AX, status+48(FP)
	MOVQ DX, value+56(FP)
	RET

// func vmcall(nr, a0, a1, a2, a3, a4 uint64) (status, value uint64)
TEXT ·vmcall(SB), NOSPLIT, $0-64
	MOVQ nr+0(FP), AX
	MOVQ a0+8(FP), DI
	MOVQ a1+16(FP), SI
	MOVQ a2+24(FP), DX
	MOVQ a3+32(FP), R8
	MOVQ a4+40(FP), R9
	VMCALL
	MOVQ AX, status+48(FP)
	MOVQ DX, value+56(FP)
	RET
