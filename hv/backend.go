// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"errors"

	"ringo/boot/kernel"
	"ringo/boot/layout"
	"ringo/hv/abi"
	"ringo/hv/internal/dbg"
	"ringo/hv/internal/part"
	"ringo/hv/spec"
	"ringo/hv/vcpu"
	"ringo/mm"
	"ringo/mm/frame"
	"ringo/svm"
	"ringo/vmx"
)

// maxCPUs is what both backends can serve.
const maxCPUs = min(svm.MaxCPUs, vmx.MaxCPUs)

// chooseBackend finds the way of running guests that this CPU has, and returns
// the hypercall instruction that goes with it. Precondition: no other CPU runs
// yet (kernel.UseUDSyscalls).
func chooseBackend(m *part.Machine) (callInsn uint32) {
	facts := spec.Read()
	m.Spec = spec.Decide(&facts)
	dbg.At(dbg.Info).S("speculation: ").S(m.Spec.String()).End()
	env := &vcpu.Env{
		Phys:  direct,
		Pages: func(n int) (mm.HPA, error) { return m.Frames.Pages(n, frame.HV, frame.Control) },
		Release: func(a mm.HPA, n int) {
			for size := uint64(n) * mm.PageSize; size > 0; {
				k := m.Frames.Free(a, size, frame.HV)
				a, size = a+mm.HPA(k), size-k
			}
		},
		Virt:     func(a mm.HPA) uintptr { return layout.DirectMap + uintptr(a) },
		KickWord: kernel.KickWord,
		TSCHz:    m.TSCHz,
		Spec:     m.Spec,
	}
	b, insn, err := newBackend(env)
	if err != nil {
		fatal(err.Error())
	}
	m.Backend = b
	dbg.At(dbg.Info).S("virtualization: ").S(b.Caps().Name).End()
	return insn
}

// newBackend tries AMD-V, then VT-x.
func newBackend(env *vcpu.Env) (b vcpu.Backend, callInsn uint32, err error) {
	b, err = svm.New(env, svm.ReadRegisters())
	if err == nil {
		return b, abi.CallVMMCALL, nil
	}
	if !errors.Is(err, svm.ErrAbsent) {
		return nil, 0, err
	}
	b, err = vmx.New(env, vmx.ReadRegisters())
	switch {
	case errors.Is(err, vmx.ErrAbsent):
		return nil, 0, errNeither
	case err != nil:
		return nil, 0, err
	}
	return b, abi.CallVMCALL, kernel.UseUDSyscalls()
}

var errNeither = errors.New("this CPU has neither AMD-V nor VT-x, or it is hidden by the firmware or an emulator")
