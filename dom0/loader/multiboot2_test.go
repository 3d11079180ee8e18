// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package loader_test

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/dom0/loader"
	"ringo/dom0/loader/loadertest"
)

// mb2 is a file of 4 KiB with a multiboot 2 header: flat 1 adds the addresses of an
// image at 2 MiB, 2 its entry too; then come the words of more tags, each padded by
// its own length, and the end.
func mb2(flat int, tags ...uint32) []byte {
	var w []uint32
	if flat > 0 {
		w = append(w, 2, 24, 0x200000, 0x200000, 0, 0)
	}
	if flat > 1 {
		w = append(w, 3, 12, 0x200100, 0)
	}
	for len(tags) > 0 {
		n := min(int(tags[1]+3)/4, len(tags))
		w, tags = append(w, tags[:n]...), tags[n:]
		w = append(w, make([]uint32, n&1)...)
	}
	return mb2Words(append(w, 0, 8)...)
}

func mb2Words(w ...uint32) []byte {
	n := uint32(16 + 4*len(w))
	w = append([]uint32{0xe85250d6, 0, n, -(0xe85250d6 + n)}, w...)
	b := make([]byte, 4096)
	for i, v := range w {
		binary.LittleEndian.PutUint32(b[4*i:], v)
	}
	return b
}

// mb2Flat is an image that is loaded from the header on.
func mb2Flat(load, entry uint32) []byte {
	return mb2Words(2, 24, 0x200000, load, 0, 0, 3, 12, entry, 0, 0, 8)
}

func TestMultiboot2(t *testing.T) {
	const optional = 1 << 16
	head := mb2(0, 1, 16, 3, 6, 10, 24, 0x100000, 1<<30, 0x1000, 0, 6, 8)
	odd := mb2(0, 1, 12, 3, 99|optional, 8, 4|optional, 12, 1, 5|optional, 20, 0, 0, 0)
	both := append(mb2(0, 4, 12, 1), make([]byte, 64)...)
	copy(both[512:], mbHeader(3))
	late := append(make([]byte, 20000), mb2Flat(0x200000, 0x200100)...)
	for name, c := range map[string]struct {
		k     []byte
		entry uint64
		one   bool // version 1 after all
	}{
		"elf32":     {k: elf32(0x100100, phdr{1, 0x1000, 512, 0x100000, 0x100000, 4096, head}), entry: 0x100100},
		"elf64":     {k: elf64(0xffffffff80100100, phdr{1, 0x1000, 512, 0xffffffff80100000, 0x100000, 4096, head}), entry: 0x100100},
		"optional":  {k: elf64(0x100100, phdr{1, 0x1000, 512, 0x100000, 0x100000, 4096, odd}), entry: 0x100100},
		"entry":     {k: elf32(0x100100, phdr{1, 0x1000, 512, 0x100000, 0x100000, 4096, mb2(0, 3, 12, 0x100200)}), entry: 0x100200},
		"flat":      {k: mb2(2), entry: 0x200100},
		"late":      {k: late, entry: 0x200100},
		"whole":     {k: mb2Words(2, 24, 0x200000, 0xffffffff, 0, 0, 3, 12, 0x200100, 0, 0, 8), entry: 0x200100},
		"version 1": {k: elf32(0x100100, phdr{1, 0x1000, 1024, 0x100000, 0x100000, 4096, both}), entry: 0x100100, one: true},
	} {
		m := must(loadertest.New(16 * mib))
		r := withFiles(c.k)
		ctx, err := loader.Load(r, m)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		magic := uint64(0x36d76289)
		if c.one {
			magic = 0x2badb002
		}
		if ctx.RIP != c.entry || ctx.GPR[0] != magic || ctx.GPR[3] != 0x3000 || ctx.CR0 != 0x31 || ctx.EFER != 0 {
			t.Errorf("%s: start state %+v", name, ctx)
		}
		if c.one {
			continue
		}
		tags := information(t, m)
		if s := string(tags[1][0]); s != "console=ttyS0\x00" || string(tags[2][0]) != "ringo\x00" {
			t.Errorf("%s: command line %q", name, s)
		}
		if len(tags[3]) != 2 {
			t.Errorf("%s: %d modules", name, len(tags[3]))
			continue
		}
		le := binary.LittleEndian
		for i, want := range []string{"initrd boot:i\x00", "second boot:j a b\x00"} {
			b := tags[3][i]
			at, end := le.Uint32(b), le.Uint32(b[4:])
			if got := string(m.Bytes(loader.GPA(at), uint64(end-at))) + " " + string(b[8:]); got != want || at%4096 != 0 {
				t.Errorf("%s: module %q at %#x", name, got, at)
			}
		}
		var ram3 [][3]uint64
		for e := tags[6][0][8:]; len(e) >= 24; e = e[24:] {
			ram3 = append(ram3, [3]uint64{le.Uint64(e), le.Uint64(e) + le.Uint64(e[8:]), uint64(le.Uint32(e[16:]))})
		}
		if d := cmp.Diff(ram(machine(16*mib).Map()), ram3); d != "" {
			t.Errorf("%s: memory map: -want +got\n%s", name, d)
		}
		if !bytes.Equal(tags[15][0], m.Bytes(0xe0000, 36)) || le.Uint32(tags[4][0][4:]) != 15*1024 {
			t.Errorf("%s: root pointer % x", name, tags[15])
		}
		if got := len(tags[21]) == 1 && le.Uint32(tags[21][0]) == 0x100000; got != (name == "elf32" || name == "elf64") {
			t.Errorf("%s: load address %v", name, tags[21])
		}
	}
}

