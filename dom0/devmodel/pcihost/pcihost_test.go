// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package pcihost

import (
	"testing"

	"ringo/hv/bus"
)

// platform notes what reaches it.
type platform struct {
	lines    map[uint32]bool
	messages []uint64 // address<<32 | data, of addresses below 4 GiB
	resets   int
}

type line struct {
	p   *platform
	gsi uint32
}

func (l line) Set(level bool) { l.p.lines[l.gsi] = level }

func (p *platform) Line(gsi uint32) bus.Line { return line{p, gsi} }
func (p *platform) Message(addr uint64, data uint32) {
	p.messages = append(p.messages, addr<<32|uint64(data))
}
func (p *platform) Reset() { p.resets++ }

// dev answers with its number and the offset.
type dev struct {
	nr    uint64
	wrote []uint64
}

func (d *dev) Read(off uint64, _ uint8, _ uint64) uint64 { return d.nr<<32 | off }
func (d *dev) Write(off uint64, _ uint8, val, _ uint64)  { d.wrote = append(d.wrote, off<<32|val) }

// rig is a host with two functions in slots 1 and 9, which share a line.
type rig struct {
	*Host
	p     *platform
	f     [2]*Function
	d     [2]*dev
	msix  *MSIX
	moves map[int]uint64 // I/O range of function 0, by register
	cfg   bus.Device
}

func newRig() *rig {
	r := &rig{p: &platform{lines: map[uint32]bool{}}, moves: map[int]uint64{}}
	r.Host = New(r.p)
	for i := range r.f {
		r.d[i] = &dev{nr: uint64(i) + 1}
		f := NewFunction(Identity{Vendor: 0x1af4, Device: 0x1044 + uint16(i), SubVendor: 0x1af4, SubDevice: 7, Class: 0xff0000, Revision: 1})
		f.AddPin()
		f.AddBAR(0, 0x4000, false, r.d[i])
		f.AddBAR(1, 32, true, r.d[i])
		r.f[i] = f
	}
	r.f[0].Moved = func(n int, at uint64, ok bool) {
		delete(r.moves, n)
		if ok {
			r.moves[n] = at
		}
	}
	r.msix = r.f[0].AddMSIX(3, 0, 0x2000, 0x800)
	r.Add(1, r.f[0])
	r.Add(9, r.f[1])
	r.cfg = r.ConfigPorts()
	return r
}

func (r *rig) get(slot, reg int, size uint8) uint64 {
	return r.Config(slot).Read(uint64(reg), size, 0) & (1<<(8*size) - 1)
}

func (r *rig) set(slot, reg int, v uint64, size uint8) {
	r.Config(slot).Write(uint64(reg), size, v, 0)
}

func TestScan(t *testing.T) {
	r := newRig()
	e := r.Config(1)
	for slot, want := range map[int]uint64{0: 0x29c0_8086, 1: 0x1044_1af4, 9: 0x1045_1af4, 2: 0xffff_ffff, 31: 0xffff_ffff} {
		if got := r.get(slot, 0, 4); got != want {
			t.Errorf("slot %d: %#x, want %#x", slot, got, want)
		}
	}
	if got := r.Config(2).Read(0, 8, 0); got != ones {
		t.Errorf("8 bytes of nothing: %#x", got)
	}
	if v := e.Read(0x100, 4, 0); v != 0 {
		t.Errorf("an extended capability: %#x", v)
	}
	if v := e.Read(0, 8, 0); v != 0x0010_0000_1044_1af4 {
		t.Errorf("8 bytes: %#x", v)
	}
	if r.get(1, regClass, 4) != 0xff000001 || r.get(1, regSubsys, 4) != 0x0007_1af4 || r.get(1, regPin, 1) != 1 || r.get(0, regPin, 1) != 0 {
		t.Error("header")
	}
	r.set(1, 0, 0, 4)
	r.set(1, regClass, 0, 4)
	e.Write(regSubsys, 8, 0, 0)
	if r.get(1, 0, 4) != 0x1044_1af4 || r.get(1, regClass, 4) != 0xff000001 || r.get(1, regSubsys, 4) != 0x0007_1af4 {
		t.Error("identities change")
	}
	// Of the ports, the reset control register is a byte.
	r.cfg.Write(0, 4, 6<<8, 0)
	r.cfg.Write(offReset, 2, 6, 0)
	if r.cfg.Read(0, 4, 0) != ones || r.cfg.Read(offReset, 2, 0) != ones || r.cfg.Read(4, 4, 0) != ones || r.p.resets != 0 {
		t.Error("ports")
	}
}

