// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package loader_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"ringo/dom0/account"
	"ringo/dom0/loader"
	"ringo/dom0/loader/loadertest"
)

// setupSize is how much of what bzimage makes is not loaded.
const setupSize = 4 * 512

// A bzImage that is no packed 64-bit Linux is entered by the 32-bit boot protocol,
// where its header says, and unpacks itself.
func TestCode32(t *testing.T) {
	body := code(9000, 5)
	b := bzimage(body, len(body), true)
	plain := patch(b, 0x24c, 0, 0, 0, 0) // no payload, as memtest86+
	for _, c := range []struct {
		name string
		k    []byte
		at   uint64
	}{
		{"2.06", patch(patch(b, 0x206, 6), 0x214, le32(0x100000)...), 0x100000},
		{"2.09, relocatable", patch(patch(patch(b, 0x206, 9), 0x214, le32(0x100000)...), 0x234, 1), 0x100000},
		{"2.10 at its preferred address", patch(patch(b, 0x206, 10), 0x234, 1), 0x1000000},
		{"2.11 at a fixed address", patch(patch(b, 0x206, 11), 0x214, le32(0x200000)...), 0x200000},
		{"2.15 for i386", patch(patch(b, 0x236, 0), 0x234, 1), 0x1000000},
		{"64 bit without a payload", patch(plain, 0x214, le32(0x100000)...), 0x100000},
	} {
		m := must(loadertest.New(64 * mib))
		r := request(c.k, 64*mib)
		r.Initrd = source("boot:i", []byte("initrd"))
		ctx, err := loader.Load(r, m)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if ctx.RIP != c.at || ctx.GPR[6] != 0x2000 || ctx.CR0 != 0x31 || ctx.CR4 != 0 || ctx.EFER != 0 ||
			ctx.RFLAGS != 2 || ctx.GPR[3] != 0 || ctx.GPR[5] != 0 || ctx.GPR[7] != 0 {
			t.Errorf("%s: start state %+v", c.name, ctx)
		}
		if cs, ds := ctx.Seg[1], ctx.Seg[3]; cs.Selector != 0x10 || cs.Access != 0xc09b || ds.Selector != 0x18 || ds.Access != 0xc093 {
			t.Errorf("%s: segments %+v", c.name, ctx.Seg)
		}
		if got := m.Bytes(loader.GPA(c.at), uint64(len(c.k)-setupSize)); !bytes.Equal(got, c.k[setupSize:]) {
			t.Errorf("%s: its code is not at %#x", c.name, c.at)
		}
		le, zp := binary.LittleEndian, m.Bytes(0x2000, 4096)
		if le.Uint32(zp[0x214:]) != uint32(c.at) || le.Uint32(zp[0x228:]) != 0x10000 || le.Uint32(zp[0x21c:]) != 6 || zp[0x1e8] != 5 {
			t.Errorf("%s: zero page % x", c.name, zp[0x1e8:0x260])
		}
		if s := m.Bytes(loader.GPA(le.Uint32(zp[0x218:])), 6); string(s) != "initrd" {
			t.Errorf("%s: initrd %q", c.name, s)
		}
	}
}

// linuxNote is a note by which a Linux is known.
func linuxNote() []byte {
	return append(binary.LittleEndian.AppendUint32(le32(6), 4), "\x00\x01\x00\x00Linux\x00\x00\x00\x01\x00\x00\x00"...)
}

// noted is an ELF64 file with notes whose entry is physical; loaded says whether
// the notes are part of a segment, far from the beginning of the file or near.
func noted(loaded bool, off uint64, notes []byte) []byte {
	text := code(5000, 1)
	hs := []phdr{
		{4, 0x200, 0, 0, 0, 0, nil}, // another note segment, empty
		{4, off, uint64(len(notes)), 0, 0, uint64(len(notes)), notes},
	}
	if loaded {
		text = append(bytes.Clone(notes), text...)
		hs = append(hs, phdr{1, off, uint64(len(text)), 0x200000, 0x200000, uint64(len(text)), text})
	} else {
		hs = append(hs, phdr{1, 0x1000, uint64(len(text)), 0x200000, 0x200000, uint64(len(text)), text})
	}
	return elf64(0x200100, hs...)
}