// information returns the tags of the boot information, by type.
func information(t *testing.T, m *loadertest.Memory) map[uint32][][]byte {
	le := binary.LittleEndian
	b := m.Bytes(0x3000, 0x9000)
	b = b[:le.Uint32(b)]
	tags := map[uint32][][]byte{}
	for b = b[8:]; len(b) >= 8; {
		kind, n := le.Uint32(b), le.Uint32(b[4:])
		if n < 8 || uint64(n) > uint64(len(b)) {
			t.Fatalf("tag %d of %d bytes", kind, n)
		}
		tags[kind] = append(tags[kind], b[8:n])
		b = b[(n+7)&^7:]
		if kind == 0 && len(b) > 0 {
			t.Errorf("%d bytes behind the end", len(b))
		}
	}
	if len(tags[0]) != 1 {
		t.Error("no end")
	}
	return tags
}

// Who takes no modules says so, and what does not fit is refused before it is loaded.
func TestModules(t *testing.T) {
	mod := func(n int, text string) []loader.Module {
		return []loader.Module{{source("boot:m", make([]byte, n)), text}}
	}
	sector := patch(make([]byte, 1024), 510, 0x55, 0xaa)
	for _, c := range []struct {
		name, want string
		k          []byte
		mods       []loader.Module
		cmdline    string
	}{
		{"Linux", `kernel "boot:k" is a Linux, which takes no modules: use initrd`, vmlinux(), mod(1, "a"), ""},
		{"boot sector", `kernel "boot:k" is a boot sector, which takes no initrd, modules or cmdline`, sector, mod(1, "a"), ""},
		{"boot sector with a command line", `is a boot sector, which takes no`, sector, nil, "a"},
		{"empty", `module "boot:m" is empty`, mb2(2), mod(0, "a"), ""},
		{"large", `module of 15 MiB does not fit 16 MiB of guest memory: raise memory to at least 18 MiB`, mb2(2), mod(15*mib, "a"), ""},
		{"long", `what the kernel is told of its modules takes`, mb2(2), mod(1, strings.Repeat("a", 40000)), ""},
		{"long 1", `what the kernel is told of its modules takes`, append(mbHeader(1<<16, 0x200000, 0x200000, 0, 0, 0x200000), make([]byte, 64)...), mod(1, strings.Repeat("a", 40000)), ""},
		{"long PVH", `what the kernel is told of its modules takes`, pvhKernel(0, 1, 0x20, 0), mod(1, strings.Repeat("a", 40000)), ""},
	} {
		r := request(c.k, 16*mib)
		if c.name == "Linux" {
			r = request(c.k, 64*mib)
		}
		r.Cmdline, r.Modules = c.cmdline, c.mods
		for what, f := range map[string]func() error{
			"Try":  func() error { return loader.Try(r) },
			"Load": func() error { _, err := loader.Load(r, must(loadertest.New(64*mib))); return err },
		} {
			if err := f(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s, %s: %v; want %q", c.name, what, err, c.want)
			}
		}
	}
}

// A boot sector starts in real mode where a BIOS would put it, and what follows it is
// behind it.
func TestBootSector(t *testing.T) {
	k := patch(code(3000, 1), 510, 0x55, 0xaa)
	m := must(loadertest.New(4 * mib))
	r := request(k, 4*mib)
	r.Cmdline = ""
	ctx := must(loader.Load(r, m))
	if ctx.RIP != 0x7c00 || ctx.CR0 != 0x10 || ctx.EFER != 0 || ctx.CR4 != 0 || ctx.IDTLimit != 0x3ff || ctx.IDTBase != 0 || ctx.GPR[4] != 0x7c00 {
		t.Errorf("start state %+v", ctx)
	}
	for i, s := range ctx.Seg[:6] {
		if s.Selector != 0 || s.Base != 0 || s.Limit != 0xffff || s.Access&^8 != 0x93 {
			t.Errorf("segment %d: %+v", i, s)
		}
	}
	if !bytes.Equal(m.Bytes(0x7c00, 3000), k) {
		t.Error("the image is not at 0x7c00")
	}
	// Each vector leads to PUSH n; JMP to the same place.
	le := binary.LittleEndian
	common := uint32(0)
	for v := range uint32(256) {
		e := m.Bytes(loader.GPA(4*v), 4)
		at := uint32(le.Uint16(e)) + uint32(le.Uint16(e[2:]))<<4
		b := m.Bytes(loader.GPA(at), 5)
		to := at + 5 + uint32(int32(int16(le.Uint16(b[3:]))))
		if common == 0 {
			common = to
		}
		if b[0] != 0x6a || b[1] != byte(v) || b[2] != 0xe9 || to != common {
			t.Fatalf("vector %#x: % x at %#x", v, b, at)
		}
	}
	r.Kernel = source("boot:k", patch(make([]byte, 0xa0000-0x7c00), 510, 0x55, 0xaa))
	if _, err := loader.Load(r, m); err != nil {
		t.Errorf("the largest image: %v", err)
	}
}

// A vmlinux for i386 is entered by the 32-bit protocol.
func TestVmlinux32(t *testing.T) {
	k := elf32(0x200010, phdr{1, 0x1000, 5000, 0xc0200000, 0x200000, 8192, code(5000, 1)},
		phdr{4, 0x3000, uint64(len(linuxNote())), 0, 0, 0, linuxNote()})
	m := must(loadertest.New(16 * mib))
	ctx := must(loader.Load(request(k, 16*mib), m))
	if ctx.RIP != 0x200010 || ctx.GPR[6] != 0x2000 || ctx.CR0 != 0x31 || ctx.EFER != 0 {
		t.Errorf("start state %+v", ctx)
	}
	if zp := m.Bytes(0x2000, 4096); binary.LittleEndian.Uint32(zp[0x22c:]) != 0x37ffffff || zp[0x236] != 0 {
		t.Errorf("zero page % x", zp[0x1f1:0x260])
	}
}
