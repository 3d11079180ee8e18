// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package pvclock

import (
	"encoding/binary"
	"math/big"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/mm"
)

// page records what is stored, in order.
type page struct {
	b        [4096]byte
	versions []uint32
}

func (p *page) Store64(a mm.HPA, v uint64) {
	binary.LittleEndian.PutUint64(p.b[a:], v)
	p.versions = append(p.versions, binary.LittleEndian.Uint32(p.b[0x40:]))
}
func (p *page) Write(a mm.HPA, b []byte) { copy(p.b[a:], b) }

func TestRate(t *testing.T) {
	for _, hz := range []uint64{1_000, 1_193_182, 999_999_999, 1_000_000_000, 1_000_000_001, 1_999_999_999,
		2_000_000_000, 2_000_000_001, 2_345_678_901, 3_999_999_999, 5_200_000_000, 1_000_000_000_000} {
		r := NewRate(hz)
		if r.Mul < 1<<31 {
			t.Errorf("%d Hz: mul %#x has lost bits", hz, r.Mul)
		}
		for _, ticks := range []uint64{hz, 86400 * hz, 10*hz + 1} {
			want := new(big.Int).SetUint64(ticks)
			want.Mul(want, big.NewInt(1e9)).Quo(want, new(big.Int).SetUint64(hz))
			got, w := r.NS(ticks), want.Uint64()
			// 1 part in 2^31, and the last tick.
			if slack := w>>30 + 1e9/hz + 2; got > w+slack || got+slack < w {
				t.Errorf("%d Hz: %d ticks are %d ns, want %d", hz, ticks, got, w)
			}
		}
	}
	if d := cmp.Diff(Rate{1 << 31, 1}, NewRate(1e9)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(Rate{1 << 31, 0}, NewRate(2e9)); d != "" {
		t.Error(d)
	}
}

// TestRecord decodes a record at the offsets of Linux's struct
// pvclock_vcpu_time_info (arch/x86/include/asm/pvclock-abi.h).
func TestRecord(t *testing.T) {
	b := &Base{Rate: NewRate(3e9), TSC: 0x1122334455667788, NS: 42, WallNS: 1_700_000_000_123_456_789}
	c, p := new(Clock), new(page)
	if !c.Write(0x7040 | enabled) {
		t.Fatal("#GP")
	}
	if a, on := c.Addr(); a != 0x7040 || !on || c.Read() != 0x7041 {
		t.Fatalf("address %#x %v", a, on)
	}
	c.Publish(p, 0x40, b, false)
	c.Publish(p, 0x40, b, false)
	if d := cmp.Diff([]uint32{1, 1, 1, 1, 2, 3, 3, 3, 3, 4}, p.versions); d != "" {
		t.Error("version protocol:", d)
	}
	le, r := binary.LittleEndian, p.b[0x40:0x60]
	type record struct {
		Version, Pad uint32
		TSC, NS      uint64
		Mul          uint32
		Shift        int8
		Flags        uint8
		Pad2         uint16
	}
	got := record{le.Uint32(r), le.Uint32(r[4:]), le.Uint64(r[8:]), le.Uint64(r[16:]), le.Uint32(r[24:]), int8(r[28]), r[29], le.Uint16(r[30:])}
	if d := cmp.Diff(record{4, 0, b.TSC, 42, b.Rate.Mul, -1, 1, 0}, got); d != "" {
		t.Error(d)
	}
	if c.Publish(p, 0x40, b, true); r[29] != 3 || le.Uint32(r) != 6 {
		t.Errorf("after a pause: flags %#x, version %d", r[29], le.Uint32(r))
	}
	c.PublishWall(p, 0x80, b)
	wall := [3]uint32{le.Uint32(p.b[0x80:]), le.Uint32(p.b[0x84:]), le.Uint32(p.b[0x88:])}
	if d := cmp.Diff([3]uint32{2, 1_700_000_000, 123_456_789}, wall); d != "" {
		t.Error(d)
	}
	c.Reset()
	if _, on := c.Addr(); on {
		t.Error("on after reset")
	}
}

func TestMSRs(t *testing.T) {
	for val, want := range map[uint64]bool{
		0: true, 1: true, 0x1fe1: true, 0x1fe9: false, 0xfff: false, 0x1003: false, 0x1005: false, 0x1002: true,
	} {
		if got := new(Clock).Write(val); got != want {
			t.Errorf("system time %#x: %v", val, got)
		}
	}
	for val, want := range map[uint64]bool{0: true, 4: true, 2: false, 0xff4: true, 0xff8: false} {
		if _, got := WallAddr(val); got != want {
			t.Errorf("wall clock %#x: %v", val, got)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	b, c, p := &Base{Rate: NewRate(3e9)}, new(Clock), new(page)
	var m Memory = p
	if n := testing.AllocsPerRun(100, func() {
		c.Write(0x1001)
		c.Publish(m, 0x40, b, true)
		c.PublishWall(m, 0x80, b)
		p.versions = p.versions[:0]
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
