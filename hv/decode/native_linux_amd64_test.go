// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package decode

import (
	"encoding/binary"
	"math/rand/v2"
	"syscall"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"ringo/hv/x86"
)

// The CPU that runs the test is the oracle of emulation: an instruction runs
// there and in an Emulation, and registers, flags and memory must agree.

// window is the memory that instructions touch, through RSI and RDI, which
// start in its middle.
const windowSize = 512

var (
	window [windowSize]byte
	// context is the register file in encoding order, then the flags. RSP and
	// R15 are the trampoline's.
	context [17]uint64
)

// Trampoline, as GNU as makes it: save RBP and R14, load registers from the
// structure at RAX (Go's first argument), [instruction], store them, restore.
const (
	prologue = "5541564989c741ffb7800000009d498b07498b4f08498b5710498b5f18498b6f28498b7730498b7f38" +
		"4d8b47404d8b4f484d8b57504d8b5f584d8b67604d8b6f684d8b7770"
	epilogue = "49890749894f084989571049895f1849896f284989773049897f38" +
		"4d8947404d894f484d8957504d895f584d8967604d896f684d8977709c418f8780000000fc415e5dc3"
)

// native runs one instruction on this CPU.
type native struct{ page []byte }

func newNative(t *testing.T) *native {
	page, err := syscall.Mmap(-1, 0, 4096, syscall.PROT_READ|syscall.PROT_WRITE|syscall.PROT_EXEC,
		syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Skip("no executable memory: ", err)
	}
	t.Cleanup(func() { syscall.Munmap(page) })
	return &native{page}
}

func (n *native) run(insn []byte) {
	code := append(unhex(prologue), insn...)
	copy(n.page, append(code, unhex(epilogue)...))
	entry := uintptr(unsafe.Pointer(&n.page[0]))
	pointer := &entry
	// SAFETY: a func value is a pointer to a word that holds the entry point;
	// the code keeps to ABIInternal: argument in RAX, R14 and RBP restored.
	f := *(*func(*[17]uint64))(unsafe.Pointer(&pointer))
	f(&context)
}

func middle() uint64 { return uint64(uintptr(unsafe.Pointer(&window[windowSize/2]))) }

// serve answers requests from a copy of window.
func serve(t *testing.T, m *[windowSize]byte, i *Insn, s *State) {
	var e Emulation
	if !e.Start(i) {
		t.Fatalf("%+v does not start", i)
	}
	for n := 0; ; n++ {
		r, status := e.Next(s)
		switch status {
		case Done:
			return
		case Repeat:
			if n > 100 {
				t.Fatalf("%+v does not end", i)
			}
			continue
		case Locate:
			continue
		}
		off := e.Operands()[r.Operand].Addr - (middle() - windowSize/2)
		if off+uint64(r.Size) > windowSize {
			t.Fatalf("%+v: address is off by %#x", i, off)
		}
		var b [8]byte
		switch r.Kind {
		case ReadMem:
			copy(b[:r.Size], m[off:])
			// Garbage above the size must not matter.
			e.Feed(binary.LittleEndian.Uint64(b[:]) | 0xa5a5a5a5a5a5a5a5&^mask(r.Size))
		case WriteMem:
			binary.LittleEndian.PutUint64(b[:], r.Value)
			copy(m[off:off+uint64(r.Size)], b[:])
		default:
			t.Fatalf("%+v: %+v", i, r)
		}
	}
}

// opcodes that are tried, as bytes behind the prefixes.
func opcodes() (all []string) {
	const hexDigits = "0123456789abcdef"
	for op := range 0x40 {
		if op&7 < 4 {
			all = append(all, hexDigits[op>>4:op>>4+1]+hexDigits[op&15:op&15+1])
		}
	}
	for c := range hexDigits {
		all = append(all, "0f4"+hexDigits[c:c+1], "0f9"+hexDigits[c:c+1])
	}
	return append(all, "63", "80", "81", "83", "84", "85", "86", "87", "88", "89", "8a", "8b", "c6", "c7", "f6", "f7",
		"fe", "ff", "a4", "a5", "a6", "a7", "aa", "ab", "ac", "ad", "ae", "af",
		"0fb6", "0fb7", "0fbe", "0fbf", "0fb0", "0fb1", "0fc0", "0fc1", "0fa3", "0fab", "0fb3", "0fbb", "0fba", "0fc3")
}

// defined has the flags that are defined after op.
func defined(op Op) uint64 {
	switch op {
	case And, Or, Xor, Test:
		return arithFlags &^ x86.FlagAF
	case Bt, Bts, Btr, Btc:
		return x86.FlagCF | x86.FlagZF
	}
	return arithFlags
}

func randomState(rng *rand.Rand) {
	for n := range context {
		context[n] = rng.Uint64()
		switch rng.IntN(4) {
		case 0:
			context[n] = 0
		case 1:
			context[n] = ^uint64(0) >> rng.IntN(64)
		}
	}
	for n := range window {
		window[n] = byte(rng.Uint32())
		if rng.IntN(4) == 0 {
			window[n] = byte(-rng.IntN(2))
		}
	}
	context[1] = uint64(rng.IntN(10))
	context[6] = middle() + uint64(rng.IntN(64))
	context[7] = middle() - uint64(rng.IntN(64))
	if rng.IntN(4) == 0 { // accumulator equals memory
		context[0] = binary.LittleEndian.Uint64(window[context[7]-middle()+windowSize/2:])
	}
	context[16] = 0x202 | rng.Uint64()&(arithFlags|x86.FlagDF)
}

func TestNative(t *testing.T) {
	n := newNative(t)
	rng := rand.New(rand.NewPCG(3, 4))
	ops := opcodes()
	prefixes := []string{"", "", "66", "48", "f0", "f3", "f2", "44", "4c", "66f0", "f048", "f348", "40"}
	tested := map[Op]int{}
	for range 100000 {
		b := unhex(prefixes[rng.IntN(len(prefixes))] + ops[rng.IntN(len(ops))])
		// [RSI or RDI + disp8], or [RDI + RCX*scale + disp8].
		modrm := 0x46 | byte(rng.IntN(2)) | byte(rng.IntN(8))<<3
		if rng.IntN(4) == 0 {
			b = append(b, modrm&^3|4, 0x0f|byte(rng.IntN(4))<<6, byte(rng.Uint32()))
		} else {
			b = append(b, modrm, byte(rng.Uint32()))
		}
		b = append(b, byte(rng.Uint32()), byte(rng.Uint32()), byte(rng.Uint32()), byte(rng.Uint32()))
		i, err := Decode(b, modes[2])
		uses := i.Src == Reg || i.Dst == Reg
		if err != nil || i.Op == Push || i.Op == Pop || uses && !i.High && (i.Reg == 4 || i.Reg == 15) {
			continue
		}
		randomState(rng)
		if i.Op >= Bt && i.Op <= Btc && i.Src == Reg { // bit offset
			if i.Reg == 6 || i.Reg == 7 || i.Reg == 1 {
				continue
			}
			context[i.Reg] = uint64(rng.IntN(1000) - 500)
		}
		if uses && i.Reg == 4 && i.High {
			continue
		}
		run(t, n, b[:i.Len], &i)
		tested[i.Op]++
	}
	for op := Add; op <= Scas; op++ {
		if tested[op] < 50 && op != Push && op != Pop && op != Movbe && op != Flush {
			t.Errorf("operation %d was tested %d times only", op, tested[op])
		}
	}
}

// run compares one instruction.
func run(t *testing.T, n *native, b []byte, i *Insn) {
	t.Helper()
	before, memory := context, window
	s := State{Regs: new(x86.Regs), RIP: 0x1000, RFLAGS: context[16], Mode: modes[2]}
	for r := range uint8(16) {
		*s.GPR(r) = context[r]
	}
	n.run(b)
	serve(t, &memory, i, &s)
	got := before
	for r := range uint8(16) {
		got[r] = *s.GPR(r)
	}
	want := context
	m := defined(i.Op) | x86.FlagDF
	got[16], want[16] = s.RFLAGS&m, want[16]&m
	if want != got {
		t.Fatalf("% x %+v\nbefore %x\n%s", b, i, before, cmp.Diff(want, got))
	}
	if window != memory {
		t.Fatalf("% x %+v: memory\nbefore %x\n%s", b, i, before, cmp.Diff(window, memory))
	}
	if s.RIP != 0x1000+uint64(i.Len) {
		t.Fatalf("% x: RIP %#x", b, s.RIP)
	}
}
