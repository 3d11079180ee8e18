// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package filestest has what the tests of all file systems need: a comparison with a
// folder, and a disk that does harm.
package filestest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"ringo/dom0/files/tree"
)

// Compare fails unless all that is in dir is in f, and nothing else, except what is
// named extra. It returns how many files it has compared.
func Compare(t *testing.T, f fs.FS, dir string, extra ...string) (n int) {
	t.Helper()
	skip := map[string]bool{}
	for _, x := range extra {
		skip[x] = true
	}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		n++
		if d.IsDir() {
			return sameNames(t, f, rel, name, skip)
		}
		if d.Type().IsRegular() {
			return sameContent(t, f, rel, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// sameNames compares a folder's names and their types.
func sameNames(t *testing.T, f fs.FS, rel, name string, skip map[string]bool) error {
	t.Helper()
	want, err := os.ReadDir(name)
	if err != nil {
		return err
	}
	all, err := fs.ReadDir(f, rel)
	if err != nil {
		return err
	}
	var got []fs.DirEntry
	for _, e := range all {
		if !skip[e.Name()] {
			got = append(got, e)
		}
	}
	for i := range max(len(want), len(got)) {
		if i >= len(want) || i >= len(got) || want[i].Name() != got[i].Name() || want[i].Type() != got[i].Type() {
			t.Errorf("%s: %v, want %v", rel, got, want)
			break
		}
	}
	return nil
}

// sameContent compares a file's content, read in pieces of an odd size.
func sameContent(t *testing.T, f fs.FS, rel, name string) error {
	t.Helper()
	want, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	x, err := f.Open(rel)
	if err != nil {
		return err
	}
	in, err := x.Stat()
	if err != nil {
		return err
	}
	if in.Size() != int64(len(want)) || in.Name() != filepath.Base(name) {
		t.Errorf("%s: %q of %d bytes, want %d", rel, in.Name(), in.Size(), len(want))
	}
	r := x.(io.ReaderAt)
	for off, step := 0, 77_777; off < len(want); off += step {
		w := want[off:min(off+step, len(want))]
		b := make([]byte, len(w))
		if n, err := r.ReadAt(b, int64(off)); n < len(b) || err != nil && !errors.Is(err, io.EOF) || !bytes.Equal(b, w) {
			t.Errorf("%s from %d: %d bytes, %v, which differ from what there should be", rel, off, n, err)
		}
	}
	return nil
}

// Damaged is a disk of Image with Patches over it, which counts what is read.
type Damaged struct {
	Image   []byte
	Patches []Patch
	read    int64
}

// Patch is bytes at a place.
type Patch struct {
	At    int64
	Bytes []byte
}

// Patches makes patches of a fuzzer's input, in an image of size bytes: each is a
// place of four bytes, a length of one, and as many bytes.
func Patches(b []byte, size int) (all []Patch) {
	for len(b) > 5 {
		at, n := int64(binary.LittleEndian.Uint32(b))%int64(size), min(int(b[4]), len(b)-5)
		all = append(all, Patch{at, b[5 : 5+n]})
		b = b[5+n:]
	}
	return all
}

// ReadAt implements [io.ReaderAt].
func (d *Damaged) ReadAt(b []byte, off int64) (int, error) {
	n, err := bytes.NewReader(d.Image).ReadAt(b, off)
	d.read += int64(n) + 1
	for _, p := range d.Patches {
		if from := p.At - off; from >= 0 && from < int64(n) {
			copy(b[from:n], p.Bytes)
		} else if from < 0 && -from < int64(len(p.Bytes)) {
			copy(b[:n], p.Bytes[-from:])
		}
	}
	return n, err
}

// Limits of [Walk].
const (
	// maxNodes is how many names are visited.
	maxNodes = 200
	// maxCost is what opening and reading a piece of a file may read of the disk.
	maxCost = 80 << 20
)

// Walk opens what is in a file system, and reads the beginnings and the ends of files.
// It fails if that is dear, or a file gives more than its size.
func Walk(t *testing.T, d *Damaged, f *tree.FS) {
	nodes := 0
	pending := []string{"."}
	for len(pending) > 0 && nodes < maxNodes {
		name := pending[0]
		pending = pending[1:]
		d.read = 0
		x, err := f.Open(name)
		if err != nil {
			continue
		}
		nodes++
		in, err := x.Stat()
		if err != nil {
			t.Fatal(err)
		}
		if !in.IsDir() {
			touch(t, x.(io.ReaderAt), in.Size())
		} else if list, err := x.(fs.ReadDirFile).ReadDir(-1); err == nil {
			for _, e := range list {
				if pending = append(pending, filepath.Join(name, e.Name())); len(pending) > maxNodes {
					break
				}
			}
		}
		if d.read > maxCost {
			t.Fatalf("%q: %d bytes were read", name, d.read)
		}
	}
}

// touch reads what is at both ends of a file.
func touch(t *testing.T, r io.ReaderAt, size int64) {
	if size < 0 {
		t.Fatalf("a file of %d bytes", size)
	}
	b := make([]byte, 5000)
	for _, off := range []int64{0, 1 << 20, size / 2, size - 100, size - 5000} {
		if off < 0 {
			continue
		}
		if n, _ := r.ReadAt(b, off); int64(n) > max(size-off, 0) {
			t.Fatalf("%d bytes at %d of a file of %d", n, off, size)
		}
	}
}
