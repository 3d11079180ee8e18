// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package iso

import (
	"bytes"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"ringo/dom0/files/filestest"
	"ringo/tools/debian"
)

// TestReadsWhatXorrisoMakes compares file systems with the folder that they are made of.
func TestReadsWhatXorrisoMakes(t *testing.T) {
	dir := source(t)
	for _, args := range []string{"-R", "-R -J", "-J -joliet-long", "-r -J -partition_offset 16", "-R -iso-level 3"} {
		t.Run(args, func(t *testing.T) {
			rock := strings.Contains(strings.ToUpper(args), "-R")
			if !rock { // Joliet has no links
				must(t, os.Remove(filepath.Join(dir, "link")))
				defer func() { must(t, os.Symlink("a/b/../../size512", filepath.Join(dir, "link"))) }()
			}
			f, err := Open(bytes.NewReader(makeISO(t, dir, args)))
			must(t, err)
			if f.Kind != "iso9660" || f.Label != "MY LABEL" {
				t.Errorf("%q %q", f.Kind, f.Label)
			}
			if f.Root.Info().Folder < sector {
				t.Error("a look through a folder costs nothing")
			}
			if b, err := fs.ReadFile(f, "link"); rock && (err != nil || len(b) != 512) {
				t.Error(len(b), err)
			}
			if n := filestest.Compare(t, f, dir); n < 100 {
				t.Errorf("%d files compared", n)
			}
			in, err := fs.Stat(f, "size70000")
			if want := time.Date(2023, 5, 6, 7, 8, 10, 0, time.UTC); err != nil || !in.ModTime().Equal(want) {
				t.Error(in.ModTime(), err)
			}
			if err := fstest.TestFS(f, "a/b/c/d/e/f/g/h/i/deep"); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestPlainNames are those of ISO 9660 alone.
func TestPlainNames(t *testing.T) {
	dir := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(dir, "boot"), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "boot", "vmlinuz"), []byte("kernel"), 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "boot", "initrd.gz"), []byte("initrd"), 0o644))
	f, err := Open(bytes.NewReader(makeISO(t, dir, "--norock")))
	must(t, err)
	for name, want := range map[string]string{"boot/vmlinuz": "kernel", "BOOT/INITRD.GZ": "initrd"} {
		if b, err := fs.ReadFile(f, name); string(b) != want {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
}

// TestPieces are files of several records.
func TestPieces(t *testing.T) {
	v := &volume{r: bytes.NewReader(append(bytes.Repeat([]byte("a"), 2048), bytes.Repeat([]byte("b"), 2048)...)), block: 2048}
	n := &node{v: v, pieces: []piece{{2048, 100}, {0, 50}, {0, 0}, {2048, 10}}}
	b := make([]byte, 160)
	must(t, n.ReadAt(b, 0))
	if want := strings.Repeat("b", 100) + strings.Repeat("a", 50) + strings.Repeat("b", 10); string(b) != want {
		t.Errorf("%q", b)
	}
	must(t, n.ReadAt(b[:4], 148))
	if string(b[:4]) != "aabb" || n.ReadAt(b, 1) == nil {
		t.Errorf("%q", b[:4])
	}
}

func TestNone(t *testing.T) {
	for _, b := range [][]byte{nil, make([]byte, 40_000)} {
		if _, err := Open(bytes.NewReader(b)); !errors.Is(err, ErrNone) {
			t.Error(err)
		}
	}
}

// source makes a folder, some of it deeper than ISO 9660 goes.
func source(t *testing.T) string {
	dir := t.TempDir()
	rng := rand.NewChaCha8([32]byte{3})
	for _, d := range []string{"many", "a/b/c/d/e/f/g/h/i"} {
		must(t, os.MkdirAll(filepath.Join(dir, d), 0o755))
	}
	write := func(name string, n int) {
		b := make([]byte, n)
		rng.Read(b)
		must(t, os.WriteFile(filepath.Join(dir, name), b, 0o644))
		when := time.Date(2023, 5, 6, 7, 8, 10, 0, time.UTC)
		must(t, os.Chtimes(filepath.Join(dir, name), when, when))
	}
	for _, n := range []int{0, 1, 512, 2047, 2048, 2049, 70_000, 1_000_001} {
		write("size"+strconv.Itoa(n), n)
	}
	for i := range 150 {
		write("many/a long name, number "+strconv.Itoa(i), i)
	}
	write("a/b/c/d/e/f/g/h/i/deep", 10)
	write("a/"+strings.Repeat("long", 15), 10)
	must(t, os.Symlink("a/b/../../size512", filepath.Join(dir, "link")))
	return dir
}

// makeISO makes a file system with what is in dir.
func makeISO(t testing.TB, dir, args string) []byte {
	t.Helper()
	if err := debian.Ensure(os.Stderr, "images"); err != nil {
		t.Fatal(err)
	}
	img := filepath.Join(t.TempDir(), "img")
	all := append([]string{"-as", "mkisofs", "-quiet", "-V", "MY LABEL", "-o", img}, append(strings.Fields(args), dir)...)
	cmd := exec.Command("xorriso", all...)
	cmd.Env = append(os.Environ(), "TZ=UTC")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatal(all, err, string(out))
	}
	b, err := os.ReadFile(img)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
