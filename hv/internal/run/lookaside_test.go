// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package run

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"ringo/hv/internal/part"
	"ringo/hv/x86"
	"ringo/mm"
	"ringo/mm/gwalk"
	"ringo/mm/pt"
)

// A window that remembers walks gives what one gives that has seen nothing,
// whatever the guest does to its page tables and control registers, and however
// its domains' memory comes and goes.
func TestRememberedWalks(t *testing.T) {
	g := newRig(t)
	a, _ := g.guest("a")
	b, _ := g.guest("b")
	doms := [2]*part.Domain{a, b}
	rng := rand.New(rand.NewPCG(5, 6))
	var used, fresh part.Window
	r, va, acc := regimeAndAccess(rng)
	outcomes := map[gwalk.Kind]int{}
	for range 8000 {
		d := doms[rng.IntN(2)]
		// Tables of all formats, with entries that lead to each
		// other, to data, or nowhere.
		if rng.IntN(3) == 0 {
			at := tableAt[rng.IntN(len(tableAt))] + mm.GPA(rng.IntN(4)*8)
			e := uint64(rng.IntN(8)*0x1000) | rng.Uint64N(0x100)>>(rng.IntN(2)*5) | 1 | uint64(rng.IntN(4)/3)<<63
			if rng.IntN(20) == 0 {
				e |= 0x4000_0000 // not RAM
			}
			var w [8]byte
			binary.LittleEndian.PutUint64(w[:], e)
			d.Write(at, w[:])
		}
		if rng.IntN(50) == 0 {
			page := mm.GPA(0x2000 + rng.IntN(4)*0x1000)
			if hpa, _, _, ok := d.Tables.Lookup(pt.Addr(page)); ok {
				d.Tables.Unmap(pt.Addr(page), mm.PageSize)
				if rng.IntN(2) == 0 {
					hpa = hpa ^ 0x8000 // other memory from now on
				}
				if err := d.Tables.Map(pt.Addr(page), hpa, mm.PageSize, pt.RWX); err != nil {
					t.Fatal(err)
				}
			}
		}
		if rng.IntN(8) == 0 { // often the same again
			r, va, acc = regimeAndAccess(rng)
		}
		// A walk may mark the tables; both get the same ones.
		before := tables(d, nil)
		fresh = part.Window{}
		fresh.Use(d)
		r.Marker = &fresh
		want, wantFault := r.Translate(&fresh, va, acc)
		after := tables(d, before)
		used.Use(d)
		r.Marker = &used
		got, gotFault := used.Translate(&r, va, acc)
		if got != want || gotFault != wantFault {
			t.Fatalf("%#x, %+v, access %d: %#x %+v, want %#x %+v", va, r, acc, got, gotFault, want, wantFault)
		}
		if marked := tables(d, nil); *marked != *after {
			t.Fatalf("%#x, %+v, access %d: the tables are %x, want %x", va, r, acc, marked, after)
		}
		outcomes[gotFault.Kind]++
		if acc&gwalk.Fetch == 0 {
			continue
		}
		var p, q [15]byte
		before = tables(d, nil)
		r.Marker = &fresh
		m, h := r.ReadVirtual(&fresh, q[:], va, acc)
		tables(d, before)
		r.Marker = &used
		n, f := used.Fetch(&r, p[:], va, acc)
		if n != m || p != q || f != h {
			t.Fatalf("fetch at %#x: %d %x %+v, want %d %x %+v", va, n, p, f, m, q, h)
		}
	}
	if outcomes[gwalk.OK] < 300 || outcomes[gwalk.PageFault] < 1000 || outcomes[gwalk.Unbacked] < 30 {
		t.Errorf("outcomes %v", outcomes)
	}
}

// tableAt is where tables are. The first two are remembered in the same place.
var tableAt = [...]mm.GPA{0x1000, 0x21000, 0x2000, 0x3000, 0x4000}

func regimeAndAccess(rng *rand.Rand) (gwalk.Regime, mm.GVA, gwalk.Access) {
	r := gwalk.Regime{CR0: x86.CR0PE | x86.CR0PG | uint64(rng.IntN(2))<<16, CR3: uint64(tableAt[rng.IntN(2)]), PhysBits: 40}
	switch rng.IntN(8) {
	case 0:
		r.CR4 = x86.CR4PSE
	case 1:
		r.CR4 = x86.CR4PAE
	default:
		r.CR4 = x86.CR4PAE | uint64(rng.IntN(2))<<21
		r.EFER = x86.EFERLMA | x86.EFERLME | uint64(rng.IntN(4)/3^1)*x86.EFERNXE
	}
	accesses := []gwalk.Access{0, gwalk.Write, gwalk.Fetch, gwalk.User, gwalk.User | gwalk.Write, gwalk.User | gwalk.Fetch, gwalk.AC}
	return r, mm.GVA(rng.IntN(2)*0x1000 + rng.IntN(0x1000)), accesses[rng.IntN(len(accesses))]
}

// tables returns the entries of the test's tables, and replaces them with those of
// with, if there are any.
func tables(d *part.Domain, with *[len(tableAt)][32]byte) *[len(tableAt)][32]byte {
	var old [len(tableAt)][32]byte
	for n, at := range tableAt {
		d.Read(at, old[n][:])
		if with != nil {
			d.Write(at, with[n][:])
		}
	}
	return &old
}
