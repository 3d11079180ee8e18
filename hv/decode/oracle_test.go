// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package decode

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/arch/x86/x86asm"

	"ringo/hv/x86"
)

// names are the operations of x86asm that are ours.
var names = map[x86asm.Op]Op{
	x86asm.ADD: Add, x86asm.OR: Or, x86asm.ADC: Adc, x86asm.SBB: Sbb, x86asm.AND: And, x86asm.SUB: Sub,
	x86asm.XOR: Xor, x86asm.CMP: Cmp, x86asm.TEST: Test, x86asm.NOT: Not, x86asm.NEG: Neg, x86asm.INC: Inc,
	x86asm.DEC: Dec, x86asm.XCHG: Xchg, x86asm.CMPXCHG: Cmpxchg, x86asm.XADD: Xadd, x86asm.BT: Bt,
	x86asm.BTS: Bts, x86asm.BTR: Btr, x86asm.BTC: Btc, x86asm.MOV: Mov, x86asm.MOVNTI: Mov,
	x86asm.MOVZX: Movzx, x86asm.MOVSX: Movsx, x86asm.MOVSXD: Movsx, x86asm.MOVBE: Movbe,
	x86asm.PUSH: Push, x86asm.POP: Pop, x86asm.CLFLUSH: Flush,
	x86asm.MOVSB: Movs, x86asm.MOVSW: Movs, x86asm.MOVSD: Movs, x86asm.MOVSQ: Movs,
	x86asm.CMPSB: Cmps, x86asm.CMPSW: Cmps, x86asm.CMPSD: Cmps, x86asm.CMPSQ: Cmps,
	x86asm.STOSB: Stos, x86asm.STOSW: Stos, x86asm.STOSD: Stos, x86asm.STOSQ: Stos,
	x86asm.LODSB: Lods, x86asm.LODSW: Lods, x86asm.LODSD: Lods, x86asm.LODSQ: Lods,
	x86asm.SCASB: Scas, x86asm.SCASW: Scas, x86asm.SCASD: Scas, x86asm.SCASQ: Scas,
	x86asm.INSB: Ins, x86asm.INSW: Ins, x86asm.INSD: Ins,
	x86asm.OUTSB: Outs, x86asm.OUTSW: Outs, x86asm.OUTSD: Outs,
	x86asm.IN: In, x86asm.OUT: Out, x86asm.CPUID: CPUID, x86asm.RDMSR: RDMSR, x86asm.WRMSR: WRMSR,
	x86asm.RDTSC: RDTSC, x86asm.RDTSCP: RDTSCP, x86asm.RDPMC: RDPMC, x86asm.HLT: HLT, x86asm.PAUSE: PAUSE,
	x86asm.MONITOR: MONITOR, x86asm.MWAIT: MWAIT, x86asm.XSETBV: XSETBV, x86asm.INVD: INVD,
	x86asm.WBINVD: WBINVD, x86asm.INVLPG: INVLPG, x86asm.CLTS: CLTS, x86asm.LMSW: LMSW, x86asm.SMSW: SMSW,
	x86asm.IRET: IRET, x86asm.IRETD: IRET, x86asm.IRETQ: IRET, x86asm.RSM: RSM, x86asm.INT: INT, x86asm.ICEBP: INT1,
}

// opOf translates an operation, and those with a condition by their name.
func opOf(o x86asm.Op) Op {
	s := o.String()
	switch {
	case strings.HasPrefix(s, "SET"):
		return Setcc
	case strings.HasPrefix(s, "CMOV"):
		return Cmov
	}
	return names[o]
}

var segs = map[x86asm.Reg]x86.Seg{
	x86asm.ES: x86.ES, x86asm.CS: x86.CS, x86asm.SS: x86.SS, x86asm.DS: x86.DS, x86asm.FS: x86.FS, x86asm.GS: x86.GS,
}

// regOf returns number and size of a register.
func regOf(r x86asm.Reg) (n uint8, high bool, size uint8) {
	switch {
	case r == 0:
		return RegNone, false, 0
	case r >= x86asm.AH && r <= x86asm.BH:
		return uint8(r - x86asm.AH), true, 1
	case r >= x86asm.AL && r <= x86asm.BL:
		return uint8(r - x86asm.AL), false, 1
	case r >= x86asm.SPB && r <= x86asm.R15B:
		return uint8(r-x86asm.SPB) + 4, false, 1
	case r >= x86asm.AX && r <= x86asm.R15W:
		return uint8(r - x86asm.AX), false, 2
	case r >= x86asm.EAX && r <= x86asm.R15L:
		return uint8(r - x86asm.EAX), false, 4
	case r >= x86asm.RAX && r <= x86asm.R15:
		return uint8(r - x86asm.RAX), false, 8
	case r == x86asm.RIP, r == x86asm.EIP, r == x86asm.IP:
		return RegRIP, false, 8
	}
	return 0xfe, false, 0
}

