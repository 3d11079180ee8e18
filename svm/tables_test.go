// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package svm

import (
	"math/bits"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/hv/vcpu"
	"ringo/hv/x86"
	"ringo/mm"
)

func TestPermissionMaps(t *testing.T) {
	m := newMachine(t, qemuMax, 0)
	count := func(a mm.HPA, pages int) (zeros int) {
		for w := a; w < a+mm.HPA(pages*mm.PageSize); w += 8 {
			zeros += 64 - bits.OnesCount64(m.env.Phys.Load64(w))
		}
		return zeros
	}
	if n := count(m.iopm, iopmPages); n != 0 {
		t.Errorf("%d ports are open", n)
	}
	if n, want := count(m.msrpm, msrpmPages), 2*len(passThrough); n != want {
		t.Errorf("%d bits of the MSR map are open, want %d", n, want)
	}
	for _, msr := range passThrough {
		bit, ok := msrBit(msr)
		if w := m.env.Phys.Load64(m.msrpm + mm.HPA(bit/64*8)); !ok || w>>(bit%64)&3 != 0 {
			t.Errorf("MSR %#x is closed", msr)
		}
	}
}

// Table 15-10 of APM Vol. 2, "MSR Ranges Covered by MSRPM".
func TestMSRBit(t *testing.T) {
	for _, tt := range []struct {
		msr    uint32
		offset uint64 // in bytes
		ok     bool
	}{
		{0, 0, true},
		{0x1fff, 0x7ff, true},
		{0x2000, 0, false},
		{0xc000_0000, 0x800, true},
		{0xc000_1fff, 0xfff, true},
		{0xc001_0000, 0x1000, true},
		{0xc001_1fff, 0x17ff, true},
		{0xc001_2000, 0, false},
		{0x4000_0000, 0, false},
	} {
		bit, ok := msrBit(tt.msr)
		if ok != tt.ok || bit/8 != tt.offset {
			t.Errorf("MSR %#x: byte %#x, %v", tt.msr, bit/8, ok)
		}
	}
}

func TestAttributesRoundTrip(t *testing.T) {
	for a := range uint16(0x1000) {
		if got := toAttrib(fromAttrib(a)); got != a {
			t.Fatalf("%#x -> %#x -> %#x", a, fromAttrib(a), got)
		}
	}
	for _, tt := range []struct {
		access uint32
		attrib uint16
		back   uint32
	}{
		{0x9b, 0x9b, 0x9b},                    // 16-bit code
		{0xa09b, 0xa9b, 0xa09b},               // 64-bit code: G, L
		{0xc093, 0xc93, 0xc093},               // flat data: G, B
		{0x8b, 0x8b, 0x8b},                    // busy TSS
		{0x10000, 0, 0x10000},                 // unusable
		{0x1c0f3, 0xc73, 0x1c073},             // unusable says P=0
		{0x1000 | 0x93, 0x193, 0x1000 | 0x93}, // AVL
	} {
		if a := toAttrib(tt.access); a != tt.attrib || fromAttrib(a) != tt.back {
			t.Errorf("%#x: attributes %#x, back %#x", tt.access, a, fromAttrib(a))
		}
	}
}

func TestEventFormat(t *testing.T) {
	for _, tt := range []struct {
		e vcpu.Event
		w uint64
	}{
		{vcpu.Event{Type: vcpu.ExternalInterrupt, Vector: 0x30}, 0x8000_0030},
		{vcpu.Event{Type: vcpu.NMI, Vector: 2}, 0x8000_0202},
		{vcpu.Event{Type: vcpu.HardException, Vector: 6}, 0x8000_0306},
		{vcpu.Event{Type: vcpu.HardException, Vector: 13, HasErr: true, Err: 0x18}, 0x18_8000_0b0d},
		{vcpu.Event{Type: vcpu.SoftException, Vector: 3}, 0x8000_0303},
		{vcpu.Event{Type: vcpu.SoftInterrupt, Vector: 0x80}, 0x8000_0480},
	} {
		if w := encodeEvent(tt.e); w != tt.w {
			t.Errorf("%+v: %#x, want %#x", tt.e, w, tt.w)
		}
		if e, ok := decodeEvent(tt.w); !ok || e != tt.e {
			t.Errorf("%#x: %+v", tt.w, e)
		}
	}
	if _, ok := decodeEvent(0x30); ok {
		t.Error("an invalid event was decoded")
	}
	for v := range 256 {
		want := v < 32 && v != 2
		if got := vcpu.Injectable(vcpu.Event{Type: vcpu.HardException, Vector: uint8(v)}); got != want {
			t.Errorf("exception %d: injectable %v", v, got)
		}
	}
	if vcpu.Injectable(vcpu.Event{Type: 7}) || vcpu.Injectable(vcpu.Event{Type: 1}) {
		t.Error("impossible type")
	}
}

