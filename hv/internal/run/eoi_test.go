// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package run

import (
	"encoding/binary"
	"math/bits"
	"testing"

	"ringo/hv/abi"
	"ringo/hv/internal/policy"
	"ringo/hv/vcpu"
	"ringo/hv/x86"
)

// TestPVEOI: a guest ends its interrupts in its memory, without an exit, and nothing but
// the bit is written there.
func TestPVEOI(t *testing.T) {
	const word, vector, level = 0x3004, 0x51, 0x61
	g := newRig(t)
	d, hw := g.guest("a")
	v := d.VCPUs[0]
	v.APIC.WriteMSR(x86.MSRAPICBase, v.APIC.Base()|1<<10, 0)
	v.APIC.WriteMSR(x86.MSRX2APICBase+0xf, 0x1ff, 0)
	hw.State[x86.RFLAGS] = 2 | x86.FlagIF
	write := func(val uint64) bool {
		_, ok := writeMSR(v, abi.MSRKVMEOI, val, 0)
		return ok
	}
	const around = 0xa1a2a3a4_a5a6a7a8
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], around)
	binary.LittleEndian.PutUint32(b[4:], 0xfffffffe)
	binary.LittleEndian.PutUint64(b[8:], around)
	d.Write(word-4, b[:])
	memory := func() uint32 {
		d.Read(word-4, b[:])
		if binary.LittleEndian.Uint32(b[:]) != around&0xffff_ffff || binary.LittleEndian.Uint64(b[8:]) != around {
			t.Errorf("memory around the word is % x", b)
		}
		return binary.LittleEndian.Uint32(b[4:])
	}
	for _, val := range []uint64{word | 2, word | 3, 2, 1<<50 | 1, 1<<40 | 1, 0xfee0_0001} {
		if write(val) {
			t.Errorf("%#x is accepted", val)
		}
	}
	if !write(word|1) || v.EOIWord() != word|1 || memory() != 0xfffffffe {
		t.Fatalf("MSR %#x, word %#x", v.EOIWord(), memory())
	}
	step := func(*x86.Regs) {}
	forever(hw, func(r *x86.Regs) vcpu.Exit {
		hw.HasPending = false
		step(r)
		return vcpu.Exit{Reason: vcpu.HLT, Len: 1, TSC: g.now}
	})
	d.Unpause()
	g.run()
	post := func(vec uint8, level bool, handler func(*x86.Regs)) {
		t.Helper()
		ran := false
		step = func(r *x86.Regs) {
			if !ran {
				ran = true
				handler(r)
			}
		}
		if v.APIC.SetIRR(vec, level) {
			v.Notify()
		}
		if g.run(); !ran {
			t.Fatalf("%#x wakes nobody", vec)
		}
	}
	clear := func(*x86.Regs) {
		if got := memory(); got != ^uint32(0) {
			t.Fatalf("the word is %#x in the handler", got)
		}
		d.Write(word, []byte{0xfe})
	}
	inService := func(what string, want uint64) {
		t.Helper()
		got := uint64(0)
		for i := range uint32(8) {
			if w, _ := v.APIC.ReadMSR(x86.MSRX2APICBase+0x10+i, 0); w != 0 {
				got = got<<8 | uint64(i*32) + uint64(bits.Len64(w)-1)
			}
		}
		if got != want {
			t.Errorf("%s: %#x in service, want %#x", what, got, want)
		}
	}
	post(vector, false, clear)
	inService("ended", 0)
	post(vector, false, func(*x86.Regs) {})
	inService("not ended", vector)
	if memory() != 0xfffffffe {
		t.Error("the bit is set while the vCPU sleeps")
	}
	post(level, true, func(*x86.Regs) {
		if memory() != 0xfffffffe {
			t.Error("a level-triggered interrupt may be ended in memory")
		}
		v.APIC.EOI()
	})
	post(level, false, clear)
	inService("a higher one ended", vector)
	v.APIC.EOI()
	post(vector, false, func(*x86.Regs) {
		if !write(0) || memory() != 0xfffffffe {
			t.Error("the bit stays when the MSR is cleared")
		}
	})
	inService("after the MSR is cleared", vector)
	v.APIC.EOI()
	write(word | 1)
	post(vector, false, func(*x86.Regs) {
		if v.Reset(); v.EOIWord() != 0 {
			t.Error("the MSR outlives INIT")
		}
	})
}

// TestPVEOIOffered: where the CPU ends interrupts without exits there is no such MSR.
func TestPVEOIOffered(t *testing.T) {
	for _, virtual := range []bool{false, true} {
		g := newRig(t)
		g.b.Caps().VirtualAPIC = virtual
		d, _ := g.guest("a")
		bit := d.Plat.CPUID.Get(&policy.View{}, abi.CPUIDKVMBase+1, 0).EAX >> 6 & 1
		v := d.VCPUs[0]
		if _, ok := readMSR(v, abi.MSRKVMEOI, 0); ok == virtual || bit == 1 == virtual {
			t.Errorf("virtual local APIC %v: MSR %v, bit %d", virtual, ok, bit)
		}
	}
}
