// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package svm

import "ringo/hv/vcpu"

// register translates an exit at a MOV to or from a control register, or to a debug
// register that the CPU must not execute, when nothing else is going on: what finish
// does, without its questions. It reports false for other accesses to registers. No
// length is remembered: without next RIP the receiver decodes the instruction, and
// knows it then.
//
// Preconditions: the exit code is below that of the exceptions, and todo is 0.
func (v *VCPU) register(x *vcpu.Exit) bool {
	b := v.vmcb
	code := uint32(b.exitCode)
	x.Reason = vcpu.CRRead
	switch {
	case code < exitCRWrite0:
	case code < exitDRRead0:
		x.Reason = vcpu.CRWrite
	case code < exitDRWrite0 || !v.b.f.drWrites:
		return false
	default:
		x.Reason = vcpu.DRWrite
	}
	b.clean = v.clean
	x.CPL, x.RIP, x.Len, x.Ahead = b.cpl&3, b.rip, 0, false
	x.Raw[0], x.Raw[1] = uint64(code), b.exitInfo1
	x.CR.CR, x.CR.Known = uint8(code&15), false
	if v.nrips {
		x.CR = decodeCR(code, b.exitInfo1, v.b.f.decodeAssists && x.Reason != vcpu.DRWrite)
		x.Len = distance(b.rip, b.nextRIP)
	}
	v.frame.meter.Exit(v.cost, x.Reason)
	return true
}
