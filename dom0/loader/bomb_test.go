// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package loader_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"ringo/dom0/account"
	"ringo/dom0/loader"
	"ringo/dom0/loader/loadertest"
	"ringo/hv/abi"
)

// allocated returns what f allocates on the heap in all, in bytes: no less than
// what it has there at any time. Nothing is collected meanwhile, or pools that
// were emptied would be filled again.
func allocated(f func()) uint64 {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// charged loads k into a guest of memory bytes and returns what that allocated,
// beside the guest's memory, and the most that was reserved for it.
func charged(t *testing.T, k []byte, memory, budget uint64) (heap, reserved uint64, err error) {
	t.Helper()
	var ctx abi.VCPUContext
	m := must(loadertest.New(memory))
	b := account.New(budget)
	r := request(k, memory)
	r.Account = b.Account("unpacking")
	if _, err := loader.Check(r.Kernel); len(k) > 512 && k[510] == 0x55 && err == nil {
		r.Cmdline = "" // boot sectors take none
	}
	heap = allocated(func() { ctx, err = loader.Load(r, m) }) - m.Made()
	if err == nil && m.RAM(loader.GPA(ctx.RIP), 1) == nil {
		t.Errorf("starts at %#x", ctx.RIP)
	}
	all, _ := b.Use()
	if all[0].Bytes != 0 {
		t.Errorf("%d bytes remain reserved", all[0].Bytes)
	}
	return heap, all[0].Most, err
}

// loadCost is what Load allocates beside unpacking, at most: the beginning of the
// file, twice, page tables, ACPI tables.
const loadCost = 512 << 10

type zeros struct{ n int64 }

func (z *zeros) Read(b []byte) (int, error) {
	if z.n == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(b)), z.n)
	clear(b[:n])
	z.n -= n
	return int(n), nil
}

// zstdWith compresses b and a tail of zeros with a window.
func zstdWith(b []byte, tail int64, window int) []byte {
	var out bytes.Buffer
	w := must(zstd.NewWriter(&out, zstd.WithWindowSize(window), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1)))
	w.Write(b)
	must(io.Copy(struct{ io.Writer }{w}, &zeros{tail}))
	w.Close()
	return out.Bytes()
}

func gzipWith(b []byte, tail int64) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Write(b)
	must(io.Copy(struct{ io.Writer }{w}, &zeros{tail}))
	w.Close()
	return out.Bytes()
}

func lz4With(b []byte, tail int64, o ...lz4.Option) []byte {
	var out bytes.Buffer
	w := lz4.NewWriter(&out)
	w.Apply(o...)
	w.Write(b)
	must(io.Copy(struct{ io.Writer }{w}, &zeros{tail}))
	w.Close()
	return out.Bytes()
}

// xzWith is the xz file of testdata, with another size of the dictionary in the
// header of its block.
func xzWith(code byte) []byte {
	b := must(os.ReadFile("testdata/small.xz"))
	end := 12 + (int(b[12])+1)*4
	i := bytes.Index(b[12:end], []byte{0x21, 1}) + 12
	b[i+2] = code
	binary.LittleEndian.PutUint32(b[end-4:], crc32.ChecksumIEEE(b[12:end-4]))
	return b
}

// Unpacking takes no more of the heap than is reserved for it, whatever windows
// the file declares, and no more than its output where that is known.
func TestUnpackingCosts(t *testing.T) {
	elf := vmlinux()
	image := append(bytes.Clone(elf), relocs...)
	n := len(image)
	const large = 1 << 30
	for _, c := range []struct {
		name string
		k    []byte
		most uint64 // that may be reserved
	}{
		{"gzip", gzipped(elf), 256 << 10},
		{"gzip with a tail", gzipWith(elf, 15*mib), 256 << 10},
		{"bzip2", bzimage(must(os.ReadFile("testdata/small.bz2")), n, true), 5 * mib},
		{"lz4 legacy", lz4ed(elf), 26 * mib},
		{"lz4 legacy with a tail", lz4With(elf, 15*mib, lz4.LegacyOption(true)), 26 * mib},
		{"lz4", lz4With(elf, 15*mib, lz4.BlockSizeOption(lz4.Block4Mb)), 26 * mib},
		{"zstd 1 KiB", zstdWith(elf, 0, 1<<10), 7 * mib},
		{"zstd 8 MiB", zstdWith(elf, 15*mib, 8<<20), 14 * mib},
		{"zstd 128 MiB", zstdWith(elf, 15*mib, 128<<20), 134 * mib},
		{"zstd 512 MiB", zstdWith(elf, 15*mib, 512<<20), 518 * mib},
		{"bzImage zstd 128 MiB", bzimage(zstdWith(image, 0, 128<<20), n, true), 7 * mib},
		{"bzImage zstd one segment", bzimage(zstded(image), n, true), 7 * mib},
		{"xz 4 KiB too small", bzimage(xzWith(0), n, true), 1 * mib},
		{"xz 32 MiB", xzWith(26), 33 * mib},
		{"xz 128 MiB", xzWith(30), 129 * mib},
		{"bzImage xz 128 MiB", bzimage(xzWith(30), n, true), 1 * mib},
		{"bzImage xz 4 GiB", bzimage(xzWith(40), n, true), 1 * mib},
	} {
		heap, reserved, err := charged(t, c.k, 64*mib, large)
		if err != nil && !strings.Contains(c.name, "too small") {
			t.Errorf("%s: %v", c.name, err)
		}
		t.Logf("%s: %d KiB of the heap, %d KiB reserved", c.name, heap>>10, reserved>>10)
		if heap > reserved+loadCost {
			t.Errorf("%s: takes %d KiB of the heap, %d KiB are reserved", c.name, heap>>10, reserved>>10)
		}
		if reserved > c.most {
			t.Errorf("%s: %d KiB are reserved, at most %d were expected", c.name, reserved>>10, c.most>>10)
		}
	}
}

