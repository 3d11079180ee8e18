// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package format

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ringo/dom0/loader"
)

// folder is files by name.
type folder map[string][]byte

func (f folder) open(name string) (loader.Source, error) {
	b, ok := f[name]
	if !ok {
		return loader.Source{}, fmt.Errorf("no file %q", name)
	}
	return loader.Source{Name: name, R: bytes.NewReader(b), Size: int64(len(b))}, nil
}

func (f folder) disk(name string) (Disk, error) {
	s, err := f.open(name)
	if err != nil {
		return Disk{}, err
	}
	return Open(s, f.open)
}

// all reads a disk, in pieces of n bytes.
func all(t *testing.T, d Disk, n int) []byte {
	t.Helper()
	b := make([]byte, d.Size)
	for at := 0; at < len(b); at += n {
		k := min(n, len(b)-at)
		if m, err := d.R.ReadAt(b[at:at+k], int64(at)); m != k || err != nil && err != io.EOF {
			t.Fatalf("at %d: %d bytes, %v", at, m, err)
		}
	}
	return b
}

// noise is bytes that compress a little.
func noise(n int, seed uint64) []byte {
	b := make([]byte, n)
	x := rand.New(rand.NewPCG(seed, 1))
	for i := range b {
		b[i] = byte(x.IntN(16))
	}
	return b
}

// image makes a qcow2 image with clusters of 512 bytes of version 3, whose table of L1 is in
// cluster 1, and one of L2 in cluster 2. Of its clusters have says what they are: a number of
// a host's cluster, "z" zeros, "-" not there, "c" compressed.
func image(have string, data []byte, backing string) []byte {
	const c = 512
	be := binary.BigEndian
	f := make([]byte, 3*c)
	copy(f, "QFI\xfb")
	be.PutUint32(f[q2Version:], 3)
	be.PutUint32(f[q2ClusterBits:], 9)
	be.PutUint64(f[q2Size:], uint64(len(data)))
	be.PutUint32(f[q2L1Size:], 1)
	be.PutUint64(f[q2L1Offset:], c)
	be.PutUint32(f[q2Length:], 104)
	if backing != "" {
		be.PutUint64(f[q2BackingOffset:], 200)
		be.PutUint32(f[q2BackingSize:], uint32(len(backing)))
		copy(f[200:], backing)
	}
	be.PutUint64(f[c:], 1<<63|2*c)
	for i, w := range []byte(have) {
		part := data[c*i : min(len(data), c*(i+1))]
		at := uint64(len(f)+c-1) &^ (c - 1)
		switch w {
		case 'd':
			f = append(append(f, make([]byte, int(at)-len(f))...), part...)
			be.PutUint64(f[2*c+8*i:], 1<<63|at)
		case 'z':
			be.PutUint64(f[2*c+8*i:], 1)
		case 'c':
			var z bytes.Buffer
			w, _ := flate.NewWriter(&z, 9)
			w.Write(append(bytes.Clone(part), make([]byte, c-len(part))...))
			w.Close()
			at := uint64(len(f))
			f = append(f, z.Bytes()...)
			sectors := (at%512 + uint64(z.Len()) - 1) / 512
			be.PutUint64(f[2*c+8*i:], 1<<62|sectors<<61|at)
		}
	}
	return f
}

// What a file cannot be is refused, with a line that says why.
func TestQcow2Refused(t *testing.T) {
	be := binary.BigEndian
	for want, change := range map[string]func(f []byte) []byte{
		"uses what cannot be read here: version 4":                 func(f []byte) []byte { f[q2Version+3] = 4; return f },
		"says that it has clusters of 2^8 bytes":                   func(f []byte) []byte { f[q2ClusterBits+3] = 8; return f },
		"says that it has clusters of 2^4294967295 bytes":          func(f []byte) []byte { be.PutUint32(f[q2ClusterBits:], 1<<32-1); return f },
		"says that it has a disk of 0 bytes":                       func(f []byte) []byte { clear(f[q2Size : q2Size+8]); return f },
		"says that it has a disk of 9223372036854776832 bytes":     func(f []byte) []byte { f[q2Size] = 0x80; return f },
		"1 entries of a table, too few for a disk of 65536 bytes":  func(f []byte) []byte { be.PutUint64(f[q2Size:], 65536); return f },
		"says that it has its table at 1024":                       func(f []byte) []byte { f[q2L1Size] = 0xff; f[q2L1Offset+6] = 4; return f },
		"says that it has its table at 513":                        func(f []byte) []byte { f[q2L1Offset+7] = 1; return f },
		"uses what cannot be read here: encryption":                func(f []byte) []byte { f[q2Crypt+3] = 1; return f },
		"uses what cannot be read here: features 0x20":             func(f []byte) []byte { f[q2Incompatible+7] = 0x20; return f },
		"uses what cannot be read here: the mark of a damaged":     func(f []byte) []byte { f[q2Incompatible+7] = 2; return f },
		"uses what cannot be read here: a data file of its own":    func(f []byte) []byte { f[q2Incompatible+7] = 4; return f },
		"uses what cannot be read here: clusters in parts":         func(f []byte) []byte { f[q2Incompatible+7] = 16; return f },
		"something beyond its end, at 0":                           func(f []byte) []byte { return f[:71] },
		`made of "../a", which is not in its folder`:               func(f []byte) []byte { return image("d", f[1536:2048], "../a") },
		`made of "/etc/shadow", which is not in its folder`:        func(f []byte) []byte { return image("d", f[1536:2048], "/etc/shadow") },
		`made of "nbd:b", which is not in its folder`:              func(f []byte) []byte { return image("d", f[1536:2048], "nbd:b") },
		`made of another file: no file "boot:x/no"`:                func(f []byte) []byte { return image("d", f[1536:2048], "no") },
		"more than 8 files":                                        func(f []byte) []byte { return image("d", f[1536:2048], "a") },
		"says that it has the name of another file, of 1024 bytes": func(f []byte) []byte { f[q2BackingOffset] = 1; f[q2BackingSize+2] = 4; return f },
	} {
		_, err := folder{"boot:x/a": change(image("dz", noise(1024, 1), ""))}.disk("boot:x/a")
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), `"boot:x/a" is qcow2, and `) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// Each kind of cluster reads as what it is, on top of other images and by itself.
func TestQcow2(t *testing.T) {
	const n = 20*512 - 100
	base, middle, top := noise(n-512, 1), noise(n, 2), noise(n, 3)
	kinds := func(seed uint64) string {
		x := rand.New(rand.NewPCG(seed, 2))
		b := make([]byte, 20)
		for i := range b {
			b[i] = "dzc-"[x.IntN(4)]
		}
		return string(b)
	}
	for seed := range uint64(50) {
		a, b := kinds(2*seed), kinds(2*seed+1)
		f := folder{"raw": base, "m.qcow2": image(a, middle, "raw"), "t.qcow2": image(b, top, "m.qcow2"), "alone": image(b, top, "")}
		for _, name := range []string{"t.qcow2", "alone"} {
			want := make([]byte, n)
			for i := range 20 {
				at := 512 * i
				to := want[at:min(n, at+512)]
				switch {
				case b[i] == 'd' || b[i] == 'c':
					copy(to, top[at:])
				case b[i] == 'z' || name == "alone":
				case a[i] == 'd' || a[i] == 'c':
					copy(to, middle[at:])
				case a[i] == '-' && at < len(base):
					copy(to, base[at:])
				}
			}
			d, err := f.disk(name)
			if err != nil {
				t.Fatal(err)
			}
			if d.Size != n || d.Kind != "qcow2" || d.Memory == 0 {
				t.Errorf("%+v", d)
			}
			for _, size := range []int{512, n, 700, 4096} {
				if got := all(t, d, size); !bytes.Equal(got, want) {
					t.Fatalf("seed %d, %s, pieces of %d: other data (%s on %s)", seed, name, size, b, a)
				}
			}
		}
	}
}

