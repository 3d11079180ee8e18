// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package policy

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/hv/abi"
	"ringo/hv/x86"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const (
	amd   = "AuthenticAMD"
	intel = "GenuineIntel"
)

// leaf0 is leaf 0 of a host of a vendor: the name is in EBX, EDX, ECX.
func leaf0(max uint32, name string) Result {
	r := vendor(max, name)
	r.ECX, r.EDX = r.EDX, r.ECX
	return r
}

// host makes a CPU whose every leaf is rest but for the layout of XSAVE.
func host(name string, rest func(leaf, sub uint32) Result) func(leaf, sub uint32) Result {
	return func(leaf, sub uint32) Result {
		switch {
		case leaf == 0:
			return leaf0(0x20, name)
		case leaf == extBase:
			return leaf0(extBase+0x28, name)
		case leaf == 0xd && sub == 2:
			return Result{256, 576, 0, 0}
		case leaf == 0xd && sub == 5:
			return Result{64, 1088, 0, 0}
		case leaf == 0xd && sub == 6:
			return Result{512, 1152, 0, 0}
		case leaf == 0xd && sub == 7:
			return Result{1024, 1664, 2, 0}
		}
		return rest(leaf, sub)
	}
}

func ones(uint32, uint32) Result {
	return Result{^uint32(0), ^uint32(0), ^uint32(0), ^uint32(0)}
}
func zeros(uint32, uint32) Result { return Result{} }

func config(name string, rest func(leaf, sub uint32) Result) *Config {
	return &Config{Host: host(name, rest), Topology: abi.Topology{Cores: 6, Threads: 1}, TSCHz: 2_500_000_000, XCR0: ^uint64(0), PVClock: true, PVEOI: true}
}

// dump lists every leaf that is not zero.
func dump(c *CPUID, v *View) string {
	var b strings.Builder
	for _, r := range [][2]uint32{{0, 0x20}, {abi.CPUIDBase, abi.CPUIDBase + 0x20}, {abi.CPUIDKVMBase, abi.CPUIDKVMBase + 0x20}, {extBase, extBase + 0x30}} {
		for leaf := r[0]; leaf < r[1]; leaf++ {
			var last Result
			for sub := range uint32(10) {
				x := c.Get(v, leaf, sub)
				if x != (Result{}) && (sub == 0 || x != last) {
					fmt.Fprintf(&b, "%08x %d: %08x %08x %08x %08x\n", leaf, sub, x.EAX, x.EBX, x.ECX, x.EDX)
				}
				last = x
			}
		}
	}
	return b.String()
}

// TestGolden shows what guests see of a CPU that has everything and of one that
// has nothing. The first is the allow-list in another form: a change of the
// files is a change of policy.
func TestGolden(t *testing.T) {
	for _, c := range []struct {
		file, vendor string
		rest         func(leaf, sub uint32) Result
	}{
		{"amd-all", amd, ones}, {"amd-none", amd, zeros}, {"intel-all", intel, ones}, {"intel-none", intel, zeros},
	} {
		got := dump(NewCPUID(config(c.vendor, c.rest)), &View{ID: 5, CR4: x86.CR4OSXSAVE, XCR0: 7})
		file := "testdata/" + c.file + ".txt"
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), got); d != "" {
			t.Errorf("%s: %s", c.file, d)
		}
	}
}

