// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package gwalk

import (
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/hv/x86"
	"ringo/mm"
)

// ram is guest memory from 0.
type ram []byte

func (m ram) has(a mm.GPA, n int) bool {
	return uint64(a) <= uint64(len(m)) && uint64(n) <= uint64(len(m))-uint64(a)
}

func (m ram) Read64(a mm.GPA) (uint64, bool) {
	if !m.has(a, 8) {
		return 0, false
	}
	return binary.LittleEndian.Uint64(m[a:]), true
}

func (m ram) Read32(a mm.GPA) (uint32, bool) {
	if !m.has(a, 4) {
		return 0, false
	}
	return binary.LittleEndian.Uint32(m[a:]), true
}

func (m ram) Read(a mm.GPA, b []byte) bool {
	if !m.has(a, len(b)) {
		return false
	}
	copy(b, m[a:])
	return true
}

func (m ram) Mark(a mm.GPA, size uint8, old, bits uint64) bool {
	if size == 4 {
		binary.LittleEndian.PutUint32(m[a:], uint32(old|bits))
	} else {
		binary.LittleEndian.PutUint64(m[a:], old|bits)
	}
	return true
}

func (m ram) put64(a mm.GPA, v uint64) { binary.LittleEndian.PutUint64(m[a:], v) }
func (m ram) put32(a mm.GPA, v uint32) { binary.LittleEndian.PutUint32(m[a:], v) }

const (
	p, rw, us, ps, nx = entryP, entryRW, entryUS, entryPS, uint64(entryNX)
	all               = p | rw | us
	longCR4           = x86.CR4PAE
	longEFER          = x86.EFERLMA | x86.EFERNXE
	pg                = x86.CR0PE | x86.CR0PG | x86.CR0WP
)

// long makes 4-level tables at 0x1000..0x4000 that map va to 0x5000 with the
// entries' extra bits e[0] (PML4E) to e[3] (PTE).
func long(va mm.GVA, e [4]uint64) ram {
	m := make(ram, 0x8000)
	for n, bits := range e {
		shift := 39 - 9*n
		m.put64(mm.GPA(0x1000*(n+1))+mm.GPA(uint64(va)>>shift&511*8), uint64(0x1000*(n+2))|bits)
	}
	return m
}

