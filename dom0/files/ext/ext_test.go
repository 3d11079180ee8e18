// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package ext

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"ringo/dom0/files/tree"
	"ringo/tools/debian"
)

// kinds are arguments of mke2fs, and what the result is called.
var kinds = []struct {
	name, args, kind string
}{
	{"ext2", "-t ext2 -b 1024", "ext2"},
	{"ext2 of 1995", "-t ext2 -b 1024 -I 128 -O none", "ext2"},
	{"ext2 without types", "-t ext2 -b 4096 -O ^filetype", "ext2"},
	{"ext3", "-t ext3 -b 2048", "ext3"},
	{"ext4", "-t ext4", "ext4"},
	{"ext4 of 1 KiB", "-t ext4 -b 1024", "ext4"},
	{"ext4 of 64 KiB", "-t ext4 -b 65536 -N 2000", "ext4"},
	{"ext4 with maps of blocks", "-t ext4 -b 1024 -O ^extents,^64bit,^flex_bg", "ext3"},
	{"inline data", "-t ext4 -O inline_data -I 256", "ext4"},
	{"inline data of 1 KiB", "-t ext4 -b 4096 -O inline_data -I 1024", "ext4"},
	{"meta groups", "-t ext4 -b 1024 -g 1024 -O meta_bg,^resize_inode", "ext4"},
	{"meta groups, 64 bit", "-t ext4 -b 1024 -g 512 -O meta_bg,64bit,^resize_inode", "ext4"},
	{"two copies", "-t ext4 -b 1024 -g 2048 -O sparse_super2,^resize_inode", "ext4"},
	{"bigalloc", "-t ext4 -b 1024 -C 16384 -O bigalloc", "ext4"},
	{"no journal, checksums", "-t ext4 -O ^has_journal,metadata_csum,metadata_csum_seed,large_dir,ea_inode", "ext4"},
}

// TestReadsWhatMke2fsMakes compares file systems with the folders that they are made
// of.
func TestReadsWhatMke2fsMakes(t *testing.T) {
	dir := source(t)
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			img := make2fs(t, dir, k.args)
			f := open(t, img)
			if f.Kind != k.kind || f.Label != "wide label" || f.Warning != "" {
				t.Errorf("it is %q %q %q, want %q", f.Kind, f.Label, f.Warning, k.kind)
			}
			compare(t, f, dir)
			// With hash trees in its folders.
			if out, err := exec.Command("e2fsck", "-fyD", img.Name()).CombinedOutput(); err != nil && !changed(err) {
				t.Fatal(err, string(out))
			}
			compare(t, open(t, img), dir)
		})
	}
}

// changed says that e2fsck has changed something, as it was asked to.
func changed(err error) bool {
	var e *exec.ExitError
	return errors.As(err, &e) && e.ExitCode() == 1
}

// TestFS is the standard library's test of an fs.FS.
func TestFS(t *testing.T) {
	dir := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(dir, "boot/grub"), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "boot/vmlinuz"), bytes.Repeat([]byte("kernel"), 5000), 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "boot/grub/grub.cfg"), []byte("menu"), 0o644))
	f := open(t, make2fs(t, dir, "-t ext4"))
	if err := fstest.TestFS(f, "boot/vmlinuz", "boot/grub/grub.cfg"); err != nil {
		t.Error(err)
	}
}

// TestLinks follows symbolic links.
func TestLinks(t *testing.T) {
	dir := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(dir, "boot/old"), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "boot/vmlinuz-6"), []byte("six"), 0o644))
	long := strings.Repeat("../boot/", 20) + "vmlinuz-6"
	for name, target := range map[string]string{
		"vmlinuz": "boot/vmlinuz-6", "boot/root": "/boot/old/../vmlinuz-6", "boot/old/up": "../../../../vmlinuz",
		"loop": "loop2", "loop2": "loop", "none": "boot/nothing", "boot/long": long, "file": "boot/vmlinuz-6/x",
		"deep": "boot/old/../old/../old/up",
	} {
		must(t, os.Symlink(target, filepath.Join(dir, name)))
	}
	for _, args := range []string{"-t ext4", "-t ext2 -b 1024", "-t ext4 -O inline_data -I 512"} {
		f := open(t, make2fs(t, dir, args))
		if f.Root.Info().Folder == 0 {
			t.Error("a look through a folder costs nothing")
		}
		for _, name := range []string{"vmlinuz", "boot/root", "boot/old/up", "boot/long", "deep"} {
			if b, err := fs.ReadFile(f, name); string(b) != "six" {
				t.Errorf("%s: %q, %v", name, b, err)
			}
		}
		for name, want := range map[string]error{"loop": tree.ErrLinks, "none": fs.ErrNotExist, "file": fs.ErrNotExist, "": fs.ErrInvalid, "/vmlinuz": fs.ErrInvalid} {
			if _, err := f.Open(name); !errors.Is(err, want) {
				t.Errorf("%q: %v, want %v", name, err, want)
			}
		}
	}
}

