// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vcputest

import (
	"encoding/binary"

	"ringo/hv/vcpu"
	"ringo/hv/x86"
)

// Guest physical addresses of the suite's 64-bit guests. RAM must reach GuestEnd.
const (
	guestPML4  = 0x1000 // identity map of the first GiB, in 2 MiB pages
	guestPDPT  = 0x2000
	guestPD    = 0x3000
	guestGDT   = 0x4000
	guestIDT   = 0x5000
	GuestData  = 0x8000  // scratch for guest code
	GuestCode  = 0x10000 // where Boot64 puts the code
	GuestStack = 0x30000 // grows down
	GuestEnd   = 0x40000
)

// GuestCodeSeg and GuestDataSeg are the selectors of guests of Boot64.
const (
	GuestCodeSeg = 8
	GuestDataSeg = 16
)

// Boot64 puts code into m's RAM and v at its start: 64-bit mode, CPL 0,
// interrupts off, paging with an identity map, an empty IDT (see Handler).
func Boot64(m Machine, v vcpu.VCPU, code []byte) {
	ram := m.RAM()
	clear(ram[:GuestCode])
	put := binary.LittleEndian.PutUint64
	put(ram[guestPML4:], guestPDPT|7)
	put(ram[guestPDPT:], guestPD|7)
	for i := range uint64(512) {
		put(ram[guestPD+8*i:], i<<21|0x87)
	}
	put(ram[guestGDT+8:], 0x00af_9b00_0000_ffff)
	put(ram[guestGDT+16:], 0x00cf_9300_0000_ffff)
	copy(ram[GuestCode:], code)

	*v.Regs() = x86.Regs{}
	v.SetSegment(x86.CS, x86.Segment{Selector: GuestCodeSeg, Access: 0xa09b, Limit: 0xffff_ffff})
	for _, s := range []x86.Seg{x86.DS, x86.ES, x86.FS, x86.GS, x86.SS} {
		v.SetSegment(s, x86.Segment{Selector: GuestDataSeg, Access: 0xc093, Limit: 0xffff_ffff})
	}
	for _, r := range []struct {
		r   x86.Reg
		val uint64
	}{
		{x86.GDTRBase, guestGDT}, {x86.GDTRLimit, 23}, {x86.IDTRBase, guestIDT}, {x86.IDTRLimit, 0xfff},
		{x86.CR3, guestPML4}, {x86.CR4, x86.CR4PAE | x86.CR4OSFXSR | x86.CR4OSXMMEXCPT},
		{x86.EFER, x86.EFERLME | x86.EFERSCE}, {x86.CR0, 0x8001_0033},
		{x86.RFLAGS, 2}, {x86.RIP, GuestCode}, {x86.RSP, GuestStack},
	} {
		v.Set(r.r, r.val)
	}
}

// Handler makes the code at guest address entry the handler of a vector: an
// interrupt gate.
func Handler(m Machine, vector uint8, entry uint64) {
	gate := m.RAM()[guestIDT+16*int(vector):]
	binary.LittleEndian.PutUint64(gate, entry&0xffff|GuestCodeSeg<<16|0x8e<<40|entry>>16&0xffff<<48)
	binary.LittleEndian.PutUint64(gate[8:], entry>>32)
}

// Skip moves v behind the instruction of x, which has n bytes, unless the backend has
// done so.
func Skip(v vcpu.VCPU, x *vcpu.Exit, n uint8) {
	if x.Ahead {
		return
	}
	v.Advance(n)
}

// Length is the length of the instruction of x: what the backend says, or else
// what the instruction has without prefixes, which is how the suite's guests
// are written.
func Length(x *vcpu.Exit) uint8 {
	if x.Len != 0 {
		return x.Len
	}
	switch x.Reason {
	case vcpu.CPUID, vcpu.RDMSR, vcpu.WRMSR, vcpu.Cache, vcpu.Pause, vcpu.TSC, vcpu.RDPMC:
		return 2
	case vcpu.Hypercall, vcpu.XSETBV, vcpu.CRRead, vcpu.CRWrite, vcpu.Privileged, vcpu.Monitor:
		return 3
	case vcpu.HLT:
		return 1
	}
	return 0
}

// Next runs v until an exit that has to do with what it does.
func Next(t T, m Machine, v vcpu.VCPU, x *vcpu.Exit) {
	for range 1 << 20 {
		v.Run(m.CPU(), x)
		if x.Reason != vcpu.Interrupted && x.Reason != vcpu.Tick {
			return
		}
	}
	t.Fatalf("the guest makes no progress: RIP %#x", x.RIP)
}

// Expect runs v and checks the reason and RIP (relative to GuestCode) of the
// next exit. It reports whether both are right.
func Expect(t T, m Machine, v vcpu.VCPU, x *vcpu.Exit, reason vcpu.Reason, at uint64) bool {
	Next(t, m, v, x)
	if x.Reason != reason || x.RIP != GuestCode+at {
		t.Errorf("exit %d at %#x, want %d at %#x (%+v)", x.Reason, x.RIP, reason, GuestCode+at, *x)
		return false
	}
	return true
}
