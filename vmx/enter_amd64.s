// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

#include "textflag.h"
#include "go_asm.h"
#include "ops_amd64.h"
#include "secure_amd64.h"

// What an exit loads by itself, from the host-state area: RIP, RSP, CR0, CR3,
// CR4, segment selectors, bases of FS, GS, TR, GDTR and IDTR, EFER, PAT; it
// clears RFLAGS (so interrupts are off), and sets DR7 to 0x400 and DEBUGCTL to 0
// (SDM Vol. 3, "Loading Host State"). Everything else is the guest's until the
// code below has replaced it. Interrupts are off from CLI to STI; an NMI comes
// either with the host's state in place, or ends the run.

// g.stackguard0 and its value when a preemption is requested (runtime,
// stackPreempt); enter_test.go compares both with the runtime.
#define g_stackguard0 16
#define stackPreempt -1314

DATA mxcsr<>+0(SB)/4, $const_mxcsrReset
GLOBL mxcsr<>(SB), RODATA|NOPTR, $4

// DI = frame; R14 = g, since the callers are Go code. Nothing that came before this
// check is lost: an interrupt that wants something either came before CLI and is
// seen in the words, or ends the run.
#define BEGIN \
	MOVQ	f+0(FP), DI; \
	CLI; \
	CMPQ	g_stackguard0(R14), $stackPreempt; \
	JEQ	refuse; \
	MOVQ	frame_cpuKick(DI), CX; \
	MOVL	(CX), AX; \
	ORL	frame_kick(DI), AX; \
	JNE	refuse

// From DI = frame with the guest's FPU state saved and its vector registers
// cleared, to the caller. The guest's values are cleared from every register (a mispredicted path of the
// hypervisor would otherwise compute with them); R14 and X15 get their Go values
// where the caller, as of every ABI0 function, has the call behind it. An NMI that ended the run is
// the host's: it is raised again, which also ends the CPU's blocking of NMIs by
// the handler's IRET. An interrupt is still pending, and taken after STI.
#define END \
	LDMXCSR	mxcsr<>(SB); \
	MOVQ	frame_hostBP(DI), BP; \
	RDTSC; \
	MOVL	AX, (frame_meter+meter_TSC+0)(DI); \
	MOVL	DX, (frame_meter+meter_TSC+4)(DI); \
	XORL	BX, BX; \
	XORL	SI, SI; \
	XORL	R8, R8; \
	XORL	R9, R9; \
	XORL	R10, R10; \
	XORL	R11, R11; \
	XORL	R12, R12; \
	XORL	R13, R13; \
	XORL	R14, R14; \
	XORL	R15, R15; \
	CMPW	frame_reason(DI), $0; \
	JNE	out; \
	MOVL	$const_exitIntInfo, CX; \
	VMREADDI; \
	LONG	$frame_intInfo; \
	MOVL	frame_intInfo(DI), CX; \
	ANDL	$0x80000700, CX; \
	CMPL	CX, $0x80000200; \
	JNE	out; \
	INT2; \
out: \
	STI; \
	RET

#define REFUSE \
	MOVQ	$const_reasonRefused, frame_reason(DI); \
	STI; \
	RET

// XSAVE and XRSTOR work on everything that the host's XCR0 has, whatever the
// guest enabled: so they run under the host's XCR0, which is their mask.
// This is for hosts with AVX, without AVX-512, and with nothing to do around a run.
// None of these functions has a frame of its own: exited finds f at a fixed place.
TEXT ·enterXSAVEOPT(SB), NOSPLIT|NOFRAME, $0-8
	BEGIN
	MOVL	frame_hostXCR0(DI), AX
	XORL	DX, DX
	XRSTOR64	frame_fpu(DI)
	CMPL	AX, frame_xcr0(DI)
	JNE	guestxcr0
	CALL	·guest(SB)
	MOVL	frame_hostXCR0(DI), AX
	XORL	DX, DX