func TestLong(t *testing.T) {
	const va = 0xffff_8123_4567_89ab
	const wp0 = pg &^ x86.CR0WP
	type entries = [4]uint64
	every := entries{all, all, all, all}
	sup := entries{all, all, all, p | rw}
	pf := func(e uint32) Fault { return Fault{Kind: PageFault, Err: e, Addr: va} }
	for _, test := range []struct {
		name           string
		e              entries
		cr0, cr4, efer uint64
		acc            Access
		want           Fault
	}{
		{"read", every, pg, longCR4, longEFER, 0, Fault{}},
		{"user write", every, pg, longCR4, longEFER, User | Write, Fault{}},
		{"not present PML4E", entries{rw, all, all, all}, pg, longCR4, longEFER, User, pf(4)},
		{"not present PTE, write", entries{all, all, all, 0}, pg, longCR4, longEFER, Write, pf(2)},
		{"not present, fetch", entries{all, all, 0, all}, pg, longCR4, longEFER, Fetch | User, pf(0x14)},
		{"fetch without NXE or SMEP", entries{all, all, 0, all}, pg, longCR4, x86.EFERLMA, Fetch | User, pf(4)},
		{"fetch with SMEP only", entries{all, all, 0, all}, pg, longCR4 | x86.CR4SMEP, x86.EFERLMA, Fetch, pf(0x10)},
		{"user reads supervisor", sup, pg, longCR4, longEFER, User, pf(5)},
		{"user bit missing above", entries{all, p | rw, all, all}, pg, longCR4, longEFER, User, pf(5)},
		{"CPL 3, but the CPU's own access", sup, pg, longCR4, longEFER, User | System, Fault{}},
		{"read-only, WP", entries{all, all, p | us, all}, pg, longCR4, longEFER, Write, pf(3)},
		{"read-only, no WP", entries{all, all, p | us, all}, wp0, longCR4, longEFER, Write, Fault{}},
		{"read-only, no WP, user", entries{all, all, p | us, all}, wp0, longCR4, longEFER, Write | User, pf(7)},
		{"NX", entries{all, all | nx, all, all}, pg, longCR4, longEFER, Fetch, pf(0x11)},
		{"NX, read", entries{all, all | nx, all, all}, pg, longCR4, longEFER, 0, Fault{}},
		{"NX reserved without NXE", entries{all, all | nx, all, all}, pg, longCR4, x86.EFERLMA, 0, pf(9)},
		{"SMEP", every, pg, longCR4 | x86.CR4SMEP, longEFER, Fetch, pf(0x11)},
		{"SMEP, supervisor page", sup, pg, longCR4 | x86.CR4SMEP, longEFER, Fetch, Fault{}},
		{"SMEP, user", every, pg, longCR4 | x86.CR4SMEP, longEFER, Fetch | User, Fault{}},
		{"SMAP", every, pg, longCR4 | x86.CR4SMAP, longEFER, 0, pf(1)},
		{"SMAP, AC", every, pg, longCR4 | x86.CR4SMAP, longEFER, AC | Write, Fault{}},
		{"SMAP, AC, own access", every, pg, longCR4 | x86.CR4SMAP, longEFER, AC | System, pf(1)},
		{"SMAP, user", every, pg, longCR4 | x86.CR4SMAP, longEFER, User, Fault{}},
		{"SMAP does not stop a fetch", every, pg, longCR4 | x86.CR4SMAP, longEFER, Fetch, Fault{}},
		{"SMAP without WP", every, wp0, longCR4 | x86.CR4SMAP, longEFER, Write, pf(3)},
		{"PS in PML4E", entries{all | ps, all, all, all}, pg, longCR4, longEFER, Write | User, pf(0xf)},
		{"PS in PDPTE, no 1 GiB pages", entries{all, all | ps, all, all}, pg, longCR4, longEFER, 0, pf(9)},
		{"PAT bit in PTE is not PS", entries{all, all, all, all | ps}, pg, longCR4, longEFER, 0, Fault{}},
		{"address beyond MAXPHYADDR", entries{all, all, all, all | 1<<40}, pg, longCR4, longEFER, 0, pf(9)},
		{"ignored bits", entries{all | 1<<52, all | 1<<62, all | 0xe00, all | 1<<58}, pg, longCR4, longEFER, 0, Fault{}},
		{"reserved bit before a missing page", entries{all, all | 1<<50, all, 0}, pg, longCR4, longEFER, 0, pf(9)},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := long(va, test.e)
			r := Regime{CR0: test.cr0, CR3: 0x1000 | 0x18, CR4: test.cr4, EFER: test.efer, PhysBits: 40}
			gpa, f := r.Translate(m, va, test.acc)
			if d := cmp.Diff(test.want, f); d != "" {
				t.Error(d)
			}
			if want := mm.GPA(0x59ab); f.Kind == OK && gpa != want {
				t.Errorf("got %#x, want %#x", gpa, want)
			}
		})
	}
}

func TestLargePages(t *testing.T) {
	m := make(ram, 0x8000)
	r := Regime{CR0: pg, CR3: 0x1000, CR4: longCR4, EFER: longEFER, PhysBits: 46, Page1G: true}
	m.put64(0x1000, 0x2000|all)
	m.put64(0x2000, 3<<30|all|ps)       // 1 GiB
	m.put64(0x2008, 0x3000|all)         //
	m.put64(0x3000, 5<<21|all|ps)       // 2 MiB
	m.put64(0x3008, 5<<21|all|ps|1<<13) // reserved
	m.put64(0x3010, 5<<21|all|ps|1<<12) // PAT
	m.put64(0x2010, 3<<30|all|ps|1<<29)
	m.put64(0x2018, 1<<46|all|ps)
	rsvd := Fault{Kind: PageFault, Err: 9}
	for _, test := range []struct {
		va   mm.GVA
		want mm.GPA
		f    Fault
	}{
		{0x3fff_fff8, 0xffff_fff8, Fault{}},
		{0x4012_3456, 0xb2_3456, Fault{}},
		{0x4020_0000, 0, rsvd},
		{0x4040_0001, 0xa0_0001, Fault{}},
		{0x8000_0000, 0, rsvd},
		{0xc000_0000, 0, rsvd},
	} {
		gpa, f := r.Translate(m, test.va, 0)
		if f.Kind != OK {
			test.f.Addr = test.va
		}
		if d := cmp.Diff(test.f, f); d != "" || gpa != test.want {
			t.Errorf("%#x: %#x %s", test.va, gpa, d)
		}
	}
}

