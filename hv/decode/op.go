// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package decode

// Op is what an instruction does.
type Op uint8

// Operations. Add to Cmp have the order of their encoding.
const (
	Unsupported Op = iota
	Add
	Or
	Adc
	Sbb
	And
	Sub
	Xor
	Cmp
	Test
	Not
	Neg
	Inc
	Dec
	Xchg
	Cmpxchg
	Xadd
	Bt // Bt to Btc have the order of their encoding
	Bts
	Btr
	Btc

	Mov   // also MOVNTI
	Movzx //
	Movsx // also MOVSXD
	Movbe //
	Setcc //
	Cmov  //
	Push  // of a memory operand
	Pop   // to a memory operand
	Flush // CLFLUSH, CLFLUSHOPT, CLWB: touch memory, do nothing

	Movs
	Cmps
	Stos
	Lods
	Scas
	// These exit by themselves, and may touch memory besides.
	Ins
	Outs
	SMSW // Dst: Reg or Mem
	LMSW // Src: Reg or Mem

	In
	Out
	CPUID
	RDMSR
	WRMSR
	RDTSC
	RDTSCP
	RDPMC
	HLT
	PAUSE
	MONITOR
	MWAIT
	VMCALL
	VMMCALL
	XSETBV
	INVD
	WBINVD
	INVLPG
	CLTS
	MovToCR
	MovFromCR
	MovToDR
	MovFromDR
	IRET
	RSM
	INT  // vector in Imm
	INT3 // CC
	INT1 // F1
	// Nested are the instructions of nested virtualization and SKINIT.
	Nested
	numOps

	opExiting = Ins
	undefined = numOps
)
