// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package loader_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"ringo/dom0/loader"
	"ringo/dom0/loader/loadertest"
	"ringo/hv/abi"
)

const mib = 1 << 20

// relocs follow the ELF file in a bzImage's payload.
var relocs = code(3000, 9)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func gzipped(b []byte) []byte {
	var out bytes.Buffer
	w := must(gzip.NewWriterLevel(&out, 9))
	w.Write(b)
	w.Close()
	return out.Bytes()
}

func zstded(b []byte) []byte {
	return must(zstd.NewWriter(nil)).EncodeAll(b, nil)
}

func lz4ed(b []byte) []byte {
	var out bytes.Buffer
	w := lz4.NewWriter(&out)
	w.Apply(lz4.LegacyOption(true))
	w.Write(b)
	w.Close()
	return out.Bytes()
}

// kernels are all forms of the same Linux. xz and bzip2 files were made with
// "xz --check=crc32 --x86 --lzma2=dict=32MiB" and "bzip2 -9" from the same bytes.
func kernels() map[string][]byte {
	elf := vmlinux()
	image := append(bytes.Clone(elf), relocs...)
	n := len(image)
	xz, bz := must(os.ReadFile("testdata/small.xz")), must(os.ReadFile("testdata/small.bz2"))
	return map[string][]byte{
		"vmlinux":       elf,
		"bzImage gzip":  bzimage(gzipped(image), n, false),
		"bzImage xz":    bzimage(xz, n, true),
		"bzImage zstd":  bzimage(zstded(image), n, true),
		"bzImage lz4":   bzimage(lz4ed(image), n, true),
		"bzImage bzip2": bzimage(bz, n, true),
		"bzImage plain": bzimage(image, n, true),
		"vmlinux.gz":    gzipped(elf),
		"vmlinux.zst":   zstded(elf),
		"vmlinux.lz4":   lz4ed(elf),
		"vmlinux.xz":    xz,
	}
}

// checkKernel compares memory with the segments of vmlinux.
func checkKernel(t *testing.T, m *loadertest.Memory) {
	t.Helper()
	for _, s := range []struct {
		at   loader.GPA
		data []byte
		size int
	}{
		{0x1000000, code(150_000, 1), 150_000}, {0x1200000, code(9000, 2), 9000},
		{0x1300000, code(4096, 3), 4096}, {0x1400000, code(5000, 4), 0x100000},
	} {
		want := append(bytes.Clone(s.data), make([]byte, s.size-len(s.data))...)
		if !bytes.Equal(want, m.Bytes(s.at, uint64(s.size))) {
			t.Errorf("segment at %#x differs", s.at)
		}
	}
}

func TestLinuxFormats(t *testing.T) {
	initrd := code(100_001, 7)
	for name, k := range kernels() {
		for _, chunk := range []uint64{0, 4096 * 3} {
			m := must(loadertest.New(64 * mib))
			m.Chunk = chunk
			copy(m.RAM(0x1450000, 4), "old") // BSS is cleared
			r := request(k, 64*mib)
			r.Initrd = source("boot:i", initrd)
			ctx, err := loader.Load(r, m)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			checkKernel(t, m)
			if ctx.RIP != 0x1000000 || ctx.GPR[6] != 0x2000 || ctx.CR0 != 0x80000031 || ctx.CR4 != 0x20 || ctx.EFER != 0x500 || ctx.Online != 1 {
				t.Errorf("%s: start state %+v", name, ctx)
			}
			at := loader.GPA(64*mib - 25*4096)
			if !bytes.Equal(m.Bytes(at, uint64(len(initrd))), initrd) {
				t.Errorf("%s: initrd is not at %#x", name, at)
			}
		}
	}
}

