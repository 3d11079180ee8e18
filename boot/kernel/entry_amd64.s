// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

#include "go_asm.h"
#include "textflag.h"

// How the layer is entered and left. Interrupts are off in all of it, and
// nothing is ever pushed on a stack of the Go program.
//
//	SYSCALL              registers -> thread.f, then the CPU's kernel stack
//	interrupt, exception hardware frame on the IRQ stack, registers ->
//	                     thread.f, FPU -> thread.fp, then the kernel stack
//	#PF NMI #DF #MC      all registers on a stack of their own; #PF goes on as
//	                     an exception of the thread if it cannot be served
//	exit                 registers <- the current thread's

// Save and restore the x87, SSE and AVX state at (p), 64-byte aligned. The
// XSAVE header behind the first 512 bytes must be zero but for its first word.
#define FPSAVE(p) \
	CMPB	·useXSAVE(SB), $0; \
	JEQ	fxsave; \
	MOVL	$7, AX; \
	XORL	DX, DX; \
	XSAVE64	(p); \
	JMP	fpsaved; \
fxsave: \
	FXSAVE64	(p); \
fpsaved:

#define FPLOAD(p, fx, done) \
	CMPB	·useXSAVE(SB), $0; \
	JEQ	fx; \
	MOVL	$7, AX; \
	XORL	DX, DX; \
	XRSTOR64	(p); \
	JMP	done; \
fx: \
	FXRSTOR64	(p); \
done:

#define POPALL \
	POPQ	R15; \
	POPQ	R14; \
	POPQ	R13; \
	POPQ	R12; \
	POPQ	R11; \
	POPQ	R10; \
	POPQ	R9; \
	POPQ	R8; \
	POPQ	DI; \
	POPQ	SI; \
	POPQ	BP; \
	POPQ	BX; \
	POPQ	DX; \
	POPQ	CX; \
	POPQ	AX

// Go code is called through these: an indirect call, since the linker's check
// of nosplit stack use must not add our stacks to the interrupted ones.
DATA ·pcSyscall+0(SB)/8, $·syscallEntry(SB)
GLOBL ·pcSyscall(SB), RODATA|NOPTR, $8
DATA ·pcTrap+0(SB)/8, $·trapEntry(SB)
GLOBL ·pcTrap(SB), RODATA|NOPTR, $8
DATA ·pcFault+0(SB)/8, $·faultEntry(SB)
GLOBL ·pcFault(SB), RODATA|NOPTR, $8
DATA ·pcPF+0(SB)/8, $·pfHandler(SB)
GLOBL ·pcPF(SB), RODATA|NOPTR, $8
DATA ·pcNMI+0(SB)/8, $·nmiHandler(SB)
GLOBL ·pcNMI(SB), RODATA|NOPTR, $8
DATA ·pcDF+0(SB)/8, $·dfHandler(SB)
GLOBL ·pcDF(SB), RODATA|NOPTR, $8
DATA ·pcMC+0(SB)/8, $·mcHandler(SB)
GLOBL ·pcMC(SB), RODATA|NOPTR, $8
DATA ·pcKernel+0(SB)/8, $·kernelTrap(SB)
GLOBL ·pcKernel(SB), RODATA|NOPTR, $8