func TestOtherRegimes(t *testing.T) {
	m := make(ram, 0x8000)
	// 32-bit at 0x1000.
	m.put32(0x1000+4*1, 0x2000|all)
	m.put32(0x2000+4*3, 0x7000|p)
	m.put32(0x1000+4*2, 0x00c0_0000|all|ps)
	m.put32(0x1000+4*3, 0x00c0_0000|all|ps|0x55<<13)
	m.put32(0x1000+4*4, 0x00c0_0000|all|ps|1<<21)
	// PAE at 0x3020.
	m.put64(0x3020+8*1, 0x4000|p|entryA)
	m.put64(0x3020+8*2, 0x4000|p)
	m.put64(0x3020+8*3, 0x4000|p|rw)
	m.put64(0x4000+8*1, 0x5000|all)
	m.put64(0x4000+8*2, 0x60_0000|all|ps|nx)
	m.put64(0x4000+8*3, 0x60_0000|all|ps|1<<62)
	m.put64(0x5000+8*7, 0x12_3456_7000|all)

	legacy := Regime{CR0: pg, CR3: 0x1018, PhysBits: 40}
	pse := Regime{CR0: pg, CR3: 0x1018, CR4: x86.CR4PSE, PhysBits: 40}
	pse36 := Regime{CR0: pg, CR3: 0x1018, CR4: x86.CR4PSE, PhysBits: 36}
	pae := Regime{CR0: pg, CR3: 0xdead_0000_0000_3020, CR4: x86.CR4PAE, EFER: x86.EFERNXE, PhysBits: 40}
	pf := func(e uint32) Fault { return Fault{Kind: PageFault, Err: e} }
	for _, test := range []struct {
		name string
		r    Regime
		va   mm.GVA
		acc  Access
		want mm.GPA
		f    Fault
	}{
		{"no paging", Regime{CR0: x86.CR0PE}, 0x1_2345_6789, User | Write, 0x2345_6789, Fault{}},
		{"32-bit", legacy, 0x40_3123, 0, 0x7123, Fault{}},
		{"upper half ignored", legacy, 0x7_0040_3123, 0, 0x7123, Fault{}},
		{"read-only", legacy, 0x40_3123, Write, 0, pf(3)},
		{"supervisor's", legacy, 0x40_3123, User, 0, pf(5)},
		{"no NX in 32-bit", Regime{CR0: pg, CR3: 0x1000, EFER: x86.EFERNXE, PhysBits: 40}, 0, Fetch, 0, pf(0)},
		{"PS without PSE is a table", legacy, 0x80_0000, 0, 0, Fault{Kind: Unbacked, GPA: 0xc0_0000}},
		{"4 MiB", pse, 0xbf_ffff, User | Write, 0xff_ffff, Fault{}},
		{"PSE-36", pse, 0xc0_0001, 0, 0x55_00c0_0001, Fault{}},
		{"PSE-36 beyond 36 bits", pse36, 0xc0_0001, 0, 0, pf(9)},
		{"bit 21", pse, 0x100_0000, 0, 0, pf(9)},
		{"PAE", pae, 0x8020_7abc, User | Write, 0x12_3456_7abc, Fault{}},
		{"PAE PDPTE accessed, by QEMU", pae, 0x4020_7abc, User | Write, 0x12_3456_7abc, Fault{}},
		{"PAE 2 MiB", pae, 0x8040_0000, 0, 0x60_0000, Fault{}},
		{"PAE NX", pae, 0x8040_0000, Fetch, 0, pf(0x11)},
		{"PAE bit 62", pae, 0x8060_0000, 0, 0, pf(9)},
		{"PAE PDPTE reserved", pae, 0xc020_7abc, 0, 0, pf(9)},
		{"PAE PDPTE missing", pae, 0x20_7abc, Write, 0, pf(2)},
		{"table outside RAM", Regime{CR0: pg, CR3: 0x7000_0000, PhysBits: 40}, 0x40_0000, 0, 0, Fault{Kind: Unbacked, GPA: 0x7000_0004}},
		{"non-canonical", Regime{CR0: pg, CR4: longCR4, EFER: longEFER, PhysBits: 40}, 0x8000_0000_0000, 0, 0, Fault{Kind: NonCanonical}},
		{"non-canonical, high", Regime{CR0: pg, CR4: longCR4, EFER: longEFER, PhysBits: 40}, 0xffff_7fff_ffff_ffff, 0, 0, Fault{Kind: NonCanonical}},
	} {
		t.Run(test.name, func(t *testing.T) {
			gpa, f := test.r.Translate(m, test.va, test.acc)
			if f.Kind != OK {
				test.f.Addr = test.va
				if !test.r.Long() {
					test.f.Addr &= 0xffff_ffff
				}
			}
			if d := cmp.Diff(test.f, f); d != "" || gpa != test.want {
				t.Errorf("%#x %s", gpa, d)
			}
		})
	}
}

