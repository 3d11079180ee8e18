// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package run

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/hv/abi"
	"ringo/hv/decode"
	"ringo/hv/internal/part"
	"ringo/hv/vcpu"
	"ringo/hv/vcpu/vcputest"
	"ringo/hv/x86"
	"ringo/mm"
	"ringo/mm/pt"
)

// The emulator against a model: a random instruction on pages of all kinds, at
// all levels and modes. The model knows pages and their rights, and which page
// faults first; what an instruction does to registers, flags and bytes it has
// from hv/decode, which the CPU itself tests.

// dice are the choices of a test, made of its seed.
type dice struct{ *rand.Rand }

func newDice(seed uint64) *dice { return &dice{rand.New(rand.NewPCG(seed, 9))} }

func (d *dice) n(k int) int { return d.IntN(k) }

// word is any number, often a small or a special one.
func (d *dice) word() (v uint64) {
	for n := range uint(d.n(9)) {
		v |= uint64(d.n(256)) << (8 * n)
	}
	if d.n(4) == 0 {
		v = -v
	}
	return v
}

// Kinds of pages.
const (
	pageRW     = iota
	pageRO     // by the guest's tables
	pageSystem // the supervisor's
	pageNone   // not present
	pageHole   // not RAM
	pageDevice // not RAM, a device of hv
	pageHoleRO // the same, and read-only by the guest's tables
	pageROM    // RAM that the second-level tables let the guest only read
	numKinds
)

// The pages lie from arena on; page n of RAM is at arenaRAM.
const (
	arena      = 0x60_0000
	arenaPages = 4
	edge       = 64 // bytes at each end of a page that are looked at
	arenaRAM   = 0x2_0000
	arenaHole  = 0xf000_0000
	arenaROM   = 0x4_0000
	arenaDev   = 0xe000_0000
	fuzzPort   = 0x1234
)

// entries are the bits of a page's table entry, and where it leads.
func entry(kind, n int) uint64 {
	at := uint64(arenaRAM + n<<12)
	switch kind {
	case pageRW:
		return at | 7
	case pageRO:
		return at | 5
	case pageSystem:
		return at | 3
	case pageHole:
		return uint64(arenaHole+n<<12) | 7
	case pageHoleRO:
		return uint64(arenaHole+n<<12) | 5
	case pageDevice:
		return uint64(arenaDev+n<<12) | 7
	case pageROM:
		return uint64(arenaROM+n<<12) | 7
	}
	return 0
}

func isRAM(kind int) bool { return kind != pageHole && kind != pageHoleRO && kind != pageDevice }

// touched is an access to the device or the port.
type touched struct {
	Write bool
	Off   uint64
	Size  uint8
	Val   uint64
}

// recorder is the device, and the port.
type recorder struct{ log []touched }

func answerOf(off uint64) uint64 { return (off + 0x51) * 0x9e37_79b9_7f4a_7c15 }

func (r *recorder) Read(off uint64, size uint8, _ uint64) uint64 {
	r.log = append(r.log, touched{Off: off, Size: size})
	return answerOf(off)
}

func (r *recorder) Write(off uint64, size uint8, val, _ uint64) {
	r.log = append(r.log, touched{true, off, size, val & mask(size)})
}

// outcome is all that can be seen of an instruction.
type outcome struct {
	Regs    [16]uint64
	RIP     uint64
	Flags   uint64
	Fault   vcpu.Event
	CR2     uint64
	Crashed bool
	Log     []touched
	Memory  [arenaPages][2 * edge]byte // the first bytes of each page, and the last
	Marks   [arenaPages]uint64         // accessed and dirty bits of entries that lead to RAM
}

// trial is one instruction.
type trial struct {
	t     *testing.T
	d     *part.Domain
	p     *part.VCPU
	hw    *vcputest.VCPU
	dev   *recorder
	kinds [arenaPages]int
	code  []byte
	mode  decode.Mode
	seg   [6]x86.Segment
	user  bool
	insn  decode.Insn
}

// fuzzOpcodes are mostly such that touch memory; a ModRM byte and what else it
// takes follow.
var fuzzOpcodes = [][]byte{
	{0x00}, {0x01}, {0x02}, {0x03}, {0x09}, {0x11}, {0x29}, {0x31}, {0x38}, {0x39}, {0x3b}, {0x80}, {0x81}, {0x83}, {0x84}, {0x85},
	{0x86}, {0x87}, {0x88}, {0x89}, {0x8a}, {0x8b}, {0x8f}, {0xc6}, {0xc7}, {0xf6}, {0xf7}, {0xfe}, {0xff}, {0x63},
	{0xa4}, {0xa5}, {0xa6}, {0xa7}, {0xaa}, {0xab}, {0xac}, {0xad}, {0xae}, {0xaf}, {0x6c}, {0x6d}, {0x6e}, {0x6f},
	{0x0f, 0x40}, {0x0f, 0x4f}, {0x0f, 0x95}, {0x0f, 0xb6}, {0x0f, 0xb7}, {0x0f, 0xbe}, {0x0f, 0xbf}, {0x0f, 0xb0}, {0x0f, 0xb1},
	{0x0f, 0xc0}, {0x0f, 0xc1}, {0x0f, 0xa3}, {0x0f, 0xab}, {0x0f, 0xb3}, {0x0f, 0xba}, {0x0f, 0xc3}, {0x0f, 0xae}, {0x0f, 0x01},
	{0x0f, 0x38, 0xf0}, {0x0f, 0x38, 0xf1}, {0x8b}, {0x89}, {0xa5},
	{0x0f, 0x20}, {0x0f, 0x20}, {0x0f, 0x22}, {0x0f, 0x23}, {0x0f, 0x06}, {0xec}, {0xee}, // none of them touches memory
	{0x6d}, {0x6f}, {0x8b}, {0x89}, {0xc7},
}

