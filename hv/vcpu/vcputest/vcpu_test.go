// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vcputest

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/hv/vcpu"
	"ringo/hv/x86"
)

func TestScript(t *testing.T) {
	v := NewVCPU(vcpu.Exit{Reason: vcpu.CPUID, Len: 2}, vcpu.Exit{Reason: vcpu.HLT, Len: 1})
	v.Steps[0].Guest = func(v *VCPU) { v.Registers.RAX = 7 }
	irq := vcpu.Event{Type: vcpu.ExternalInterrupt, Vector: 0x30}
	var x vcpu.Exit

	v.Run(3, &x)
	if x.Reason != vcpu.CPUID || x.RIP != vcpu.ResetRIP || v.Regs().RAX != 7 {
		t.Errorf("first exit %+v, RAX %d", x, v.Regs().RAX)
	}
	v.Inject(irq) // refused: IF is clear after reset
	v.Advance(x.Len)
	v.Set(x86.RFLAGS, x86.FlagReserved|x86.FlagIF)
	v.Run(3, &x) // the window
	v.Inject(irq)
	v.Kick()
	v.Run(3, &x)
	v.Run(3, &x)
	v.Run(3, &x)

	want := []Call{
		{Op: OpRun, CPU: 3, Reason: vcpu.CPUID},
		{Op: OpInject, Event: irq},
		{Op: OpAdvance, Val: 2},
		{Op: OpSet, Reg: x86.RFLAGS, Val: x86.FlagReserved | x86.FlagIF},
		{Op: OpRun, CPU: 3, Reason: vcpu.Window},
		{Op: OpInject, Event: irq, OK: true},
		{Op: OpRun, CPU: 3, Reason: vcpu.Interrupted},
		{Op: OpDeliver, Event: irq},
		{Op: OpRun, CPU: 3, Reason: vcpu.HLT},
		{Op: OpRun, CPU: 3, Reason: vcpu.Shutdown},
	}
	if d := cmp.Diff(want, v.Calls); d != "" {
		t.Errorf("record (-want +got):\n%s", d)
	}
}

func TestBackend(t *testing.T) {
	b := NewBackend()
	b.Script = func(v *VCPU) { v.End.Reason = vcpu.HLT }
	if err := b.Enable(1); err != nil || !b.Enabled(1) || b.Enabled(0) {
		t.Errorf("Enable: %v, %v %v", err, b.Enabled(1), b.Enabled(0))
	}
	v, err := b.NewVCPU(nil)
	if err != nil || len(b.Made()) != 1 || b.Made()[0] != v {
		t.Fatalf("NewVCPU: %v, made %d", err, len(b.Made()))
	}
	b.NewErr = errors.New("no memory")
	if _, err := b.NewVCPU(nil); err != b.NewErr {
		t.Errorf("NewVCPU: %v, want %v", err, b.NewErr)
	}
}

// A caller under AllocsPerRun must not be blamed for the record.
func TestNoAllocation(t *testing.T) {
	v := NewVCPU(vcpu.Exit{Reason: vcpu.CPUID, Len: 2})
	var x vcpu.Exit
	if n := testing.AllocsPerRun(100, func() {
		v.Rewind()
		v.Run(0, &x)
		v.Regs().RAX = 1
		v.Advance(x.Len)
	}); n != 0 {
		t.Errorf("%v allocations per run", n)
	}
}
