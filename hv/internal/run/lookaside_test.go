// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package run

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"ringo/hv/decode"
	"ringo/hv/internal/part"
	"ringo/hv/vcpu"
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
		changeTables(rng, d)
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

// A CPU that remembers instructions executes what one does that has seen nothing,
// while code, page tables and modes change under it.
func TestRememberedInstructions(t *testing.T) {
	g := newRig(t)
	d, v := g.guest("a")
	p := d.VCPUs[0]
	rng := rand.New(rand.NewPCG(7, 8))
	used := &emulator{}
	codes := [][]byte{{0x8b, 0x06}, {0x8b, 0x46, 0x10}, {0x48, 0x8b, 0x06}, {0x66, 0x8b, 0x06}, {0xc7, 0x07, 1, 2, 3, 4}, {0x0f, 0xa2}, {0x8b}, {0x06}}
	r, va, _ := regimeAndAccess(rng)
	kinds := map[string]int{}
	for range 8000 {
		changeTables(rng, d)
		if rng.IntN(3) == 0 {
			d.Write(mm.GPA(rng.IntN(8)*0x1000+0xff0+rng.IntN(24)), codes[rng.IntN(len(codes))])
		}
		if rng.IntN(8) == 0 {
			r, va, _ = regimeAndAccess(rng)
			va = va&^0xfff | mm.GVA(0xff0+rng.IntN(4)*4)
			p.Exit.CPL = uint8(rng.IntN(2) * 3)
		}
		switch rng.IntN(8) {
		case 0:
			r.CR3 = uint64(tableAt[rng.IntN(2)])
		case 2:
			va ^= 0x1000
		case 1:
			v.Segments[x86.CS] = x86.Segment{Access: []uint32{0xa09b, 0xc09b, 0x9b}[rng.IntN(3)], Base: uint64(rng.IntN(2) * 8)}
		}
		v.State[x86.CR0], v.State[x86.CR3], v.State[x86.CR4], v.State[x86.EFER] = r.CR0, r.CR3, r.CR4, r.EFER
		v.State[x86.RIP] = uint64(va)
		look := func(e *emulator) (i decode.Insn, err error, event vcpu.Event) {
			v.HasPending, v.Pending, v.Calls = false, vcpu.Event{}, v.Calls[:0]
			e.take(p)
			q, err := e.instruction()
			if err == nil {
				i = *q
			}
			return i, err, v.Pending
		}
		before := tables(d, nil)
		want, wantErr, wantEvent := look(new(emulator))
		after := tables(d, before)
		got, err, event := look(used)
		if got != want || err != wantErr || event != wantEvent || *tables(d, nil) != *after {
			t.Fatalf("%#x: %+v %v %+v, want %+v %v %+v", va, got, err, event, want, wantErr, wantEvent)
		}
		switch {
		case err == nil:
			kinds["instruction"]++
		case err == errFault:
			kinds["fault"]++
		}
	}
	if kinds["instruction"] < 500 || kinds["fault"] < 1000 {
		t.Errorf("%v", kinds)
	}
}

// changeTables changes an entry now and then: to lead to another table, to data,
// or nowhere.
func changeTables(rng *rand.Rand, d *part.Domain) {
	if rng.IntN(3) != 0 {
		return
	}
	put := func(at mm.GPA, e uint64) {
		var w [8]byte
		binary.LittleEndian.PutUint64(w[:], e)
		d.Write(at, w[:])
	}
	if rng.IntN(10) == 0 { // a way through all levels
		for _, way := range [][2]uint64{{0x1000, 0x2001}, {0x21000, 0x2001}, {0x2000, 0x3007}, {0x3000, 0x4007}, {0x4000, 0x5007}, {0x4008, 0x6007}} {
			put(mm.GPA(way[0]), way[1]|uint64(rng.IntN(2)*6))
		}
		return
	}
	at := tableAt[rng.IntN(len(tableAt))] + mm.GPA(rng.IntN(4)*8)
	e := uint64(rng.IntN(8)*0x1000) | rng.Uint64N(0x100)>>(rng.IntN(2)*5) | 1 | uint64(rng.IntN(4)/3)<<63
	if rng.IntN(20) == 0 {
		e |= 0x4000_0000 // not RAM
	}
	put(at, e)
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
