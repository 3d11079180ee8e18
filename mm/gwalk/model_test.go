// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package gwalk

import (
	"math/rand/v2"
	"testing"

	"ringo/hv/x86"
	"ringo/mm"
)

// model translates by a second, literal reading of the manual: it lists all
// bits that must be zero one by one, and decides afterwards.
func model(r Regime, m ram, va uint64, acc Access) (uint64, Fault) {
	on := func(reg, bit uint64) bool { return reg&bit != 0 }
	user := acc&User != 0 && acc&System == 0
	long := on(r.EFER, x86.EFERLMA)
	pae := on(r.CR4, x86.CR4PAE) || long
	nxe := on(r.EFER, x86.EFERNXE) && pae
	code := uint32(0)
	for _, c := range []struct {
		on  bool
		bit uint32
	}{{acc&Write != 0, 2}, {user, 4}, {acc&Fetch != 0 && (nxe || on(r.CR4, x86.CR4SMEP)), 16}} {
		if c.on {
			code += c.bit
		}
	}
	fault := func(extra uint32) (uint64, Fault) {
		return 0, Fault{Kind: PageFault, Err: code | extra, Addr: mm.GVA(va)}
	}
	// Bit ranges of the index at each level, entry size, root.
	type field struct{ hi, lo int }
	var fields []field
	size, root := 8, r.CR3&(1<<r.PhysBits-1)&^0xfff
	switch {
	case long:
		fields = []field{{47, 39}, {38, 30}, {29, 21}, {20, 12}}
	case pae:
		fields, root = []field{{31, 30}, {29, 21}, {20, 12}}, r.CR3&0xffffffe0
	default:
		fields, size, root = []field{{31, 22}, {21, 12}}, 4, r.CR3&0xfffff000
	}
	var entries []uint64
	table := root
	for n, f := range fields {
		a := table + va<<(63-f.hi)>>(63-f.hi+f.lo)*uint64(size)
		var e uint64
		var ok bool
		if size == 8 {
			e, ok = m.Read64(mm.GPA(a))
		} else {
			v, ok4 := m.Read32(mm.GPA(a))
			e, ok = uint64(v), ok4
		}
		if !ok {
			return 0, Fault{Kind: Unbacked, Addr: mm.GVA(va), GPA: mm.GPA(a)}
		}
		if !on(e, 1) {
			return fault(0)
		}
		last := n == len(fields)-1
		large := !last && on(e, 1<<7) && (long && n == 1 && r.Page1G || pae && n == len(fields)-2 || !pae && on(r.CR4, x86.CR4PSE))
		zero := func(bit int) bool { // must bit be zero?
			switch {
			case size == 4:
				return large && (bit == 21 || bit >= 13 && bit <= 20 && bit-13+32 >= int(min(r.PhysBits, 40)))
			case bit == 63:
				return !nxe || !long && n == 0
			case bit >= int(r.PhysBits):
				return bit <= 51 || !long
			case !long && n == 0:
				return bit == 1 || bit == 2 || bit >= 6 && bit <= 8
			case bit == 7:
				return long && (n == 0 || n == 1 && !r.Page1G)
			}
			return large && bit >= 13 && bit < f.lo
		}
		for bit := range 64 {
			if zero(bit) && on(e, 1<<bit) {
				return fault(9)
			}
		}
		if long || !pae || n > 0 { // PDPTEs of PAE carry no rights
			entries = append(entries, e)
		}
		if last || large {
			allow := true
			userPage, writable, nx := true, true, false
			for _, e := range entries {
				userPage = userPage && on(e, 4)
				writable = writable && on(e, 2)
				nx = nx || nxe && on(e, 1<<63)
			}
			switch {
			case user && !userPage,
				user && acc&Write != 0 && !writable,
				!user && acc&Write != 0 && !writable && on(r.CR0, x86.CR0WP),
				acc&Fetch != 0 && nx,
				!user && acc&Fetch != 0 && userPage && on(r.CR4, x86.CR4SMEP),
				!user && acc&Fetch == 0 && userPage && on(r.CR4, x86.CR4SMAP) && (acc&AC == 0 || acc&System != 0):
				allow = false
			}
			if !allow {
				return fault(1)
			}
			offset := va & (1<<f.lo - 1)
			if size == 4 && large {
				return e>>22<<22 + (e>>13&0xff)<<32 + offset, Fault{}
			}
			frame := e & (1<<r.PhysBits - 1)
			if size == 4 {
				frame = e
			}
			return frame>>f.lo<<f.lo + offset, Fault{}
		}
		table = e & (1<<r.PhysBits - 1) &^ 0xfff
		if size == 4 {
			table = e &^ 0xfff
		}
	}
	panic("no page")
}

