// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

#include "textflag.h"

// Guest code that measures: 100 rounds of one instruction, whose duration in
// TSC ticks goes to 8(SI); then HLT.
#define NOTHING
#define BENCH(insn) \
again: \
	MOVL	$100, R9; \
	RDTSC; \
	SHLQ	$32, DX; \
	ORQ	DX, AX; \
	MOVQ	AX, R10; \
round: \
	MOVL	$0x40000000, AX; \
	MOVL	$0x1b, CX; \
	MOVL	$0x80, DX; \
	insn; \
	SUBL	$1, R9; \
	JNE	round; \
	RDTSC; \
	SHLQ	$32, DX; \
	ORQ	DX, AX; \
	SUBQ	R10, AX; \
	MOVQ	AX, 8(SI); \
	HLT; \
	JMP	again

#define VMMCALL BYTE $0x0f; BYTE $0x01; BYTE $0xd9

TEXT ·benchEmpty(SB), NOSPLIT|NOFRAME, $0
	BENCH(NOTHING)

TEXT ·benchCPUID(SB), NOSPLIT|NOFRAME, $0
	BENCH(CPUID)

TEXT ·benchRDMSR(SB), NOSPLIT|NOFRAME, $0
	BENCH(RDMSR)

TEXT ·benchOUT(SB), NOSPLIT|NOFRAME, $0
	BENCH(OUTB)

TEXT ·benchVMMCALL(SB), NOSPLIT|NOFRAME, $0
	BENCH(VMMCALL)

// func entry(n int) uintptr
TEXT ·entry(SB), NOSPLIT, $0-16
	MOVQ	n+0(FP), CX
	LEAQ	·tortureCode(SB), AX
	CMPQ	CX, $0
	JEQ	done
	LEAQ	·benchEmpty(SB), AX
	CMPQ	CX, $1
	JEQ	done
	LEAQ	·benchCPUID(SB), AX
	CMPQ	CX, $2
	JEQ	done
	LEAQ	·benchRDMSR(SB), AX
	CMPQ	CX, $3
	JEQ	done
	LEAQ	·benchOUT(SB), AX
	CMPQ	CX, $4
	JEQ	done
	LEAQ	·benchVMMCALL(SB), AX

done:
	MOVQ	AX, ret+8(FP)
	RET
