// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

//go:build tamago

#include "textflag.h"

// Where a thread's first function returns to.
TEXT ·threadEnd(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	MOVL	$60, AX
	SYSCALL
	INT	$3

TEXT ·addrThreadEnd(SB),NOSPLIT,$0-8
	LEAQ	·threadEnd(SB), AX
	MOVQ	AX, ret+0(FP)
	RET

TEXT ·addrSigpanic(SB),NOSPLIT,$0-8
	LEAQ	runtime·sigpanic0(SB), AX
	MOVQ	AX, ret+0(FP)
	RET
