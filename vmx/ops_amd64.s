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

TEXT ·vmleave(SB), NOSPLIT, $0-48
	MOVQ	vals+0(FP), DI
	READ(const_guestCR0, const_sCR0)
	READ(const_guestCR4, const_sCR4)
	READ(const_guestRSP, const_sRSP)
	READ(const_guestRFLAGS, const_sRFLAGS)
	READ(const_guestCR3, const_sCR3)
	READ(const_guestDR7, const_sDR7)
	READ(const_guestGDTRBase, const_sGDTRBase)
	READ(const_guestGDTRLimit, const_sGDTRLimit)
	READ(const_guestIDTRBase, const_sIDTRBase)
	READ(const_guestIDTRLimit, const_sIDTRLimit)
	READ(const_guestSysenterCS, const_sSysenterCS)
	READ(const_guestSysenterESP, const_sSysenterESP)
	READ(const_guestSysenterEIP, const_sSysenterEIP)
	READ(const_guestInterruptState, const_sInterrupt)
	READ(const_guestPendingDebug, const_sPendingDebug)
	READ(const_guestESSelector+0, const_sSelector+0)
	READ(const_guestESSelector+2, const_sSelector+1)
	READ(const_guestESSelector+4, const_sSelector+2)
	READ(const_guestESSelector+6, const_sSelector+3)
	READ(const_guestESSelector+8, const_sSelector+4)
	READ(const_guestESSelector+10, const_sSelector+5)
	READ(const_guestESSelector+12, const_sSelector+6)
	READ(const_guestESSelector+14, const_sSelector+7)
	READ(const_guestESLimit+0, const_sLimit+0)
	READ(const_guestESLimit+2, const_sLimit+1)
	READ(const_guestESLimit+4, const_sLimit+2)
	READ(const_guestESLimit+6, const_sLimit+3)
	READ(const_guestESLimit+8, const_sLimit+4)
	READ(const_guestESLimit+10, const_sLimit+5)
	READ(const_guestESLimit+12, const_sLimit+6)
	READ(const_guestESLimit+14, const_sLimit+7)
	READ(const_guestESAccess+0, const_sAccess+0)
	READ(const_guestESAccess+2, const_sAccess+1)
	READ(const_guestESAccess+4, const_sAccess+2)
	READ(const_guestESAccess+6, const_sAccess+3)
	READ(const_guestESAccess+8, const_sAccess+4)
	READ(const_guestESAccess+10, const_sAccess+5)
	READ(const_guestESAccess+12, const_sAccess+6)
	READ(const_guestESAccess+14, const_sAccess+7)
	READ(const_guestESBase+0, const_sBase+0)
	READ(const_guestESBase+2, const_sBase+1)
	READ(const_guestESBase+4, const_sBase+2)
	READ(const_guestESBase+6, const_sBase+3)
	READ(const_guestESBase+8, const_sBase+4)
	READ(const_guestESBase+10, const_sBase+5)
	READ(const_guestESBase+12, const_sBase+6)
	READ(const_guestESBase+14, const_sBase+7)
	CMPB	pdptes+32(FP), $0
	JEQ	msrs
	READ(const_guestPDPTE0+0, const_sPDPTE0+0)
	READ(const_guestPDPTE0+2, const_sPDPTE0+1)
	READ(const_guestPDPTE0+4, const_sPDPTE0+2)
	READ(const_guestPDPTE0+6, const_sPDPTE0+3)

msrs:
	MOVQ	list+8(FP), SI
	MOVQ	live+16(FP), DI
	LOADMSR(0)
	LOADMSR(1)
	LOADMSR(2)
	LOADMSR(3)
	LOADMSR(4)
	LEAQ	pa+24(FP), AX
	VMCLEARAX
	RESULT(ret+40(FP))
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
	READ(const_guestCR0, const_sCR0)
	READ(const_guestCR4, const_sCR4)
	READ(const_guestRSP, const_sRSP)
	READ(const_guestRFLAGS, const_sRFLAGS)
	READ(const_guestCR3, const_sCR3)
	READ(const_guestESAccess+2, const_sAccess+1)
	READ(const_guestESBase+2, const_sBase+1)
	MOVQ	f+8(FP), DI
	READFRAME(const_exitGPA, frame_gpa)
	READFRAME(const_exitVectoring, frame_vectoring)
	READFRAME(const_guestSSAccess, frame_ssAccess)
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
