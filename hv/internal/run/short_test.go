// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package run

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/hv/abi"
	"ringo/hv/internal/part"
	"ringo/hv/vcpu"
	"ringo/hv/vcpu/vcputest"
	"ringo/hv/x86"
)

// bridge is what the configuration ports of a PC with functions at some addresses do,
// as the PCI Local Bus Specification says ("Configuration Mechanism").
type bridge struct {
	address uint32
	exists  map[uint32]bool // bus, device and function, 16 bits
}

// access returns what an access reads, or if asked is not empty the access that reaches
// a function, or the ports that are not the mechanism's.
func (b *bridge) access(port uint16, size uint8, read bool, val uint32) (got uint64, asked string) {
	name := func(s abi.Space, addr uint64) string {
		return fmt.Sprintf("space %d, %#x, %d bytes, read %v, value %#x", s, addr, size, read, val)
	}
	ones := uint64(1)<<(8*size) - 1
	switch {
	case port == 0xcf8 && size == 4:
		if !read {
			b.address = val
		}
		return uint64(b.address), ""
	case int(port)+int(size) > 0xd00 || port < 0xcf8:
		return ones, ""
	case port < 0xcfc:
		return 0, name(abi.SpacePort, uint64(port))
	}
	function := b.address >> 8 & 0xffff
	if b.address>>31 == 0 || !b.exists[function] {
		return ones, ""
	}
	return 0, name(abi.SpaceConfig, uint64(function)<<12|uint64(b.address&0xfc)|uint64(port&3))
}

// TestConfiguration makes random accesses to the configuration ports and around them,
// and compares with the bridge. dom0 is asked for what a function answers, and for nothing else.
func TestConfiguration(t *testing.T) {
	g := newRig(t)
	d, v := g.guest("a")
	b := &bridge{exists: map[uint32]bool{0: true, 8: true, 15: true, 0x1f8: true, 0xffff: true}}
	for f := range b.exists {
		if st := d.Claim(abi.SpaceConfig, uint64(f)<<12, 0x1000, 0); st != abi.OK {
			t.Fatal(st)
		}
	}
	for _, c := range []struct{ start, size uint64 }{
		{0x8001, 0x1000}, {0x8000, 0x800}, {1 << 28, 0x1000}, {0x1000, 1 << 28}, {0x1000, 0}, {^uint64(0xfff), 0x1000}, {0xfff, 1},
	} {
		if st := d.Claim(abi.SpaceConfig, c.start, c.size, 0); st != abi.BadArg {
			t.Errorf("claim of %#x+%#x: %v", c.start, c.size, st)
		}
	}
	if st := d.Claim(abi.SpaceConfig, 0x7000, 0x2000, 0); st != abi.Exists {
		t.Errorf("claimed twice: %v", st)
	}
	if st := d.Claim(abi.SpacePort, abi.PortPCI, 8, 0); st != abi.OK {
		t.Fatal(st)
	}
	d.Unpause()
	g.run()
	vc, rnd := d.VCPUs[0], rand.New(rand.NewPCG(1, 2))
	functions := []uint32{0, 1, 8, 9, 15, 16, 0x1f8, 0x100, 0xffff, 0xfffe}
	for range 200_000 {
		size := uint8(1) << rnd.IntN(3)
		at, val := uint16(0xcf6+rnd.IntN(12)), rnd.Uint32()
		if rnd.IntN(2) == 0 {
			at, size = 0xcf8, 4
			val = functions[rnd.IntN(len(functions))]<<8 | val&0xff | uint32(min(rnd.IntN(8), 1))<<31
		}
		val &= uint32(uint64(1)<<(8*size) - 1)
		read := rnd.IntN(2) == 0
		want, asked := b.access(at, size, read, val)
		vc.SetWait(part.WaitNothing)
		d.IOReq.Slot[0] = abi.IOReq{}
		v.Registers.RAX = uint64(val)
		x := &vcpu.Exit{Reason: vcpu.IO, Len: 1, Ahead: true, IO: vcpu.IOExit{Port: at, Size: size, In: read}}
		a := port(g.r, vc, x)
		got := ""
		if q := &d.IOReq.Slot[0]; q.State == abi.IOReqReady {
			got = fmt.Sprintf("space %d, %#x, %d bytes, read %v, value %#x", q.Space, q.Addr, q.Size, q.Read != 0, q.Data)
		}
		if got != asked || (a == block) != (asked != "") {
			t.Fatalf("address %#x, port %#x, %d bytes, read %v: dom0 is asked for %q, want %q", b.address, at, size, read, got, asked)
		}
		if rax := v.Registers.RAX; asked == "" && read && rax != want {
			t.Fatalf("address %#x, port %#x, %d bytes: %#x, want %#x", b.address, at, size, rax, want)
		}
	}
	// Another guest has another address.
	d2, _ := g.guest("b")
	acc := part.Access{Read: true, Size: 4}
	d2.Claim(abi.SpacePort, abi.PortPCI, 8, 0)
	d2.Unpause()
	s := d2.Ports.At(abi.PortPCI)
	if !d2.Short(s.Dev.(*part.Claim), 0, &acc) || acc.Value != 0 {
		t.Errorf("a new guest's address is %#x", acc.Value)
	}
}

