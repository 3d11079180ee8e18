// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vcputest

import (
	"encoding/binary"

	"ringo/hv/x86"
)

// Guest memory of the scripts.
const (
	apicLog  = GuestData         // vectors in the order of delivery
	apicDump = GuestData + 0x800 // a dump per operation
	apicStub = 0x20000           // a handler per vector, 16 bytes apart
)

// x2 is the x2APIC MSR of a register.
func x2(reg uint32) uint32 { return x86.MSRX2APICBase + reg }

// dumped are the registers of a dump.
var dumped = func() (list []uint32) {
	list = append(list, x2(x86.APICTPR), x2(x86.APICPPR))
	for i := range uint32(8) {
		list = append(list, x2(x86.APICISR+i), x2(x86.APICIRR+i))
	}
	return append(list, x2(0x0f), x2(0x30), x2(0x32)) // SVR, ICR, LVT timer
}()

// opKind is a kind of operation.
type opKind uint8

const (
	opWrite  opKind = iota // WRMSR msr, val
	opCR8                  // MOV CR8, val
	opWindow               // STI; NOP; CLI
	opPost                 // an interrupt comes from outside: val is the vector
	opLevel                // the same, level-triggered
	opLeave                // the vCPU leaves its CPU, and its local APIC is saved and restored
)

type apicOp struct {
	kind opKind
	msr  uint32
	val  uint32
}

// self, tpr and so on are the frequent operations.
func self(v uint32) apicOp  { return apicOp{opWrite, x2(0x3f), v} }
func tpr(v uint32) apicOp   { return apicOp{opWrite, x2(x86.APICTPR), v} }
func cr8(v uint32) apicOp   { return apicOp{kind: opCR8, val: v} }
func post(v uint32) apicOp  { return apicOp{kind: opPost, val: v} }
func level(v uint32) apicOp { return apicOp{kind: opLevel, val: v} }
func base(v uint32) apicOp  { return apicOp{opWrite, x86.MSRAPICBase, v} }

var (
	eoi    = apicOp{opWrite, x2(x86.APICEOI), 0}
	window = apicOp{kind: opWindow}
	leave  = apicOp{kind: opLeave}
)

// Values of IA32_APIC_BASE on the first CPU.
const (
	baseX2  = 0xfee0_0d00
	baseX1  = 0xfee0_0900
	baseOff = 0xfee0_0100
)

// again are the operations that bring a local APIC back into x2APIC mode.
var again = []apicOp{base(baseOff), base(baseX1), base(baseX2), {opWrite, x2(0x0f), 0x1ff}}

// emit returns the guest code of an operation. R14 is where the next dump goes,
// R15 where the next vector goes.
func (o apicOp) emit() (code []byte) {
	imm := func(op byte, val uint32) { code = binary.LittleEndian.AppendUint32(append(code, op), val) }
	switch o.kind {
	case opWrite:
		imm(0xb9, o.msr)                            // mov ecx, msr
		imm(0xb8, o.val)                            // mov eax, val
		code = append(code, 0x31, 0xd2, 0x0f, 0x30) // xor edx, edx; wrmsr
	case opCR8:
		imm(0xb8, o.val)
		code = append(code, 0x44, 0x0f, 0x22, 0xc0) // mov cr8, rax
	case opWindow:
		code = append(code, 0xfb, 0x90, 0xfa)
	default:
		imm(0xb8, o.val)
		imm(0xb9, uint32(o.kind))
		code = append(code, 0x0f, 0xa2) // cpuid
	}
	return code
}

// emitDump returns code that stores the registers of a dump.
func emitDump() (code []byte) {
	for _, msr := range dumped {
		code = binary.LittleEndian.AppendUint32(append(code, 0xb9), msr)
		code = append(code, 0x0f, 0x32, 0x41, 0x89, 0x06, 0x49, 0x83, 0xc6, 4) // rdmsr; mov [r14], eax; add r14, 4
	}
	return code
}
