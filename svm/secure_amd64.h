// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// What the entry code does around a run against attacks by speculative execution,
// where frame.secure says so, and the clearing of vector registers. The same file
// serves svm and vmx.

// Before the guest's registers are loaded; from here on only what is the guest's
// is read. AX, CX and DX are lost.
#define SECUREIN \
	TESTL	$const_secureCtrl, frame_secure(DI); \
	JEQ	ctrlin; \
	MOVL	$0x48, CX; \
	MOVL	frame_guestCtrl(DI), AX; \
	XORL	DX, DX; \
	WRMSR; \
ctrlin: \
	TESTL	$const_secureVERW, frame_secure(DI); \
	JEQ	verw; \
	MOVW	DS, AX; \
	MOVW	AX, frame_selector(DI); \
	VERW	frame_selector(DI); \
verw:

// After the guest's registers are saved. AX, CX and DX are lost.
#define CTRLOUT \
	TESTL	$const_secureCtrl, frame_secure(DI); \
	JEQ	ctrlout; \
	MOVL	$0x48, CX; \
	MOVL	frame_hostCtrl(DI), AX; \
	XORL	DX, DX; \
	WRMSR; \
ctrlout:

// After the guest's registers are saved, before the first return. CX is lost.
//
// The return stack buffer has 32 entries at most (SDM Vol. 3; AMD, "Software
// Techniques for Managing Speculation"): 16 times two calls, each over PAUSE,
// LFENCE and a jump to itself, where a return that speculates ends.
#define RSBCALL BYTE $0xe8; BYTE $0x07; BYTE $0x00; BYTE $0x00; BYTE $0x00; BYTE $0xf3; BYTE $0x90; BYTE $0x0f; BYTE $0xae; BYTE $0xe8; BYTE $0xeb; BYTE $0xf9
#define RSBFILL \
	TESTL	$const_secureRSB, frame_secure(DI); \
	JEQ	filled; \
	MOVL	$16, CX; \
fill: \
	RSBCALL; \
	RSBCALL; \
	SUBL	$1, CX; \
	JNE	fill; \
	ADDQ	$(32*8), SP; \
	LFENCE; \
filled:

// With the mask in EDX:EAX.
#define SAVE \
	TESTL	$const_secureOPT, frame_secure(DI); \
	JEQ	plain; \
	XSAVEOPT64	frame_fpu(DI); \
	JMP	stored; \
plain: \
	XSAVE64	frame_fpu(DI); \
stored:

#define WIPESSE \
	XORPS X0, X0; XORPS X1, X1; XORPS X2, X2; XORPS X3, X3; \
	XORPS X4, X4; XORPS X5, X5; XORPS X6, X6; XORPS X7, X7; \
	XORPS X8, X8; XORPS X9, X9; XORPS X10, X10; XORPS X11, X11; \
	XORPS X12, X12; XORPS X13, X13; XORPS X14, X14; XORPS X15, X15

#define WIPE512 \
	VPXORQ Z16, Z16, Z16; VPXORQ Z17, Z17, Z17; VPXORQ Z18, Z18, Z18; VPXORQ Z19, Z19, Z19; \
	VPXORQ Z20, Z20, Z20; VPXORQ Z21, Z21, Z21; VPXORQ Z22, Z22, Z22; VPXORQ Z23, Z23, Z23; \
	VPXORQ Z24, Z24, Z24; VPXORQ Z25, Z25, Z25; VPXORQ Z26, Z26, Z26; VPXORQ Z27, Z27, Z27; \
	VPXORQ Z28, Z28, Z28; VPXORQ Z29, Z29, Z29; VPXORQ Z30, Z30, Z30; VPXORQ Z31, Z31, Z31

// By what the host's XCR0 has.
#define WIPE \
	TESTL	$4, frame_hostXCR0(DI); \
	JNE	avx; \
	WIPESSE; \
	JMP	wiped; \
avx: \
	VZEROALL; \
	TESTL	$0xe0, frame_hostXCR0(DI); \
	JEQ	wiped; \
	WIPE512; \
wiped:
