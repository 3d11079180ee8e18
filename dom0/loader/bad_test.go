// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package loader_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"

	"ringo/dom0/loader"
	"ringo/dom0/loader/loadertest"
)

// patch returns b with bytes replaced at off.
func patch(b []byte, off int, v ...byte) []byte {
	b = bytes.Clone(b)
	copy(b[off:], v)
	return b
}

func le32(v uint32) []byte { return binary.LittleEndian.AppendUint32(nil, v) }

// at64 is an ELF file with one segment.
func at64(entry, off, filesz, paddr, memsz uint64) []byte {
	return elf64(entry, phdr{1, off, filesz, paddr, paddr, memsz, []byte("x")})
}

func TestBadKernels(t *testing.T) {
	ks := kernels()
	zst, gz := ks["bzImage zstd"], ks["bzImage gzip"]
	elf := vmlinux()
	bomb := bzimage(gzipped(make([]byte, 20*mib)), 20*mib, false)
	for _, c := range []struct {
		name, want string
		k          []byte
	}{
		{"empty", `kernel "boot:k" is empty`, nil},
		{"text", `kernel "boot:k" is not a Linux kernel (no "HdrS" at 0x202) nor an ELF file: use a bzImage or vmlinux`, []byte("name = \"x\"\n")},
		{"zeros", `kernel "boot:k" is not a Linux kernel`, make([]byte, 100000)},
		{"setup sector only", `kernel "boot:k" is truncated`, zst[:600]},
		{"half", `is truncated (its compressed part ends`, zst[:len(zst)/2]},
		{"old protocol", `has boot protocol 2.05, too old: 2.06 (Linux 2.6.22)`, patch(zst, 0x206, 0x05)},
		{"old program", `(firmware = "bios")`, patch(zst, 0x206, 0x03)}, // as memdisk
		{"zImage", `is a zImage, which runs below 1 MiB`, patch(zst, 0x211, 0)},
		{"16-bit program", `no 32-bit entry: it needs a BIOS (firmware = "bios")`, patch(patch(zst, 0x206, 7), 0x236, 0)}, // as iPXE
		{"code shorter than said", `is truncated`, patch(zst, 0x1f4, le32(uint32(len(zst)-2048+31)/16)...)},
		{"code in the hole", `between 640 KiB and 1 MiB`, patch(patch(zst, 0x236, 0), 0x214, le32(0x9f000)...)},
		{"code beyond 2816 MiB", `above 2816 MiB is not possible`, patch(patch(zst, 0x236, 0), 0x214, le32(0xc0000000)...)},
		{"needs much", `needs 1040 MiB of guest memory`, patch(patch(patch(zst, 0x236, 0), 0x234, 1), 0x260, le32(1<<30)...)},
		{"payload offset", `is truncated`, patch(zst, 0x248, 0xff, 0xff, 0xff, 0xff)},
		{"payload length", `is truncated`, patch(zst, 0x24c, 0xff, 0xff, 0xff, 0xff)},
		{"payload length 1", `is truncated`, patch(zst, 0x24c, 1, 0, 0, 0)},
		{"short header", `setup header is too short`, patch(zst, 0x201, 4)},
		{"compression", `is damaged (unknown compression`, patch(zst, 2048+777, 1, 2, 3)},
		{"lzma", `is compressed with lzma, which is not supported`, patch(zst, 2048+777, 0x5d, 0, 0)},
		{"lzo", `is compressed with lzo, which is not supported`, patch(zst, 2048+777, 0x89, 'L', 'Z', 'O')},
		{"lzo file", `is compressed with lzo, which is not supported: use gzip`, []byte("\x89LZO and more")},
		{"size lies", `it decompresses to 405312 bytes, its header says 405313`, patch(zst, len(zst)-13, le32(405313)...)},
		{"size huge", `decompresses to more than 512 MiB`, patch(zst, len(zst)-13, le32(1<<31)...)},
		{"zstd damage", `is damaged (zstd: `, patch(zst, 20000, 0xff, 0xff, 0xff, 0xff)},
		{"gzip damage", `is damaged (`, patch(gz, 20000, 0xff, 0xff, 0xff, 0xff)},
		{"gzip checksum", `is damaged (gzip: `, patch(gz, len(gz)-17, 1)},
		{"xz damage", `is damaged (xz: `, patch(ks["bzImage xz"], 20000, 0xff, 0xff, 0xff, 0xff)},
		{"lz4 damage", `is damaged`, patch(ks["bzImage lz4"], 20000, 0xff, 0xff, 0xff, 0xff)},
		{"no ELF inside", `holds no ELF file`, bomb},
		{"truncated ELF", `is truncated`, elf[:200000]},
		{"truncated headers", `bad ELF program headers`, patch(elf, 32, 0xff, 0xff, 0xff)},
		{"many headers", `bad ELF program headers`, patch(elf, 56, 0xff, 0xff)},
		{"ARM", `for another machine`, patch(elf, 18, 183)},
		{"big endian", `for another machine`, patch(elf, 5, 2)},
		{"shared object", `not an executable at a fixed address`, patch(elf, 16, 3)},
		{"no segments", `nothing to load`, elf64(0, phdr{kind: 4})},
		{"low", `wants to be loaded from 0x9ffff to 0xa0001: between 640 KiB and 1 MiB`, at64(0x9ffff, 200, 1, 0x9ffff, 2)},
		{"ROM", `wants to be loaded from 0xf0000 to 0xf0001: between`, at64(0xf0000, 200, 1, 0xf0000, 1)},
		{"beyond 2816 MiB", `above 2816 MiB is not possible`, at64(0xb0000000, 200, 1, 0xb0000000, 1)},
		{"wraps", `bad ELF segment`, at64(1<<20, 200, 1, 1<<20, 1<<64-1)},
		{"offset wraps", `bad ELF segment`, at64(1<<20, 1<<64-1, 1, 1<<20, 1)},
		{"offset far", `is truncated`, at64(1<<20, 1<<40, 1, 1<<20, 1)},
		{"file > memory", `bad ELF segment`, at64(1<<20, 200, 10, 1<<20, 9)},
		{"overlap in memory", `overlap in memory`, elf64(1<<20, phdr{1, 200, 1, 0, 1 << 20, 0x2000, nil}, phdr{1, 201, 1, 0, 0x101000, 1, nil})},
		{"overlap in file", `overlap in the file`, elf64(1<<20, phdr{1, 200, 9, 0, 1 << 20, 9, nil}, phdr{1, 201, 1, 0, 0x101000, 1, nil})},
		{"no entry", `no kernel we can enter`, at64(0x55, 200, 1, 1<<20, 9)},
		{"PVH outside", `PVH entry outside`, pvhKernel(0, 0, 0, 0)},
		{"PVH short", `bad PVH note`, pvhKernel(0, 1)},
		{"PVH long", `bad PVH note`, pvhKernel(0, 1, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0)},
		{"PVH above 4 GiB", `PVH entry outside`, pvhKernel(0, 1, 0x20, 0, 1, 0, 0, 0)},
		{"PVH cut", `bad PVH note`, noted(true, 0x1000, note(18, 0, 1, 0x20, 0)[:18])},
		{"PVH that lies", `bad PVH note`, noted(false, 0x8000, patch(note(18, 0, 1, 0x20, 0), 4, 0xff, 0xff, 0xff, 0xff))},
		{"PVH bad, physical entry", `bad PVH note`, noted(true, 0x1000, note(18, 0, 1))},
		{"PVH bad behind others", `bad PVH note`, noted(true, 0x20000, append(note(5, 'x'), note(18)...))},
		{"multiboot video", `asks for a video mode`, append(mbHeader(1<<16|4, 0x200000, 0x200000, 0, 0, 0x200000), make([]byte, 64)...)},
		{"multiboot without addresses", `nor with addresses`, append(mbHeader(0), make([]byte, 64)...)},
		{"multiboot addresses", `bad addresses`, append(mbHeader(1<<16, 0x200000, 0x300000, 0, 0, 0x200000), make([]byte, 64)...)},
		{"multiboot end", `is truncated`, append(mbHeader(1<<16, 0x200000, 0x200000, 0x300000, 0, 0x200000), make([]byte, 64)...)},
		{"multiboot 2 information", `requires information which is not there (type 8)`, mb2(2, 1, 12, 8)},
		{"multiboot 2 feature", `requires an unknown feature (tag 11)`, mb2(2, 11, 8)},
		{"multiboot 2 screen", `requires a screen`, mb2(2, 4, 12, 1)},
		{"multiboot 2 framebuffer", `requires a framebuffer`, mb2(2, 5, 20, 0, 0, 0)},
		{"multiboot 2 without addresses", `nor with addresses`, mb2(0)},
		{"multiboot 2 without an entry", `nor with addresses`, mb2(1)},
		{"multiboot 2 entry", `entry outside`, mb2Flat(0x200000, 0x300000)},
		{"multiboot 2 addresses", `bad addresses`, mb2Flat(0x300000, 0x200000)},
		{"multiboot 2 tag", `bad tag`, mb2(0, 1, 0x10000)},
		{"multiboot 2 without an end", `has no end`, patch(mb2(0), 16, 7)},
		{"multiboot 2 in an ELF", `requires a screen`, elf32(0x100000, phdr{1, 0x1000, 0x40, 0x100000, 0x100000, 64, mb2(0, 4, 12, 1)})},
		{"disk", `is an image of a disk (1 MiB with a boot sector), which a BIOS boots: use firmware = "bios"`, patch(make([]byte, mib), 510, 0x55, 0xaa)},
		{"multiboot entry", `entry outside`, append(mbHeader(1<<16, 0x200000, 0x200000, 0, 0, 0x100000), make([]byte, 64)...)},
	} {
		m := must(loadertest.New(64 * mib))
		_, err := loader.Load(request(c.k, 64*mib), m)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), `kernel "boot:k" `) {
			t.Errorf("%s: %v; want %q", c.name, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: more than one line: %q", c.name, err)
		}
	}
}