// compare checks b against x86asm; it reports what differs, "" if nothing, and
// whether there was anything to compare.
func compare(b []byte, m Mode) (diff string, compared bool) {
	want, werr := x86asm.Decode(b, int(m.Code))
	got, gerr := Decode(b, m)
	if werr != nil || want.Op == 0 || unreliable(&want) {
		return "", false
	}
	op := opOf(want.Op)
	n, lerr := length(b, m)
	if lerr == nil && int(n) != want.Len {
		return fmt.Sprintf("length %d, want %d", n, want.Len), true
	}
	if lerr == ErrShort || lerr == ErrTooLong {
		return lerr.Error(), true
	}
	mem, hasMem := memOf(&want)
	if gerr != nil {
		// What has a memory operand and a known name must be decoded.
		if gerr == ErrUnsupported && hasMem && op != 0 && !other(&want) {
			return gerr.Error(), true
		}
		return "", lerr == nil
	}
	if got.Op != op && !alias(got.Op, &want) {
		return fmt.Sprintf("op %d, want %d", got.Op, op), true
	}
	if got.isString() || got.Op == INVLPG || got.Op == Flush {
		return "", true
	}
	if hasMem != (got.Dst == Mem || got.Src == Mem) {
		return fmt.Sprintf("memory operand: want %v", hasMem), true
	}
	if hasMem {
		return compareMem(&got, &want, mem, m), true
	}
	return "", true
}

// compareMem checks the operands of an instruction with memory.
func compareMem(got *Insn, want *x86asm.Inst, mem x86asm.Mem, m Mode) string {
	base, _, _ := regOf(mem.Base)
	index, _, _ := regOf(mem.Index)
	scale := map[uint8]uint8{0: 0, 1: 0, 2: 1, 4: 2, 8: 3}[mem.Scale]
	if index == RegNone {
		scale = 0
	}
	disp := mask(min(got.AddrSize, 4)) // x86asm does not extend signs
	gotMem := fmt.Sprint(got.Base, got.Index, got.Scale, uint64(got.Disp)&disp, got.MemSize)
	wantMem := fmt.Sprint(base, index, scale, uint64(mem.Disp)&disp, want.MemBytes)
	if want.MemBytes == 0 {
		wantMem = fmt.Sprint(base, index, scale, uint64(mem.Disp)&disp, got.MemSize)
	}
	if gotMem != wantMem {
		return fmt.Sprintf("memory %s, want %s", gotMem, wantMem)
	}
	seg, ok := segs[mem.Segment]
	if ok && m.Code != 64 && got.Seg != seg {
		return fmt.Sprintf("segment %d, want %d", got.Seg, seg)
	}
	for n, a := range want.Args {
		switch a := a.(type) {
		case x86asm.Reg:
			if got.Op == Push || got.Op == Pop {
				continue
			}
			r, high, size := regOf(a)
			if got.Reg != r || got.High != high || got.Size != size {
				return fmt.Sprintf("register %d %v %d, want %v", got.Reg, got.High, got.Size, a)
			}
			if place := [...]Place{got.Dst, got.Src}[min(n, 1)]; place != Reg && got.Op != Xchg {
				return fmt.Sprintf("argument %d is at %d, want a register", n, place)
			}
		case x86asm.Imm:
			size := uint8(want.MemBytes)
			v := uint64(a)
			if got.Op >= Bt && got.Op <= Btc {
				v &= uint64(got.Size)*8 - 1
			}
			if got.Src != Imm || got.Imm&mask(size) != v&mask(size) {
				return fmt.Sprintf("immediate %#x, want %v", got.Imm, a)
			}
		}
	}
	return ""
}

func memOf(i *x86asm.Inst) (x86asm.Mem, bool) {
	for _, a := range i.Args {
		if m, ok := a.(x86asm.Mem); ok {
			return m, true
		}
	}
	return x86asm.Mem{}, false
}

