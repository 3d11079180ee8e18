// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package svm

// segment is a segment register in the VMCB (APM Vol. 2, Table B-2).
type segment struct {
	selector uint16
	attrib   uint16
	limit    uint32
	base     uint64
}

// vmcb is the virtual machine control block, one page (APM Vol. 2, Table B-1
// and Table B-2). Offsets are asserted in layout_unsafe.go. Fields that the CPU
// may cache between two VMRUNs (APM Vol. 2, "VMCB Clean Field") are written
// through the setters of clean.go only, except on a fresh VMCB.
type vmcb struct {
	crIntercepts   uint32 // 000: reads 15:0, writes 31:16
	drIntercepts   uint32 // 004
	exceptions     uint32 // 008
	misc1          uint32 // 00c
	misc2          uint32 // 010
	misc3          uint32 // 014
	_              [0x24]byte
	pauseThreshold uint16 // 03c
	pauseCount     uint16 // 03e
	iopm           uint64 // 040
	msrpm          uint64 // 048
	tscOffset      uint64 // 050
	asid           uint32 // 058
	tlbControl     uint32 // 05c
	vintr          uint64 // 060
	interruptState uint64 // 068
	exitCode       uint64 // 070
	exitInfo1      uint64 // 078
	exitInfo2      uint64 // 080
	exitIntInfo    uint64 // 088
	nested         uint64 // 090
	_              [0x10]byte
	eventInj       uint64 // 0a8
	nCR3           uint64 // 0b0
	lbr            uint64 // 0b8
	clean          uint32 // 0c0
	_              uint32
	nextRIP        uint64   // 0c8
	fetched        uint8    // 0d0
	insn           [15]byte // 0d1
	_              [0x40]byte
	busLocks       uint16 // 120: that many bus locks cause no exit
	_              [0x2de]byte
	es, cs, ss, ds segment // 400
	fs, gs         segment // 440
	gdtr, ldtr     segment // 460
	idtr, tr       segment // 480
	_              [0x2b]byte
	cpl            uint8 // 4cb
	_              uint32
	efer           uint64 // 4d0
	_              [0x70]byte
	cr4            uint64 // 548
	cr3            uint64 // 550
	cr0            uint64 // 558
	dr7            uint64 // 560
	dr6            uint64 // 568
	rflags         uint64 // 570
	rip            uint64 // 578
	_              [0x58]byte
	rsp            uint64 // 5d8
	_              [0x18]byte
	rax            uint64 // 5f8
	star           uint64 // 600
	lstar          uint64 // 608
	cstar          uint64 // 610
	sfmask         uint64 // 618
	kernelGSBase   uint64 // 620
	sysenterCS     uint64 // 628
	sysenterESP    uint64 // 630
	sysenterEIP    uint64 // 638
	cr2            uint64 // 640
	_              [0x20]byte
	gPAT           uint64 // 668
	debugCtl       uint64 // 670
	brFrom, brTo   uint64 // 678
	excFrom, excTo uint64 // 688
	_              [0x968]byte
}

// saveStart and saveEnd bound the state save area in 8-byte words of the VMCB.
const (
	saveStart = 0x400 / 8
	saveEnd   = 0x700 / 8
)

// VMCB offset 05c, TLB_CONTROL (APM Vol. 2, "TLB Control").
const (
	tlbNothing   = 0
	tlbFlushAll  = 1
	tlbFlushASID = 3
)

// VMCB offset 060 (APM Vol. 2, Table B-1).
const (
	vTPRMask     = 0xff
	vIRQ         = 1 << 8
	vPrio        = 0xf << 16
	vIgnoreTPR   = 1 << 20
	vIntrMasking = 1 << 24
	vVectorShift = 32
	vVector      = 0xff << vVectorShift
	// vWindow requests a virtual interrupt of the highest priority. With the
	// VINTR intercept it never arrives: it ends the run when it could.
	vWindow = vIRQ | vPrio | vIgnoreTPR
)

// VMCB offset 068.
const interruptShadow = 1 << 0

// VMCB offset 090.
const nestedPaging = 1 << 0

// VMCB offset 0c0 (APM Vol. 2, "VMCB Clean Field").
const (
	cleanIntercepts = 1 << 0 // intercept vectors, TSC offset, PAUSE filter
	cleanIOPM       = 1 << 1
	cleanASID       = 1 << 2
	cleanTPR        = 1 << 3 // offset 060
	cleanNP         = 1 << 4 // N_CR3, G_PAT, nested paging
	cleanCR         = 1 << 5 // CR0, CR3, CR4, EFER
	cleanDR         = 1 << 6 // DR6, DR7
	cleanDT         = 1 << 7 // GDTR, IDTR
	cleanSeg        = 1 << 8 // CS, DS, SS, ES, CPL
	cleanCR2        = 1 << 9
	cleanAll        = 1<<10 - 1
)
