// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package part

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/dom0/files/filestest"
	"ringo/tools/debian"
)

const (
	linuxType = "0fc63daf-8483-4772-8e79-3d69d8477de4"
	efiType   = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
	mib       = 1 << 20
)

// TestGPT reads what sfdisk writes, and what is left of it when parts of it are lost.
func TestGPT(t *testing.T) {
	good := sfdisk(t, "label: gpt\nsize=4MiB, type=uefi, name=\"EFI system\"\nsize=10MiB, type=linux, name=\"größer\"\n7: size=1MiB, type=linux\n")
	all := []Partition{
		{1, 1 * mib, 4 * mib, efiType, "EFI system"}, {2, 5 * mib, 10 * mib, linuxType, "größer"}, {7, 15 * mib, 1 * mib, linuxType, ""},
	}
	const copied = "its first partition table is damaged, and the copy at its end is used: repair it, for instance with gdisk"
	end := len(good)
	for name, c := range map[string]struct {
		change func(b []byte)
		want   Table
		err    error
	}{
		"whole":         {func([]byte) {}, Table{"gpt", all, ""}, nil},
		"first header":  {func(b []byte) { b[512+60]++ }, Table{"gpt", all, copied}, nil},
		"no header":     {func(b []byte) { clear(b[512:1024]) }, Table{"gpt", all, copied}, nil},
		"first entries": {func(b []byte) { b[1024+130]++ }, Table{"gpt", all, copied}, nil},
		"copy":          {func(b []byte) { b[end-512+60]++ }, Table{"gpt", all, ""}, nil},
		"both":          {func(b []byte) { b[512+60]++; b[end-512+60]++ }, Table{}, ErrDamaged},
		"no protective": {func(b []byte) { clear(b[mbrTable:mbrSignature]) }, Table{}, nil},
		"outside": {func(b []byte) { patch(b, 1024+entryEnd, 1<<40) },
			Table{"gpt", all[1:], "partition 1 does not lie where partitions may"}, nil},
		"backwards": {func(b []byte) { patch(b, 1024+128+entryEnd, 1) },
			Table{"gpt", []Partition{all[0], all[2]}, "partition 2 does not lie where partitions may"}, nil},
		"too many": {func(b []byte) { binary.LittleEndian.PutUint32(b[512+gptCount:], 1<<31); sum(b); clear(b[end-512:]) }, Table{}, ErrDamaged},
	} {
		b := bytes.Clone(good)
		c.change(b)
		got, err := Read(bytes.NewReader(b), int64(len(b)), 512)
		if diff := cmp.Diff(c.want, got); diff != "" || !errors.Is(err, c.err) {
			t.Errorf("%s: %v %s", name, err, diff)
		}
	}
	if p, ok := (&Table{Parts: all}).Find(7); !ok || p.Start != 15*mib {
		t.Error(p, ok)
	}
}