func TestTooSmall(t *testing.T) {
	initrd := source("boot:i", make([]byte, 80*mib))
	for _, c := range []struct {
		memory uint64
		initrd loader.Source
		want   string
	}{
		{16 * mib, loader.Source{}, `kernel "boot:k" needs 21 MiB of guest memory, there are 16 MiB: raise memory to at least 21 MiB`},
		{64 * mib, initrd, `initrd of 80 MiB does not fit 64 MiB of guest memory: raise memory to at least 101 MiB`},
		{100 * mib, initrd, `initrd of 80 MiB does not fit 100 MiB of guest memory: raise memory to at least 101 MiB`},
		{101 * mib, initrd, ``},
		{64 * mib, source("boot:i", nil), `initrd "boot:i" is empty`},
	} {
		r := request(vmlinux(), c.memory)
		r.Initrd = c.initrd
		_, err := loader.Load(r, must(loadertest.New(max(c.memory, 4*mib))))
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%d MiB: %v; want %q", c.memory/mib, err, c.want)
		}
	}
}

// The initrd respects the kernel's limit, and goes above 4 GiB when it must and
// may.
func TestInitrdPlace(t *testing.T) {
	k := kernels()["bzImage zstd"]
	initrd := code(3*mib, 3)
	for _, c := range []struct {
		name   string
		k      []byte
		memory uint64
		want   uint64 // 0: error
	}{
		{"top", k, 64 * mib, 61 * mib},
		{"limit", patch(k, 0x22c, le32(48*mib-1)...), 64 * mib, 45 * mib},
		{"odd limit", patch(k, 0x22c, le32(48*mib-2)...), 64 * mib, 45*mib - 4096},
		{"below 2816 MiB", patch(k, 0x22c, le32(^uint32(0))...), 4 << 30, 2816*mib - 3*mib},
		{"high", patch(k, 0x22c, le32(22*mib)...), 4 << 30, 4<<30 + 1280*mib - 3*mib},
		{"no high", patch(patch(k, 0x22c, le32(22*mib)...), 0x236, 1), 4 << 30, 0},
		{"no room", patch(k, 0x22c, le32(22*mib)...), 64 * mib, 0},
		{"limit 0", patch(k, 0x22c, le32(0)...), 64 * mib, 0},
	} {
		m := must(loadertest.New(c.memory))
		r := request(c.k, c.memory)
		r.Initrd = source("boot:i", initrd)
		_, err := loader.Load(r, m)
		if c.want == 0 {
			if err == nil || !strings.Contains(err.Error(), "MiB that this kernel allows") {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		zp := m.Bytes(0x2000, 4096)
		le := binary.LittleEndian
		at := uint64(le.Uint32(zp[0x218:])) | uint64(le.Uint32(zp[0xc0:]))<<32
		if at != c.want || !bytes.Equal(m.Bytes(loader.GPA(at), uint64(len(initrd))), initrd) {
			t.Errorf("%s: initrd at %#x, want %#x", c.name, at, c.want)
		}
	}
}

func TestCmdline(t *testing.T) {
	for _, c := range []struct{ cmd, want string }{
		{strings.Repeat("a", 2047), ""},
		{strings.Repeat("a", 2048), `command line of 2048 characters is too long: kernel "boot:k" takes 2047`},
		{"a\x00b", "NUL character at position 1"},
	} {
		r := request(vmlinux(), 64*mib)
		r.Cmdline = c.cmd
		_, err := loader.Load(r, must(loadertest.New(64*mib)))
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v; want %q", err, c.want)
		}
	}
}

// broken is a disk that fails.
type broken struct{}

func (broken) ReadAt(b []byte, off int64) (int, error) {
	return 0, errors.New("cannot be read: disk on fire")
}

// panics is a reader with a bug.
type panics struct{ io.ReaderAt }

func (p panics) ReadAt(b []byte, off int64) (int, error) {
	if off > 1000 {
		panic("index out of range")
	}
	return p.ReaderAt.ReadAt(b, off)
}

func TestReaders(t *testing.T) {
	m := must(loadertest.New(64 * mib))
	r := request(nil, 64*mib)
	r.Kernel = loader.Source{Name: "boot:k", R: broken{}, Size: 1000}
	if _, err := loader.Load(r, m); err == nil || err.Error() != `kernel "boot:k" cannot be read: disk on fire` {
		t.Error(err)
	}
	r = request(vmlinux(), 64*mib)
	r.Kernel.R = panics{r.Kernel.R}
	if _, err := loader.Load(r, m); err == nil || err.Error() != `kernel "boot:k" is damaged (decoder failed: index out of range)` {
		t.Error(err)
	}
	r = request(vmlinux(), 64*mib)
	r.Initrd = loader.Source{Name: "boot:i", R: broken{}, Size: 1000}
	if _, err := loader.Load(r, m); err == nil || err.Error() != `initrd "boot:i" cannot be read: disk on fire` {
		t.Error(err)
	}
	if _, err := loader.Check(source("boot:x", []byte("hello"))); err == nil {
		t.Error("Check accepts text")
	}
	if w, err := loader.Check(source("boot:x", vmlinux())); err != nil || w.PVH {
		t.Error(w, err)
	}
}
