// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

#include "textflag.h"

TEXT ·lgdt(SB),NOSPLIT,$0-8
	MOVQ	p+0(FP), AX
	LGDT	(AX)
	RET

TEXT ·lidt(SB),NOSPLIT,$0-8
	MOVQ	p+0(FP), AX
	LIDT	(AX)
	RET

TEXT ·ltr(SB),NOSPLIT,$0-4
	MOVL	sel+0(FP), AX
	LTR	AX
	RET

TEXT ·rdrand(SB),NOSPLIT,$0-16
	XORL	CX, CX
	RDRANDQ	AX
	SETCS	CX
	MOVQ	AX, v+0(FP)
	MOVQ	CX, ok+8(FP)
	RET

TEXT ·rdseed(SB),NOSPLIT,$0-16
	XORL	CX, CX
	RDSEEDQ	AX
	SETCS	CX
	MOVQ	AX, v+0(FP)
	MOVQ	CX, ok+8(FP)
	RET

TEXT ·haltForever(SB),NOSPLIT,$0-0
again:
	CLI
	HLT
	JMP	again

TEXT ·tripleFault(SB),NOSPLIT,$16-0
	MOVQ	$0, 0(SP)
	MOVQ	$0, 8(SP)
	LIDT	0(SP)
	INT	$3
	RET

TEXT ·stosq(SB),NOSPLIT,$0-24
	MOVQ	p+0(FP), DI
	MOVQ	n+8(FP), CX
	MOVQ	v+16(FP), AX
	REP
	STOSQ
	RET

TEXT ·movsq(SB),NOSPLIT,$0-24
	MOVQ	dst+0(FP), DI
	MOVQ	src+8(FP), SI
	MOVQ	n+16(FP), CX
	REP
	MOVSQ
	RET

// The instruction that may fault stands at the start of a symbol of its own, so
// that the page-fault handler can tell it by its address, skip its two bytes
// and leave a non-zero CX.
TEXT ·ucopy(SB),NOSPLIT,$0-32
	MOVQ	dst+0(FP), DI
	MOVQ	src+8(FP), SI
	MOVQ	n+16(FP), CX
	JMP	·ucopyInsn(SB)

TEXT ·ucopyInsn(SB),NOSPLIT|NOFRAME,$0
	REP
	MOVSB
	MOVQ	CX, 32(SP)
	RET

TEXT ·uload32(SB),NOSPLIT,$0-16
	MOVQ	addr+0(FP), SI
	XORL	CX, CX
	JMP	·uload32Insn(SB)

TEXT ·uload32Insn(SB),NOSPLIT|NOFRAME,$0
	MOVL	(SI), AX
	MOVL	AX, 16(SP)
	MOVL	CX, 20(SP)
	RET

TEXT ·self(SB),NOSPLIT,$0-8
	MOVQ	0(GS), AX
	MOVQ	AX, ret+0(FP)
	RET

TEXT ·currentThread(SB),NOSPLIT,$0-8
	MOVQ	8(GS), AX
	MOVQ	AX, ret+0(FP)
	RET

TEXT ·cliSave(SB),NOSPLIT,$0-8
	PUSHFQ
	POPQ	AX
	CLI
	MOVQ	AX, flags+0(FP)
	RET

TEXT ·restoreFlags(SB),NOSPLIT,$0-8
	MOVQ	flags+0(FP), AX
	PUSHQ	AX
	POPFQ
	RET

TEXT ·hypercall(SB),NOSPLIT,$0-64
	MOVL	insn+0(FP), BX
	MOVQ	nr+8(FP), AX
	MOVQ	a0+16(FP), DI
	MOVQ	a1+24(FP), SI
	MOVQ	a2+32(FP), DX
	MOVQ	a3+40(FP), R8
	TESTL	BX, BX
	JNE	intel
	BYTE	$0x0f; BYTE $0x01; BYTE $0xd9	// VMMCALL
	JMP	done
intel:
	BYTE	$0x0f; BYTE $0x01; BYTE $0xc1	// VMCALL
done:
	MOVQ	AX, status+48(FP)
	MOVQ	DX, value+56(FP)
	RET

TEXT ·enter(SB),NOSPLIT,$0-40
	MOVQ	nr+0(FP), AX
	MOVQ	a0+8(FP), DI
	MOVQ	a1+16(FP), SI
	MOVQ	a2+24(FP), DX
	SYSCALL
	MOVQ	AX, r+32(FP)
	RET

TEXT ·mfence(SB),NOSPLIT,$0-0
	MFENCE
	RET

TEXT ·laterTSC(SB),NOSPLIT,$0-8
	MFENCE
	LFENCE
	RDTSC
	SHLQ	$32, DX
	ORQ	DX, AX
	MOVQ	AX, ret+0(FP)
	RET

TEXT ·fillStack(SB),NOSPLIT|NOFRAME,$0-0
	CMPL	BP, $0			// BP is ours: tell vet
again:
	BYTE	$0x50			// PUSHQ AX
	JMP	again

TEXT ·fninit(SB),NOSPLIT,$8-0
	BYTE	$0xdb; BYTE $0xe3	// FNINIT
	MOVL	$0x1f80, 0(SP)
	LDMXCSR	0(SP)
	RET