// TestWarnings are of file systems that were not unmounted.
func TestWarnings(t *testing.T) {
	for state, want := range map[string]string{"feature needs_recovery": "journal is not replayed", "state 0": "was not unmounted", "state 3": "to have errors"} {
		img := make2fs(t, t.TempDir(), "-t ext4")
		if out, err := exec.Command("debugfs", "-w", "-R", "set_super_value "+state, img.Name()).CombinedOutput(); err != nil {
			t.Fatal(err, string(out))
		}
		if s, ok := strings.CutPrefix(state, "feature "); ok {
			if out, err := exec.Command("debugfs", "-w", "-R", "feature "+s, img.Name()).CombinedOutput(); err != nil {
				t.Fatal(err, string(out))
			}
		}
		if f := open(t, img); !strings.Contains(f.Warning, want) {
			t.Errorf("%s: %q, want %q", state, f.Warning, want)
		}
	}
}

// source makes a folder with all kinds of files.
func source(t *testing.T) string {
	dir := t.TempDir()
	rng := rand.NewChaCha8([32]byte{1})
	random := func(n int) []byte {
		b := make([]byte, n)
		rng.Read(b)
		return b
	}
	for _, n := range []int{0, 1, 59, 60, 61, 100, 160, 700, 1023, 1024, 1025, 4096, 65536, 300_001, 5 << 20} {
		must(t, os.WriteFile(filepath.Join(dir, "size"+strconv.Itoa(n)), random(n), 0o640))
	}
	must(t, os.MkdirAll(filepath.Join(dir, "a/b/c"), 0o755))
	must(t, os.MkdirAll(filepath.Join(dir, "small"), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "a/b/c/deep"), random(10), 0o600))
	for i := range 5 {
		must(t, os.WriteFile(filepath.Join(dir, "small", "f"+strconv.Itoa(i)), nil, 0o644))
	}
	must(t, os.Mkdir(filepath.Join(dir, "many"), 0o755))
	for i := range 300 {
		must(t, os.WriteFile(filepath.Join(dir, "many", "a file with a long name, number "+strconv.Itoa(i)), nil, 0o644))
	}
	// Holes: two of them large, and one after each block, so that extents need a tree.
	f, err := os.Create(filepath.Join(dir, "sparse"))
	must(t, err)
	for i := range 400 {
		_, err := f.WriteAt(random(4096), int64(i)*8192)
		must(t, err)
	}
	for _, at := range []int64{600 << 20, 700 << 20} {
		_, err = f.WriteAt(random(100), at)
		must(t, err)
	}
	must(t, f.Close())
	must(t, os.Symlink("a/b/c/deep", filepath.Join(dir, "link")))
	return dir
}

// compare reads all that is in dir of f.
func compare(t *testing.T, f *tree.FS, dir string) {
	t.Helper()
	n := 0
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		must(t, err)
		rel, err := filepath.Rel(dir, name)
		must(t, err)
		in, err := d.Info()
		must(t, err)
		n++
		switch {
		case d.IsDir():
			want, err := os.ReadDir(name)
			must(t, err)
			got, err := fs.ReadDir(f, rel)
			must(t, err)
			var names []string
			for _, e := range got {
				if e.Name() != "lost+found" {
					names = append(names, e.Name()+" "+e.Type().String())
				}
			}
			for i, e := range want {
				if i >= len(names) || names[i] != e.Name()+" "+e.Type().String() {
					t.Fatalf("%s has %d entries, not %d, and not %q", rel, len(names), len(want), e.Name())
				}
			}
		case d.Type().IsRegular():
			same(t, f, rel, name, in)
		}
		return nil
	})
	must(t, err)
	if n < 300 {
		t.Errorf("%d files compared", n)
	}
}

// same compares a file with its source, the whole of it, or of a large one its ends
// and what is around its data.
func same(t *testing.T, f *tree.FS, rel, name string, in fs.FileInfo) {
	t.Helper()
	x, err := f.Open(rel)
	must(t, err)
	got, err := x.Stat()
	must(t, err)
	if got.Size() != in.Size() || got.Mode() != in.Mode() || !got.ModTime().Equal(in.ModTime().Truncate(1e9)) {
		t.Errorf("%s: %v %v %v, want %v %v %v", rel, got.Size(), got.Mode(), got.ModTime(), in.Size(), in.Mode(), in.ModTime())
	}
	src, err := os.Open(name)
	must(t, err)
	defer src.Close()
	for _, r := range [][2]int64{{0, 6 << 20}, {600<<20 - 5000, 600<<20 + 5000}, {700<<20 - 5000, 701 << 20}} {
		want, err := io.ReadAll(io.NewSectionReader(src, r[0], r[1]-r[0]))
		must(t, err)
		b, err := io.ReadAll(io.NewSectionReader(x.(io.ReaderAt), r[0], r[1]-r[0]))
		if err != nil || !bytes.Equal(b, want) {
			t.Errorf("%s from %d: %v, %d bytes that differ from the %d there should be", rel, r[0], err, len(b), len(want))
		}
	}
}

// make2fs makes a file system with what is in dir.
func make2fs(t *testing.T, dir, args string) *os.File {
	t.Helper()
	if err := debian.Ensure(os.Stderr, "images"); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "img")
	all := append(strings.Fields(args), "-q", "-F", "-L", "wide label", "-d", dir, name, "64M")
	if out, err := exec.Command("mke2fs", all...).CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
	f, err := os.Open(name)
	must(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

func open(t *testing.T, r io.ReaderAt) *tree.FS {
	t.Helper()
	f, err := Open(r)
	must(t, err)
	return f
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