// TestOnlyHostFeatures: whatever the host, a feature bit shown is the host's or
// emulated, and is on the list.
func TestOnlyHostFeatures(t *testing.T) {
	rnd := rand.New(rand.NewPCG(2, 3))
	for range 500 {
		seed := rnd.Uint64()
		rest := func(leaf, sub uint32) Result {
			r := rand.New(rand.NewPCG(seed, uint64(leaf)<<32|uint64(sub)))
			return Result{r.Uint32(), r.Uint32(), r.Uint32(), r.Uint32()}
		}
		name := []string{amd, intel}[rnd.IntN(2)]
		cfg := config(name, rest)
		cfg.XCR0 = rnd.Uint64()
		cfg.Topology = abi.Topology{Cores: 1 + rnd.Uint32N(16), Threads: 1 + rnd.Uint32N(2)}
		c := NewCPUID(cfg)
		v := &View{ID: rnd.Uint32N(32), CR4: rnd.Uint64(), XCR0: rnd.Uint64(), NoAPIC: rnd.IntN(2) == 0}
		h1, h7, hx := rest(1, 0), rest(7, 0), rest(extBase+1, 0)
		g1, g7, gx := c.Get(v, 1, 0), c.Get(v, 7, 0), c.Get(v, extBase+1, 0)
		for _, f := range []struct {
			name             string
			got, host, extra uint32
		}{
			{"1.ECX", g1.ECX, h1.ECX & allow1C, force1C | c1OSXSAVE},
			{"1.EDX", g1.EDX, h1.EDX & allow1D, force1D | d1HTT},
			{"7.EBX", g7.EBX, h7.EBX & allow7B, force7B},
			{"7.ECX", g7.ECX, h7.ECX & allow7C, 0},
			{"7.EDX", g7.EDX, h7.EDX & allow7D, 0},
			{"7.1.EAX", c.Get(v, 7, 1).EAX, rest(7, 1).EAX & allow71A, 0},
			{"80000001.ECX", gx.ECX, hx.ECX & allowXC, cxCmpLegac | (cfg.Topology.Threads-1)*cxTopoExt},
			{"80000001.EDX", gx.EDX, hx.EDX & allowXD, dup},
			{"80000008.EBX", c.Get(v, extBase+8, 0).EBX, rest(extBase+8, 0).EBX & allow8B, 0},
		} {
			if bad := f.got &^ (f.host | f.extra); bad != 0 {
				t.Fatalf("%s shows %#x that it must not", f.name, bad)
			}
		}
		avx := c.xsave.mask&xAVX != 0
		if !avx && (g1.ECX&(c1AVX|c1FMA|c1F16C) != 0 || g7.EBX&(b7AVX2|avx512B) != 0 || g7.ECX&(avxC7|avx512C) != 0) {
			t.Fatal("AVX without its state")
		}
		if c.xsave.mask&xAVX512 == 0 && (g7.EBX&avx512B != 0 || g7.ECX&avx512C != 0) {
			t.Fatal("AVX-512 without its state")
		}
		if c.xsave.mask&^cfg.XCR0 != 0 || (c.xsave.mask != 0) != (g1.ECX&c1XSAVE != 0) {
			t.Fatal("XSAVE does not follow the backend's mask")
		}
		if v.NoAPIC == (g1.EDX&d1APIC != 0) || (v.CR4&x86.CR4OSXSAVE != 0) != (g1.ECX&c1OSXSAVE != 0) || g1.EBX>>24 != v.ID {
			t.Fatal("view")
		}
		for range 200 { // no leaf panics
			c.Get(v, []uint32{0, extBase, abi.CPUIDBase}[rnd.IntN(3)]+rnd.Uint32N(0x200), rnd.Uint32()>>rnd.IntN(32))
			c.Get(v, rnd.Uint32(), rnd.Uint32())
		}
	}
}

func TestTopology(t *testing.T) {
	for _, c := range []struct{ cores, threads, last, shift, width uint32 }{
		{1, 1, 0, 0, 0}, {2, 1, 1, 0, 1}, {3, 1, 2, 0, 2}, {4, 1, 3, 0, 2}, {5, 1, 4, 0, 3}, {32, 1, 31, 0, 5},
		{2, 2, 3, 1, 2}, {1, 2, 1, 1, 1}, {3, 2, 5, 1, 3}, {3, 3, 10, 2, 4}, // one socket of a few
	} {
		for _, name := range []string{amd, intel} {
			cfg := config(name, ones)
			cfg.Topology = abi.Topology{Cores: c.cores, Threads: c.threads}
			id := NewCPUID(cfg)
			const socket = 3
			w, n := c.width, c.cores*c.threads
			v := &View{ID: socket<<w | c.last}
			want := []Result{{c.shift, c.threads, 0x100, v.ID}, {w, n, 0x201, v.ID}, {0, 0, 2, v.ID}}
			if d := cmp.Diff(want, []Result{id.Get(v, 0xb, 0), id.Get(v, 0xb, 1), id.Get(v, 0xb, 2)}); d != "" {
				t.Errorf("%s %d: leaf 0xb: %s", name, n, d)
			}
			if name == amd {
				want = make([]Result, 3)
			}
			if d := cmp.Diff(want, []Result{id.Get(v, 0x1f, 0), id.Get(v, 0x1f, 1), id.Get(v, 0x1f, 2)}); d != "" {
				t.Errorf("%s %d: leaf 0x1f: %s", name, n, d)
			}
			f := id.Get(v, 1, 0)
			if f.EBX>>16&0xff != n || (f.EDX&d1HTT != 0) != (n > 1) {
				t.Errorf("%s %d: leaf 1", name, n)
			}
			x, e := id.Get(v, extBase+8, 0), id.Get(v, extBase+0x1e, 0)
			if name == amd && (x.ECX != n-1|w<<12 || e != Result{EAX: v.ID, EBX: (c.threads-1)<<8 | c.last>>c.shift, ECX: socket}) || name == intel && (x.ECX != 0 || e != Result{}) {
				t.Errorf("%s %d: AMD leaves %+v %+v", name, n, x, e)
			}
		}
	}
	// A level-3 cache is shared by all, a level-2 cache by nobody.
	c := NewCPUID(config(intel, func(_, sub uint32) Result { return Result{EAX: 0x7c00_4003 | sub<<5} }))
	for sub, want := range []uint32{0x1c00_0003, 0x1c00_0023, 0x1c00_0043, 0x1c01_c063} {
		if got := c.Get(&View{}, 4, uint32(sub)).EAX; got != want {
			t.Errorf("leaf 4.%d EAX %#x, want %#x", sub, got, want)
		}
	}
	// Of two cores with two threads each, what is a core's is two threads'.
	cfg := config(intel, func(_, sub uint32) Result { return Result{EAX: 0x7c00_4003 | sub<<5} })
	cfg.Topology = abi.Topology{Cores: 2, Threads: 2}
	for sub, want := range []uint32{0x0400_4003, 0x0400_4023, 0x0400_4043, 0x0400_c063} {
		if got := NewCPUID(cfg).Get(&View{}, 4, uint32(sub)).EAX; got != want {
			t.Errorf("with threads, leaf 4.%d EAX %#x, want %#x", sub, got, want)
		}
	}
	if c.Get(&View{}, 4, 4) != (Result{}) {
		t.Error("leaf 4 has no end")
	}
}