saved:
	XSAVEOPT64	frame_fpu(DI)
	VZEROALL
	END

guestxcr0:
	MOVL	frame_xcr0(DI), AX
	XORL	CX, CX
	XSETBV
	CALL	·guest(SB)
	MOVL	frame_hostXCR0(DI), AX
	XORL	DX, DX
	XORL	CX, CX
	XSETBV
	JMP	saved

refuse:
	REFUSE

TEXT ·enterXSAVE(SB), NOSPLIT|NOFRAME, $0-8
	BEGIN
	MOVL	frame_hostXCR0(DI), AX
	XORL	DX, DX
	XRSTOR64	frame_fpu(DI)
	CMPL	AX, frame_xcr0(DI)
	JEQ	run
	MOVL	frame_xcr0(DI), AX
	XORL	CX, CX
	XSETBV

run:
	SECUREIN
	CALL	·guest(SB)
	CTRLOUT
	MOVL	frame_hostXCR0(DI), AX
	XORL	DX, DX
	CMPL	AX, frame_xcr0(DI)
	JEQ	same
	XORL	CX, CX
	XSETBV

same:
	SAVE
	WIPE
	END

refuse:
	REFUSE

TEXT ·enterFXSAVE(SB), NOSPLIT|NOFRAME, $0-8
	BEGIN
	FXRSTOR64	frame_fpu(DI)
	CALL	·guest(SB)
	FXSAVE64	frame_fpu(DI)
	WIPESSE
	END
refuse:
	REFUSE

// The guest's general-purpose registers, from DI = frame.
#define GUEST \
	MOVQ	(frame_regs+regs_RAX)(DI), AX; \
	MOVQ	(frame_regs+regs_RBX)(DI), BX; \
	MOVQ	(frame_regs+regs_RCX)(DI), CX; \
	MOVQ	(frame_regs+regs_RDX)(DI), DX; \
	MOVQ	(frame_regs+regs_RBP)(DI), BP; \
	MOVQ	(frame_regs+regs_RSI)(DI), SI; \
	MOVQ	(frame_regs+regs_R8)(DI), R8; \
	MOVQ	(frame_regs+regs_R9)(DI), R9; \
	MOVQ	(frame_regs+regs_R10)(DI), R10; \
	MOVQ	(frame_regs+regs_R11)(DI), R11; \
	MOVQ	(frame_regs+regs_R12)(DI), R12; \
	MOVQ	(frame_regs+regs_R13)(DI), R13; \
	MOVQ	(frame_regs+regs_R14)(DI), R14; \
	MOVQ	(frame_regs+regs_R15)(DI), R15; \
	MOVQ	(frame_regs+regs_RDI)(DI), DI

// From DI = frame, and 16(SP) the same, to DI = frame with the guest's
// general-purpose registers saved: by way of exited, or, if the entry does not
// begin, from here.
TEXT ·guest(SB), NOSPLIT|NOFRAME, $0-0
	// The cycles since the last exit are added to what exits of its reason cost
	// (vcpu.Cost: count, sum, histogram; its first entry is that of BSRL = 4). They
	// take 32 bits.
	RDTSC
	SUBL	(frame_meter+meter_TSC)(DI), AX
	MOVQ	(frame_meter+meter_Row)(DI), CX
	INCQ	0(CX)
	ADDQ	AX, 8(CX)
	ORL	$16, AX
	BSRL	AX, AX
	ADDL	$1, 0(CX)(AX*4)
	JCC	metered
	SUBL	$1, 0(CX)(AX*4)

metered:
	MOVQ	BP, frame_hostBP(DI)
	MOVQ	frame_cr2(DI), AX
	MOVQ	CR2, CX
	CMPQ	AX, CX
	JEQ	stack
	MOVQ	AX, CR2

stack:
	CMPQ	SP, frame_hostSP(DI)
	JEQ	rip
	MOVQ	SP, AX // goroutine stacks move
	MOVQ	AX, frame_hostSP(DI)
	MOVL	$const_hostRSP, CX
	VMWRITEAX