// A port with a cell: dom0 lets reads be answered and writes be posted, or neither.
func TestCells(t *testing.T) {
	g := newRig(t)
	io := func(port uint16, size uint8, in bool) vcputest.Step {
		return vcputest.Step{Exit: vcpu.Exit{Reason: vcpu.IO, Len: 1, IO: vcpu.IOExit{Port: port, Size: size, In: in}}}
	}
	raised := func(d *part.Domain) bool {
		w, bit := &g.shared.Pending[d.Port/64], uint64(1)<<(d.Port%64)
		was := *w&bit != 0
		*w &^= bit
		g.shared.Ready = 0
		return was
	}
	for _, c := range []struct{ start, size, cell uint64 }{
		{0x2f8, 8, abi.MaxCells - 6}, {0x2f8, 8, abi.MaxCells + 1}, {0x2f8, 8, ^uint64(0)}, {0x2f8, ^uint64(0), 1},
	} {
		d, _ := newRig(t).guest("refused")
		if st := d.Claim(abi.SpacePort, c.start, c.size, c.cell); st != abi.BadArg {
			t.Errorf("%+v: %v", c, st)
		}
		if st := d.Claim(abi.SpaceMemory, 0xf000_0000, 1, 1); st != abi.BadArg {
			t.Errorf("memory with a cell: %v", st)
		}
	}
	steps := []vcputest.Step{io(0x3fd, 1, true)}
	for range abi.MaxPosts {
		steps = append(steps, io(0x3f8, 1, false))
	}
	d, v := g.guest("a", append(steps, io(0x3f8, 1, false), io(0x3fd, 2, true))...)
	if st := d.Claim(abi.SpacePort, 0x3f8, 8, 9); st != abi.OK {
		t.Fatal(st)
	}
	q := d.IOReq
	q.Cell[8], q.Cell[13] = abi.CellPost|0x77, abi.CellRead|0x60|1<<31
	v.Registers.RAX = 0x1141
	d.Unpause()
	g.run()
	if v.Next != len(steps)+1 || v.Registers.RAX != 0x1160 {
		t.Fatalf("the guest made %d accesses, RAX %#x", v.Next, v.Registers.RAX)
	}
	if q.Slot[0].State != abi.IOReqReady || q.Slot[0].Addr != 0x3f8 || q.Slot[0].Read != 0 {
		t.Fatalf("what has no room is not forwarded: %+v", q.Slot[0])
	}
	if q.PostIn != abi.MaxPosts || !raised(d) {
		t.Errorf("%d posted", q.PostIn)
	}
	for i := range q.Post {
		if e := &q.Post[i]; e.Port != 0x3f8 || e.Value != 0x60 || e.Time != d.VCPUs[0].Exit.TSC {
			t.Fatalf("entry %d: %+v", i, *e)
		}
	}
	// dom0 lies about what it has taken: entries are overwritten, no more.
	for _, out := range []uint32{1 << 31, abi.MaxPosts + 1, 7} {
		q.PostOut = out
		for range 2 * abi.MaxPosts {
			d.VCPUs[0].SetWait(part.WaitNothing)
			a := part.Access{Size: 1, Addr: 0x3f8}
			s := d.Ports.At(0x3f8)
			d.Short(s.Dev.(*part.Claim), 0, &a)
		}
	}
	if n := testing.AllocsPerRun(100, func() {
		q.PostOut = q.PostIn
		port(g.r, d.VCPUs[0], &vcpu.Exit{Reason: vcpu.IO, Len: 1, Ahead: true, IO: vcpu.IOExit{Port: 0x3f8, Size: 1}})
	}); n != 0 {
		t.Errorf("a posted write allocates %v times", n)
	}
	raised(d)

	// A few wait until the vCPU does, or is looked at.
	for name, last := range map[string]vcputest.Step{"halt": exit(vcpu.HLT, 1), "look": exit(vcpu.Interrupted, 0)} {
		d, _ := g.guest(name, io(0x3f8, 1, false), exit(vcpu.CPUID, 2), last)
		d.Claim(abi.SpacePort, 0x3f8, 8, 9)
		d.IOReq.Cell[8] = abi.CellPost
		d.Unpause()
		g.run()
		if d.IOReq.PostIn != 1 || !raised(d) {
			t.Errorf("%s: %d posted, dom0 does not know", name, d.IOReq.PostIn)
		}
	}
	// dom0 has looked and is slow to carry out what it saw: of what came after that it is
	// told as well, before the vCPU waits.
	for before := range abi.MaxPosts - 1 {
		var steps []vcputest.Step
		for range abi.MaxPosts {
			steps = append(steps, io(0x3f8, 1, false))
		}
		steps = slices.Insert(steps, before+1, exit(vcpu.Interrupted, 0))
		steps = append(steps, exit(vcpu.HLT, 1))
		d, _ := g.guest("slow", steps...)
		steps[before+2].Guest = func(*vcputest.VCPU) {
			if !raised(d) {
				t.Errorf("dom0 has not been told of %d", before+1)
			}
		}
		d.Claim(abi.SpacePort, 0x3f8, 8, 9)
		d.IOReq.Cell[8] = abi.CellPost
		d.Unpause()
		g.run()
		if d.IOReq.PostIn != abi.MaxPosts || !raised(d) {
			t.Errorf("dom0 has looked when there were %d, and is not told of %d", before+1, d.IOReq.PostIn)
		}
		for d.Destroy() != abi.OK {
		}
	}
	// Nobody has said anything: all is forwarded, as is an access of two bytes.
	for _, c := range []struct {
		cell uint32
		s    vcputest.Step
	}{{0, io(0x3f8, 1, false)}, {0, io(0x3f8, 1, true)}, {abi.CellPost, io(0x3f8, 1, true)}, {abi.CellRead, io(0x3f8, 1, false)},
		{abi.CellRead | abi.CellPost, io(0x3f8, 2, true)}, {abi.CellRead | abi.CellPost, io(0x3f8, 4, false)}} {
		g := newRig(t)
		d, v := g.guest("b", c.s)
		d.Claim(abi.SpacePort, 0x3f8, 8, 9)
		d.IOReq.Cell[8] = c.cell
		d.Unpause()
		g.run()
		if d.IOReq.Slot[0].State != abi.IOReqReady || v.State[x86.RIP] != 0x1001 {
			t.Errorf("cell %#x, %+v: %s", c.cell, c.s.Exit.IO, cmp.Diff(abi.IOReq{}, d.IOReq.Slot[0]))
		}
	}
}