// A disk has an end, and what its tables say is checked when it is read.
func TestQcow2Read(t *testing.T) {
	good := image("dcz", noise(1536, 1), "")
	for name, c := range map[string]struct {
		change func(f []byte)
		at     int64
		want   string
	}{
		"end":               {func([]byte) {}, 1536, "EOF"},
		"table misplaced":   {func(f []byte) { binary.BigEndian.PutUint64(f[512:], 0x600) }, 0, ""},
		"table beyond":      {func(f []byte) { f[514] = 1 }, 0, "beyond its end"},
		"cluster beyond":    {func(f []byte) { f[1026] = 1 }, 0, "data beyond its end"},
		"compressed beyond": {func(f []byte) { f[1034] = 1 }, 512, "data beyond its end"},
		"not compressed":    {func(f []byte) { clear(f[2048:]) }, 512, "cluster 1 cannot be unpacked"},
	} {
		f := bytes.Clone(good)
		c.change(f)
		d, err := folder{"a": f}.disk("a")
		if err != nil {
			t.Fatal(name, err)
		}
		if n, err := d.R.ReadAt(make([]byte, 512), c.at); c.want != "" && (n != 0 || err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %d bytes, %v", name, n, err)
		}
	}
}

// made are files that qemu-img 7.2 has made of raw.img, and that. They are packed once more
// here, since they have many zeros.
func made(t *testing.T) folder {
	t.Helper()
	names, err := filepath.Glob("testdata/*.gz")
	if err != nil || len(names) < 4 {
		t.Fatal(names, err)
	}
	f := folder{}
	for _, n := range names {
		packed, err := os.Open(n)
		if err != nil {
			t.Fatal(err)
		}
		z, err := gzip.NewReader(packed)
		if err != nil {
			t.Fatal(err)
		}
		if f[strings.TrimSuffix(filepath.Base(n), ".gz")], err = io.ReadAll(z); err != nil {
			t.Fatal(err)
		}
		packed.Close()
	}
	return f
}

// Images that qemu-img has made read as what they were made of.
func TestQemuImg(t *testing.T) {
	f := made(t)
	want := f["raw.img"]
	for name := range f {
		d, err := f.disk(name)
		if err != nil {
			t.Error(err)
			continue
		}
		got := all(t, d, 3000)
		if len(got) < len(want) || !bytes.Equal(got[:len(want)], want) || bytes.Count(got[len(want):], []byte{0}) != len(got)-len(want) {
			t.Errorf("%s (%s): other data", name, d.Kind)
		}
	}
}

// FuzzOpen: no file makes reading it panic, or answer more than there is.
func FuzzOpen(f *testing.F) {
	f.Add(image("dcz-", noise(2048, 1), "raw"))
	f.Add([]byte(description1))
	f.Add(sparse())
	f.Add(dynamic())
	f.Fuzz(func(t *testing.T, b []byte) {
		files := folder{"a": b, "raw": noise(1000, 2), "b": image("d-", noise(1024, 3), "raw")}
		d, err := files.disk("a")
		if err != nil {
			if strings.Contains(err.Error(), "internal error") {
				t.Error(err)
			}
			return
		}
		buf := make([]byte, 3000)
		for _, at := range []int64{0, 511, d.Size / 2, d.Size - 1, d.Size} {
			if n, err := d.R.ReadAt(buf, at); n > len(buf) || int64(n) > max(d.Size-at, 0) || n < len(buf) && err == nil {
				t.Errorf("%d bytes at %d of %d: %v", n, at, d.Size, err)
			}
		}
	})
}
