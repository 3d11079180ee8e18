// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package part

import (
	"testing"

	"ringo/hv/abi"
	"ringo/mm"
	"ringo/mm/frame"
	"ringo/mm/pt"
)

// Unmapping takes bounded steps even when there is not a frame left for a table:
// with extents that begin and end within a large page, too.
func TestUnmapInSteps(t *testing.T) {
	m, _ := newMachine(t, 8)
	d, st := create(m, 1, 1)
	if st != abi.OK {
		t.Fatal(st)
	}
	b, err := m.Frames.Contiguous(frame.Request{Size: 48 * mm.MiB}, d.owner, frame.RAM)
	if err != nil {
		t.Fatal(err)
	}
	const odd = mm.MiB + mm.PageSize
	ram := mm.Range[mm.HPA]{Start: b.Start + odd, Size: b.Size - 2*odd}
	d.extents = []abi.Extent{{HPA: uint64(ram.Start), Size: ram.Size}}
	dom0 := m.Dom0()
	mapped := func() (n uint64) {
		for a := uint64(0); a < ram.Size; a += mm.PageSize {
			if _, _, _, ok := dom0.Tables.Lookup(pt.Addr(ram.Start) + pt.Addr(a)); ok {
				n += mm.PageSize
			}
		}
		return n
	}
	for st = abi.Again; st == abi.Again; {
		st = d.lent.mapSome(&d.memory, dom0)
	}
	if st != abi.OK || mapped() != ram.Size {
		t.Fatalf("%v: %d bytes are mapped", st, mapped())
	}
	for err == nil {
		_, err = m.Frames.Pages(1, frame.HV, frame.Data)
	}
	steps := 0
	for left := mapped(); left > 0; steps++ {
		if d.lent.unmapSome(&d.memory, dom0) != abi.Again {
			t.Fatal("done although something is mapped")
		}
		now := mapped()
		if n := left - now; n == 0 || n > mapStep+frame.Step {
			t.Fatalf("a step of %d bytes", n)
		}
		left = now
	}
	if steps < 2 {
		t.Errorf("%d steps", steps)
	}
	for range 10 {
		st = d.lent.unmapSome(&d.memory, dom0)
	}
	if st != abi.OK {
		t.Error(st)
	}
}