// other reports instructions that share their name with one of ours, and are
// not emulated: segment registers, and MOVSD of SSE.
func other(i *x86asm.Inst) bool {
	for _, a := range i.Args {
		if r, ok := a.(x86asm.Reg); ok && (r >= x86asm.ES && r <= x86asm.GS || r >= x86asm.X0 && r <= x86asm.X15) {
			return true
		}
	}
	return false
}

// alias reports names that x86asm has differently or not at all.
func alias(got Op, want *x86asm.Inst) bool {
	switch want.Op {
	case x86asm.MOV:
		return got >= MovToCR && got <= MovFromDR
	case x86asm.INT:
		return got == INT3
	}
	return false
}

// unreliable lists what x86asm does not know, or reads as the manuals do not.
func unreliable(i *x86asm.Inst) bool {
	switch i.Op {
	case x86asm.MOV: // mod of 0F 20 to 23 is ignored: there is no displacement
		return strings.Contains(i.String(), " CR") || strings.Contains(i.String(), " DR")
	case x86asm.MOVSXD: // a 16-bit operand has a 16-bit source
		return i.DataSize == 16
	case x86asm.MOVBE, x86asm.CLFLUSH: // undefined with F2 and F3
		return hasPrefix(i, x86asm.PrefixREP) || hasPrefix(i, x86asm.PrefixREPN)
	case x86asm.XSAVEOPT, x86asm.XSAVEOPT64: // with 66 it is CLWB
		return hasPrefix(i, x86asm.PrefixDataSize)
	}
	return false
}

func hasPrefix(i *x86asm.Inst, p x86asm.Prefix) bool {
	for _, q := range i.Prefix {
		if q&0xff == p&0xff {
			return true
		}
	}
	return false
}

func FuzzDecode(f *testing.F) {
	for _, s := range seeds {
		for _, m := range modes {
			f.Add(unhex(s), m.Code)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, code uint8) {
		m := modes[code/16%3]
		check(t, b, m)
	})
}

// check holds what must be true of any bytes.
func check(t *testing.T, b []byte, m Mode) bool {
	t.Helper()
	i, err := Decode(b, m)
	if int(i.Len) > min(len(b), MaxLen) || err == nil && i.Len == 0 {
		t.Fatalf("%d: % x: length %d, %v", m.Code, b, i.Len, err)
	}
	if err == nil {
		again, err := Decode(b[:i.Len], m)
		if err != nil || again != i {
			t.Fatalf("%d: % x: bytes behind the instruction matter: %+v %+v", m.Code, b, i, again)
		}
		if _, err := Decode(b[:i.Len-1], m); err != ErrShort {
			t.Fatalf("%d: % x: without the last byte: %v", m.Code, b, err)
		}
	}
	d, compared := compare(b, m)
	if d != "" {
		want, _ := x86asm.Decode(b, int(m.Code))
		t.Errorf("%d bits: % x: %v (%d): %s\n%+v %v", m.Code, b, want, want.Len, d, i, err)
	}
	return compared
}

// TestOracle covers all opcodes with all forms of ModRM, a few prefixes each.
func TestOracle(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	prefixes := []string{"", "66", "67", "f2", "f3", "f0", "26", "64", "48", "4f", "6648", "6667", "f30f", "66f3", "652e"}
	escapes := []string{"", "0f", "0f38"}
	count := 0
	for _, m := range modes {
		for _, escape := range escapes {
			for op := range 256 {
				for modrm := range 256 {
					b := unhex(prefixes[rng.IntN(len(prefixes))] + escape)
					b = append(b, byte(op), byte(modrm))
					for range 14 {
						b = append(b, byte(rng.Uint32()))
					}
					if check(t, b[:min(len(b), 20)], m) {
						count++
					}
				}
			}
		}
	}
	if count < 100000 {
		t.Errorf("only %d comparisons", count)
	}
}

var modes = []Mode{{16, 16}, {32, 32}, {64, 64}}

func unhex(s string) []byte {
	var b []byte
	for n := 0; n+1 < len(s); n += 2 {
		var v byte
		fmt.Sscanf(s[n:n+2], "%02x", &v)
		b = append(b, v)
	}
	return b
}

var seeds = []string{
	"8b4310", "488907", "0fb60424", "f3a4", "66c7057856341211aa", "a3efcdab8967452301", "0f22c0", "0f01d9",
	"f00fb10f", "410f38f10c24", "f34e90", "0fba2f1f", "67668b5405fe", "c5f810", "0f1f840000000000", "8f0424",
}
