// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

#include "textflag.h"

// Guest code. It is copied into guest memory (position independent, no frame),
// runs in 64-bit mode at CPL 0, and never returns. SI points to a page of data:
//	  0	rounds, written each round
//	  8	which check is going on, and the value it got
//	 64	scratch
//	128	MXCSR to use
//	136	0: SSE only, 1: AVX
//	144	seed, added to every expected value
// FS and GS bases point to a word with the seed. The code keeps a value in
// every register but SP, checks all of them after each CPUID, and does VMMCALL
// when one is wrong.

// LOADX fills both halves of an XMM register.
#define LOADX(n, x) \
	LEAQ	(0x100000*n)(BX), AX; \
	MOVQ	AX, x; \
	PUNPCKLQDQ	x, x

#define LOADY(x, y) VINSERTF128	$1, x, y, y

#define CHECKR(n, r) \
	MOVQ	$n, 8(SI); \
	MOVQ	r, AX; \
	SUBQ	BP, AX; \
	SUBQ	BX, AX; \
	CMPQ	AX, $(0x1000*n); \
	JNE	fail

#define CHECKX(n, x) \
	MOVQ	$(100+n), 8(SI); \
	LEAQ	(0x100000*n)(BX), CX; \
	MOVQ	x, AX; \
	CMPQ	AX, CX; \
	JNE	fail; \
	MOVHPS	x, 64(SI); \
	CMPQ	CX, 64(SI); \
	JNE	fail

#define CHECKY(n, y) \
	MOVQ	$(200+n), 8(SI); \
	LEAQ	(0x100000*n)(BX), CX; \
	VEXTRACTF128	$1, y, 64(SI); \
	CMPQ	CX, 64(SI); \
	JNE	fail; \
	CMPQ	CX, 72(SI); \
	JNE	fail

TEXT ·tortureCode(SB), NOSPLIT|NOFRAME, $0
	MOVQ	BP, 64(SI) // nobody needs it: for the frame pointer check of go vet
	XORL	BP, BP
	MOVQ	144(SI), BX
	LEAQ	0x1000(BX), DI
	LEAQ	0x2000(BX), R8
	LEAQ	0x3000(BX), R9
	LEAQ	0x4000(BX), R10
	LEAQ	0x5000(BX), R11
	LEAQ	0x6000(BX), R12
	LEAQ	0x7000(BX), R13
	LEAQ	0x8000(BX), R14
	LEAQ	0x9000(BX), R15
	LOADX(1, X0); LOADX(2, X1); LOADX(3, X2); LOADX(4, X3)
	LOADX(5, X4); LOADX(6, X5); LOADX(7, X6); LOADX(8, X7)
	LOADX(9, X8); LOADX(10, X9); LOADX(11, X10); LOADX(12, X11)
	LOADX(13, X12); LOADX(14, X13); LOADX(15, X14); LOADX(16, X15)
	CMPQ	136(SI), $0
	JEQ	start
	LOADY(X0, Y0); LOADY(X1, Y1); LOADY(X2, Y2); LOADY(X3, Y3)
	LOADY(X4, Y4); LOADY(X5, Y5); LOADY(X6, Y6); LOADY(X7, Y7)
	LOADY(X8, Y8); LOADY(X9, Y9); LOADY(X10, Y10); LOADY(X11, Y11)
	LOADY(X12, Y12); LOADY(X13, Y13); LOADY(X14, Y14); LOADY(X15, Y15)

start:
	LDMXCSR	128(SI)
	STD

loop:
	ADDQ	$1, BP
	ADDQ	$1, DI
	ADDQ	$1, R8
	ADDQ	$1, R9
	ADDQ	$1, R10
	ADDQ	$1, R11
	ADDQ	$1, R12
	ADDQ	$1, R13
	ADDQ	$1, R14
	ADDQ	$1, R15
	MOVQ	BP, 0(SI)
	MOVL	$0x40000000, AX
	MOVL	BP, CX
	CPUID
	MOVQ	$50, 8(SI)
	CMPL	AX, $0x40000001
	JNE	fail
	CMPL	BX, $0x11223344
	JNE	fail
	CMPL	CX, BP
	JNE	fail
	CMPL	DX, $0x0abbccdd
	JNE	fail
	MOVQ	144(SI), BX
	CHECKR(1, DI); CHECKR(2, R8); CHECKR(3, R9); CHECKR(4, R10); CHECKR(5, R11)
	CHECKR(6, R12); CHECKR(7, R13); CHECKR(8, R14); CHECKR(9, R15)
	CHECKX(1, X0); CHECKX(2, X1); CHECKX(3, X2); CHECKX(4, X3)
	CHECKX(5, X4); CHECKX(6, X5); CHECKX(7, X6); CHECKX(8, X7)
	CHECKX(9, X8); CHECKX(10, X9); CHECKX(11, X10); CHECKX(12, X11)
	CHECKX(13, X12); CHECKX(14, X13); CHECKX(15, X14); CHECKX(16, X15)
	CMPQ	136(SI), $0
	JEQ	control
	CHECKY(1, Y0); CHECKY(2, Y1); CHECKY(3, Y2); CHECKY(4, Y3)
	CHECKY(5, Y4); CHECKY(6, Y5); CHECKY(7, Y6); CHECKY(8, Y7)
	CHECKY(9, Y8); CHECKY(10, Y9); CHECKY(11, Y10); CHECKY(12, Y11)
	CHECKY(13, Y12); CHECKY(14, Y13); CHECKY(15, Y14); CHECKY(16, Y15)

control:
	MOVQ	$300, 8(SI)
	STMXCSR	64(SI)
	MOVL	64(SI), AX
	CMPL	AX, 128(SI)
	JNE	fail
	MOVQ	$301, 8(SI)
	PUSHFQ
	POPQ	AX
	ANDL	$0x400, AX // DF
	JEQ	fail
	MOVQ	$302, 8(SI)
	MOVQ	0(FS), AX
	CMPQ	AX, BX
	JNE	fail
	MOVQ	$303, 8(SI)
	MOVQ	0(GS), AX
	CMPQ	AX, BX
	JNE	fail
	JMP	loop

fail:
	MOVQ	AX, 16(SI)
	MOVQ	CX, 24(SI)
	BYTE	$0x0f; BYTE $0x01; BYTE $0xd9 // VMMCALL
	JMP	fail