func TestFiveLevels(t *testing.T) {
	const va = 0x00fe_8123_4567_89ab
	m := make(ram, 0x8000)
	for n := range 5 {
		m.put64(mm.GPA(0x1000*(n+1))+mm.GPA(uint64(va)>>(48-9*n)&511*8), uint64(0x1000*(n+2))|all)
	}
	r := Regime{CR0: pg, CR3: 0x1000, CR4: longCR4 | x86.CR4LA57, EFER: longEFER, PhysBits: 40}
	if gpa, f := r.Translate(m, va, 0); gpa != 0x69ab || f.Kind != OK {
		t.Errorf("%#x %+v", gpa, f)
	}
	if _, f := r.Translate(m, 1<<56, 0); f.Kind != NonCanonical {
		t.Errorf("%+v", f)
	}
}

func TestMark(t *testing.T) {
	const va = 0x1234_5678
	m := long(va, [4]uint64{all, all, all, all})
	before := append(ram{}, m...)
	r := Regime{CR0: pg, CR3: 0x1000, CR4: longCR4, EFER: longEFER, PhysBits: 40}
	entry := func(m ram, n int) uint64 {
		v, _ := m.Read64(mm.GPA(0x1000*(n+1)) + mm.GPA(uint64(va)>>(39-9*n)&511*8))
		return v
	}
	r.Translate(m, va, Write)
	if d := cmp.Diff(before, m); d != "" {
		t.Error("marked without a marker")
	}
	r.Marker = m
	r.Translate(m, va, 0)
	for n := range 4 {
		if got, want := entry(m, n), entry(before, n)|entryA; got != want {
			t.Errorf("read, level %d: %#x, want %#x", n, got, want)
		}
	}
	r.Translate(m, va, Write)
	for n := range 4 {
		want := entry(before, n) | entryA
		if n == 3 {
			want |= entryD
		}
		if got := entry(m, n); got != want {
			t.Errorf("write, level %d: %#x, want %#x", n, got, want)
		}
	}
	// An entry that changes under the walk: walked again, without end.
	r.Marker = busy{}
	m = long(va, [4]uint64{all, all, all, all})
	if gpa, f := r.Translate(m, va, 0); f.Kind != OK || gpa != 0x5678 {
		t.Errorf("%#x %+v", gpa, f)
	}
}

type busy struct{}

func (busy) Mark(mm.GPA, uint8, uint64, uint64) bool { return false }

func TestVirtual(t *testing.T) {
	m := make(ram, 0x8000)
	r := Regime{CR0: pg, CR3: 0x1000, PhysBits: 32}
	m.put32(0x1000, 0x2000|all)
	m.put32(0x1000+4*1023, 0x2000|all)
	m.put32(0x2000, 0x4000|all)        // 0 -> 0x4000
	m.put32(0x2004, 0x6000|p)          // 0x1000 -> 0x6000, read-only
	m.put32(0x2008, 0x7000_0000|all)   // 0x2000 -> no RAM
	m.put32(0x2000+4*1023, 0x5000|all) // 0xfffff000 -> 0x5000
	copy(m[0x4ffd:], "abc")
	copy(m[0x6000:], "def")
	copy(m[0x5ffe:], "yz")
	copy(m[0x4000:], "01")

	b := make([]byte, 6)
	if n, f := r.ReadVirtual(m, b, 0xffd, 0); n != 6 || f.Kind != OK || string(b) != "abcdef" {
		t.Errorf("%d %+v %q", n, f, b)
	}
	if n, f := r.ReadVirtual(m, b[:4], 0xffff_fffe, 0); n != 4 || f.Kind != OK || string(b[:4]) != "yz01" {
		t.Errorf("wrap: %d %+v %q", n, f, b)
	}
	if n, f := r.ReadVirtual(m, b, 0x1ffe, 0); n != 2 || f != (Fault{Kind: Unbacked, Addr: 0x2000, GPA: 0x7000_0000}) {
		t.Errorf("unbacked: %d %+v", n, f)
	}
	if n, f := r.ReadVirtual(m, b, 0x2fff, User); n != 0 || f.Kind != Unbacked {
		t.Errorf("%d %+v", n, f)
	}
}

func TestAllocs(t *testing.T) {
	m := long(0x1234, [4]uint64{all, all, all, all})
	r := Regime{CR0: pg, CR3: 0x1000, CR4: longCR4, EFER: longEFER, PhysBits: 40}
	var mem Memory = m
	r.Marker = m
	b := make([]byte, 15)
	if n := testing.AllocsPerRun(100, func() {
		r.Translate(mem, 0x1234, 0)
		r.ReadVirtual(mem, b, 0x1234, Fetch)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkTranslate(b *testing.B) {
	m := long(0x1234, [4]uint64{all, all, all, all})
	r := Regime{CR0: pg, CR3: 0x1000, CR4: longCR4, EFER: longEFER, PhysBits: 40}
	var mem Memory = m
	b.ReportAllocs()
	for b.Loop() {
		r.Translate(mem, 0x1234, 0)
	}
}