func TestZeroPage(t *testing.T) {
	m := must(loadertest.New(64 * mib))
	initrd := code(5000, 7)
	r := request(kernels()["bzImage zstd"], 64*mib)
	r.Initrd = source("boot:i", initrd)
	must(loader.Load(r, m))
	zp := m.Bytes(0x2000, 4096)
	le := binary.LittleEndian
	type fields struct {
		Boot, Version, XLoad         uint16
		Magic                        string
		Type, Flags, Sentinel, E820  uint8
		Ramdisk, Size, Cmdline, Code uint32
		RSDP                         uint64
	}
	got := fields{
		le.Uint16(zp[0x1fe:]), le.Uint16(zp[0x206:]), le.Uint16(zp[0x236:]), string(zp[0x202:0x206]),
		zp[0x210], zp[0x211], zp[0x1ef], zp[0x1e8],
		le.Uint32(zp[0x218:]), le.Uint32(zp[0x21c:]), le.Uint32(zp[0x228:]), le.Uint32(zp[0x214:]),
		le.Uint64(zp[0x70:]),
	}
	want := fields{0xaa55, 0x20f, 0x7f, "HdrS", 0xff, 0x01, 0, 5,
		64*mib - 8192, 5000, 0x10000, 0x1000000, 0xe0000}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	if s := string(m.Bytes(0x10000, 14)); s != "console=ttyS0\x00" {
		t.Errorf("command line %q", s)
	}
	if s := string(m.Bytes(0xe0000, 8)); s != "RSD PTR " {
		t.Errorf("root pointer %q", s)
	}
	var map820 [][3]uint64
	for i := range int(zp[0x1e8]) {
		e := zp[0x2d0+20*i:]
		map820 = append(map820, [3]uint64{le.Uint64(e), le.Uint64(e) + le.Uint64(e[8:]), uint64(le.Uint32(e[16:]))})
	}
	if d := cmp.Diff(ram(machine(64*mib).Map()), map820); d != "" {
		t.Errorf("E820: -layout +zero page\n%s", d)
	}
}

// The page tables map every 2 MiB page of the low 4 GiB to itself, writable;
// the descriptors are those of the boot protocol.
func TestTables(t *testing.T) {
	m := must(loadertest.New(64 * mib))
	ctx := must(loader.Load(request(vmlinux(), 64*mib), m))
	entry := func(table uint64, i uint64) uint64 {
		return binary.LittleEndian.Uint64(m.Bytes(loader.GPA(table+8*i), 8))
	}
	for va := uint64(0); va < 4<<30; va += 2 * mib {
		e := entry(ctx.CR3, va>>39)
		e = entry(e&^0xfff, va>>30&511)
		e = entry(e&^0xfff, va>>21&511)
		if e != va|0x83 {
			t.Fatalf("%#x maps to %#x", va, e)
		}
	}
	if e := entry(ctx.CR3, 1); e != 0 {
		t.Errorf("second PML4 entry is %#x", e)
	}
	if got := [3]uint64{entry(ctx.GDTBase, 2), entry(ctx.GDTBase, 3), entry(ctx.GDTBase, 4)}; got != [3]uint64{0x00af9b000000ffff, 0x00cf93000000ffff, 0x00008b0000000067} {
		t.Errorf("GDT %#x", got)
	}
	for i, want := range []abi.Segment{
		{Selector: 0x18, Access: 0xc093, Limit: 0xffffffff}, {Selector: 0x10, Access: 0xa09b, Limit: 0xffffffff},
		{Selector: 0x18, Access: 0xc093, Limit: 0xffffffff}, {Selector: 0x18, Access: 0xc093, Limit: 0xffffffff},
		{Selector: 0x18, Access: 0xc093, Limit: 0xffffffff}, {Selector: 0x18, Access: 0xc093, Limit: 0xffffffff},
		{Access: 0x10000}, {Selector: 0x20, Access: 0x8b, Limit: 0x67},
	} {
		if ctx.Seg[i] != want {
			t.Errorf("segment %d: %+v", i, ctx.Seg[i])
		}
	}
}

// Real-mode code at F000:FFF0 ends in a write of the reset value to the reset
// register, with an edge of its bit 2.
func TestResetVector(t *testing.T) {
	m := must(loadertest.New(64 * mib))
	ctx := must(loader.Load(request(vmlinux(), 64*mib), m))
	if ctx.VirtualWire != 1 {
		t.Error("vCPU 0 does not start in virtual-wire mode")
	}
	ip := uint64(0xffff0)
	var out []byte
	var al byte
	var dx uint16
	for range 20 {
		b := m.Bytes(loader.GPA(ip), 5)
		le := binary.LittleEndian
		switch b[0] {
		case 0xea:
			ip = uint64(le.Uint16(b[3:]))<<4 + uint64(le.Uint16(b[1:]))
			continue
		case 0xba:
			dx = le.Uint16(b[1:])
			ip += 3
		case 0xb0:
			al = b[1]
			ip += 2
		case 0xee:
			if dx != abi.PortReset {
				t.Fatalf("out to port %#x", dx)
			}
			out = append(out, al)
			ip++
		case 0xfa:
			ip++
		case 0xf4:
			if d := cmp.Diff([]byte{2, 6}, out); d != "" {
				t.Error(d)
			}
			if m.Bytes(0xffffe, 1)[0] != 0xfc {
				t.Error("no model byte")
			}
			return
		default:
			t.Fatalf("unexpected instruction % x at %#x", b, ip)
		}
	}
	t.Error("no end")
}