// A small file cannot make dom0 use more memory than there is: what does not fit
// is refused before it is unpacked.
func TestBombs(t *testing.T) {
	elf := vmlinux()
	const budget = 60 * mib
	const full = `kernel "boot:k" is not unpacked: dom0's memory is not enough: unpacking takes `
	const tail = `kernel "boot:k" is followed by more than 16 MiB that belong to no kernel`
	for _, c := range []struct {
		name string
		k    []byte
		want string
	}{
		{"zstd window", zstdWith(elf, 150*mib, 128<<20), full + "135168 KiB, 49664 KiB are free"},
		{"zstd tail", zstdWith(elf, 150*mib, 8<<20), tail},
		{"zstd tail, bzImage", bzimage(zstdWith(elf, 150*mib, 128<<20), len(elf), true), `it decompresses to more than the 402312 bytes that its header says`},
		{"zstd content", bzimage(zstdWith(elf, 150*mib, 128<<20), 400*mib+len(elf), true), full + "135168 KiB"},
		{"xz window", xzWith(30), full + "131328 KiB"},
		{"xz window of 4 GiB", xzWith(40), full + "524544 KiB"},
		{"gzip tail", gzipWith(elf, 150*mib), tail},
		{"lz4 tail", lz4With(elf, 150*mib), tail},
		{"lz4 legacy tail", lz4With(elf, 150*mib, lz4.LegacyOption(true)), tail},
	} {
		heap, reserved, err := charged(t, c.k, 64*mib, budget)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v; want %q", c.name, err, c.want)
		}
		if heap > reserved+loadCost || reserved > budget/8*7 {
			t.Errorf("%s: takes %d KiB of the heap, %d KiB are reserved", c.name, heap>>10, reserved>>10)
		}
	}
}

// The windows of what xz makes are read, in all forms of its headers.
func TestXZHeaders(t *testing.T) {
	xz, err := exec.LookPath("xz")
	if err != nil {
		t.Fatal("xz is needed: apt-get install xz-utils")
	}
	elf := vmlinux()
	for _, c := range []struct {
		args []string
		want string // MiB
	}{
		{[]string{"-9"}, "64"},
		{[]string{"-0"}, "0"},
		{[]string{"--x86", "--lzma2=dict=32MiB"}, "32"},
		{[]string{"--delta=dist=4", "--x86", "--lzma2=dict=96MiB"}, "96"},
		{[]string{"-T2", "--block-size=100000", "--lzma2=dict=64MiB"}, "64"}, // sizes in each header
	} {
		cmd := exec.Command(xz, append(c.args, "--check=crc32", "-c")...)
		cmd.Stdin = bytes.NewReader(elf)
		k, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		_, reserved, err := charged(t, k, 64*mib, 1<<30)
		if err != nil && !strings.Contains(strings.Join(c.args, " "), "delta") {
			t.Errorf("%v: %v", c.args, err)
		}
		if got := fmt.Sprint(reserved >> 20); got != c.want {
			t.Errorf("%v: %s MiB reserved, want %s", c.args, got, c.want)
		}
	}
}

// FuzzLoad: no input may panic (Load recovers, so look for its message), reach
// outside of the guest's memory, or take more of the heap than it reserved of a
// small budget.
func FuzzLoad(f *testing.F) {
	small := elf64(1<<20, phdr{1, 512, 600, 0, 1 << 20, 700, code(600, 1)}, phdr{1, 1200, 50, 0, 2 << 20, 50, code(50, 2)})
	n := len(small)
	f.Add(small)
	f.Add(zstded(small))
	f.Add(bzimage(gzipped(small), n, false))
	f.Add(bzimage(lz4ed(small), n, true))
	f.Add(lz4With(small, 1000))
	f.Add(pvhKernel(0, 1, 0x20, 0))
	f.Add(append(mbHeader(1<<16, 0x200000, 0x200000, 0, 0, 0x200000), make([]byte, 64)...))
	f.Add(mb2(2, 1, 16, 3, 6, 10, 24, 0x100000, 1<<30, 0x1000, 0))
	f.Add(elf64(0x100100, phdr{1, 0x1000, 512, 0x100000, 0x100000, 4096, mb2(0, 3, 12, 0x100200)}))
	f.Add(patch(code(3000, 1), 510, 0x55, 0xaa))
	f.Add(elf32(0x200010, phdr{1, 0x1000, 500, 0xc0200000, 0x200000, 8192, code(500, 1)}, phdr{4, 0x2000, 24, 0, 0, 0, linuxNote()}))
	for _, window := range []int{1 << 10, 1 << 20, 8 << 20, 128 << 20, 512 << 20} {
		f.Add(zstdWith(small, 100000, window))
		f.Add(bzimage(zstdWith(small, 100000, window), n+100000, true))
	}
	for _, code := range []byte{0, 10, 20, 26, 30, 40} {
		f.Add(xzWith(code))
		f.Add(bzimage(xzWith(code), n, true))
	}
	f.Add(bzimage(gzipWith(small, 20*mib), n, false))
	f.Fuzz(func(t *testing.T, k []byte) {
		const memory, budget = 32 * mib, 32 * mib
		heap, reserved, err := charged(t, k, memory, budget)
		if heap > reserved+loadCost || reserved > budget/8*7 {
			t.Errorf("%d KiB of the heap, %d KiB reserved; %v", heap>>10, reserved>>10, err)
		}
		if err != nil && strings.Contains(err.Error(), "decoder failed") {
			t.Error(err)
		}
	})
}
