// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package policy

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/hv/abi"
	"ringo/hv/x86"
)

func policies() map[string]*MSRs {
	return map[string]*MSRs{
		amd:   NewMSRs(NewCPUID(config(amd, ones))),
		intel: NewMSRs(NewCPUID(config(intel, ones))),
	}
}

// TestList names every MSR that exists, per vendor: the rest of all 2^32 that a
// sweep of the neighbourhoods finds is #GP.
func TestList(t *testing.T) {
	common := map[uint32]bool{
		0x10: true, 0x1b: true, 0x3b: true, 0x8b: true, 0xfe: true, 0x174: true, 0x175: true, 0x176: true,
		0x179: true, 0x17a: true, 0x1d9: true, 0x250: true, 0x258: true, 0x259: true, 0x277: true, 0x2ff: true,
		0x6e0: true, 0xc0000080: true, 0xc0000081: true, 0xc0000082: true, 0xc0000083: true, 0xc0000084: true,
		0xc0000100: true, 0xc0000101: true, 0xc0000102: true, 0xc0000103: true,
		abi.MSRKVMSystemTime: true, abi.MSRKVMWallClock: true, abi.MSRKVMStealTime: true, abi.MSRKVMEOI: true,
	}
	for i := range uint32(16) {
		common[0x200+i] = true
	}
	for i := range uint32(8) {
		common[0x268+i] = true
	}
	for i := range uint32(0x100) {
		common[0x800+i] = true
	}
	extra := map[string][]uint32{
		intel: {0x17, 0x2a, 0x3a, 0xce, 0x198, 0x1a0},
		amd: {0xc0010000, 0xc0010001, 0xc0010002, 0xc0010003, 0xc0010004, 0xc0010005, 0xc0010006, 0xc0010007, 0xc0010010, 0xc0010015, 0xc001001a, 0xc001001d, 0xc001001f, 0xc0010055, 0xc0010058, 0xc0010061,
			0xc0010062, 0xc0010063, 0xc0010064, 0xc0010112, 0xc0010113, 0xc0010114, 0xc0011022, 0xc0011029, 0xc001102a},
	}
	for name, m := range policies() {
		want := map[uint32]bool{}
		for k := range common {
			want[k] = true
		}
		for _, k := range extra[name] {
			want[k] = true
		}
		got := map[uint32]bool{}
		var s Storage
		for _, base := range []uint32{0, 0x4000_0000, 0x4b56_4000, 0xbfff_0000, 0xc000_0000, 0xc001_0000, 0xffff_0000} {
			for i := range uint32(0x10000) {
				if _, a, _ := m.Read(&s, base+i); a != Fault {
					got[base+i] = true
				}
			}
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

func TestActions(t *testing.T) {
	type result struct {
		Val uint64
		A   Action
		W   Where
	}
	m := policies()[amd]
	var s Storage
	m.Reset(&s)
	for msr, want := range map[uint32]result{
		0x10:                 {A: TSC},
		0x3b:                 {A: TSCAdjust},
		0x1b:                 {A: LAPIC},
		0x6e0:                {A: LAPIC},
		0x80b:                {A: LAPIC},
		0xc0000080:           {A: EFER},
		0xc0000082:           {A: Register, W: Where{Reg: x86.LSTAR}},
		0xc0000101:           {A: Segment, W: Where{Seg: x86.GS}},
		0x277:                {A: Register, W: Where{Reg: x86.PAT}},
		abi.MSRKVMSystemTime: {A: SystemTime},
		abi.MSRKVMWallClock:  {A: WallClock},
		abi.MSRKVMStealTime:  {A: StealTime},
		abi.MSRKVMEOI:        {A: EOIWord},
		0xfe:                 {Val: 0x508, A: Done},
		0x2ff:                {Val: 0xc06, A: Done},
		0xc0010015:           {Val: 1 << 24, A: Done},
		0xc0011029:           {Val: 2, A: Done},
		0xc0010055:           {A: Done},
		0xc0010000:           {A: Done},
		0xc0010007:           {A: Done},
		0x179:                {A: Done},
		0x48:                 {A: Fault},
		0x10a:                {A: Fault},
		0xda0:                {A: Fault},
		0xc0010117:           {A: Fault},
	} {
		v, a, w := m.Read(&s, msr)
		if d := cmp.Diff(want, result{v, a, w}); d != "" {
			t.Errorf("RDMSR %#x: %s", msr, d)
		}
	}
	cfg := config(amd, ones)
	cfg.PVClock = false
	if _, a, _ := NewMSRs(NewCPUID(cfg)).Read(&s, abi.MSRKVMSystemTime); a != Fault {
		t.Error("the clock's MSR exists without a clock")
	}
	cfg = config(amd, ones)
	cfg.PVEOI = false
	if _, a, _ := NewMSRs(NewCPUID(cfg)).Read(&s, abi.MSRKVMEOI); a != Fault {
		t.Error("the MSR of PV EOI exists without it")
	}
	if _, a, _ := NewMSRs(NewCPUID(config(amd, zeros))).Read(&s, x86.MSRTSCAux); a != Fault {
		t.Error("TSC_AUX exists without RDTSCP")
	}
}

func TestWrites(t *testing.T) {
	m := policies()[amd]
	const bad = uint64(1) << 63
	for _, c := range []struct {
		msr  uint32
		val  uint64
		want Action
	}{
		{0xc0000082, 0xffff_8000_0000_0000, Register},
		{0xc0000082, 0x0000_8000_0000_0000, Fault},
		{0xc0000102, bad, Fault},
		{0xc0000100, 0x7fff_ffff_ffff, Segment},
		{0xc0000100, bad, Fault},
		{0xc0000084, 0x4_7700, Register},
		{0xc0000084, 1 << 32, Fault},
		{0xc0000103, 1 << 32, Fault},
		{0x175, bad, Fault},
		{0x277, 0x0007_0406_0007_0406, Register},
		{0x277, 0x0002_0406_0007_0406, Fault},
		{0x277, 0x0807_0406_0007_0406, Fault},
		{0x2ff, 0xc06, Done},
		{0x2ff, 0xc02, Fault},
		{0x2ff, 0x1c06, Fault},
		{0x250, 0x0606_0606_0606_0606, Done},
		{0x250, 0x0606_0706_0606_0606, Fault},
		{0x200, 0xc000_0000, Done},
		{0x200, 0xc000_0002, Fault},
		{0x200, 0xc000_0100, Fault},
		{0x201, 0xc000_0800, Done},
		{0x201, 0xc000_0001, Fault},
		{0x17a, 7, Done},
		{0x17a, 8, Fault},
		{0xfe, 0, Fault}, // read-only
		{0x179, 0, Fault},
		{0x8b, 0, Done},
		{0xc0010015, 1 << 6, Done},
		{0xc0010062, 1, Done},
		{0xc0010000, 0x530076, Done},
		{0xc0010004, 1 << 47, Done},
		{0xc0010008, 0, Fault},
		{0x48, 0, Fault},
		{0x12345678, 0, Fault},
	} {
		var s Storage
		m.Reset(&s)
		before := s
		a, _ := m.Write(&s, c.msr, c.val)
		if a != c.want {
			t.Errorf("WRMSR %#x, %#x: action %d, want %d", c.msr, c.val, a, c.want)
		}
		if a == Fault && s != before {
			t.Errorf("WRMSR %#x, %#x: faults and stores", c.msr, c.val)
		}
	}
}

// TestRandom: what was stored is what is read, one MSR never changes another,
// and all that can be stored can be imported.
func TestRandom(t *testing.T) {
	rnd := rand.New(rand.NewPCG(4, 4))
	for name, m := range policies() {
		var s Storage
		m.Reset(&s)
		for range 200000 {
			base := []uint32{0x170, 0x200, 0x240, 0x2f0, 0xc000_0080, 0xc001_0000, 0xc001_1000, rnd.Uint32()}[rnd.IntN(8)]
			msr, val := base+rnd.Uint32N(0x50), rnd.Uint64()>>rnd.IntN(64)
			if rnd.IntN(2) == 0 {
				val &= 0x0606_0606_0606_0c06
			}
			before := s
			a, _ := m.Write(&s, msr, val)
			if s == before {
				continue
			}
			if got, _, _ := m.Read(&s, msr); a != Done || got != val {
				t.Fatalf("%s: MSR %#x reads %#x after a write of %#x", name, msr, got, val)
			}
			changed := 0
			for i := range s {
				if s[i] != before[i] {
					changed++
				}
			}
			if changed != 1 || !m.Import(&s) {
				t.Fatalf("%s: MSR %#x changed %d slots, importable %v", name, msr, changed, m.Import(&s))
			}
		}
		s[slotMTRRDef] = 2
		if m.Import(&s) {
			t.Errorf("%s: impossible storage taken", name)
		}
	}
}

func TestTSC(t *testing.T) {
	var v Counter
	v.Write(1000, 5_000_000)
	if v.Read(5_000_010) != 1010 || v.Adjust != v.Offset {
		t.Errorf("after a write: %+v", v)
	}
	v.WriteAdjust(v.Adjust + 500)
	if v.Read(5_000_010) != 1510 {
		t.Errorf("after an adjustment: %d", v.Read(5_000_010))
	}
	v.WriteAdjust(0)
	if v.Read(5_000_010) != 5_000_010 {
		t.Errorf("adjusted back: %d", v.Read(5_000_010))
	}
}

func TestMSRsDoNotAllocate(t *testing.T) {
	m := policies()[amd]
	var s Storage
	if n := testing.AllocsPerRun(100, func() {
		for i := range uint32(0x40) {
			m.Read(&s, 0x250+i)
			m.Write(&s, 0x200+i, 6)
			m.Write(&s, 0xc000_0080+i, 6)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkRDMSR(b *testing.B) {
	m := policies()[amd]
	var s Storage
	for b.Loop() {
		m.Read(&s, 0xc001_0015)
	}
}
