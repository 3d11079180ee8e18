// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

#include "textflag.h"
#include "go_asm.h"
#include "ops_amd64.h"

// SETHI: neither CF (no current VMCS) nor ZF (an error number in the VMCS).
#define RESULT(ret) \
	SETHI	AL; \
	MOVBLZX	AL, AX; \
	MOVQ	AX, ret

TEXT ·vmread(SB), NOSPLIT, $0-16
	MOVQ	field+0(FP), CX
	XORL	AX, AX
	VMREADAX
	MOVQ	AX, ret+8(FP)
	RET

// The fields (SI) whose bits are set in DX, which is not 0, to their slots (DI).
#define READSLOTS(next) \
next: \
	BSFQ	DX, BX; \
	MOVL	(SI)(BX*4), CX; \
	VMREADAX; \
	MOVQ	AX, (DI)(BX*8); \
	LEAQ	-1(DX), AX; \
	ANDQ	AX, DX; \
	JNE	next

TEXT ·vmreads(SB), NOSPLIT, $0-24
	MOVQ	fields+0(FP), SI
	MOVQ	vals+8(FP), DI
	MOVQ	mask+16(FP), DX
	TESTQ	DX, DX
	JEQ	done
	READSLOTS(next)

done:
	RET

// A field to a slot, in two instructions: DI = vals.
#define READ(field, slot) \
	MOVL	$(field), CX; \
	VMREADDI; \
	LONG	$(8*(slot))

#define LOADMSR(i) \
	MOVL	(4*i)(SI), CX; \
	RDMSR; \
	MOVL	AX, (8*i)(DI); \
	MOVL	DX, (8*i+4)(DI)

#define STOREMSR(i) \
	MOVL	(4*i)(SI), CX; \
	MOVL	(8*i)(DI), AX; \
	MOVL	(8*i+4)(DI), DX; \
	WRMSR

// The slots of fetching.
#define FETCHING \
	READ(const_guestCR0, const_sCR0); \
	READ(const_guestCR4, const_sCR4); \
	READ(const_guestRSP, const_sRSP); \
	READ(const_guestRFLAGS, const_sRFLAGS); \
	READ(const_guestCR3, const_sCR3); \
	READ(const_guestESAccess+2, const_sAccess+1); \
	READ(const_guestESBase+2, const_sBase+1)

TEXT ·vmleave(SB), NOSPLIT, $0-40
	MOVQ	vals+0(FP), DI
	FETCHING
	MOVQ	list+8(FP), SI
	MOVQ	live+16(FP), DI
	LOADMSR(0)
	LOADMSR(1)
	LOADMSR(2)
	LOADMSR(3)
	LOADMSR(4)
	LEAQ	pa+24(FP), AX
	VMCLEARAX
	RESULT(ret+32(FP))
	RET

TEXT ·vmenter(SB), NOSPLIT, $0-32
	MOVQ	list+0(FP), SI
	MOVQ	live+8(FP), DI
	STOREMSR(0)
	STOREMSR(1)
	STOREMSR(2)
	STOREMSR(3)
	STOREMSR(4)
	LEAQ	pa+16(FP), AX
	VMPTRLDAX
	RESULT(ret+24(FP))
	RET

#define READFRAME(field, at) \
	MOVL	$(field), CX; \
	VMREADDI; \
	LONG	$(at)

TEXT ·vmreadViolation(SB), NOSPLIT, $0-16
	MOVQ	vals+0(FP), DI
	FETCHING
	MOVQ	f+8(FP), DI
	READFRAME(const_exitGPA, frame_gpa)
	READFRAME(const_exitVectoring, frame_vectoring)
	READFRAME(const_guestSSAccess, frame_ssAccess)
	RET

// Interrupts are off meanwhile: nobody else uses this CPU's current VMCS, and this
// stays the CPU. BTL: CR4.VMXE, without which VMPTRST is an invalid opcode.
TEXT ·vmpeek(SB), NOSPLIT, $8-40
	MOVQ	$0, ret+32(FP)
	MOVQ	CR4, AX
	BTL	$13, AX
	JCC	outside
	PUSHFQ
	POPQ	R8
	CLI
	LEAQ	0(SP), AX
	VMPTRSTAX
	LEAQ	pa+24(FP), AX
	VMPTRLDAX
	JLS	failed
	MOVQ	fields+0(FP), SI
	MOVQ	vals+8(FP), DI
	MOVQ	mask+16(FP), DX
	READSLOTS(next)
	LEAQ	pa+24(FP), AX
	VMCLEARAX
	JLS	failed
	CMPQ	0(SP), $-1
	JEQ	done
	LEAQ	0(SP), AX
	VMPTRLDAX
	JLS	failed

done:
	MOVQ	$1, ret+32(FP)

failed:
	PUSHQ	R8
	POPFQ

outside:
	RET

TEXT ·vmwrites(SB), NOSPLIT, $0-32
	MOVQ	fields+0(FP), SI
	MOVQ	vals+8(FP), DI
	MOVQ	mask+16(FP), DX

next:
	BSFQ	DX, BX
	MOVL	(SI)(BX*4), CX
	MOVQ	(DI)(BX*8), AX
	VMWRITEAX
	JLS	failed
	LEAQ	-1(DX), AX
	ANDQ	AX, DX
	JNE	next
	MOVQ	$1, ret+24(FP)
	RET

failed:
	MOVQ	$0, ret+24(FP)
	RET

TEXT ·vmwrite(SB), NOSPLIT, $0-24
	MOVQ	field+0(FP), CX
	MOVQ	val+8(FP), AX
	VMWRITEAX
	RESULT(ret+16(FP))
	RET

TEXT ·vmclear(SB), NOSPLIT, $0-16
	LEAQ	pa+0(FP), AX
	VMCLEARAX
	RESULT(ret+8(FP))
	RET

TEXT ·vmptrld(SB), NOSPLIT, $0-16
	LEAQ	pa+0(FP), AX
	VMPTRLDAX
	RESULT(ret+8(FP))
	RET

TEXT ·vmxon(SB), NOSPLIT, $0-16
	LEAQ	pa+0(FP), AX
	VMXONAX
	RESULT(ret+8(FP))
	RET

TEXT ·invept(SB), NOSPLIT, $16-16
	MOVQ	kind+0(FP), CX
	MOVQ	eptp+8(FP), AX
	MOVQ	AX, 0(SP)
	MOVQ	$0, 8(SP)
	LEAQ	0(SP), AX
	INVEPTCX
	RET

TEXT ·invvpid(SB), NOSPLIT, $16-16
	MOVQ	kind+0(FP), CX
	MOVQ	vpid+8(FP), AX
	MOVQ	AX, 0(SP)
	MOVQ	$0, 8(SP)
	LEAQ	0(SP), AX
	INVVPIDCX
	RET

// Each load zeroes the register first: MOVW changes its low half only.
TEXT ·selectors(SB), NOSPLIT, $0-14
	XORL	AX, AX
	MOVW	ES, AX
	MOVW	AX, es+0(FP)
	MOVW	CS, AX
	MOVW	AX, cs+2(FP)
	MOVW	SS, AX
	MOVW	AX, ss+4(FP)
	MOVW	DS, AX
	MOVW	AX, ds+6(FP)
	MOVW	FS, AX
	MOVW	AX, fs+8(FP)
	MOVW	GS, AX
	MOVW	AX, gs+10(FP)
	STRAX
	MOVW	AX, tr+12(FP)
	RET