var fuzzPrefixes = [][]byte{nil, nil, nil, {0x66}, {0x67}, {0xf0}, {0xf3}, {0xf2}, {0x48}, {0x44}, {0x66, 0xf3}, {0xf3, 0x48}, {0x26}, {0x36}, {0x64}}

// instruction makes one up, with operands about the ends of pages.
func (c *trial) instruction(d *dice) bool {
	c.code = append([]byte(nil), fuzzPrefixes[d.n(len(fuzzPrefixes))]...)
	c.code = append(c.code, fuzzOpcodes[d.n(len(fuzzOpcodes))]...)
	modrm := byte(0x46 | d.n(2) | d.n(8)<<3) // [RSI] or [RDI] + disp8
	if c.mode.Code == 16 {
		modrm = byte(0x44 | d.n(2) | d.n(8)<<3) // [SI] or [DI] + disp8
	}
	c.code = append(c.code, modrm, byte(d.n(16)-8), byte(d.n(256)), byte(d.n(256)), byte(d.n(256)), byte(d.n(256)))
	var err error
	c.insn, err = decode.Decode(c.code, c.mode)
	return err == nil
}

// near is an offset near the end of a page, mostly.
func (c *trial) near(d *dice, base uint64) uint64 {
	return arena - base + uint64(d.n(arenaPages))<<12 + uint64(0xff0+d.n(24))&0xfff
}

// prepare chooses mode, segments, pages and registers.
func (c *trial) prepare(d *dice) bool {
	c.mode = []decode.Mode{{Code: 64, Stack: 64}, {Code: 32, Stack: 32}, {Code: 16, Stack: 16}}[d.n(3)]
	base := uint64(0)
	if c.mode.Code == 16 {
		base = arena
	}
	db := uint32(0)
	if c.mode.Code == 32 {
		db = x86.SegDB
	}
	for s := range c.seg {
		c.seg[s] = x86.Segment{Limit: 0xffff_ffff, Access: 0x8093 | db, Base: base}
	}
	c.seg[x86.CS].Access, c.seg[x86.CS].Base = 0x809b|db, 0
	if c.mode.Code == 64 {
		c.seg[x86.CS].Access = 0xa09b
	} else if s := []x86.Seg{x86.ES, x86.SS, x86.DS}[d.n(3)]; d.n(4) == 0 {
		c.seg[s].Limit = uint32(arena - base + uint64(d.n(arenaPages*4096/64)*64+d.n(8)))
		c.seg[s].Access = []uint32{0x93, 0x91, 0x9b, 0x99, 0x8093}[d.n(5)] | db
	}
	c.user = d.n(2) == 0
	for n := range c.kinds {
		c.kinds[n] = d.n(numKinds)
	}
	if !c.instruction(d) {
		return false
	}
	r := &c.hw.Registers
	for n := range uint8(16) {
		*r.GPR(n) = d.word()
	}
	r.RSI, r.RDI, r.RCX, r.RDX = c.near(d, base), c.near(d, base), uint64(d.n(4)), fuzzPort
	c.hw.State[x86.RSP] = c.near(d, base)
	c.hw.State[x86.RFLAGS] = 2 | d.word()&(x86.FlagCF|x86.FlagZF|x86.FlagSF|x86.FlagOF|x86.FlagDF)
	return true
}

// load puts everything into the guest.
func (c *trial) load(d *dice) {
	paged(c.t, c.p, arena, [2]uint64{})
	for n, k := range c.kinds {
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], entry(k, n))
		c.d.Write(mm.GPA(0x13000+8*n), b[:])
		var page [mm.PageSize]byte
		for i := range edge {
			page[i], page[len(page)-1-i] = byte(d.n(256)), byte(d.n(256))
		}
		if k == pageROM {
			c.d.Tables.Protect(pt.Addr(arenaROM+n<<12), mm.PageSize, pt.RWX)
			c.d.Write(mm.GPA(arenaROM+n<<12), page[:])
			c.d.Tables.Protect(pt.Addr(arenaROM+n<<12), mm.PageSize, pt.Read|pt.Exec)
		} else {
			c.d.Write(mm.GPA(arenaRAM+n<<12), page[:])
		}
	}
	for s, seg := range c.seg {
		c.hw.Segments[s] = seg
	}
	c.d.Write(0x1000, c.code)
	c.hw.State[x86.RIP], c.hw.State[x86.CR2] = 0x1000, 0
	c.hw.HasPending, c.hw.Pending, c.hw.Calls = false, vcpu.Event{}, c.hw.Calls[:0]
	c.dev.log = nil
}