// TestLargeBlocks reads a disk with blocks of 4 KiB.
func TestLargeBlocks(t *testing.T) {
	small, le := sfdisk(t, "label: gpt\nsize=4MiB, type=linux\n"), binary.LittleEndian
	b := make([]byte, 30*mib)
	copy(b, small[:512])
	copy(b[4096:], small[512:1024])
	copy(b[8192:], small[1024:1024+128])
	h, entry := b[4096:8192], b[8192:8192+128]
	for at, v := range map[int]uint64{gptFirst: 6, gptLast: 30*256 - 6, gptEntries: 2} {
		le.PutUint64(h[at:], v)
	}
	le.PutUint64(entry[entryStart:], 256)
	le.PutUint64(entry[entryEnd:], 5*256-1)
	le.PutUint32(h[gptEntriesSum:], crc32.ChecksumIEEE(b[8192:8192+le.Uint32(h[gptCount:])*128]))
	le.PutUint32(h[gptChecksum:], 0)
	le.PutUint32(h[gptChecksum:], crc32.ChecksumIEEE(h[:gptLeast]))
	got, err := Read(bytes.NewReader(b), int64(len(b)), 4096)
	if diff := cmp.Diff(Table{"gpt", []Partition{{1, 1 * mib, 4 * mib, linuxType, ""}}, ""}, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
}

// TestMBR reads what sfdisk writes.
func TestMBR(t *testing.T) {
	b := sfdisk(t, "label: dos\nsize=4MiB, type=c, bootable\nsize=20MiB, type=5\n4: size=1MiB, type=83\n5: size=1MiB, type=83\n6: size=2MiB, type=83\n7: size=3MiB, type=82\n")
	want := Table{"mbr", []Partition{
		{1, 1 * mib, 4 * mib, "0c", ""}, {4, 25 * mib, 1 * mib, "83", ""},
		{5, 6 * mib, 1 * mib, "83", ""}, {6, 8 * mib, 2 * mib, "83", ""}, {7, 11 * mib, 3 * mib, "82", ""},
	}, ""}
	got, err := Read(bytes.NewReader(b), int64(len(b)), 512)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
	// One whose first partition was deleted: the others are one less, as with Linux.
	first := bytes.Clone(b)
	clear(first[5*mib+mbrTable:][:mbrEntryLen])
	less := slices.Concat(want.Parts[:2], []Partition{{5, 8 * mib, 2 * mib, "83", ""}, {6, 11 * mib, 3 * mib, "82", ""}})
	got, err = Read(bytes.NewReader(first), int64(len(b)), 512)
	if diff := cmp.Diff(Table{"mbr", less, ""}, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
	// A chain that leads back to its beginning.
	second := 7 * mib // after the first logical partition
	next := b[second+mbrTable+mbrEntryLen:]
	if next[4] != 5 {
		t.Fatalf("%x is no link", next[:mbrEntryLen])
	}
	binary.LittleEndian.PutUint32(next[8:], 0)
	if got, err = Read(bytes.NewReader(b), int64(len(b)), 512); err != nil || len(got.Parts) != 4 {
		t.Error(got, err)
	}
	binary.LittleEndian.PutUint32(next[8:], 1<<30)
	if got, err = Read(bytes.NewReader(b), int64(len(b)), 512); err != nil || len(got.Parts) != 4 || got.Warning == "" {
		t.Error(got, err)
	}
}

// TestNone are disks without a table.
func TestNone(t *testing.T) {
	for _, b := range [][]byte{nil, make([]byte, 100), make([]byte, 4096)} {
		if got, err := Read(bytes.NewReader(b), int64(len(b)), 512); err != nil || got.Kind != "" {
			t.Error(got, err)
		}
	}
	if _, err := Read(bytes.NewReader(nil), 4096, 512); err == nil {
		t.Error("a disk that cannot be read has a table")
	}
}

// FuzzRead reads tables with what the fuzzer puts over them; checksums are made right
// again.
func FuzzRead(f *testing.F) {
	gpt := sfdisk(f, "label: gpt\nsize=4MiB, type=uefi, name=EFI\nsize=10MiB, type=linux\n")
	dos := sfdisk(f, "label: dos\nsize=4MiB, type=c, bootable\nsize=20MiB, type=5\n5: size=1MiB, type=83\n6: size=2MiB, type=83\n")
	const head = 40 << 10 // of a GPT, with its entries
	f.Add(true, uint32(512+gptCount), []byte{255, 255})
	f.Add(false, uint32(mbrTable+16+8), []byte{255, 255, 255})
	f.Add(false, uint32(7*mib+mbrTable+16+8), []byte{0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, isGPT bool, at uint32, over []byte) {
		d := &filestest.Damaged{Image: dos, Patches: []filestest.Patch{{At: int64(at) % (30 * mib), Bytes: over}}}
		if isGPT {
			b := bytes.Clone(gpt[:head])
			copy(b[at%head:], over)
			sum(b)
			d = &filestest.Damaged{Image: gpt, Patches: []filestest.Patch{{Bytes: b}}}
		}
		table, _ := Read(d, 30*mib, 512)
		seen := map[int]bool{}
		for _, p := range table.Parts {
			if seen[p.Number] || p.Start <= 0 || p.Size <= 0 || p.Start+p.Size > 30*mib {
				t.Fatalf("%+v on a disk of 30 MiB", p)
			}
			seen[p.Number] = true
		}
	})
}

// patch writes a number and makes the checksums right.
func patch(b []byte, at int, v uint64) {
	binary.LittleEndian.PutUint64(b[at:], v)
	sum(b)
}

// sum makes the checksums of the first table right.
func sum(b []byte) {
	le := binary.LittleEndian
	h := b[512:1024]
	size := uint64(le.Uint32(h[gptCount:])) * uint64(le.Uint32(h[gptEntrySize:]))
	if at := le.Uint64(h[gptEntries:]) * 512; at < uint64(len(b)) && size < uint64(len(b))-at {
		le.PutUint32(h[gptEntriesSum:], crc32.ChecksumIEEE(b[at:at+size]))
	}
	le.PutUint32(h[gptChecksum:], 0)
	le.PutUint32(h[gptChecksum:], crc32.ChecksumIEEE(h[:min(le.Uint32(h[gptSize:]), 512)]))
}

// sfdisk makes a disk of 30 MiB.
func sfdisk(t testing.TB, script string) []byte {
	t.Helper()
	if err := debian.Ensure(os.Stderr, "images"); err != nil {
		t.Fatal(err)
	}
	img := filepath.Join(t.TempDir(), "img")
	if err := os.WriteFile(img, make([]byte, 30*mib), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sfdisk", "--quiet", "--no-tell-kernel", "--no-reread", img)
	cmd.Stdin = strings.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
	b, err := os.ReadFile(img)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
