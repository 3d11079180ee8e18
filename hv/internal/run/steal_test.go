// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package run

import (
	"encoding/binary"
	"testing"

	"ringo/hv/abi"
	"ringo/hv/internal/part"
	"ringo/hv/vcpu"
	"ringo/hv/x86"
)

// TestStealTime runs two guests that only compute on one CPU: what one computes is
// stolen from the other one, and of nobody while it is alone.
func TestStealTime(t *testing.T) {
	const record, quantum = 0x3000, 1_000_000
	g := newRig(t)
	var doms [2]*part.Domain
	var ran [2]uint64
	var mark func(i int) uint8
	for i, name := range []string{"one", "two"} {
		d, hw := g.guest(name)
		doms[i] = d
		if !d.VCPUs[0].SetStealTime(record | 1) {
			t.Fatal("refused")
		}
		forever(hw, func(*x86.Regs) vcpu.Exit {
			if other := 1 - i; mark(i) != 0 || ran[other] != 0 && mark(other) != 1 {
				t.Errorf("while %d runs it has mark %d, the other one %d", i, mark(i), mark(other))
			}
			g.now += quantum
			ran[i] += quantum
			return vcpu.Exit{Reason: vcpu.Interrupted, TSC: g.now}
		})
	}
	stolen := func(i int) uint64 {
		var b [16]byte
		doms[i].Read(record, b[:])
		if b[8]&1 != 0 {
			t.Error("the version is odd while the guest runs")
		}
		return binary.LittleEndian.Uint64(b[:])
	}
	mark = func(i int) uint8 {
		var b [1]byte
		doms[i].Read(record+16, b[:])
		return b[0]
	}
	doms[0].Unpause()
	began := g.now
	doms[1].Unpause()
	for range 40 {
		g.r.turn()
	}
	for i := range doms {
		all, got := g.now-began, stolen(i)
		// What it waits for now is told when it runs again.
		if want := all - ran[i]; got > want || want-got > all/4 || got == 0 {
			t.Errorf("guest %d: %d ns stolen, of %d it ran %d", i, got, all, ran[i])
		}
	}
	if doms[0].VCPUs[0].SetStealTime(record | 2 | 1) {
		t.Error("reserved bits are accepted")
	}
	if !doms[0].VCPUs[0].SetStealTime(1<<50|1) || doms[0].VCPUs[0].StealTime() != 1<<50|1 {
		t.Error("an address without RAM is refused")
	}
}

// TestKick: KVM's hypercall ends a HLT with interrupts off, and one that comes first is
// not lost.
func TestKick(t *testing.T) {
	g := newRig(t)
	d, hw := g.guest("kicked")
	halts := 0
	forever(hw, func(*x86.Regs) vcpu.Exit {
		halts++
		return vcpu.Exit{Reason: vcpu.HLT, Len: 1, TSC: g.now}
	})
	hw.State[x86.RFLAGS] = 2
	d.Unpause()
	check := func(what string, want int) {
		t.Helper()
		if g.run(); halts != want {
			t.Errorf("%s: %d halts, want %d", what, halts, want)
		}
	}
	check("first", 1)
	d.VCPUs[0].Notify()
	check("without a reason", 1)
	d.KickCPU(7)
	check("another one's kick", 1)
	d.KickCPU(0)
	d.KickCPU(0)
	check("kicked twice", 2)
	caller, _ := g.guest("caller")
	v := caller.VCPUs[0]
	call := func(nr, id uint64) uint64 {
		*v.Regs = x86.Regs{RAX: nr, RCX: id}
		v.Exit = vcpu.Exit{Reason: vcpu.Hypercall, Len: 3, Ahead: true}
		hypercall(g.r, v, &v.Exit)
		return v.Regs.RAX
	}
	if got := call(5, 0); got != 0 {
		t.Errorf("the call answers %d", int64(got))
	}
	if !v.Interruptible() {
		t.Error("the call has kicked nobody")
	}
	if v.Unhalt(); v.Interruptible() {
		t.Error("a kick counts twice")
	}
	for _, nr := range []uint64{4, 6, uint64(abi.CallBase) - 1} {
		if got := call(nr, 0); got != ^uint64(999) || v.Interruptible() {
			t.Errorf("call %d answers %d", nr, int64(got))
		}
	}
}
