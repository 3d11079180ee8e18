// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"encoding/binary"
	"slices"

	"ringo/hv/vcpu"
	"ringo/hv/vcpu/vcputest"
)

// native makes hypercalls of guest code those of this machine: VMCALL instead of
// VMMCALL.
func (h *harness) native(code []byte) []byte {
	if h.intel {
		return bytes.ReplaceAll(code, []byte("\x0f\x01\xd9"), []byte("\x0f\x01\xc1"))
	}
	return code
}

// bench counts what the backend costs per exit, with a minimal receiver: under
// QEMU's -icount shift=0 a TSC tick is an instruction.
func bench(h *harness) {
	measure := func(code int) uint64 {
		g := h.private()
		vcputest.Boot64(g, g.v, h.native(text(code)))
		g.v.Regs().RSI = dataPage
		var x vcpu.Exit
		var samples []uint64
		for len(samples) < 50 {
			g.v.Run(0, &x)
			switch x.Reason {
			case vcpu.CPUID:
				r := g.v.Regs()
				r.RAX, r.RBX, r.RCX, r.RDX = 1, 2, 3, 4
				vcputest.Skip(g.v, &x, vcputest.Length(&x))
			case vcpu.RDMSR:
				r := g.v.Regs()
				r.RAX, r.RDX = 1, 2
				vcputest.Skip(g.v, &x, vcputest.Length(&x))
			case vcpu.IO, vcpu.Hypercall:
				vcputest.Skip(g.v, &x, vcputest.Length(&x))
			case vcpu.HLT:
				samples = append(samples, binary.LittleEndian.Uint64(g.RAM()[dataPage+8:]))
				vcputest.Skip(g.v, &x, 1)
			case vcpu.Interrupted, vcpu.Tick:
			default:
				h.Fatalf("%+v", x)
			}
		}
		g.free()
		return slices.Min(samples)
	}
	empty := measure(codeEmpty)
	for _, m := range []struct {
		name string
		code int
	}{{"CPUID", codeCPUID}, {"RDMSR", codeRDMSR}, {"OUT", codeOUT}, {"hypercall", codeVMMCALL}} {
		n := measure(m.code) - empty
		h.Logf("bench: %-9s %d.%02d instructions per exit", m.name, n/100, n%100)
	}
}
