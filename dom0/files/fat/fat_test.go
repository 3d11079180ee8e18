// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package fat

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
	"ringo/dom0/files/tree"
	"ringo/tools/debian"
)

// TestReadsWhatMtoolsMakes compares file systems with the folders that they are made of.
func TestReadsWhatMtoolsMakes(t *testing.T) {
	dir := source(t)
	for _, k := range []struct {
		name, args, kind string
		sectors          int
	}{
		{"fat12", "", "fat12", 2880 * 4},
		{"fat16", "-c 4", "fat16", 40_000},
		{"fat32", "-F -c 1", "fat32", 80_000},
		{"sectors of 4 KiB", "-S 5 -c 1", "fat12", 30_000 / 8},
	} {
		t.Run(k.name, func(t *testing.T) {
			img := makeFAT(t, dir, k.args, k.sectors)
			f, err := Open(bytes.NewReader(img))
			must(t, err)
			if f.Kind != k.kind || f.Label != "MY LABEL" {
				t.Errorf("%q %q", f.Kind, f.Label)
			}
			if n := filestest.Compare(t, f, dir); n < 100 {
				t.Errorf("%d files compared", n)
			}
			for _, name := range []string{"EFI/boot/BOOTX64.EFI", "efi/BOOT/bootx64.efi", "many/A LONG NAME, NUMBER 7"} {
				if _, err := f.Open(name); err != nil {
					t.Error(err)
				}
			}
			in, err := fs.Stat(f, "size70000")
			if want := time.Date(2023, 5, 6, 7, 8, 10, 0, time.UTC); err != nil || !in.ModTime().Equal(want) {
				t.Error(in.ModTime(), err)
			}
			if err := fstest.TestFS(f, "EFI/BOOT/BOOTX64.EFI"); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestChains are tables that lead somewhere else.
func TestChains(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "file"), bytes.Repeat([]byte("0123456789abcdef"), 200), 0o644))
	good := makeFAT(t, dir, "-c 4", 40_000) // fat16
	v, err := parse((*[sectorLen]byte)(good))
	must(t, err)
	first := bytes.Index(good[v.data:], []byte("0123456789abcdef"))/int(v.cluster) + 2
	for name, c := range map[string]struct {
		entry uint16
		want  string
	}{
		"itself": {uint16(first), ""}, // the file's size ends it
		"free":   {0, "does not exist"}, "one": {1, "does not exist"}, "bad": {0xfff7, "does not exist"},
		"beyond": {uint16(v.clusters), "does not exist"}, "early end": {0xffff, "ends too early"},
	} {
		img := bytes.Clone(good)
		img[int(v.table)+2*first], img[int(v.table)+2*first+1] = byte(c.entry), byte(c.entry>>8)
		f, err := Open(bytes.NewReader(img))
		must(t, err)
		_, err = fs.ReadFile(f, "file")
		if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, tree.ErrDamaged) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// TestNone are first sectors of something else.
func TestNone(t *testing.T) {
	good := makeFAT(t, t.TempDir(), "-c 4", 40_000)
	for name, at := range map[string]int{"signature": bsSignature, "sector": bsBytesPerSector + 1, "cluster": bsSectorsPer, "media": bsMedia, "tables": bsTables} {
		img := bytes.Clone(good)
		img[at] = 0
		if _, err := Open(bytes.NewReader(img)); !errors.Is(err, ErrNone) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Open(bytes.NewReader(good[:100])); !errors.Is(err, ErrNone) {
		t.Error(err)
	}
}

// source makes a folder with files whose clusters are not all together.
func source(t *testing.T) string {
	dir := t.TempDir()
	rng := rand.NewChaCha8([32]byte{2})
	for _, d := range []string{"EFI/BOOT", "many", "a/b/c/d"} {
		must(t, os.MkdirAll(filepath.Join(dir, d), 0o755))
	}
	write := func(name string, n int) {
		b := make([]byte, n)
		rng.Read(b)
		must(t, os.WriteFile(filepath.Join(dir, name), b, 0o644))
		when := time.Date(2023, 5, 6, 7, 8, 10, 0, time.UTC)
		must(t, os.Chtimes(filepath.Join(dir, name), when, when))
	}
	for _, n := range []int{0, 1, 511, 512, 513, 2048, 70_000, 1_000_001} {
		write("size"+strconv.Itoa(n), n)
	}
	for i := range 150 {
		write("many/a long name, number "+strconv.Itoa(i), i)
	}
	write("EFI/BOOT/BOOTX64.EFI", 5000)
	write("a/b/c/d/mixed.Case", 10)
	write("a/b/äöü – "+strings.Repeat("long", 40), 10)
	return dir
}

// makeFAT makes a file system of sectors with what is in dir.
func makeFAT(t testing.TB, dir, args string, sectors int) []byte {
	t.Helper()
	if err := debian.Ensure(os.Stderr, "images"); err != nil {
		t.Fatal(err)
	}
	img := filepath.Join(t.TempDir(), "img")
	run := func(name string, args ...string) {
		cmd := exec.Command(name, args...)
		cmd.Env = append(os.Environ(), "MTOOLS_SKIP_CHECK=1", "TZ=UTC", "LC_ALL=C.UTF-8")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatal(name, args, err, string(out))
		}
	}
	run("mformat", append(strings.Fields(args), "-C", "-i", img, "-v", "MY LABEL", "-T", strconv.Itoa(sectors), "-h", "16", "-s", "63", "::")...)
	all, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	if len(all) > 0 {
		run("mcopy", append(append([]string{"-s", "-m", "-Q", "-i", img}, all...), "::")...)
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