// Base address registers are sized, moved within their aperture, and decoded when
// the guest says so and nobody else is there.
func TestBARs(t *testing.T) {
	r := newRig()
	mem, io := r.Memory(), r.IO()
	at := r.get(1, regBAR, 4)
	if at != MemBase || r.get(9, regBAR, 4) != MemBase+0x4000 || r.get(1, regBAR+4, 4) != IOBase|1 || r.get(9, regBAR+4, 4) != (IOBase+32)|1 {
		t.Errorf("assigned: %#x %#x", at, r.get(1, regBAR+4, 4))
	}
	if mem.Read(8, 4, 0) != ones || len(r.moves) != 0 {
		t.Error("decoded before it is enabled")
	}
	for reg, want := range map[int]uint64{regBAR: 0xffff_c000, regBAR + 4: 0xffff_ffe1, regBAR + 8: 0, 0x30: 0} {
		old := r.get(1, reg, 4)
		r.set(1, reg, 0xffff_ffff, 4)
		if got := r.get(1, reg, 4); got != want {
			t.Errorf("size of register %#x: %#x, want %#x", reg, got, want)
		}
		r.set(1, reg, old, 4)
	}
	r.set(1, regCommand, 3, 2)
	r.set(9, regCommand, 3, 2)
	if mem.Read(8, 4, 0) != 1<<32|8 || mem.Read(0x4010, 4, 0) != 2<<32|0x10 || io.Read(33, 1, 0) != 2<<32|1 || r.moves[1] != IOBase {
		t.Errorf("not decoded: %#x, moves %v", mem.Read(8, 4, 0), r.moves)
	}
	if mem.Read(0x3ffe, 4, 0) != ones {
		t.Error("an access of two functions is answered")
	}
	// To the end of the aperture, then outside, then onto the other function.
	for _, c := range []struct {
		at uint64
		ok bool
	}{
		{IOBase + IOSize - 32, true}, {IOBase - 32, false}, {0x1_0000 - 32, true}, {0, false}, {IOBase + 32, true},
	} {
		r.set(1, regBAR+4, c.at, 4)
		got, ok := r.moves[1]
		if ok != c.ok || ok && got != c.at {
			t.Errorf("at %#x: %#x %v", c.at, got, ok)
		}
	}
	if io.Read(32, 1, 0) != 1<<32 {
		t.Error("the function of the first slot does not win")
	}
	r.set(1, regCommand, 2, 2)
	if _, ok := r.moves[1]; ok || io.Read(32, 1, 0) != 2<<32 {
		t.Errorf("I/O is still decoded: %v, %#x", r.moves, io.Read(32, 1, 0))
	}
	mem.Write(4, 4, 77, 0)
	if len(r.d[0].wrote) != 1 || r.d[0].wrote[0] != 4<<32|77 {
		t.Errorf("wrote %v", r.d[0].wrote)
	}
}

func TestMSIX(t *testing.T) {
	r := newRig()
	at := int(r.get(1, regCaps, 1))
	if r.get(1, regStatus, 1)&statusCaps == 0 || r.get(1, at, 2) != capMSIX || r.get(1, at+2, 2) != 2 ||
		r.get(1, at+4, 4) != 0x2000 || r.get(1, at+8, 4) != 0x2800 {
		t.Fatalf("capability at %#x: %#x %#x", at, r.get(1, at, 4), r.get(1, at+4, 4))
	}
	m := r.msix
	r.set(1, regCommand, 7, 2)
	m.Write(16, 4, 0xfee0_1000, 0)
	m.Write(24, 4, 0x41, 0)
	if m.Raise(1); len(r.p.messages) != 0 || r.f[0].Enabled() {
		t.Error("a message though MSI-X is off")
	}
	r.set(1, at+2, 0x8000, 2)
	if m.Raise(1); len(r.p.messages) != 0 || m.Read(0x800, 8, 0) != 2 || !r.f[0].Enabled() {
		t.Errorf("masked: messages %x, pending %#x", r.p.messages, m.Read(0x800, 8, 0))
	}
	m.Write(28, 4, 0xffff_fffe, 0)
	if len(r.p.messages) != 1 || r.p.messages[0] != 0xfee0_1000_0000_0041 || m.Read(0x800, 8, 0) != 0 || m.Read(28, 4, 0) != 0 {
		t.Errorf("unmasked: messages %x", r.p.messages)
	}
	r.set(1, at+3, 0xff, 1) // function mask
	m.Raise(1)
	m.Raise(1)
	m.Raise(77)
	r.set(1, at+3, 0x80, 1)
	if len(r.p.messages) != 2 {
		t.Errorf("function mask: messages %x", r.p.messages)
	}
	r.set(1, regCommand, 3, 2)
	if m.Raise(1); len(r.p.messages) != 2 {
		t.Error("a message of a function that is no bus master")
	}
	if r.get(1, at+2, 2) != 0x8002 {
		t.Errorf("message control %#x", r.get(1, at+2, 2))
	}
}

