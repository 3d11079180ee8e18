// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package guest

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"testing"

	"golang.org/x/arch/x86/x86asm"

	"ringo/dom0/board"
	"ringo/dom0/loader"
	"ringo/dom0/loader/loadertest"
)

// The whole program, read by an independent decoder, has the instructions that
// were meant to be there, one behind the other.
func TestDecodes(t *testing.T) {
	m := Build()
	if len(m.Insts) < 2000 {
		t.Errorf("only %d instructions", len(m.Insts))
	}
	for _, in := range m.Insts {
		b := m.Code[in.Off : in.Off+in.Len]
		if in.Mode == 64 && (bytes.Equal(b, []byte{0x0f, 0x01, 0xd9}) || bytes.Equal(b, []byte{0x0f, 0x01, 0xc1})) {
			continue // VMMCALL, VMCALL: the decoder does not know them
		}
		got, err := x86asm.Decode(b, in.Mode)
		if err != nil || got.Op == 0 || got.Len != in.Len {
			t.Errorf("%#x: % x: %v, length %d", Base+in.Off, b, err, got.Len)
		}
	}
}

// Every jump and call leads to an instruction.
func TestJumps(t *testing.T) {
	m := Build()
	starts := map[int]bool{}
	for _, in := range m.Insts {
		starts[in.Off] = true
	}
	for _, in := range m.Insts {
		got, err := x86asm.Decode(m.Code[in.Off:], in.Mode)
		if err != nil {
			continue
		}
		if rel, ok := got.Args[0].(x86asm.Rel); ok && !starts[in.Off+in.Len+int(rel)] {
			t.Errorf("%#x: %v leads to no instruction", Base+in.Off, got)
		}
	}
}

func TestDeterministic(t *testing.T) {
	if !bytes.Equal(Build().ELF(), Build().ELF()) {
		t.Error("two builds differ")
	}
}

// The gates of the IDT lead to instructions.
func TestIDT(t *testing.T) {
	p := Build()
	le := binary.LittleEndian
	n := 0
	for i := range 256 {
		// The table is the page behind the one that holds the GDT register.
		g := idt(p)[16*i:]
		if g[5] == 0 {
			continue
		}
		n++
		at := uint64(le.Uint16(g)) | uint64(le.Uint16(g[6:]))<<16
		found := false
		for _, in := range p.Insts {
			found = found || uint64(in.Off) == at-Base
		}
		if !found || g[5] != 0x8e || le.Uint16(g[2:]) != selCode {
			t.Errorf("gate %d: % x", i, g[:16])
		}
	}
	if n != 34 {
		t.Errorf("%d gates", n)
	}
}

// idt finds the interrupt table: six tables, the directory of the window, a root and
// the stack are behind it.
func idt(m Image) []byte {
	end := len(m.Code) - 8*4096 - 16384
	return m.Code[end-4096 : end]
}

// The image is a proper ELF file, and the loader enters it as its note says.
func TestLoads(t *testing.T) {
	m := Build()
	b := m.ELF()
	f, err := elf.NewFile(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Progs) != 2 || f.Entry != m.Entry {
		t.Errorf("%d program headers, entry %#x", len(f.Progs), f.Entry)
	}
	mem, err := loadertest.New(16 << 20)
	if err != nil {
		t.Fatal(err)
	}
	machine, err := board.New(board.Config{CPUs: 1, Memory: 16 << 20})
	if err != nil {
		t.Fatal(err)
	}
	ctx, err := loader.Load(loader.Request{
		Kernel:  loader.Source{Name: "micro", R: bytes.NewReader(b), Size: int64(len(b))},
		Machine: machine, Cmdline: "mode=hello"}, mem)
	if err != nil {
		t.Fatal(err)
	}
	if ctx.RIP != m.EntryPVH || ctx.EFER != 0 {
		t.Errorf("entered at %#x, EFER %#x", ctx.RIP, ctx.EFER)
	}
	if Base+len(m.Code) > ownEnd {
		t.Errorf("the program reaches into the RAM that it tests")
	}
}

// Modes have different names and a description.
func TestModeNames(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range Modes {
		if seen[m.Name] || m.About == "" || m.emit == nil {
			t.Errorf("mode %q", m.Name)
		}
		seen[m.Name] = true
	}
}
