// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package run

import (
	"encoding/binary"
	"errors"
	"testing"

	"ringo/hv/abi"
	"ringo/hv/decode"
	"ringo/hv/internal/part"
	"ringo/hv/vcpu"
	"ringo/hv/x86"
	"ringo/mm"
	"ringo/mm/pt"
)

// Operands may lie across pages, in RAM, where nothing is, or half and half.
func TestPageCrossing(t *testing.T) {
	const hole, end = 0xf000_0000, 4 * mm.MiB // RAM ends there
	for _, c := range []struct {
		name     string
		x        vcpu.Exit
		code     []byte
		esi, edi uint64
		at       mm.GPA // of n bytes that are compared
		n        mm.GPA
		want     uint64
	}{
		{"MOVSD from nothing to RAM", touch(hole, false).Exit, []byte{0xa5}, hole, 0x2ffe, 0x2ffe, 4, 0xffff_ffff},
		{"MOVSD from RAM to nothing", touch(hole, true).Exit, []byte{0xa5}, 0x2ffe, hole, 0x2ffe, 4, 0x4433_2211},
		{"MOVSD across the end of RAM", touch(end, true).Exit, []byte{0xa5}, 0x2ffe, end - 2, end - 2, 4, 0x2211},
		{"MOVSD from across the end of RAM", touch(end, false).Exit, []byte{0xa5}, end - 2, 0x2ffd, 0x2ffd, 4, 0xffff_bbaa},
		{"PUSH from nothing", touch(hole, false).Exit, []byte{0xff, 0x36}, hole, 0, 0x4ffd, 4, 0xffff_ffff},
		{"INSW", portExit(0x1234, 2, true), []byte{0x66, 0x6d}, 0, 0x2fff, 0x2ffe, 4, 0x44ff_ff11},
	} {
		g := newRig(t)
		d, v := g.guest("a")
		p := d.VCPUs[0]
		flat(t, p, c.code...)
		d.Write(0x2ffe, []byte{0x11, 0x22, 0x33, 0x44})
		d.Write(end-2, []byte{0xaa, 0xbb})
		v.Registers.RSI, v.Registers.RDI, v.Registers.RDX = c.esi, c.edi, 0x1234
		v.State[x86.RSP] = 0x5001
		p.Exit = c.x
		handlers[c.x.Reason](g.r, p, &p.Exit)
		var b [8]byte
		d.Read(c.at, b[:min(c.n, end-c.at)])
		if got := binary.LittleEndian.Uint64(b[:]); got != c.want || v.State[x86.RIP] != 0x1000+uint64(len(c.code)) {
			t.Errorf("%s: %#x, RIP %#x; want %#x", c.name, got, v.State[x86.RIP], c.want)
		}
	}
}

// paged gives v 4-level tables at 0x10000 that map one page at va to 0x20000 and
// the next to 0x21000, with these attributes of the leaves.
func paged(t *testing.T, p *part.VCPU, va uint64, leaves [2]uint64) {
	t.Helper()
	put := func(at mm.GPA, e uint64) {
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], e)
		if !p.Dom.Write(at, b[:]) {
			t.Fatal("no memory")
		}
	}
	// A 2 MiB page maps code and data below it as they are.
	put(0x10000, 0x11007)
	put(0x11000, 0x12007)
	put(0x12000, 0x87)
	put(mm.GPA(0x12000+va>>21*8), 0x13007)
	for n, e := range leaves {
		put(mm.GPA(0x13000+va>>12&511*8)+mm.GPA(8*n), uint64(0x20000+0x1000*n)|e)
	}
	p.HW.SetSegment(x86.CS, x86.Segment{Access: 0xa09b})
	p.HW.Set(x86.EFER, x86.EFERLME)
	p.HW.Set(x86.CR4, x86.CR4PAE)
	p.HW.Set(x86.CR3, 0x10000)
	p.HW.Set(x86.CR0, x86.CR0PE|x86.CR0PG|x86.CR0WP)
}

