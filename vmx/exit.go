// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vmx

import (
	"ringo/hv/vcpu"
	"ringo/mm"
)

// information is what the VMCS says about an exit besides its reason; only the
// fields that the reason's form names are read.
type information struct {
	qualification uint64
	gpa           uint64
	interruption  uint32
	err           uint32
}

// decode translates an exit to x, as far as it does not depend on the vCPU's
// history. Fields of x that do not belong to its reason keep what they held.
func decode(reason uint32, i *information, x *vcpu.Exit) form {
	x.Raw = [3]uint64{uint64(reason), i.qualification, i.gpa}
	if reason&reasonEntryFailed != 0 {
		x.Reason = vcpu.Invalid
		return fEvent
	}
	if reason >= numReasons || reasons[reason].form == fNone {
		x.Reason = vcpu.Unknown
		return fEvent
	}
	k := reasons[reason]
	x.Reason = k.reason
	switch k.form {
	case fCR:
		x.Reason, x.CR = decodeCR(i.qualification)
	case fIO:
		x.IO = decodeIO(i.qualification)
	case fException:
		x.Raw[1], x.Raw[2] = uint64(i.interruption), uint64(i.err)
		x.Reason, x.Event = decodeException(i.interruption, i.err)
	case fEPT:
		x.Mem = decodeEPT(i.qualification, i.gpa)
	case fAPIC:
		x.APIC = decodeAPIC(reason, i.qualification)
	case fNotify:
		if i.qualification&notifyInvalid != 0 {
			x.Reason = vcpu.Lost
		}
	}
	return k.form
}

// decodeCR splits the qualification of a control-register access (SDM Vol. 3,
// Table "Exit Qualification for Control-Register Accesses"): number 3:0, access
// 5:4 (0 MOV to, 1 MOV from, 2 CLTS, 3 LMSW), operand 11:8. For CLTS and LMSW the
// receiver decodes the instruction.
func decodeCR(q uint64) (vcpu.Reason, vcpu.CRExit) {
	x := vcpu.CRExit{CR: uint8(q & 15)}
	switch q >> 4 & 3 {
	case 0:
		x.Known, x.GPR = true, uint8(q>>8&15)
	case 1:
		x.Known, x.GPR = true, uint8(q>>8&15)
		return vcpu.CRRead, x
	}
	return vcpu.CRWrite, x
}

// notifyInvalid is bit 0 of the qualification of a notify exit: the VM context in the
// VMCS is invalid (SDM Vol. 3, Table "Exit Qualification for Notify VM Exits"). Bit 12
// is evUnblocked.
const notifyInvalid = 1 << 0

// Bits of the qualification of a port access.
const (
	ioIn     = 1 << 3
	ioString = 1 << 4 // INS or OUTS
)

// decodeIO splits the qualification of a port access (SDM Vol. 3, Table "Exit
// Qualification for I/O Instructions"): size minus 1 2:0, IN 3, string 4, port 31:16.
func decodeIO(q uint64) vcpu.IOExit {
	return vcpu.IOExit{
		Port:   uint16(q >> 16),
		Size:   uint8(q&7) + 1,
		In:     q&ioIn != 0,
		String: q&ioString != 0,
	}
}

// decodeEPT splits the qualification of an EPT violation (SDM Vol. 3, Table
// "Exit Qualification for EPT Violations"): read 0, write 1, fetch 2, what the
// translation permits 5:3, linear address valid 7, and then in bit 8 whether the
// access was to the translation of it, or to a page table on the way.
func decodeEPT(q, gpa uint64) vcpu.MemExit {
	return vcpu.MemExit{
		GPA:     mm.GPA(gpa),
		Write:   q&(1<<1) != 0,
		Fetch:   q&(1<<2) != 0,
		Walk:    q&(1<<7) != 0 && q&(1<<8) == 0,
		Present: q&(7<<3) != 0,
	}
}

// decodeException builds the event of an intercepted exception or NMI. The NMI
// was the host's, and has been raised again (enter_amd64.s). INT1, INT3 and INTO
// are instructions: the receiver advances, then injects.
func decodeException(info, err uint32) (vcpu.Reason, vcpu.Event) {
	e, ok := decodeEvent(uint64(info), uint64(err))
	switch {
	case !ok:
		return vcpu.Unknown, vcpu.Event{}
	case e.Type == vcpu.NMI:
		return vcpu.Interrupted, vcpu.Event{}
	}
	return vcpu.Exception, e
}
