// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

#include "textflag.h"
#include "go_asm.h"
#include "ops_amd64.h"
#include "secure_amd64.h"

// What #VMEXIT restores by itself, from the host save area: RIP, RSP, RAX,
// RFLAGS (so DF, AC, TF and IF are the host's), CR0, CR3, CR4, EFER, CS, SS, DS,
// ES, GDTR, IDTR, CPL 0 (APM Vol. 2, "#VMEXIT"). Everything else is the guest's
// until the code below has replaced it. GIF is clear from CLGI to STGI: no
// interrupt, NMI or SMI comes in between. Interrupts are on (IF), or a host
// interrupt could not end the run under V_INTR_MASKING.
//
// No host register is saved but BP: an ABI0 caller expects the others lost.

// g.stackguard0 and its value when a preemption is requested (runtime,
// stackPreempt); enter_test.go compares both with the runtime.
#define g_stackguard0 16
#define stackPreempt -1314

DATA mxcsr<>+0(SB)/4, $const_mxcsrReset
GLOBL mxcsr<>(SB), RODATA|NOPTR, $4

// DI = frame. Nothing that came before this check is lost: an interrupt that
// wants something either came before CLGI and is seen in the words, or ends
// the run.
#define BEGIN \
	MOVQ	f+0(FP), DI; \
	CLGI; \
	MOVQ	(TLS), CX; \
	CMPQ	g_stackguard0(CX), $stackPreempt; \
	JEQ	refuse; \
	MOVQ	frame_cpuKick(DI), CX; \
	MOVL	(CX), AX; \
	ORL	frame_kick(DI), AX; \
	JNE	refuse; \
	MOVQ	BP, frame_hostBP(DI)

// Adds the cycles since the last exit to what exits of its reason cost (vcpu.Cost:
// count, sum, histogram; its first entry is that of BSRL = 4). They take 32 bits.
#define METER \
	RDTSC; \
	SUBL	(frame_meter+meter_TSC)(DI), AX; \
	MOVQ	(frame_meter+meter_Row)(DI), CX; \
	INCQ	0(CX); \
	ADDQ	AX, 8(CX); \
	ORL	$16, AX; \
	BSRL	AX, AX; \
	ADDL	$1, 0(CX)(AX*4); \
	JCS	full; \
metered:

// From DI = frame with the guest's FPU state loaded, to DI = frame with the
// guest's general-purpose registers saved.
#define RUN \
	METER \
	MOVQ	(frame_regs+regs_RAX)(DI), AX; \
	MOVQ	AX, (vmcb_rax-const_vmcbAbove)(DI); \
	MOVQ	frame_vmcb(DI), AX; \
	VMLOAD; \
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
	MOVQ	(frame_regs+regs_RDI)(DI), DI; \
	VMRUN; \
	VMSAVE; \
	MOVQ	f+0(FP), AX; \
	MOVQ	DI, (frame_regs+regs_RDI)(AX); \
	MOVQ	AX, DI; \
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
	MOVQ	(vmcb_rax-const_vmcbAbove)(DI), AX; \
	MOVQ	AX, (frame_regs+regs_RAX)(DI)

// From DI = frame with the guest's FPU state saved and its vector registers
// cleared, to the caller. The guest's values are cleared from every register (a mispredicted path of the
// hypervisor would otherwise compute with them), then GIF is set. R14 and X15 get
// their Go values where the caller, as of every ABI0 function, has the call behind
// it.
#define END \
	MOVQ	frame_host(DI), AX; \
	VMLOAD; \
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
	STGI; \
	RET

// What else is jumped to.
#define REFUSE \
refuse: \
	MOVQ	$const_exitRefused, (vmcb_exitCode-const_vmcbAbove)(DI); \
	STGI; \
	RET; \
full: \
	SUBL	$1, 0(CX)(AX*4); \
	JMP	metered

// XSAVE and XRSTOR work on everything that the host's XCR0 has, whatever the
// guest enabled: so they run under the host's XCR0, which is their mask. The
// guest's is read back after each run, since not every CPU intercepts XSETBV (QEMU
// does not). in and out go around the run; save stores the FPU state by the mask in
// EDX:EAX, wipe clears the vector registers.
#define XENTER(in, out, save, wipe) \
	BEGIN; \
	MOVL	frame_hostXCR0(DI), AX; \
	XORL	DX, DX; \
	XRSTOR64	frame_fpu(DI); \
	CMPL	AX, frame_xcr0(DI); \
	JNE	guestxcr0; \
run: \
	in; \
	RUN; \
	out; \
	XORL	CX, CX; \
	XGETBV; \
	MOVL	AX, frame_xcr0(DI); \
	CMPL	AX, frame_fastXCR0(DI); \
	JNE	slow; \
saved: \
	save; \
	wipe; \
	END; \
guestxcr0: \
	MOVL	frame_xcr0(DI), AX; \
	XORL	CX, CX; \
	XORL	DX, DX; \
	XSETBV; \
	JMP	run; \
slow: \
	ANDL	frame_hostXCR0(DI), AX; \
	MOVL	AX, frame_xcr0(DI); \
	MOVL	frame_hostXCR0(DI), AX; \
	XORL	DX, DX; \
	XSETBV; \
	MOVL	$0x400, AX; \
	MOVQ	AX, DR7; \
	MOVL	frame_hostXCR0(DI), AX; \
	JMP	saved; \
	REFUSE

// On hosts with AVX, without AVX-512, and with nothing to do around a run.
TEXT ·enterXSAVEOPT(SB), NOSPLIT, $0-8
	XENTER(NOP, NOP, XSAVEOPT64 frame_fpu(DI), VZEROALL)

TEXT ·enterXSAVE(SB), NOSPLIT, $0-8
	XENTER(SECUREIN, CTRLOUT; RSBFILL, SAVE, WIPE)

// Without OSXSAVE there is no XCR0, and hostXCR0 is 0: DR7 is cleared each time.
TEXT ·enterFXSAVE(SB), NOSPLIT, $0-8
	BEGIN
	FXRSTOR64	frame_fpu(DI)
	RUN
	FXSAVE64	frame_fpu(DI)
	MOVL	$0x400, AX
	MOVQ	AX, DR7
	WIPESSE
	XORL	CX, CX
	END
	REFUSE

TEXT ·vmsave(SB), NOSPLIT, $0-8
	MOVQ	pa+0(FP), AX
	VMSAVE
	RET