// An ELF64 file with a physical entry is a Linux, unless a PVH note says otherwise:
// unikernels for microVMs have one whose entry is that of the file, in 32-bit mode.
func TestNotesDecide(t *testing.T) {
	pvh := note(18, 0, 1, 0x20, 0)
	for _, c := range []struct {
		name  string
		notes []byte
		pvh   bool
	}{
		{"no note", nil, false},
		{"PVH", pvh, true},
		{"PVH behind others", append(append(note(5, 'x'), note(6, []byte("mini-os\x00")...)...), pvh...), true},
		{"PVH and Linux", append(bytes.Clone(pvh), linuxNote()...), false},
		{"Linux and PVH", append(linuxNote(), pvh...), false},
		{"PVH of a guest that says linux", append(note(6, []byte("linux\x00")...), pvh...), false},
		{"Linux", linuxNote(), false},
	} {
		for _, place := range []struct {
			loaded bool
			off    uint64
		}{{true, 0x1000}, {true, 0x20000}, {false, 0x8000}} {
			k := noted(place.loaded, place.off, c.notes)
			ctx, err := loader.Load(request(k, 64*mib), must(loadertest.New(64*mib)))
			if err != nil {
				t.Errorf("%s, %+v: %v", c.name, place, err)
				continue
			}
			got := ctx.EFER == 0 && ctx.CR0 == 0x31 && ctx.GPR[3] == 0x3000
			if ctx.RIP != 0x200100 || got != c.pvh || got == (ctx.EFER == 0x500) {
				t.Errorf("%s, %+v: enters %#x, PVH %v, EFER %#x", c.name, place, ctx.RIP, got, ctx.EFER)
			}
		}
	}
	// The payload of a bzImage that says it is a 64-bit Linux is one.
	k := noted(true, 0x1000, pvh)
	ctx := must(loader.Load(request(bzimage(gzipped(k), len(k), false), 64*mib), must(loadertest.New(64*mib))))
	if ctx.EFER != 0x500 {
		t.Errorf("a bzImage with a PVH note: EFER %#x", ctx.EFER)
	}
}

// Segments below 1 MiB are loaded, and the boot structures are where the kernel is
// not.
func TestLowSegments(t *testing.T) {
	for _, c := range []struct {
		name   string
		loads  [][2]uint64 // address, size
		params uint64      // where boot_params are
	}{
		{"none", [][2]uint64{{0x200000, 0x1000}}, 0x2000},
		{"page 0", [][2]uint64{{0x200000, 0x1000}, {0, 0x1000}}, 0x2000},
		{"low", [][2]uint64{{0x200000, 0x1000}, {0x7c00, 0x200}}, 0x82000},
		{"high in low memory", [][2]uint64{{0x200000, 0x1000}, {0x20000, 0x80000}}, 0x2000},
		{"a gap", [][2]uint64{{0x200000, 0x1000}, {0, 0x8000}, {0x50000, 0x50000}}, 0x32000},
		{"all of it", [][2]uint64{{0x200000, 0x1000}, {0, 0xa0000}}, 0x203000},
		{"nothing above", [][2]uint64{{0x8000, 0x1000}}, 0x82000},
	} {
		var hs []phdr
		off := uint64(0x1000)
		for i, l := range c.loads {
			hs = append(hs, phdr{1, off, l[1], l[0], l[0], l[1], code(int(l[1]), uint64(i+1))})
			off += l[1]
		}
		m := must(loadertest.New(16 * mib))
		r := request(elf64(c.loads[0][0], hs...), 16*mib)
		r.Initrd = source("boot:i", bytes.Repeat([]byte("i"), 13*mib))
		ctx, err := loader.Load(r, m)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		for _, h := range hs {
			if !bytes.Equal(m.Bytes(loader.GPA(h.paddr), h.memsz), h.data) {
				t.Errorf("%s: the segment at %#x differs", c.name, h.paddr)
			}
		}
		if ctx.GPR[6] != c.params || ctx.CR3 != c.params+0x2000 || ctx.GDTBase != c.params-0x1000 || ctx.GPR[4] != c.params+0xe000 {
			t.Errorf("%s: boot_params at %#x, tables %#x, GDT %#x, stack %#x", c.name, ctx.GPR[6], ctx.CR3, ctx.GDTBase, ctx.GPR[4])
		}
		le, zp := binary.LittleEndian, m.Bytes(loader.GPA(c.params), 4096)
		if s := m.Bytes(loader.GPA(le.Uint32(zp[0x228:])), 14); string(s) != "console=ttyS0\x00" {
			t.Errorf("%s: command line %q", c.name, s)
		}
		if at := le.Uint32(zp[0x218:]); uint64(at) < c.params+0x1e000 {
			t.Errorf("%s: initrd at %#x, in the boot structures", c.name, at)
		}
		if e := le.Uint64(m.Bytes(loader.GPA(ctx.CR3), 8)); e != ctx.CR3+0x1003 {
			t.Errorf("%s: first entry of the tables %#x", c.name, e)
		}
	}
}