// exit is the exit that the instruction makes, by its first operand that is not
// RAM if there is one.
func (c *trial) exit(ops []decode.Operand, d *dice) vcpu.Exit {
	x := vcpu.Exit{Reason: vcpu.Memory, Mem: vcpu.MemExit{GPA: arenaHole + 0xfff000 + 0x801}}
	if c.user {
		x.CPL = 3
	}
	switch c.insn.Op {
	case decode.Ins, decode.Outs:
		x.Reason = vcpu.IO
		x.IO = vcpu.IOExit{Port: fuzzPort, Size: c.insn.MemSize, In: c.insn.Op == decode.Ins, String: true}
		return x
	case decode.SMSW:
		x.Reason = vcpu.CRRead
		return x
	case decode.LMSW:
		x.Reason, x.CPL = vcpu.CRWrite, 0
		c.user = false
		return x
	}
	for _, o := range ops {
		n := int(o.Addr-arena) >> 12
		if n < 0 || n >= arenaPages || isRAM(c.kinds[n]) {
			continue
		}
		write := o.Write && !(o.Read && d.n(2) == 0) // some CPUs read first
		if c.kinds[n] == pageHoleRO && o.Write {
			if !o.Read {
				break // that is no exit, but a fault
			}
			write = false
		}
		x.Mem.GPA, x.Mem.Write = mm.GPA(entry(c.kinds[n], n)&^0xfff|o.Addr&0xfff), write
		break
	}
	return x
}

// see collects what the emulator has done.
func (c *trial) see() (o outcome) {
	for n := range uint8(16) {
		o.Regs[n] = gpr(c.p, n)
	}
	o.RIP, o.Flags, o.CR2 = c.hw.State[x86.RIP], c.hw.State[x86.RFLAGS], c.hw.State[x86.CR2]
	if c.hw.HasPending {
		o.Fault = c.hw.Pending
	}
	o.Crashed, o.Log = info(c.d).Shutdown == abi.ShutdownCrash, c.dev.log
	for n, k := range c.kinds {
		at := mm.GPA(arenaRAM + n<<12)
		if k == pageROM {
			at = mm.GPA(arenaROM + n<<12)
		}
		c.d.Read(at, o.Memory[n][:edge])
		c.d.Read(at+mm.PageSize-edge, o.Memory[n][edge:])
		if isRAM(k) {
			o.Marks[n] = leaf(c.d, arena, n) & 0x60
		}
	}
	return o
}

// emulate is the trial; it reports whether the guest lives on.
func (c *trial) emulate(r *Runner, d *dice) bool {
	if !c.prepare(d) {
		return true
	}
	c.load(d)
	m := newModel(c)
	ops := m.operands()
	for _, o := range ops {
		if off := o.Addr % mm.PageSize; o.Addr < 0x20_0000 || off > edge-8 && off < mm.PageSize-edge {
			return true // the model does not know what is there
		}
	}
	x := c.exit(ops, d)
	m.run(x.CPL == 3)
	c.p.Exit = x
	handlers[x.Reason](r, c.p, &c.p.Exit)
	got := c.see()
	if m.o.Crashed != got.Crashed {
		c.t.Fatalf("%s: crashed %v, want %v", c, got.Crashed, m.o.Crashed)
	}
	if got.Crashed {
		return false
	}
	if diff := cmp.Diff(m.o, got); diff != "" {
		c.t.Fatalf("%s\n%s", c, diff)
	}
	return true
}

func (c *trial) String() string {
	return fmt.Sprintf("% x (%d bits) user %v, pages %v, RSI %#x RDI %#x RSP %#x\n%+v\nsegments %+v", c.code, c.mode.Code, c.user, c.kinds,
		c.hw.Registers.RSI, c.hw.Registers.RDI, c.hw.State[x86.RSP], c.insn, c.seg)
}

func FuzzEmulate(f *testing.F) {
	for seed := range uint64(40) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		g := newRig(t)
		dom, v := g.guest("a")
		dev := new(recorder)
		if err := errors.Join(dom.Mem.Add(arenaDev, arenaPages*mm.PageSize, dev), dom.Ports.Add(fuzzPort, 4, dev)); err != nil {
			t.Fatal(err)
		}
		flat(t, dom.VCPUs[0])
		d := newDice(seed)
		for range 30 {
			c := trial{t: t, d: dom, p: dom.VCPUs[0], hw: v, dev: dev}
			if !c.emulate(g.r, d) {
				return
			}
		}
	})
}