// fill makes tables whose entries mostly point to tables.
func fill(m ram, rng *rand.Rand, pae bool) {
	for a := 0; a < len(m); a += 8 {
		e := uint64(rng.IntN(len(m)/4096))<<12 | all
		switch rng.IntN(12) {
		case 0:
			e ^= 1 << rng.IntN(64)
		case 1:
			e ^= uint64(rng.IntN(8))
		case 2:
			e |= ps
		case 3:
			e = e&^0x1ff000 | ps
		case 4:
			e |= nx
		}
		if pae && rng.IntN(2) == 0 {
			e &^= 0x1e6
		}
		m.put64(mm.GPA(a), e)
	}
}

func FuzzModel(f *testing.F) {
	for n := range uint64(64) {
		f.Add(n, n*0x1234567, uint32(n*77), uint8(n))
	}
	m := make(ram, 16*4096)
	f.Fuzz(func(t *testing.T, seed, va uint64, regs uint32, acc uint8) {
		rng := rand.New(rand.NewPCG(seed, 1))
		bit := func(n int, v uint64) uint64 { return uint64(regs>>n&1) * v }
		r := Regime{
			CR0: x86.CR0PE | x86.CR0PG | bit(0, x86.CR0WP), CR3: uint64(rng.IntN(16)) << 12,
			CR4:      bit(1, x86.CR4PAE) | bit(2, x86.CR4PSE) | bit(3, x86.CR4SMEP) | bit(4, x86.CR4SMAP),
			EFER:     bit(5, x86.EFERNXE) | bit(6, x86.EFERLMA),
			PhysBits: 32 + uint8(regs>>8%21), Page1G: bit(7, 1) != 0,
		}
		if r.EFER&x86.EFERLMA != 0 {
			r.CR4 |= x86.CR4PAE
			va = uint64(int64(va) << 16 >> 16)
		} else {
			va &= 0xffffffff
		}
		fill(m, rng, r.CR4&x86.CR4PAE != 0 && r.EFER&x86.EFERLMA == 0)
		for range 32 {
			a := sane(acc)
			got, gf := r.Translate(m, mm.GVA(va), a)
			want, wf := model(r, m, va, a)
			if uint64(got) != want || gf != wf {
				t.Fatalf("%+v %#x access %#x:\n got %#x %+v\nwant %#x %+v", r, va, a, got, gf, want, wf)
			}
			va ^= uint64(rng.Uint32()) // stays canonical
			acc = uint8(rng.Uint32())
		}
	})
}

// sane makes an access of any number; a fetch does not write.
func sane(n uint8) Access {
	a := Access(n & 31)
	if a&Fetch != 0 {
		a &^= Write
	}
	return a
}

// The model test must reach every outcome, or it proves little.
func TestModelReach(t *testing.T) {
	m := make(ram, 16*4096)
	seen := map[Fault]int{}
	for n := range uint64(300) {
		rng := rand.New(rand.NewPCG(n, 2))
		r := Regime{CR0: pg, CR3: 0x1000, CR4: x86.CR4PAE | x86.CR4SMEP | x86.CR4SMAP, EFER: longEFER, PhysBits: 40, Page1G: true}
		fill(m, rng, false)
		for range 100 {
			_, f := r.Translate(m, mm.GVA(rng.Uint32()), sane(uint8(rng.Uint32())))
			seen[Fault{Kind: f.Kind, Err: f.Err}]++
		}
	}
	if seen[Fault{}] < 1000 || len(seen) < 20 {
		t.Errorf("%d successes, %d kinds of outcomes: %v", seen[Fault{}], len(seen), seen)
	}
}
