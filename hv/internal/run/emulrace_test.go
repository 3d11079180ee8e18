// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package run

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"ringo/hv/abi"
	"ringo/hv/internal/part"
	"ringo/hv/vcpu"
	"ringo/hv/vcpu/vcputest"
	"ringo/hv/x86"
	"ringo/mm"
	"ringo/mm/pt"
)

// A user program whose second thread changes code and page tables at every load
// of the emulator. It gets at nothing that the exit, or its own rights, do not
// give it: neither the kernel's memory and devices, nor ports, nor control
// registers; and it does not end its guest.

// Where things are, by guest physical address.
const (
	raceKernel = 0x50_0000 // the kernel's memory: an access is an error of phystest
	raceNoRAM  = 0x1_0000_0000
	raceDevice = arenaDev // the user's
	raceSecret = 0xe100_0000
	raceClaim  = 0xe200_0000
	raceOther  = 0x1238 // a port without an exit
)

// race is one guest.
type race struct {
	*dice
	t                     *testing.T
	g                     *rig
	d                     *part.Domain
	p                     *part.VCPU
	hw                    *vcputest.VCPU
	user, secret          recorder // devices in memory
	port, other           recorder
	codeAt, tablesAt      mm.HPA
	entries               []uint64
	changes               int
	x                     vcpu.Exit
	accesses, ports, exec int // what came of it
}

func newRace(t *testing.T, seed uint64) *race {
	g := newRig(t)
	d, hw := g.guest("a")
	r := &race{dice: newDice(seed), t: t, g: g, d: d, p: d.VCPUs[0], hw: hw}
	flat(t, r.p)
	paged(t, r.p, arena, [2]uint64{})
	hw.State[x86.CR3] |= 0x18 // a value that no register has by chance
	err := errors.Join(d.Tables.Map(raceKernel, raceNoRAM, mm.PageSize, pt.RWX),
		d.Mem.Add(raceDevice, mm.PageSize, &r.user), d.Mem.Add(raceSecret, mm.PageSize, &r.secret),
		d.Ports.Add(fuzzPort, 4, &r.port), d.Ports.Add(raceOther, 4, &r.other))
	if st := d.Claim(abi.SpaceMemory, raceClaim, mm.PageSize, 0); err != nil || st != abi.OK {
		t.Fatal(err, st)
	}
	r.codeAt, _, _, _ = d.Tables.Lookup(0x1000)
	r.tablesAt, _, _, _ = d.Tables.Lookup(0x13000)
	r.entries = []uint64{0, arenaRAM | 7, arenaRAM + 0x1000 | 7, arenaRAM | 5, raceKernel | 3, raceSecret | 3, raceDevice | 7, raceClaim | 7, arenaHole | 7}
	return r
}

// change is what the other thread does: an instruction, or an entry, is another
// one from now on.
func (r *race) change() {
	r.changes++
	if r.n(2) == 0 {
		code := append([]byte(nil), fuzzPrefixes[r.n(len(fuzzPrefixes))]...)
		code = append(code, fuzzOpcodes[r.n(len(fuzzOpcodes))]...)
		r.g.mem.Write(r.codeAt, append(code, byte(0x46|r.n(2)|r.n(8)<<3), byte(r.n(16)-8), byte(r.n(256)), byte(r.n(256))))
		return
	}
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], r.entries[r.n(len(r.entries))])
	r.g.mem.Write(r.tablesAt+mm.HPA(8*r.n(arenaPages)), b[:])
}