// APM Vol. 2, Table 8-3 "Simultaneous Interrupt Resulting in #DF".
func TestMerge(t *testing.T) {
	exc := func(v uint8) vcpu.Event { return vcpu.Event{Type: vcpu.HardException, Vector: v} }
	df := vcpu.Event{Type: vcpu.HardException, Vector: x86.VecDF, HasErr: true}
	contributory := []uint8{0, 10, 11, 12, 13}
	second := []uint8{0, 10, 11, 12, 13, 14}
	want := map[[2]uint8]vcpu.Event{}
	for _, b := range second {
		for _, a := range contributory {
			want[[2]uint8{a, b}] = df
		}
		want[[2]uint8{14, b}] = df
	}
	for _, a := range contributory {
		want[[2]uint8{a, 14}] = exc(14) // one after the other
	}
	for a := range uint8(32) {
		for b := range uint8(32) {
			got, shutdown := vcpu.Merge(exc(a), exc(b))
			triple := a == 8 && (b == 14 || b == 0 || b >= 10 && b <= 13)
			w, ok := want[[2]uint8{a, b}]
			if !ok {
				w = exc(b)
			}
			if triple {
				w = vcpu.Event{}
			}
			if shutdown != triple || got != w {
				t.Errorf("%d then %d: %+v, %v", a, b, got, shutdown)
			}
		}
	}
}

func TestLegalXCR0(t *testing.T) {
	for _, tt := range []struct{ in, want uint32 }{
		{0, 1}, {1, 1}, {2, 3}, {3, 3}, {7, 7}, {5, 1}, {4, 1},
		{0x1f, 0x1f}, {0x0f, 7}, {0xe7, 0xe7}, {0x67, 7}, {0xe3, 3},
		{0x207, 0x207}, {0x6_0007, 0x6_0007}, {0x2_0007, 7},
	} {
		if got := vcpu.LegalXCR0(tt.in); got != tt.want {
			t.Errorf("%#x: %#x, want %#x", tt.in, got, tt.want)
		}
	}
}

// Every code of the table has a reason of its own; everything else is Unknown
// or Invalid, never a panic.
func TestEveryCode(t *testing.T) {
	named := map[vcpu.Reason]int{}
	for code := range uint64(0x500) {
		var x vcpu.Exit
		decode(&vmcb{exitCode: code}, &features{}, &x)
		if x.Reason != vcpu.Unknown {
			named[x.Reason]++
		}
	}
	want := map[vcpu.Reason]int{
		vcpu.Interrupted: 3, vcpu.Window: 2, vcpu.CPUID: 1, vcpu.RDMSR: 1, vcpu.Hypercall: 1,
		vcpu.IO: 1, vcpu.Memory: 1, vcpu.HLT: 1, vcpu.Pause: 1, vcpu.XSETBV: 1,
		vcpu.CRWrite: 17, vcpu.CRRead: 16, vcpu.DRAccess: 32, vcpu.Cache: 2, vcpu.Monitor: 3,
		vcpu.RDPMC: 1, vcpu.TSC: 2, vcpu.Privileged: 13, vcpu.Exception: 34, vcpu.TaskSwitch: 1,
		vcpu.Shutdown: 1, vcpu.Init: 1, vcpu.BusLock: 1,
	}
	if d := cmp.Diff(want, named); d != "" {
		t.Errorf("codes per reason (-want +got):\n%s", d)
	}
	for _, code := range []uint64{0xffff_ffff, ^uint64(0)} {
		var x vcpu.Exit
		decode(&vmcb{exitCode: code}, &features{}, &x)
		if x.Reason != vcpu.Invalid || x.Raw[0] != code {
			t.Errorf("%#x: %+v", code, x)
		}
	}
}