// A line is high while one of the functions that share it holds it, and lets it.
func TestINTx(t *testing.T) {
	r := newRig()
	gsi := GSI(1, 0)
	if gsi != GSI(9, 0) || gsi == GSI(2, 0) || GSI(1, 1) != GSI(2, 0) {
		t.Fatal("the slots share no line")
	}
	high := func(want bool) {
		t.Helper()
		if r.p.lines[gsi] != want {
			t.Errorf("line is %v", r.p.lines[gsi])
		}
	}
	r.f[0].SetINTx(true)
	r.f[1].SetINTx(true)
	high(true)
	r.f[0].SetINTx(false)
	high(true)
	if r.get(9, regStatus, 2)&statusINTx == 0 || r.get(1, regStatus, 2)&statusINTx != 0 {
		t.Error("status")
	}
	r.set(9, regCommand, commandNoINTx, 2)
	high(false)
	r.set(9, regCommand, 0, 2)
	high(true)
	r.f[1].SetINTx(false)
	high(false)
}

func TestReset(t *testing.T) {
	r := newRig()
	for i, v := range []uint64{0, 2, 6} {
		if r.cfg.Write(offReset, 1, v, 0); r.p.resets != i/2 {
			t.Errorf("%#x: %d resets", v, r.p.resets)
		}
	}
	r.cfg.Write(offReset, 1, 6, 0) // no edge
	if r.p.resets != 1 || r.cfg.Read(offReset, 1, 0) != 6 {
		t.Errorf("%d resets, reads %#x", r.p.resets, r.cfg.Read(offReset, 1, 0))
	}
}

// FuzzAccess makes arbitrary accesses everywhere: nothing changes what functions
// are, what is decoded lies within the apertures, and the host hears of each move.
func FuzzAccess(f *testing.F) {
	f.Add([]byte{0, 4, 0, 7, 1, 0x10, 0xff, 2, 2, 0x14, 0xc0, 2, 3, 1, 2, 3})
	f.Fuzz(func(t *testing.T, ops []byte) {
		r := newRig()
		devs := []bus.Device{r.cfg, r.Config(1), r.Memory(), r.IO(), r.msix}
		for ; len(ops) >= 8; ops = ops[8:] {
			size := uint8(1) << (ops[0] >> 4 & 3)
			off := uint64(ops[2]) | uint64(ops[3])<<8&0xf00
			val := uint64(ops[5]) | uint64(ops[6])<<8 | uint64(ops[7])<<24 | uint64(ops[4])<<16
			switch n := int(ops[0]&7) % len(devs); {
			case ops[0]&8 != 0:
				r.set(1+int(ops[1]&8), int(ops[2]&^3), val, 4)
			case n == 0:
				size = min(size, 4)
				off = off & 7 &^ uint64(size-1)
				fallthrough
			default:
				if ops[1]&1 != 0 {
					devs[n].Write(off, size, val, 0)
				} else {
					devs[n].Read(off, size, 0)
				}
			}
			for i, f := range r.f {
				for n := range f.bar {
					b := &f.bar[n]
					lo, size := uint64(MemBase), uint64(MemSize)
					if b.io {
						lo, size = IOBase, IOSize
					}
					if b.ok && (b.at < lo || b.at+uint64(b.size) > lo+size || b.at%uint64(b.size) != 0) {
						t.Fatalf("function %d decodes %#x", i, b.at)
					}
					if at, ok := r.moves[n]; i == 0 && (ok != b.ok || ok && at != b.at) {
						t.Fatalf("register %d is at %#x %v, was told %#x %v", n, b.at, b.ok, at, ok)
					}
				}
			}
			if r.get(1, 0, 4) != 0x1044_1af4 || r.get(9, regClass, 4) != 0xff000001 || r.get(1, regCaps, 1) != 0x40 {
				t.Fatal("an identity has changed")
			}
		}
	})
}