// begin chooses registers and an exit that the user's rights allow.
func (r *race) begin() {
	for range 8 {
		r.change()
	}
	regs := &r.hw.Registers
	for n := range uint8(16) {
		*regs.GPR(n) = r.word()
	}
	near := func() uint64 { return arena + uint64(r.n(arenaPages))<<12 + uint64(0xff0+r.n(24))&0xfff }
	regs.RSI, regs.RDI, regs.RCX, regs.RDX = near(), near(), uint64(r.n(4)), []uint64{fuzzPort, raceOther, raceOther}[r.n(3)]
	s := &r.hw.State
	s[x86.RSP], s[x86.RIP], s[x86.RFLAGS] = near(), 0x1000, 2
	r.x = vcpu.Exit{Reason: vcpu.Memory, CPL: 3}
	switch r.n(8) {
	case 0:
		r.x.Reason = vcpu.CRRead
	case 1, 2, 3:
		r.x.Reason = vcpu.IO
		r.x.IO = vcpu.IOExit{Port: fuzzPort, Size: 1 << r.n(3), In: r.n(2) == 0, String: true}
		code := map[uint8][]byte{1: {0x6e}, 2: {0x66, 0x6f}, 4: {0x6f}}[r.x.IO.Size]
		if r.x.IO.In {
			code[len(code)-1] -= 2
		}
		r.g.mem.Write(r.codeAt, code) // what exited; the hooks change it
	default:
		at := []mm.GPA{raceDevice, raceClaim, arenaHole}[r.n(3)]
		r.x.Mem = vcpu.MemExit{GPA: at | mm.GPA((regs.RSI+uint64(r.n(3)-1))&0xfff), Write: r.n(2) == 0}
	}
	r.hw.HasPending, r.hw.Calls = false, r.hw.Calls[:0]
	r.user.log, r.port.log = nil, nil
	r.p.IO.Kind = part.PendingPort
}

// step is one exit, to its end.
func (r *race) step() {
	r.begin()
	r.g.mem.HookLoad(func(mm.HPA) {
		if r.n(6) == 0 {
			r.change()
		}
	})
	r.p.Exit = r.x
	before := r.hw.State
	a := handlers[r.x.Reason](r.g.r, r.p, &r.p.Exit)
	for a == block {
		q := &r.d.IOReq.Slot[0]
		if q.Space != uint8(abi.SpaceMemory) || q.Addr&^0xfff != raceClaim {
			r.t.Fatalf("forwarded: %+v", *q)
		}
		q.Data, q.State = r.word(), abi.IOReqDone
		a = r.g.r.finish(r.p, r.g.now)
	}
	r.g.mem.HookLoad(nil)
	r.check(&before)
}

func (r *race) check(before *[x86.NumRegs]uint64) {
	if n := len(r.secret.log) + len(r.other.log); n != 0 {
		r.t.Fatalf("%+v: %d accesses to the kernel's device or another port", r.x, n)
	}
	for _, l := range r.port.log {
		if r.x.Reason != vcpu.IO || l.Write == r.x.IO.In || l.Size != r.x.IO.Size {
			r.t.Fatalf("%+v: port access %+v", r.x, l)
		}
	}
	if len(r.port.log) > 1 {
		r.t.Fatalf("%d port accesses in one exit", len(r.port.log))
	}
	for _, reg := range []x86.Reg{x86.CR0, x86.CR3, x86.CR4, x86.EFER, x86.CR8} {
		if got := r.hw.State[reg]; got != before[reg] {
			r.t.Fatalf("%+v: register %d is %#x, was %#x", r.x, reg, got, before[reg])
		}
	}
	for n := range uint8(16) {
		if *r.hw.Registers.GPR(n) == before[x86.CR3] {
			r.t.Fatalf("%+v: the user has read CR3", r.x)
		}
	}
	if in := info(r.d); in.Shutdown != 0 {
		r.t.Fatalf("%+v: the user ended the guest: %s", r.x, strings.TrimRight(string(in.Why[:]), "\x00"))
	}
	r.accesses += len(r.user.log)
	r.ports += len(r.port.log)
	if r.hw.State[x86.RIP] != 0x1000 {
		r.exec++
	}
}

func FuzzEmulateRace(f *testing.F) {
	for seed := range uint64(40) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		r := newRace(t, seed)
		for range 100 {
			r.step()
		}
	})
}

// The race is one: instructions are carried out, devices and the port are reached.
func TestRaceReaches(t *testing.T) {
	var accesses, ports, exec, changes int
	for seed := range uint64(20) {
		r := newRace(t, seed)
		for range 100 {
			r.step()
		}
		accesses, ports, exec, changes = accesses+r.accesses, ports+r.ports, exec+r.exec, changes+r.changes
	}
	if accesses < 20 || ports < 20 || exec < 200 || changes < 10_000 {
		t.Errorf("%d accesses to the device, %d to the port, %d instructions, %d changes", accesses, ports, exec, changes)
	}
}