func TestXSAVE(t *testing.T) {
	for _, c := range []struct {
		allowed, mask uint64
		xcr0          uint64
		want0, want1  uint32 // sizes for xcr0, standard and compacted
		max           uint32
	}{
		{0, 0, 1, 0, 0, 0},
		{1, 0, 1, 0, 0, 0},
		{3, 3, 3, 576, 576, 576},
		{7, 7, 1, 576, 576, 832},
		{7, 7, 7, 832, 832, 832},
		{0xe3, 3, 3, 576, 576, 576}, // AVX-512 without AVX
		{0x67, 7, 7, 832, 832, 832}, // AVX-512 incomplete
		{^uint64(0), 0xe7, 7, 832, 832, 2688},
		{^uint64(0), 0xe7, 0xe7, 2688, 2432, 2688},
	} {
		cfg := config(amd, ones)
		cfg.XCR0 = c.allowed
		id := NewCPUID(cfg)
		v := &View{XCR0: c.xcr0}
		r0, r1 := id.Get(v, 0xd, 0), id.Get(v, 0xd, 1)
		if id.xsave.mask != c.mask || r0 != (Result{uint32(c.mask), c.want0, c.max, 0}) || r1.EBX != c.want1 || r1.ECX|r1.EDX != 0 {
			t.Errorf("%#x: %+v %+v", c.allowed, r0, r1)
		}
		if c.mask == 0 && (id.CR4Allowed()&x86.CR4OSXSAVE != 0 || id.XCR0Allowed(1)) {
			t.Errorf("%#x: XSAVE can be turned on", c.allowed)
		}
	}
	id := NewCPUID(config(intel, ones))
	for v, want := range map[uint64]bool{
		0: false, 1: true, 2: false, 3: true, 5: false, 7: true, 0xe7: true, 0xe3: false, 0x27: false, 0x0b: false, 0x207: false, 1<<63 | 1: false,
	} {
		if got := id.XCR0Allowed(v); got != want {
			t.Errorf("XCR0 %#x: %v", v, got)
		}
	}
	if got := id.Get(&View{}, 0xd, 7); got != (Result{1024, 1664, 2, 0}) || id.Get(&View{}, 0xd, 9) != (Result{}) || id.Get(&View{}, 0xd, 3) != (Result{}) {
		t.Errorf("leaf 0xd.7 %+v", got)
	}
}

func TestControlRegisters(t *testing.T) {
	all, min := NewCPUID(config(amd, ones)), NewCPUID(config(amd, zeros))
	const never = x86.CR4LA57 | x86.CR4VMXE | x86.CR4SMXE | x86.CR4PCIDE | x86.CR4PKE
	if got := all.CR4Allowed(); got&never != 0 || got != 0x0035_0fff {
		t.Errorf("CR4 of everything: %#x", got)
	}
	if got := min.CR4Allowed(); got != x86.CR4TSD|x86.CR4PCE {
		t.Errorf("CR4 of nothing: %#x", got)
	}
	if got := all.EFERAllowed(); got != x86.EFERSCE|x86.EFERLME|x86.EFERLMA|x86.EFERNXE {
		t.Errorf("EFER %#x", got)
	}
	const lme, lma, sce = x86.EFERLME, x86.EFERLMA, x86.EFERSCE
	for _, c := range []struct {
		old, val, cr0 uint64
		want          uint64
		ok            bool
	}{
		{0, lme | sce, x86.CR0PE, lme | sce, true},
		{0, lme, x86.CR0PE | x86.CR0PG, 0, false},
		{lme | lma, 0, x86.CR0PG, 0, false},
		{lme | lma, lme | sce, x86.CR0PG, lme | lma | sce, true}, // LMA stays
		{lme, lme | lma, 0, lme, true},                           // and cannot be made
		{0, x86.EFERSVME, 0, 0, false},
		{0, 1 << 63, 0, 0, false},
		{0, x86.EFERFFXSR, 0, 0, false},
	} {
		got, ok := EFERWrite(c.old, c.val, all.EFERAllowed(), c.cr0)
		if got != c.want || ok != c.ok {
			t.Errorf("EFER %#x -> %#x: %#x %v", c.old, c.val, got, ok)
		}
	}
}