// leaf reads the entries that paged made for va.
func leaf(d *part.Domain, va uint64, n int) uint64 {
	var b [8]byte
	d.Read(mm.GPA(0x13000+va>>12&511*8)+mm.GPA(8*n), b[:])
	return binary.LittleEndian.Uint64(b[:]) & 0xfff
}

// counter is a device that counts accesses.
type counter struct{ reads, writes int }

func (c *counter) Read(uint64, uint8, uint64) uint64   { c.reads++; return 0x5555_5555_5555_5555 }
func (c *counter) Write(uint64, uint8, uint64, uint64) { c.writes++ }

// All operands are translated before the first access, and the tables are marked
// as by a CPU.
func TestTranslateFirst(t *testing.T) {
	const va = 0x60_0000
	const all, marked, dirty = 7, 0x27, 0x67
	for _, c := range []struct {
		name     string
		code     []byte
		in       bool // INS, else an access to a device in memory
		rdi      uint64
		leaves   [2]uint64
		fault    uint64 // CR2; 0: none
		err      uint32
		accesses int
		after    [2]uint64
	}{
		{"INSW", []byte{0x66, 0x6d}, true, va + 0xffe, [2]uint64{all, all}, 0, 0, 1, [2]uint64{dirty, all}},
		{"INSW across", []byte{0x66, 0x6d}, true, va + 0xfff, [2]uint64{all, all}, 0, 0, 1, [2]uint64{dirty, dirty}},
		{"INSW to a missing page", []byte{0x66, 0x6d}, true, va, [2]uint64{0, all}, va, 2, 0, [2]uint64{0, all}},
		{"INSW to a read-only page", []byte{0x66, 0x6d}, true, va, [2]uint64{5, all}, va, 3, 0, [2]uint64{5, all}},
		{"INSW, second page missing", []byte{0x66, 0x6d}, true, va + 0xfff, [2]uint64{all, 0}, va + 0x1000, 2, 0, [2]uint64{dirty, 0}},
		{"MOVS from a device", []byte{0xa5}, false, va, [2]uint64{all, all}, 0, 0, 1, [2]uint64{dirty, all}},
		{"MOVS from a device, missing", []byte{0xa5}, false, va, [2]uint64{0, all}, va, 2, 0, [2]uint64{0, all}},
		{"MOVS from a device, second page missing", []byte{0xa5}, false, va + 0xffd, [2]uint64{all, 0}, va + 0x1000, 2, 0, [2]uint64{dirty, 0}},
		{"CMPS with a device", []byte{0xa7}, false, va, [2]uint64{all, all}, 0, 0, 1, [2]uint64{marked, all}},
	} {
		g := newRig(t)
		d, v := g.guest("a")
		p, dev := d.VCPUs[0], new(counter)
		flat(t, p, c.code...)
		paged(t, p, va, c.leaves)
		const at = 0x1f_f000 // the device; the large page leads there
		if _, err := d.Tables.Unmap(at, mm.PageSize); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(d.Mem.Add(at, mm.PageSize, dev), d.Ports.Add(0x1234, 2, dev)); err != nil {
			t.Fatal(err)
		}
		x := vcpu.Exit{Reason: vcpu.Memory, Mem: vcpu.MemExit{GPA: at}}
		if c.in {
			x = portExit(0x1234, 2, true)
		}
		v.Registers.RSI, v.Registers.RDI, v.Registers.RDX = at, c.rdi, 0x1234
		p.Exit = x
		handlers[x.Reason](g.r, p, &p.Exit)
		faulted := v.HasPending && v.Pending.Vector == x86.VecPF
		if n := dev.reads + dev.writes; faulted != (c.fault != 0) || faulted && (v.State[x86.CR2] != c.fault || v.Pending.Err != c.err) || n != c.accesses {
			t.Errorf("%s: pending %v %+v, CR2 %#x, %d accesses", c.name, v.HasPending, v.Pending, v.State[x86.CR2], n)
		}
		if got := [2]uint64{leaf(d, va, 0), leaf(d, va, 1)}; got != c.after {
			t.Errorf("%s: entries %#x, want %#x", c.name, got, c.after)
		}
	}
}