rip:
	MOVQ	frame_rip(DI), AX
	MOVL	$const_guestRIP, CX
	VMWRITEAX
	CMPL	frame_launched(DI), $0
	JEQ	launch
	GUEST
	VMRESUME
	JMP	failed

launch:
	MOVL	$1, frame_launched(DI)
	GUEST
	VMLAUNCH

failed:
	MOVQ	16(SP), DI
	MOVL	$const_reasonNotTried, frame_reason(DI) // MOV leaves CF alone
	JCS	invalid
	MOVL	$2, frame_failed(DI)
	RET

invalid:
	MOVL	$1, frame_failed(DI)
	RET

// SP is what it was in guest: 16(SP) is the address of the frame. Exits of reasons
// from reasonCR on have a qualification; the others go to low, for the privilege
// level, which finish reads for the former. Only the low half of the reason counts:
// any may come with reasonBusLocked.
#define EXITED \
	PUSHQ	DI; \
	MOVQ	24(SP), DI; \
	POPQ	(frame_regs+regs_RDI)(DI); \
	MOVQ	AX, (frame_regs+regs_RAX)(DI); \
	MOVQ	BX, (frame_regs+regs_RBX)(DI); \
	MOVQ	CX, (frame_regs+regs_RCX)(DI); \
	MOVQ	DX, (frame_regs+regs_RDX)(DI); \
	MOVQ	BP, (frame_regs+regs_RBP)(DI); \
	MOVQ	SI, (frame_regs+regs_RSI)(DI); \
	MOVQ	R8, (frame_regs+regs_R8)(DI); \
	MOVQ	R9, (frame_regs+regs_R9)(DI); \
	MOVQ	R10, (frame_regs+regs_R10)(DI); \
	MOVQ	R11, (frame_regs+regs_R11)(DI); \
	MOVQ	R12, (frame_regs+regs_R12)(DI); \
	MOVQ	R13, (frame_regs+regs_R13)(DI); \
	MOVQ	R14, (frame_regs+regs_R14)(DI); \
	MOVQ	R15, (frame_regs+regs_R15)(DI); \
	MOVQ	CR2, AX; \
	MOVQ	AX, frame_cr2(DI); \
	MOVL	$const_exitReason, CX; \
	VMREADDI; \
	LONG	$frame_reason; \
	MOVL	$const_guestRIP, CX; \
	VMREADDI; \
	LONG	$frame_rip; \
	MOVL	$const_exitInsnLength, CX; \
	VMREADDI; \
	LONG	$frame_length; \
	MOVL	$const_guestInterruptState, CX; \
	VMREADDI; \
	LONG	$frame_interrupt; \
	CMPW	frame_reason(DI), $const_reasonCR; \
	JCS	low

#define QUALIFICATION \
	MOVL	$const_exitQualification, CX; \
	VMREADDI; \
	LONG	$frame_qualified

#define PRIVILEGE \
	MOVL	$const_guestSSAccess, CX; \
	VMREADDI; \
	LONG	$frame_ssAccess

TEXT ·exited(SB), NOSPLIT|NOFRAME, $0-0
	EXITED
	QUALIFICATION
	RET

low:
	PRIVILEGE
	RET

// The same for enterXSAVE: the return is the first one that a guest could have
// prepared.
TEXT ·exitedSecure(SB), NOSPLIT|NOFRAME, $0-0
	EXITED
	QUALIFICATION
	JMP	done

low:
	PRIVILEGE

done:
	RSBFILL
	RET

TEXT ·exitAddress(SB), NOSPLIT, $0-8
	LEAQ	·exited(SB), AX
	MOVQ	AX, ret+0(FP)
	RET

TEXT ·exitSecureAddress(SB), NOSPLIT, $0-8
	LEAQ	·exitedSecure(SB), AX
	MOVQ	AX, ret+0(FP)
	RET
