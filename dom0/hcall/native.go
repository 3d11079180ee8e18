// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package hcall

import "ringo/hv/abi"

func vmmcall(nr, a0, a1, a2, a3, a4 uint64) (status, value uint64)

func vmcall(nr, a0, a1, a2, a3, a4 uint64) (status, value uint64)

// The methods have pointers for receivers: an interface would reach those of values
// through one more function, at each call.
type callVMMCALL struct{}

func (*callVMMCALL) Call(nr abi.Call, a0, a1, a2, a3, a4 uint64) (abi.Status, uint64) {
	st, v := vmmcall(uint64(nr), a0, a1, a2, a3, a4)
	return abi.Status(st), v
}

type callVMCALL struct{}

func (*callVMCALL) Call(nr abi.Call, a0, a1, a2, a3, a4 uint64) (abi.Status, uint64) {
	st, v := vmcall(uint64(nr), a0, a1, a2, a3, a4)
	return abi.Status(st), v
}

// Native returns the Caller that executes the instruction which
// abi.StartInfo.CallInsn names. Outside a guest the instruction is an invalid
// opcode.
func Native(callInsn uint32) Caller {
	switch callInsn {
	case abi.CallVMMCALL:
		return &callVMMCALL{}
	case abi.CallVMCALL:
		return &callVMCALL{}
	}
	panic("hcall: unknown hypercall instruction")
}
