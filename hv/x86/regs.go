// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package x86 is the vocabulary of the architecture that both backends, the
// instruction decoder and the virtual devices share: registers, segments,
// control bits, MSR and exception numbers. Encodings are Intel's; svm converts
// at its edge. It imports nothing of ours.
package x86

// Regs is the general-purpose register file of a vCPU while it is not running.
// The entry code of vmx and svm reaches the fields through go_asm.h, so the
// order is free but every field must stay a uint64. RSP, RIP and RFLAGS live in
// the VMCB or VMCS and are reached through vcpu.VCPU Get and Set.
type Regs struct {
	RAX, RCX, RDX, RBX, _rsp, RBP, RSI, RDI uint64
	R8, R9, R10, R11, R12, R13, R14, R15    uint64
}

// GPR returns a pointer to general-purpose register n in instruction encoding
// order (0 RAX, 1 RCX, 2 RDX, 3 RBX, 4 RSP, 5 RBP, 6 RSI, 7 RDI, 8-15). Number
// 4 is a scratch slot: RSP is not kept here.
func (r *Regs) GPR(n uint8) *uint64 {
	switch n & 15 {
	case 0:
		return &r.RAX
	case 1:
		return &r.RCX
	case 2:
		return &r.RDX
	case 3:
		return &r.RBX
	case 4:
		return &r._rsp
	case 5:
		return &r.RBP
	case 6:
		return &r.RSI
	case 7:
		return &r.RDI
	case 8:
		return &r.R8
	case 9:
		return &r.R9
	case 10:
		return &r.R10
	case 11:
		return &r.R11
	case 12:
		return &r.R12
	case 13:
		return &r.R13
	case 14:
		return &r.R14
	}
	return &r.R15
}

// Reg names the registers that vcpu.VCPU Get and Set reach.
type Reg uint8

const (
	RIP Reg = iota
	RSP
	RFLAGS
	CR0
	CR2
	CR3
	CR4
	CR8 // task priority, 0-15
	DR0
	DR1
	DR2
	DR3
	DR6
	DR7
	XCR0
	EFER
	PAT
	STAR
	LSTAR
	CSTAR
	SFMASK
	KernelGSBase
	SysenterCS
	SysenterESP
	SysenterEIP
	TSCAux
	TSCOffset // guest TSC = host TSC + TSCOffset
	GDTRBase
	GDTRLimit
	IDTRBase
	IDTRLimit
	// TPRThreshold is no register: a run ends, as a window, when the guest has
	// made CR8 smaller than it. 0 is never. A CPU that exits on every write to
	// CR8 has no use for it and reads it as 0.
	TPRThreshold
	// SpecCtrl is IA32_SPEC_CTRL as the guest sees it: the bits that
	// vcpu.Env.Spec lets it have.
	SpecCtrl
	// BranchBarrier is no register: Set, on the CPU that runs the guest, with
	// bit 0 drops the CPU's indirect branch predictions, as IA32_PRED_CMD does.
	// It reads as 0.
	BranchBarrier
	NumRegs
)

// Seg names a segment register, in the order of the VMCS (SDM Vol. 3,
// "Guest Register State").
type Seg uint8

const (
	ES Seg = iota
	CS
	SS
	DS
	FS
	GS
	LDTR
	TR
	NumSegs
)

// Segment is a segment register with its hidden part. Access has Intel's layout
// (SDM Vol. 3, Table "Format of Access Rights"): type 3:0, S 4, DPL 6:5, P 7,
// AVL 12, L 13, D/B 14, G 15, unusable 16. Limit is in bytes.
type Segment struct {
	Selector uint16
	Access   uint32
	Limit    uint32
	Base     uint64
}

// Access-right bits of [Segment].
const (
	SegS        = 1 << 4
	SegDPLShift = 5
	SegP        = 1 << 7
	SegAVL      = 1 << 12
	SegL        = 1 << 13
	SegDB       = 1 << 14
	SegG        = 1 << 15
	SegUnusable = 1 << 16
)