// What Try accepts Load accepts, and what it refuses Load refuses with the same
// words, but for damage behind the beginning.
func TestTry(t *testing.T) {
	files := map[string][]byte{
		"pvh": pvhKernel(0, 1, 0x20, 0), "low": at64(0x9ffff, 200, 1, 0x9ffff, 2), "text": []byte("hello"),
		"half":    kernels()["bzImage zstd"][:30000],
		"window":  zstdWith(vmlinux(), 0, 128<<20),
		"arm":     bzimage(gzipped(patch(vmlinux(), 18, 183)), len(vmlinux()), false),
		"flat":    append(mbHeader(1<<16, 0x200000, 0x200000, 0, 0, 0x200000), make([]byte, 64)...),
		"old":     patch(kernels()["bzImage zstd"], 0x206, 5),
		"memtest": patch(kernels()["bzImage zstd"], 0x24c, 0, 0, 0, 0),
	}
	for name, k := range kernels() {
		files[name] = k
	}
	for name, k := range files {
		for _, c := range []struct {
			memory        uint64
			initrd, words int
		}{{64 * mib, 0, 1}, {16 * mib, 0, 1}, {64 * mib, 50 * mib, 1}, {64 * mib, 10, 3000}} {
			r := request(k, c.memory)
			r.Account = account.New(60 * mib).Account("unpacking")
			r.Cmdline = strings.Repeat("a ", c.words)
			if c.initrd > 0 {
				r.Initrd = source("boot:i", make([]byte, c.initrd))
			}
			_, want := loader.Load(r, must(loadertest.New(c.memory)))
			if got := loader.Try(r); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s, %+v: Try says %v, Load %v", name, c, got, want)
			}
		}
	}
	gz := kernels()["bzImage gzip"]
	r := request(patch(gz, len(gz)-17, 1), 64*mib)
	if err := loader.Try(r); err != nil {
		t.Errorf("a wrong checksum is seen: %v; say so", err)
	}
}

func TestAmounts(t *testing.T) {
	for n, want := range map[int]string{1: "1 KiB", 1 << 20: "1 MiB", 1<<20 + 21000: "1.02 MiB", 80 << 20: "80 MiB", 100*mib - 1: "99.99 MiB"} {
		r := request(vmlinux(), 22*mib)
		r.Initrd = source("boot:i", make([]byte, n))
		r.Kernel.Size = int64(len(vmlinux()))
		if err := loader.Try(r); err != nil && !strings.Contains(err.Error(), "initrd of "+want+" does not fit") {
			t.Errorf("%d bytes: %v", n, err)
		} else if err == nil && n > mib {
			t.Errorf("%d bytes fit", n)
		}
	}
}
