// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

#include "textflag.h"
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

TEXT ·vmreads(SB), NOSPLIT, $0-24
	MOVQ	fields+0(FP), SI
	MOVQ	vals+8(FP), DI
	MOVQ	mask+16(FP), DX
	TESTQ	DX, DX
	JEQ	done

next:
	BSFQ	DX, BX
	MOVL	(SI)(BX*4), CX
	VMREADAX
	MOVQ	AX, (DI)(BX*8)
	LEAQ	-1(DX), AX
	ANDQ	AX, DX
	JNE	next

done:
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
