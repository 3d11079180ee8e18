// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package loader_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/dom0/loader"
	"ringo/dom0/loader/loadertest"
)

// note builds one ELF note of the Xen kind.
func note(kind uint32, desc ...byte) []byte {
	le := binary.LittleEndian
	b := le.AppendUint32(nil, 4)
	b = le.AppendUint32(b, uint32(len(desc)))
	b = le.AppendUint32(b, kind)
	b = append(append(b, "Xen\x00"...), desc...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// pvhKernel is an ELF64 file whose entry is virtual: PVH is the only way in.
func pvhKernel(entry ...byte) []byte {
	notes := append(note(5, 'x'), note(18, entry...)...)
	text := append(bytes.Clone(notes), code(5000, 1)...)
	n := uint64(len(text))
	return elf64(0xffffffff80200000,
		phdr{1, 0x1000, n, 0xffffffff80200000, 0x200000, n, text},
		phdr{4, 0x1000, uint64(len(notes)), 0, 0, uint64(len(notes)), nil})
}

// withFiles is a request for 16 MiB with an initrd and a module.
func withFiles(k []byte) loader.Request {
	r := request(k, 16*mib)
	r.Initrd = source("boot:i", []byte("initrd"))
	r.Modules = []loader.Module{{source("boot:j", []byte("second")), "boot:j a b"}}
	return r
}

func TestPVH(t *testing.T) {
	le := binary.LittleEndian
	small := elf32(0xc0200000,
		phdr{1, 0x1000, 20, 0xc0200000, 0x200000, 4096, note(18, 0, 1, 0x20, 0)},
		phdr{4, 0x1000, 20, 0, 0, 20, nil})
	for name, k := range map[string][]byte{
		"elf64": pvhKernel(0, 1, 0x20, 0), "elf64 wide": pvhKernel(0, 1, 0x20, 0, 0, 0, 0, 0), "elf32": small,
	} {
		m := must(loadertest.New(16 * mib))
		r := withFiles(k)
		ctx, err := loader.Load(r, m)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if ctx.RIP != 0x200100 || ctx.GPR[3] != 0x3000 || ctx.CR0 != 0x31 || ctx.CR4 != 0 || ctx.EFER != 0 || ctx.Seg[1].Access != 0xc09b {
			t.Errorf("%s: start state %+v", name, ctx)
		}
		b := m.Bytes(0x3000, 4096)
		if le.Uint32(b) != 0x336ec578 || le.Uint32(b[12:]) != 2 || le.Uint64(b[24:]) != 0x10000 || le.Uint64(b[32:]) != 0xe0000 {
			t.Errorf("%s: start info % x", name, b[:56])
		}
		mod := b[le.Uint64(b[16:])-0x3000:]
		if s := m.Bytes(loader.GPA(le.Uint64(mod)), le.Uint64(mod[8:])); string(s) != "initrd" {
			t.Errorf("%s: module %q", name, s)
		}
		if s := b[le.Uint64(mod[16:])-0x3000:]; string(s[:7]) != "boot:i\x00" {
			t.Errorf("%s: text %q", name, s[:7])
		}
		mod = mod[32:]
		if s, text := m.Bytes(loader.GPA(le.Uint64(mod)), le.Uint64(mod[8:])), b[le.Uint64(mod[16:])-0x3000:]; string(s) != "second" || string(text[:11]) != "boot:j a b\x00" {
			t.Errorf("%s: second module %q, %q", name, s, text[:11])
		}
		var got [][3]uint64
		for i := range uint64(le.Uint32(b[48:])) {
			e := b[le.Uint64(b[40:])-0x3000+24*i:]
			got = append(got, [3]uint64{le.Uint64(e), le.Uint64(e) + le.Uint64(e[8:]), uint64(le.Uint32(e[16:]))})
		}
		if d := cmp.Diff(ram(machine(16*mib).Map()), got); d != "" {
			t.Errorf("%s: memory map: -want +got\n%s", name, d)
		}
	}
}

// mbHeader is a multiboot header with the given flags and address fields.
func mbHeader(flags uint32, addr ...uint32) []byte {
	var b []byte
	for _, v := range append([]uint32{0x1badb002, flags, -(0x1badb002 + flags)}, addr...) {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return b
}

func TestMultiboot(t *testing.T) {
	le := binary.LittleEndian
	head := mbHeader(3)
	elf := elf32(0x100010, phdr{1, 0x1000, 12, 0x100000, 0x100000, 64, head})
	virt := elf32(0xc0100010, phdr{1, 0x1000, 12, 0xc0100000, 0x100000, 64, head})
	flat := append(make([]byte, 64), mbHeader(1<<16, 0x200020, 0x200000, 0, 0x201000, 0x200010)...)
	flat = append(flat, code(100, 1)...)
	wide := elf64(0x100010, phdr{1, 0x1000, 12, 0x100000, 0x100000, 64, head})
	kludge := patch(append(elf, make([]byte, 100)...), 0x1000, mbHeader(1<<16, 0x200000, 0x200000, 0, 0x201000, 0x200008)...)
	for name, c := range map[string]struct {
		k     []byte
		entry uint64
	}{
		"elf": {elf, 0x100010}, "virtual": {virt, 0x100010}, "flat": {flat, 0x200010},
		"elf64": {wide, 0x100010}, "addresses in an ELF": {kludge, 0x200008},
	} {
		m := must(loadertest.New(16 * mib))
		r := request(c.k, 16*mib)
		r.Initrd = source("boot:i", []byte("module"))
		r.Modules = []loader.Module{{source("boot:j", []byte("second")), "boot:j a b"}, {source("boot:k", make([]byte, 5000)), "boot:k"}}
		ctx, err := loader.Load(r, m)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if ctx.RIP != c.entry || ctx.GPR[0] != 0x2badb002 || ctx.GPR[3] != 0x3000 || ctx.CR0 != 0x31 {
			t.Errorf("%s: start state %+v", name, ctx)
		}
		b := m.Bytes(0x3000, 4096)
		if le.Uint32(b) != 0x24d || le.Uint32(b[4:]) != 640 || le.Uint32(b[8:]) != 15*1024 || le.Uint32(b[20:]) != 3 {
			t.Errorf("%s: information % x", name, b[:64])
		}
		mod := b[le.Uint32(b[24:])-0x3000:]
		at, end := le.Uint32(mod), le.Uint32(mod[4:])
		if s := m.Bytes(loader.GPA(at), uint64(end-at)); string(s) != "module" {
			t.Errorf("%s: module %q", name, s)
		}
		if s := b[le.Uint32(mod[8:])-0x3000:]; string(s[:7]) != "boot:i\x00" {
			t.Errorf("%s: module name %q", name, s[:7])
		}
		mod = mod[16:]
		if at2, end2 := le.Uint32(mod), le.Uint32(mod[4:]); at2+4096 != at || string(m.Bytes(loader.GPA(at2), uint64(end2-at2))) != "second" ||
			string(b[le.Uint32(mod[8:])-0x3000:][:11]) != "boot:j a b\x00" || le.Uint32(mod[16:])+0x2000 != at2 || le.Uint32(mod[20:])-le.Uint32(mod[16:]) != 5000 {
			t.Errorf("%s: the other modules % x", name, mod[:32])
		}
		if n := le.Uint32(b[44:]); n != 5*24 || le.Uint32(b[le.Uint32(b[48:])-0x3000:]) != 20 {
			t.Errorf("%s: memory map of %d bytes", name, n)
		}
	}
	m := must(loadertest.New(16 * mib))
	must(loader.Load(request(flat, 16*mib), m))
	// The image starts 0x20 bytes before its header, which is at 64 in the file.
	if !bytes.Equal(m.Bytes(0x200000, uint64(len(flat)-32)), flat[32:]) {
		t.Error("flat image is not where its header says")
	}
}