// inSegment agrees with SDM Vol. 3, Table "Code- and Data-Segment Types".
func TestSegment(t *testing.T) {
	const present = x86.SegP | x86.SegS
	for _, c := range []struct {
		name        string
		access      uint32
		limit       uint32
		offset      uint64
		size        uint8
		read, write bool // allowed in protected mode
		real        bool // allowed in real mode
	}{
		{"data", present | 3, 0xfff, 0xffc, 4, true, true, true},
		{"data, one byte too far", present | 3, 0xfff, 0xffd, 4, false, false, false},
		{"data, read-only", present | 1, 0xfff, 0, 4, true, false, true},
		{"code, execute-only", present | 9, 0xfff, 0, 4, false, false, true},
		{"code, readable", present | 11, 0xfff, 0, 4, true, false, true},
		{"flat", present | 3, 0xffff_ffff, 0xffff_fffc, 4, true, true, true},
		{"expand-down, below", present | 7, 0xfff, 0xfff, 1, false, false, false},
		{"expand-down, lowest", present | 7, 0xfff, 0x1000, 4, true, true, true},
		{"expand-down, 16 bits, top", present | 7, 0xfff, 0xfffd, 4, false, false, false},
		{"expand-down, 32 bits", present | x86.SegDB | 7, 0xfff, 0xffff_fffc, 4, true, true, true},
		{"not present", x86.SegS | 3, 0xfff, 0, 4, false, false, true},
		{"null", x86.SegUnusable, 0xfff, 0, 4, false, false, true},
		{"system", x86.SegP | 2, 0xfff, 0, 4, false, false, true},
	} {
		seg := x86.Segment{Access: c.access, Limit: c.limit}
		read := decode.Operand{Offset: c.offset, Size: c.size, Read: true}
		write := decode.Operand{Offset: c.offset, Size: c.size, Write: true}
		got := [3]bool{inSegment(&seg, &read, true), inSegment(&seg, &write, true), inSegment(&seg, &write, false)}
		if got != [3]bool{c.read, c.write, c.real} {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// An operand outside its segment is #GP, on the stack #SS, and nothing was done.
func TestSegmentFault(t *testing.T) {
	const hole = 0xf000_0000
	for _, c := range []struct {
		name string
		code []byte
		seg  x86.Seg
		s    x86.Segment
		want uint8
	}{
		{"MOVS to a read-only segment", []byte{0xa5}, x86.ES, x86.Segment{Limit: 0xffff_ffff, Access: 0xc091}, x86.VecGP},
		{"MOVS beyond the limit", []byte{0xa5}, x86.ES, x86.Segment{Limit: 0x2002, Access: 0x93}, x86.VecGP},
		{"PUSH beyond the limit", []byte{0xff, 0x36}, x86.SS, x86.Segment{Limit: 0x4000, Access: 0x4093}, x86.VecSS},
	} {
		g := newRig(t)
		d, v := g.guest("a")
		p := d.VCPUs[0]
		flat(t, p, c.code...)
		p.HW.SetSegment(c.seg, c.s)
		v.Registers.RSI, v.Registers.RDI, v.State[x86.RSP] = hole, 0x2000, 0x5000
		p.Exit = touch(hole, false).Exit
		memory(g.r, p, &p.Exit)
		want := vcpu.Event{Type: vcpu.HardException, Vector: c.want, HasErr: true}
		if v.State[x86.RIP] != 0x1000 || v.State[x86.RSP] != 0x5000 || !v.HasPending || v.Pending != want {
			t.Errorf("%s: RIP %#x, pending %v %+v", c.name, v.State[x86.RIP], v.HasPending, v.Pending)
		}
	}
}

// An emulated store is a store: what the guest may only read, stays, and the guest
// goes on.
func TestReadOnly(t *testing.T) {
	const hole = 0xf000_0000
	for _, edi := range []uint64{0x3000, 0x2ffe} {
		g := newRig(t)
		d, v := g.guest("a")
		p := d.VCPUs[0]
		flat(t, p, 0xa5)
		var w part.Window
		w.Use(d)
		if !w.Write(0x3000, []byte{1, 2, 3, 4}) { // the window remembers a page that can be written
			t.Fatal("no memory")
		}
		if _, err := d.Tables.Protect(0x3000, mm.PageSize, pt.Read); err != nil {
			t.Fatal(err)
		}
		if _, ok := w.Swap(0x3000, 4, 0x0403_0201, 0); ok || w.Write(0x3000, []byte{0xee}) {
			t.Error("the window writes a page that can only be read")
		}
		v.Registers.RSI, v.Registers.RDI = hole, edi
		p.Exit = touch(hole, false).Exit
		memory(g.r, p, &p.Exit)
		var b [4]byte
		d.Read(0x3000, b[:])
		if b != [4]byte{1, 2, 3, 4} || info(d).Shutdown != abi.ShutdownNone || v.State[x86.RIP] != 0x1001 {
			t.Errorf("MOVS to %#x: memory %x, shutdown %d, RIP %#x", edi, b, info(d).Shutdown, v.State[x86.RIP])
		}
	}
}

// ROM can be read, and a write of its guest changes nothing, with or without
// emulation; or dom0 sees it.
func TestROM(t *testing.T) {
	const rom = 0x80_0000
	for _, kind := range []abi.RAMKind{abi.RAMReadOnly, abi.RAMForwarded} {
		g := newRig(t)
		d, v := g.guest("a")
		st := abi.Again
		for st == abi.Again {
			st = d.Populate(rom, 2*mm.PageSize, kind)
		}
		if st != abi.OK {
			t.Fatal(st)
		}
		p := d.VCPUs[0]
		flat(t, p, 0xa4) // MOVSB
		v.Registers.RSI, v.Registers.RDI = 0x1000, rom+5
		p.Exit = touch(rom+5, true).Exit
		p.Exit.Mem.Present = true
		a := memory(g.r, p, &p.Exit)
		var b [8]byte
		if d.Read(rom, b[:]); b != [8]byte{} || d.Write(rom, b[:]) {
			t.Errorf("kind %d: memory is %x", kind, b)
		}
		if q := &d.IOReq.Slot[0]; kind == abi.RAMForwarded {
			if a != block || q.State != abi.IOReqReady || q.Addr != rom+5 || q.Read != 0 || q.Data != 0xa4 {
				t.Errorf("not forwarded: %v, slot %+v", a, *q)
			}
		} else if v.State[x86.RIP] != 0x1001 || info(d).Shutdown != abi.ShutdownNone || q.State != abi.IOReqFree {
			t.Errorf("RIP %#x, shutdown %d, slot %+v", v.State[x86.RIP], info(d).Shutdown, *q)
		}
	}
}

// An instruction that goes on in a page which is missing by now is a page fault
// there, not the end of the guest.
func TestFetchAcrossPages(t *testing.T) {
	const va = 0x60_0000
	for _, present := range []bool{true, false} {
		g := newRig(t)
		d, v := g.guest("a")
		p := d.VCPUs[0]
		flat(t, p)
		leaves := [2]uint64{7, 0}
		if present {
			leaves[1] = 7
		}
		paged(t, p, va, leaves)
		d.Write(0x20ffe, []byte{0xc7, 0x06, 1, 2, 3, 4}) // MOV [RSI], 0x04030201
		v.State[x86.RIP], v.Registers.RSI = va+0xffe, 0xf000_0000
		p.Exit = touch(0xf000_0000, true).Exit
		memory(g.r, p, &p.Exit)
		fault := v.HasPending && v.Pending.Vector == x86.VecPF && v.Pending.Err == 0 && v.State[x86.CR2] == va+0x1000
		if info(d).Shutdown != 0 || fault == present || present != (v.State[x86.RIP] == va+0x1004) {
			t.Errorf("present %v: shutdown %d, pending %+v, CR2 %#x, RIP %#x", present, info(d).Shutdown, v.Pending, v.State[x86.CR2], v.State[x86.RIP])
		}
	}
}
