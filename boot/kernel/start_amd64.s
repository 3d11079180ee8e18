// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

#include "textflag.h"

// Entry from a multiboot loader: 32-bit protected mode, paging off, EAX = magic,
// EBX = information. Up to the far return every instruction is chosen so that
// the 64-bit assembler's encoding means the same in 32-bit mode: no REX prefix,
// no INC or DEC of a register, no RIP-relative operand but the one LEAL below.

// Addresses that 32-bit code needs, and what it keeps for the 64-bit code.
DATA ·bootTab+0(SB)/8, $·bootTables(SB)
DATA ·bootTab+8(SB)/8, $·start64(SB)
DATA ·bootTab+16(SB)/8, $·bootGDTR(SB)
DATA ·bootTab+40(SB)/8, $·msgMagic(SB)
DATA ·bootTab+48(SB)/8, $·msgLong(SB)
DATA ·bootTab+56(SB)/8, $·msgNX(SB)
GLOBL ·bootTab(SB), NOPTR, $64

DATA ·bootGDT+0(SB)/8, $0
DATA ·bootGDT+8(SB)/8, $0x00af9a000000ffff	// 0x08: 64-bit code
DATA ·bootGDT+16(SB)/8, $0x00cf92000000ffff	// 0x10: data
GLOBL ·bootGDT(SB), NOPTR, $24
DATA ·bootGDTR+0(SB)/2, $23
DATA ·bootGDTR+2(SB)/8, $·bootGDT(SB)
GLOBL ·bootGDTR(SB), NOPTR, $16

// PML4, PDPT, four page directories of 2 MiB pages; one more to align.
GLOBL ·bootTables(SB), NOPTR, $(7*4096)
// The stack of the boot and then of the runtime's first thread, which takes
// 64 KiB below RSP for its own.
GLOBL ·bootStack(SB), NOPTR, $(80*1024)
GLOBL ·bootTLS(SB), NOPTR, $64

DATA ·msgMagic+0(SB)/8, $"\r\nringo:"
DATA ·msgMagic+8(SB)/8, $" not sta"
DATA ·msgMagic+16(SB)/8, $"rted by "
DATA ·msgMagic+24(SB)/8, $"a multib"
DATA ·msgMagic+32(SB)/8, $"oot load"
DATA ·msgMagic+40(SB)/8, $"er; use "
DATA ·msgMagic+48(SB)/8, $"GRUB, iP"
DATA ·msgMagic+56(SB)/8, $"XE or qe"
DATA ·msgMagic+64(SB)/8, $"mu -kern"
DATA ·msgMagic+72(SB)/8, $"el\r\n"
GLOBL ·msgMagic(SB), RODATA|NOPTR, $80
DATA ·msgLong+0(SB)/8, $"\r\nringo:"
DATA ·msgLong+8(SB)/8, $" this CP"
DATA ·msgLong+16(SB)/8, $"U has no"
DATA ·msgLong+24(SB)/8, $" 64-bit "
DATA ·msgLong+32(SB)/8, $"mode; a "
DATA ·msgLong+40(SB)/8, $"64-bit x"
DATA ·msgLong+48(SB)/8, $"86 machi"
DATA ·msgLong+56(SB)/8, $"ne is ne"
DATA ·msgLong+64(SB)/8, $"eded\r\n"
GLOBL ·msgLong(SB), RODATA|NOPTR, $72
DATA ·msgNX+0(SB)/8, $"\r\nringo:"
DATA ·msgNX+8(SB)/8, $" this CP"
DATA ·msgNX+16(SB)/8, $"U does n"
DATA ·msgNX+24(SB)/8, $"ot offer"
DATA ·msgNX+32(SB)/8, $" NX; ena"
DATA ·msgNX+40(SB)/8, $"ble \"Exe"
DATA ·msgNX+48(SB)/8, $"cute Dis"
DATA ·msgNX+56(SB)/8, $"able\" (X"
DATA ·msgNX+64(SB)/8, $"D, NX) i"
DATA ·msgNX+72(SB)/8, $"n the fi"
DATA ·msgNX+80(SB)/8, $"rmware s"
DATA ·msgNX+88(SB)/8, $"etup\r\n"
GLOBL ·msgNX(SB), RODATA|NOPTR, $96