// func callerRegs() (rip, rsp, rbp uint64): of the caller
TEXT ·callerRegs(SB),NOSPLIT|NOFRAME,$0-24
	MOVQ	0(SP), AX
	MOVQ	AX, rip+0(FP)
	LEAQ	8(SP), AX
	MOVQ	AX, rsp+8(FP)
	MOVQ	BP, rbp+16(FP)
	RET

TEXT ·imageText(SB),NOSPLIT,$0-8
	LEAQ	runtime·text(SB), AX
	MOVQ	AX, ret+0(FP)
	RET

TEXT ·imageEtext(SB),NOSPLIT,$0-8
	LEAQ	runtime·etext(SB), AX
	MOVQ	AX, ret+0(FP)
	RET

TEXT ·imageRodata(SB),NOSPLIT,$0-8
	LEAQ	runtime·rodata(SB), AX
	MOVQ	AX, ret+0(FP)
	RET

TEXT ·imageData(SB),NOSPLIT,$0-8
	LEAQ	runtime·noptrdata(SB), AX
	MOVQ	AX, ret+0(FP)
	RET

TEXT ·imageEnd(SB),NOSPLIT,$0-8
	LEAQ	runtime·end(SB), AX
	MOVQ	AX, ret+0(FP)
	RET

TEXT ·imagePclntab(SB),NOSPLIT,$0-8
	LEAQ	runtime·pclntab(SB), AX
	MOVQ	AX, ret+0(FP)
	RET

TEXT ·addrSyscall(SB),NOSPLIT,$0-8
	LEAQ	·sysEntry(SB), AX
	MOVQ	AX, ret+0(FP)
	RET

TEXT ·addrStubs(SB),NOSPLIT,$0-8
	LEAQ	·stubs(SB), AX
	MOVQ	AX, ret+0(FP)
	RET

TEXT ·addrPF(SB),NOSPLIT,$0-8
	LEAQ	·pfEntry(SB), AX
	MOVQ	AX, ret+0(FP)
	RET

TEXT ·addrNMI(SB),NOSPLIT,$0-8
	LEAQ	·nmiEntry(SB), AX
	MOVQ	AX, ret+0(FP)
	RET

TEXT ·addrDF(SB),NOSPLIT,$0-8
	LEAQ	·dfEntry(SB), AX
	MOVQ	AX, ret+0(FP)
	RET

TEXT ·addrMC(SB),NOSPLIT,$0-8
	LEAQ	·mcEntry(SB), AX
	MOVQ	AX, ret+0(FP)
	RET

TEXT ·addrUD(SB),NOSPLIT,$0-8
	LEAQ	·udEntry(SB), AX
	MOVQ	AX, ret+0(FP)
	RET

TEXT ·addrIdle(SB),NOSPLIT,$0-8
	LEAQ	·idleLoop(SB), AX
	MOVQ	AX, ret+0(FP)
	RET

TEXT ·addrUcopy(SB),NOSPLIT,$0-8
	LEAQ	·ucopyInsn(SB), AX
	MOVQ	AX, ret+0(FP)
	RET

TEXT ·addrUload32(SB),NOSPLIT,$0-8
	LEAQ	·uload32Insn(SB), AX
	MOVQ	AX, ret+0(FP)
	RET

TEXT ·addrStartAP(SB),NOSPLIT,$0-8
	LEAQ	·startAP(SB), AX
	MOVQ	AX, ret+0(FP)
	RET

TEXT ·addrBootTables(SB),NOSPLIT,$0-8
	LEAQ	·bootTables(SB), AX
	ADDQ	$4095, AX
	ANDQ	$~4095, AX
	MOVQ	AX, ret+0(FP)
	RET

// func reloadSegments(): CS 0x08, data segments 0x10; FS and GS bases survive
TEXT ·reloadSegments(SB),NOSPLIT,$0-0
	MOVL	$0x10, AX
	MOVW	AX, DS
	MOVW	AX, ES
	MOVW	AX, SS
	LEAQ	·reloaded(SB), AX
	BYTE	$0x6a; BYTE $0x08	// PUSHQ $8
	BYTE	$0x50			// PUSHQ AX
	BYTE	$0x48; BYTE $0xcb	// far return
	RET

TEXT ·reloaded(SB),NOSPLIT|NOFRAME,$0
	RET

DATA ·pcPut+0(SB)/8, $·putNow(SB)
GLOBL ·pcPut(SB), RODATA|NOPTR, $8
DATA ·pcFatal+0(SB)/8, $·fatalReport(SB)
GLOBL ·pcFatal(SB), RODATA|NOPTR, $8

TEXT ·put(SB),NOSPLIT,$24-24
	MOVQ	p+0(FP), AX
	MOVQ	AX, 0(SP)
	MOVQ	n+8(FP), AX
	MOVQ	AX, 8(SP)
	MOVQ	·pcPut(SB), AX
	CALL	AX
	MOVQ	16(SP), AX
	MOVQ	AX, ret+16(FP)
	RET

TEXT ·fatalFrame(SB),NOSPLIT,$24-24
	MOVQ	f+0(FP), AX
	MOVQ	AX, 0(SP)
	MOVQ	msg_base+8(FP), AX
	MOVQ	AX, 8(SP)
	MOVQ	msg_len+16(FP), AX
	MOVQ	AX, 16(SP)
	MOVQ	·pcFatal(SB), AX
	CALL	AX
	RET