// SYSCALL at CPL 0: CX = RIP, R11 = RFLAGS, RSP unchanged. All XMM registers
// are dead (Go has no callee-saved ones) but X15, which must be 0 on return.
TEXT ·sysEntry(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	CMPL	AX, $228
	JEQ	clock
slow:
	MOVQ	R15, cpu_scratch(GS)
	MOVQ	cpu_cur(GS), R15
	MOVQ	R14, frame_r14(R15)
	MOVQ	cpu_scratch(GS), R14
	MOVQ	R14, frame_r15(R15)
	MOVQ	R13, frame_r13(R15)
	MOVQ	R12, frame_r12(R15)
	MOVQ	R11, frame_r11(R15)
	MOVQ	R10, frame_r10(R15)
	MOVQ	R9, frame_r9(R15)
	MOVQ	R8, frame_r8(R15)
	MOVQ	DI, frame_rdi(R15)
	MOVQ	SI, frame_rsi(R15)
	MOVQ	BP, frame_rbp(R15)
	MOVQ	BX, frame_rbx(R15)
	MOVQ	DX, frame_rdx(R15)
	MOVQ	CX, frame_rcx(R15)
	MOVQ	AX, frame_rax(R15)
	MOVQ	CX, frame_rip(R15)
	MOVQ	R11, frame_rflags(R15)
	MOVQ	SP, frame_rsp(R15)
	MOVQ	$const_selCode, AX
	MOVQ	AX, frame_cs(R15)
	MOVQ	$const_selData, AX
	MOVQ	AX, frame_sseg(R15)
	MOVQ	$const_vecSyscall, AX
	MOVQ	AX, frame_vec(R15)
	XORL	AX, AX
	MOVQ	AX, frame_err(R15)
	MOVQ	AX, thread_fpValid(R15)
	MOVQ	cpu_ksp(GS), SP
	XORL	BP, BP
	MOVQ	·pcSyscall(SB), AX
	CALL	AX
	JMP	·leaveLayer(SB)

// clock_gettime of CLOCK_REALTIME and CLOCK_MONOTONIC touches nothing of the
// layer but its constants. A page fault at the stores is the thread's.
clock:
	CMPL	DI, $1
	JHI	slow
	MOVQ	DX, (cpu_scratch+8)(GS)
	MOVQ	BX, (cpu_scratch+16)(GS)
	RDTSC
	SHLQ	$32, DX
	ORQ	DX, AX
	SUBQ	·tscZero(SB), AX
	MULQ	·nsPerTSC(SB)
	SHRQ	$32, AX
	SHLQ	$32, DX
	ORQ	DX, AX
	TESTL	DI, DI
	JNE	mono
	ADDQ	·wallOff(SB), AX
mono:
	XORL	DX, DX
	MOVQ	$1000000000, BX
	DIVQ	BX
	MOVQ	AX, 0(SI)
	MOVQ	DX, 8(SI)
	MOVQ	(cpu_scratch+8)(GS), DX
	MOVQ	(cpu_scratch+16)(GS), BX
	XORL	AX, AX
	BTL	$9, R11
	JCC	noif
	STI
noif:
	JMP	CX

// SYSCALL with EFER.SCE=0 arrives as #UD, on a stack of its own. Anything else
// is a real #UD and goes the way of the other exceptions.
TEXT ·udEntry(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	PUSHQ	AX
	MOVQ	8(SP), AX
	CMPW	(AX), $0x050f
	JNE	real
	POPQ	AX
	MOVQ	0(SP), CX
	ADDQ	$2, CX
	MOVQ	16(SP), R11
	MOVQ	24(SP), SP
	CLD
	JMP	·sysEntry(SB)
real:
	POPQ	AX
	JMP	·stubUD(SB)

// Load the current thread's registers.
TEXT ·leaveLayer(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	MOVQ	cpu_cur(GS), DI
	CMPB	thread_fpValid(DI), $0
	JEQ	nofp
	LEAQ	thread_fp(DI), SI
	JMP	load
nofp:
	CMPB	cpu_fpDirty(GS), $0
	JEQ	clean
	MOVQ	·fpInit(SB), SI
load:
	MOVB	$0, cpu_fpDirty(GS)
	FPLOAD(SI, fx, loaded)
	CMPB	thread_fpValid(DI), $0
	JNE	gprs
clean:
	XORPS	X15, X15
gprs:
	MOVQ	DI, SP
	POPALL
	ADDQ	$16, SP
	IRETQ

// An interrupt or exception that has no entry of its own. The stubs CALL this,
// eight bytes apart, so that the return address tells the vector:
//
//	0(SP) return address, [error code,] RIP, CS, RFLAGS, RSP, SS
TEXT ·trapStub(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	PUSHQ	DX
	PUSHQ	CX
	PUSHQ	AX
	MOVQ	24(SP), AX
	LEAQ	·stubs(SB), CX
	SUBQ	CX, AX
	SHRL	$3, AX			// vector
	XORL	DX, DX			// error code
	LEAQ	32(SP), CX		// -> RIP
	CMPL	AX, $32
	JCC	noerr
	BTL	AX, ·errVectors(SB)
	JCC	noerr
	MOVQ	(CX), DX
	ADDQ	$8, CX
noerr:
	PUSHQ	AX			// vec, AX, CX, DX from 0(SP) on
	MOVQ	24(CX), AX
	SUBQ	cpu_self(GS), AX
	CMPQ	AX, $const_blockSize
	JCS	kernel
	MOVQ	cpu_cur(GS), AX
	MOVQ	DX, frame_err(AX)
	POPQ	DX
	MOVQ	DX, frame_vec(AX)
	POPQ	DX
	MOVQ	DX, frame_rax(AX)
	POPQ	DX
	MOVQ	DX, frame_rcx(AX)
	POPQ	DX
	MOVQ	DX, frame_rdx(AX)
	MOVQ	R15, frame_r15(AX)
	MOVQ	R14, frame_r14(AX)
	MOVQ	R13, frame_r13(AX)
	MOVQ	R12, frame_r12(AX)
	MOVQ	R11, frame_r11(AX)
	MOVQ	R10, frame_r10(AX)
	MOVQ	R9, frame_r9(AX)
	MOVQ	R8, frame_r8(AX)
	MOVQ	DI, frame_rdi(AX)
	MOVQ	SI, frame_rsi(AX)
	MOVQ	BP, frame_rbp(AX)
	MOVQ	BX, frame_rbx(AX)
	MOVQ	0(CX), DX
	MOVQ	DX, frame_rip(AX)
	MOVQ	8(CX), DX
	MOVQ	DX, frame_cs(AX)
	MOVQ	16(CX), DX
	MOVQ	DX, frame_rflags(AX)
	MOVQ	24(CX), DX
	MOVQ	DX, frame_rsp(AX)
	MOVQ	32(CX), DX
	MOVQ	DX, frame_sseg(AX)
	MOVQ	$1, thread_fpValid(AX)
	LEAQ	thread_fp(AX), SI
	FPSAVE(SI)
	CLD
	MOVQ	cpu_ksp(GS), SP
	XORL	BP, BP
	MOVQ	·pcTrap(SB), AX
	CALL	AX
	JMP	·leaveLayer(SB)

// The layer itself was interrupted: a failure. Make a frame as below.
kernel:
	MOVQ	SP, AX			// -> vec, AX, CX, DX
	PUSHQ	32(CX)
	PUSHQ	24(CX)
	PUSHQ	16(CX)
	PUSHQ	8(CX)
	PUSHQ	0(CX)
	PUSHQ	DX
	PUSHQ	0(AX)
	PUSHQ	8(AX)
	PUSHQ	16(AX)
	PUSHQ	24(AX)
	MOVQ	·pcKernel(SB), AX
	JMP	·ownStack(SB)

// The exceptions with stacks of their own. Make a frame (SP -> r15 ... ss), an
// FPU save area below, and call handler(*frame, area).
TEXT ·pfEntry(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	PUSHQ	$14
	PUSHQ	AX
	PUSHQ	CX
	PUSHQ	DX
	MOVQ	·pcPF(SB), AX
	JMP	·ownStack(SB)

TEXT ·nmiEntry(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	PUSHQ	$0
	PUSHQ	$2
	PUSHQ	AX
	PUSHQ	CX
	PUSHQ	DX
	MOVQ	·pcNMI(SB), AX
	JMP	·ownStack(SB)

TEXT ·dfEntry(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	PUSHQ	$8
	PUSHQ	AX
	PUSHQ	CX
	PUSHQ	DX
	MOVQ	·pcDF(SB), AX
	JMP	·ownStack(SB)

TEXT ·mcEntry(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	PUSHQ	$0
	PUSHQ	$18
	PUSHQ	AX
	PUSHQ	CX
	PUSHQ	DX
	MOVQ	·pcMC(SB), AX
	JMP	·ownStack(SB)

// AX = handler; vec, AX, CX and DX are pushed.
TEXT ·ownStack(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	PUSHQ	BX
	PUSHQ	BP
	PUSHQ	SI
	PUSHQ	DI
	PUSHQ	R8
	PUSHQ	R9
	PUSHQ	R10
	PUSHQ	R11
	PUSHQ	R12
	PUSHQ	R13
	PUSHQ	R14
	PUSHQ	R15
	MOVQ	AX, R8
	MOVQ	SP, DI
	MOVQ	SP, SI
	SUBQ	$const_fpSize, SI
	ANDQ	$~63, SI
	XORL	AX, AX
	MOVQ	AX, 512(SI)
	MOVQ	AX, 520(SI)
	MOVQ	AX, 528(SI)
	MOVQ	AX, 536(SI)
	MOVQ	AX, 544(SI)
	MOVQ	AX, 552(SI)
	MOVQ	AX, 560(SI)
	MOVQ	AX, 568(SI)
	FPSAVE(SI)
	CLD
	XORL	BP, BP
	LEAQ	-64(SI), SP
	MOVQ	DI, 0(SP)		// arguments
	MOVQ	SI, 8(SP)
	MOVQ	DI, 32(SP)		// our copies
	MOVQ	SI, 40(SP)
	CALL	R8
	CMPQ	16(SP), $const_actThread
	JEQ	thread
	MOVQ	40(SP), SI
	MOVQ	32(SP), DI
	FPLOAD(SI, fx, loaded)
	MOVQ	DI, SP
	POPALL
	ADDQ	$16, SP
	IRETQ
thread:
	MOVQ	cpu_ksp(GS), SP
	XORL	BP, BP
	MOVQ	·pcFault(SB), AX
	CALL	AX
	JMP	·leaveLayer(SB)

// The idle thread. It has no stack: interrupts bring their own.
TEXT ·idleLoop(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
idle:
	STI
	HLT
	JMP	idle

// Vectors below 32 that push an error code: 8, 10-14, 17, 21, 29, 30.
DATA ·errVectors+0(SB)/4, $0x60227d00
GLOBL ·errVectors(SB), RODATA|NOPTR, $4

#define STUB	CALL ·trapStub(SB); BYTE $0x90; BYTE $0x90; BYTE $0x90
#define STUB8	STUB; STUB; STUB; STUB; STUB; STUB; STUB; STUB
#define STUB64	STUB8; STUB8; STUB8; STUB8; STUB8; STUB8; STUB8; STUB8

TEXT ·stubs(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	STUB64
	STUB64
	STUB64
	STUB64

TEXT ·stubUD(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	JMP	·stubs+48(SB)