#define OUT(port, val) \
	MOVL	$port, DX; \
	MOVL	$val, AX; \
	OUTB

TEXT ·startBare(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	CMPL	BP, $0			// BP is ours: tell vet
	CLI
	CLD
	MOVL	AX, BP
	MOVL	$0x100f70, SP		// spare bytes of the ELF header page
	BYTE	$0xe8; LONG $0		// CALL to the next instruction
	POPQ	DI			// DI = its address
	LEAL	·bootTab(SB), AX	// 32-bit mode: the distance from DI+7
	LEAL	7(AX)(DI*1), SI
	MOVL	BP, 24(SI)
	MOVL	BX, 32(SI)
	MOVL	40(SI), BX
	CMPL	BP, $0x2badb002
	JEQ	loader
	CMPL	BP, $0x36d76289
	JNE	fail
loader:
	MOVL	48(SI), BP
	MOVL	$0x80000000, AX
	CPUID
	MOVL	BP, BX
	CMPL	AX, $0x80000001
	JCS	fail
	MOVL	$0x80000001, AX
	CPUID
	MOVL	BP, BX
	BTL	$29, DX		// LM
	JCC	fail
	MOVL	56(SI), BX
	BTL	$20, DX		// NX
	JCC	fail

	// Page tables: the first 4 GiB at 0 and at layout.DirectMap.
	MOVL	0(SI), DI
	ADDL	$4095, DI
	ANDL	$~4095, DI
	LEAL	0x1003(DI), AX
	MOVL	AX, 0(DI)
	MOVL	AX, 0x800(DI)
	LEAL	0x2003(DI), AX
	MOVL	AX, 0x1000(DI)
	ADDL	$0x1000, AX
	MOVL	AX, 0x1008(DI)
	ADDL	$0x1000, AX
	MOVL	AX, 0x1010(DI)
	ADDL	$0x1000, AX
	MOVL	AX, 0x1018(DI)
	XORL	CX, CX
	MOVL	$0x83, AX
fill:
	MOVL	AX, 0x2000(DI)(CX*8)
	ADDL	$0x200000, AX
	ADDL	$1, CX
	CMPL	CX, $2048
	JNE	fill

	MOVQ	CR4, AX
	ORL	$0x620, AX		// PAE OSFXSR OSXMMEXCPT
	MOVQ	AX, CR4
	MOVL	DI, AX
	MOVQ	AX, CR3
	MOVL	$0xc0000080, CX
	RDMSR
	ORL	$0x901, AX		// NXE LME SCE
	WRMSR
	MOVQ	CR0, AX
	ANDL	$0x9ffffff3, AX		// no CD NW TS EM
	ORL	$0x80010023, AX		// PG WP NE MP PE
	MOVQ	AX, CR0
	MOVL	16(SI), AX
	LGDT	(AX)
	MOVL	8(SI), AX
	BYTE	$0x6a; BYTE $0x08	// PUSH 8
	BYTE	$0x50			// PUSH EAX
	BYTE	$0xcb			// far return

	// BX = message. Say it on COM1, wait some seconds, reset.
fail:
	OUT(0x3f9, 0)
	OUT(0x3fb, 0x80)
	OUT(0x3f8, 1)
	OUT(0x3f9, 0)
	OUT(0x3fb, 3)
	OUT(0x3fa, 7)
	OUT(0x3fc, 3)
char:
	MOVBLZX	(BX), CX
	TESTL	CX, CX
	JEQ	said
	MOVL	$0x3fd, DX
	MOVL	$50000, BP
thre:
	INB
	TESTL	$0x20, AX
	JNE	send
	SUBL	$1, BP
	JNE	thre
send:
	MOVL	$0x3f8, DX
	MOVL	CX, AX
	OUTB
	ADDL	$1, BX
	JMP	char
said:
	MOVL	$5000000, BP		// a read of port 0x80 takes about 1 us
	MOVL	$0x80, DX
wait:
	INB
	SUBL	$1, BP
	JNE	wait
	OUT(0xcf9, 2)
	OUT(0xcf9, 6)
	OUT(0x64, 0xfe)
stop:
	HLT
	JMP	stop

// 64-bit mode on the boot page tables.
TEXT ·start64(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	CMPL	BP, $0
	MOVL	$0x10, AX
	MOVW	AX, DS
	MOVW	AX, ES
	MOVW	AX, SS
	LEAQ	·bootStack(SB), SP
	ADDQ	$(80*1024), SP
	ANDQ	$~15, SP
	SUBQ	$32, SP
	LEAQ	·bootTLS+32(SB), AX
	MOVQ	AX, DX
	SHRQ	$32, DX
	MOVL	$0xc0000100, CX		// FS base: ABI0 wrappers read -8(FS)
	WRMSR
	XORL	BP, BP
	MOVL	·bootTab+24(SB), AX
	MOVL	·bootTab+32(SB), DX
	MOVQ	AX, 0(SP)
	MOVQ	DX, 8(SP)
	CALL	·bootBare(SB)
	JMP	·enterGo(SB)

// Entry of a partition, see ARCHITECTURE.md: 64-bit mode, DI = GPA of StartInfo.
TEXT ·startPartition(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	CMPL	BP, $0			// BP is ours: tell vet
	CLI
	CLD
	LEAQ	·bootStack(SB), SP
	ADDQ	$(80*1024), SP
	ANDQ	$~15, SP
	SUBQ	$32, SP
	LEAQ	·bootTLS+32(SB), AX
	MOVQ	AX, DX
	SHRQ	$32, DX
	MOVL	$0xc0000100, CX
	WRMSR
	XORL	BP, BP
	MOVQ	DI, 0(SP)
	CALL	·bootPartition(SB)
	JMP	·enterGo(SB)

// Start the Go runtime as Linux starts a process: argc, argv, environment and
// auxiliary vector at RSP.
TEXT ·enterGo(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	SUBQ	$512, SP
	ANDQ	$~15, SP
	MOVQ	SP, DI
	LEAQ	·procBlock(SB), SI
	MOVQ	$64, CX
	REP
	MOVSQ
	XORL	AX, AX
	XORL	BX, BX
	XORL	DX, DX
#ifdef GOOS_tamago
	// The runtime's memory ends below its first thread's stack.
	MOVQ	runtime∕goos·RamStart(SB), SP
	ADDQ	runtime∕goos·RamSize(SB), SP
	SUBQ	runtime∕goos·RamStackOffset(SB), SP
	STI
	JMP	_rt0_tamago_start(SB)
#else
	STI
	JMP	_rt0_amd64_linux(SB)
#endif

// An application processor, from the trampoline or by hypercall: 64-bit mode,
// DI = its struct cpu.
TEXT ·startAP(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	CMPL	BP, $0			// BP is ours: tell vet
	CLI
	CLD
	MOVL	$0x10, AX
	MOVW	AX, DS
	MOVW	AX, ES
	MOVW	AX, SS
	MOVQ	·rootTable(SB), AX
	MOVQ	AX, CR3
	MOVQ	16(DI), SP		// cpu.ksp
	MOVQ	DI, AX
	MOVQ	DI, DX
	SHRQ	$32, DX
	MOVL	$0xc0000101, CX		// GS base
	WRMSR
	LEAQ	·bootTLS+32(SB), AX
	MOVQ	AX, DX
	SHRQ	$32, DX
	MOVL	$0xc0000100, CX
	WRMSR
	SUBQ	$32, SP
	MOVQ	DI, 0(SP)
	XORL	BP, BP
	CALL	·bootAP(SB)
	JMP	·leaveLayer(SB)
