// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package pci

import (
	"slices"
	"testing"
	"time"

	"ringo/hv/abi"
)

// Pages with messages are left out, and what is not a device's, or another's, is refused.
func TestMap(t *testing.T) {
	r := newRig(t)
	r.want("one that is free", r.give(disk, 0), abi.Denied)
	r.Assign(disk)
	r.want("the disk", r.give(disk, 0), abi.OK)
	if want := []Mapped{{0xe0_0000_0000, 0x2000}, {0xe0_0000_3000, 0x1000}}; !slices.Equal(r.mapped, want) || r.addr != 0xe0<<32 {
		t.Errorf("%v, %#x", r.mapped, r.addr)
	}
	r.want("a second time", r.give(disk, 0), abi.OK)
	if len(r.mapped) != 2 || r.addr != 0xe0<<32 {
		t.Errorf("a second time: %v", r.mapped)
	}
	for _, bar := range []uint64{1, 5, 6, ^uint64(0)} {
		r.want("no base address", r.give(disk, bar), abi.BadArg)
	}
	r.Assign(plain)
	r.want("ports that were not offered", r.give(plain, 3), abi.Denied)
	r.want("a page with another's registers", r.give(plain, 2), abi.Exists)
	r.Assign(beside)
	r.mapped = nil
	r.want("with both", r.give(plain, 2), abi.OK)
	if r.addr != 0xfd000800 || !slices.Equal(r.mapped, []Mapped{{0xfd000000, 0x1000}}) {
		t.Errorf("with both: %v, %#x", r.mapped, r.addr)
	}
	r.want("the disk's end", r.release(disk, 1e7), abi.OK)
	r.Assign(disk)
	r.Functions[0].BAR[0].Addr = 0xfee00000 &^ 0x3fff
	r.want("local APICs", r.give(disk, 0), abi.Denied)
}

// What cannot be mapped as a whole does not decode. What of it is mapped stays so until the
// function is released, however long others remember it, or until the rest is mapped.
func TestMapFails(t *testing.T) {
	for refused, n := range map[uint64]int{0xe0_0000_0000: 0, 0xe0_0000_3000: 1} {
		r := newRig(t)
		r.at[disk].reg[1] &^= commandMemory
		r.Assign(disk)
		r.refused = refused
		for range 2 {
			r.want("no memory", r.give(disk, 0), abi.NoMemory)
			if len(r.mapped) != n || r.command(disk)&commandMemory != 0 {
				t.Errorf("%#x: %v are mapped, command %#x", refused, r.mapped, r.command(disk))
			}
		}
		r.Release(disk, nil)
		for range 3 {
			r.want("it is remembered", r.Release(disk, func(Mapped) bool { return n == 0 }), abi.Again)
		}
		r.want("its end", r.release(disk, 1e7), abi.OK)
		if len(r.mapped) != 0 {
			t.Errorf("%#x: %v are mapped at the end", refused, r.mapped)
		}
		r.Assign(disk)
		r.want("again", r.give(disk, 0), abi.NoMemory)
		r.refused = 0
		r.want("later", r.give(disk, 0), abi.OK)
		if len(r.mapped) != 2 || r.command(disk)&commandMemory == 0 {
			t.Errorf("%#x: %v are mapped later", refused, r.mapped)
		}
	}
}

// The largest base address is mapped, and taken away, a gigabyte at a time.
func TestMapLarge(t *testing.T) {
	r := newRig(t)
	const base, end = 1 << 39, 1<<39 + maxWindow
	r.Functions[0].BAR[0].Addr, r.Functions[0].BAR[0].Size = base, maxWindow
	r.at[disk].reg[0x44/4] = 0x7000_0000 // messages in the second gigabyte
	r.Assign(disk)
	calls := 1
	for ; r.give(disk, 0) == abi.Again; calls++ {
	}
	at, hole := uint64(base), uint64(0)
	for _, p := range r.mapped {
		if hole += p.Start - at; p.Size > mapStep || p.Size == 0 {
			t.Errorf("%#x bytes at %#x", p.Size, p.Start)
		}
		at = p.Start + p.Size
	}
	if calls != maxWindow/mapStep || at != end || hole != pageSize {
		t.Errorf("%d calls, up to %#x, %#x bytes left out", calls, at, hole)
	}
	r.want("a second time", r.give(disk, 0), abi.OK)
	down := uint64(end)
	r.want("its end", r.Release(disk, nil), abi.Again)
	for n, st := 0, abi.Again; st == abi.Again; n++ {
		times := 0
		st = r.Release(disk, func(p Mapped) bool {
			if times++; p.Start+p.Size != down || p.Size > mapStep || times > 1 {
				t.Errorf("%#x bytes at %#x after %#x, time %d", p.Size, p.Start, down, times)
			}
			if n%2 == 0 {
				return false
			}
			down = p.Start
			return r.unmap(p)
		})
		r.now += 1e6
	}
	if down != base || len(r.mapped) != 0 {
		t.Errorf("down to %#x, %v", down, r.mapped)
	}
}

// A function that is being given back on another CPU gets nothing mapped: what is mapped
// is dom0's as long as the function is.
func TestMapMeanwhile(t *testing.T) {
	r := newRig(t)
	r.Assign(plain)
	ended := make(chan abi.Status, 1)
	_, st := r.Map(plain, 0, func(p Mapped) abi.Status {
		go func() { ended <- r.release(plain, 0) }()
		select {
		case st := <-ended:
			t.Error("given back while it is being mapped")
			ended <- st
		case <-time.After(20 * time.Millisecond):
		}
		r.mapped = append(r.mapped, p)
		return abi.OK
	})
	r.want("map", st, abi.OK)
	r.want("release", <-ended, abi.OK)
	if len(r.mapped) != 0 {
		t.Errorf("%v are still mapped", r.mapped)
	}
}