// signature is the text of a first hypervisor leaf.
func signature(r Result) string {
	var sig []byte
	for _, w := range []uint32{r.EBX, r.ECX, r.EDX} {
		sig = append(sig, byte(w), byte(w>>8), byte(w>>16), byte(w>>24))
	}
	return string(sig)
}

func TestHypervisorLeaves(t *testing.T) {
	cfg := config(amd, zeros)
	cfg.PVClock, cfg.PVEOI = false, false
	c, v := NewCPUID(cfg), &View{}
	if got := c.Get(v, abi.CPUIDKVMBase+1, 0).EAX; got != kvmNoIODelay {
		t.Errorf("KVM features without clock: %#x", got)
	}
	if got := c.Get(v, abi.CPUIDBase+0x10, 0); got != (Result{EAX: 2_500_000, EBX: 2_500_000}) {
		t.Errorf("timing leaf %+v", got)
	}
	for _, kvm := range []bool{false, true} {
		cfg := config(amd, zeros)
		cfg.KVMFirst = kvm
		c := NewCPUID(cfg)
		own, other := uint32(abi.CPUIDBase), uint32(abi.CPUIDKVMBase)
		if kvm {
			own, other = other, own
		}
		if s := signature(c.Get(v, own, 0)); s != abi.Signature || c.Get(v, own, 0).EAX != own+0x10 || c.Get(v, own+1, 0).EAX != abi.Version {
			t.Errorf("KVM first is %v: %#x is of %q", kvm, own, s)
		}
		const features = kvmNoIODelay | kvmClocksource2 | kvmStableClock | kvmStealTime | kvmPVEOI | kvmUnhalt
		if s := signature(c.Get(v, other, 0)); s != abi.SignatureKVM || c.Get(v, other, 0).EAX != other+0x10 || c.Get(v, other+1, 0).EAX != features {
			t.Errorf("KVM first is %v: %#x is of %q", kvm, other, s)
		}
		if _, a, _ := NewMSRs(c).Read(new(Storage), abi.MSRKVMSystemTime); a != SystemTime {
			t.Errorf("KVM first is %v: no clock", kvm)
		}
		cfg.PVEOI = false
		if got := NewCPUID(cfg).Get(v, other+1, 0).EAX; got != features&^kvmPVEOI {
			t.Errorf("KVM first is %v: features without PV EOI %#x", kvm, got)
		}
	}
	cfg = config(intel, zeros)
	cfg.TSCHz = 5_000_000_000 // does not fit in leaf 0x15
	if got := NewCPUID(cfg).Get(v, 0x15, 0); got != (Result{}) {
		t.Errorf("leaf 0x15 %+v", got)
	}
}

func TestGetDoesNotAllocate(t *testing.T) {
	c, v := NewCPUID(config(amd, ones)), &View{XCR0: 7}
	if n := testing.AllocsPerRun(100, func() {
		for leaf := range uint32(0x20) {
			c.Get(v, leaf, 1)
			c.Get(v, extBase+leaf, 0)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkCPUID(b *testing.B) {
	c, v := NewCPUID(config(amd, ones)), &View{XCR0: 7}
	for _, leaf := range []uint32{0, 1, 0xb, 0xd, abi.CPUIDKVMBase, extBase + 8} {
		b.Run(fmt.Sprintf("%x", leaf), func(b *testing.B) {
			for b.Loop() {
				c.Get(v, leaf, 0)
			}
		})
	}
}

func TestSteadyTSC(t *testing.T) {
	for _, c := range []struct {
		max, edx, ecx1 uint32
		want           bool
	}{
		{extBase + 8, 1 << 8, 0, true}, {extBase + 8, 0xff, 0, false}, {extBase + 4, 1 << 8, 0, false}, {0, 0, 1 << 31, true},
	} {
		if got := SteadyTSC(func(leaf, _ uint32) Result {
			switch leaf {
			case 1:
				return Result{ECX: c.ecx1}
			case extBase:
				return Result{EAX: c.max}
			}
			return Result{EDX: c.edx}
		}); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
