// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package svm

import (
	"ringo/hv/vcpu"
	"ringo/hv/x86"
	"ringo/mm"
)

// decode translates the exit that b holds to x. It reads b only: what depends
// on a vCPU's history (windows, lengths remembered) is the business of finish,
// which gets the form of the exit. Fields of x that do not belong to its reason
// keep what they held.
func decode(b *vmcb, f *features, x *vcpu.Exit) form {
	code := b.exitCode
	x.CPL, x.RIP, x.Len, x.Ahead = b.cpl&3, b.rip, 0, false
	x.Raw = [3]uint64{code, b.exitInfo1, b.exitInfo2}
	if code < exitINTR || code >= numSmallCodes {
		return decodeRange(b, f, uint32(code), x)
	}
	k := codes[code]
	x.Reason = k.reason
	switch k.form {
	case fNone:
		x.Reason = vcpu.Unknown
	case fMSR:
		if b.exitInfo1 != 0 {
			x.Reason = vcpu.WRMSR
		}
	case fCR:
		x.CR = decodeCR(uint32(code), b.exitInfo1, f.decodeAssists)
	case fIO:
		x.Len = distance(b.rip, b.exitInfo2)
		x.IO = decodeIO(uint32(b.exitInfo1))
	case fICEBP:
		// A trap after the instruction: the receiver advances, then injects.
		x.Event = vcpu.Event{Type: vcpu.SoftException, Vector: x86.VecDB}
	case fFERR:
		// A legacy x87 error would freeze the CPU for an external FERR# line
		// that nobody has: the guest gets the exception instead.
		x.Event = vcpu.Event{Type: vcpu.HardException, Vector: x86.VecMF}
	}
	if f.nextRIP && k.form >= fInsn && k.form <= fICEBP {
		x.Len = distance(b.rip, b.nextRIP)
	}
	return k.form
}

// decodeRange is decode for codes outside the table.
func decodeRange(b *vmcb, f *features, code uint32, x *vcpu.Exit) form {
	switch {
	case code < exitDRRead0:
		x.Reason = vcpu.CRRead
		if code >= exitCRWrite0 {
			x.Reason = vcpu.CRWrite
		}
		x.CR = decodeCR(code, b.exitInfo1, f.decodeAssists)
		if f.nextRIP {
			x.Len = distance(b.rip, b.nextRIP)
		}
		return fCR
	case code < exitExcp0:
		x.Reason = vcpu.DRAccess
	case code < exitINTR:
		x.Reason = vcpu.Exception
		x.Event = decodeException(uint8(code-exitExcp0), uint32(b.exitInfo1))
	case code == exitNPF:
		x.Reason, x.Mem = vcpu.Memory, decodeNPF(b.exitInfo1, b.exitInfo2)
		return fMem
	case code == exitInvalid:
		x.Reason = vcpu.Invalid
	default:
		x.Reason = vcpu.Unknown
	}
	return fEvent
}

// distance is next-rip if that can be an instruction's length, else 0.
func distance(rip, next uint64) uint8 {
	if n := next - rip; n <= 15 {
		return uint8(n)
	}
	// IP or EIP wrapped: not worth knowing.
	return 0
}

const (
	attribConforms = 1 << 2 // of a code segment
	attribDPL      = 3 << 5
	attribL        = 1 << 9
	attribDB       = 1 << 10
)

const ioString = 1 << 2 // INS or OUTS

// decodeIO splits EXITINFO1 of a port access (APM Vol. 2, "I/O Intercepts",
// Figure "EXITINFO1 for IOIO Intercept"): TYPE 0, STR 2, SZ8 4, SZ16 5, SZ32 6,
// PORT 31:16. What it says of the operand in memory QEMU 7.2 does not, so the
// receiver decodes the instruction.
func decodeIO(info uint32) vcpu.IOExit {
	return vcpu.IOExit{
		Port:   uint16(info >> 16),
		Size:   uint8(info >> 4 & 7),
		In:     info&1 != 0,
		String: info&ioString != 0,
	}
}

// decodeNPF splits the error code of a nested page fault (APM Vol. 2, "Nested
// versus Guest Page Faults"): P 0, R/W 1, U/S 2, RSV 3, I/D 4; bit 32: the final
// address; bit 33: the guest's page tables.
func decodeNPF(info, gpa uint64) vcpu.MemExit {
	return vcpu.MemExit{
		GPA:     mm.GPA(gpa),
		Write:   info&x86.PFWrite != 0,
		Fetch:   info&x86.PFFetch != 0,
		Walk:    info&(1<<33) != 0,
		Present: info&x86.PFPresent != 0,
	}
}

// decodeCR splits a control-register exit (APM Vol. 2, "Decode Assists"): bit
// 63 of EXITINFO1 says MOV, bits 3:0 its operand. Without it, or without decode
// assists, it may also be LMSW, CLTS or SMSW: the receiver decodes.
func decodeCR(code uint32, info uint64, assists bool) vcpu.CRExit {
	x := vcpu.CRExit{CR: uint8(code & 15)}
	if code == exitCR0Sel {
		x.CR = 0
	}
	if assists && info>>63 != 0 {
		x.Known, x.GPR = true, uint8(info&15)
	}
	return x
}

// decodeException builds the event of an intercepted exception; the error code
// is in EXITINFO1 (APM Vol. 2, "Exception Intercepts").
func decodeException(vector uint8, err uint32) vcpu.Event {
	e := vcpu.Event{Type: vcpu.HardException, Vector: vector}
	if vector == x86.VecBP || vector == vecOF {
		e.Type = vcpu.SoftException
	}
	if hasErrorCode>>vector&1 != 0 {
		e.HasErr, e.Err = true, err
	}
	return e
}

// hasErrorCode has a bit for each vector that pushes an error code (APM Vol. 2,
// Table 8-1): DF, TS, NP, SS, GP, PF, AC, CP, VC, SX.
const hasErrorCode = 1<<8 | 1<<10 | 1<<11 | 1<<12 | 1<<13 | 1<<14 | 1<<17 | 1<<21 | 1<<29 | 1<<30
