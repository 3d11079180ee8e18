// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package image

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// elf makes a header with the given segments, entry 0x101000.
func elf(segs ...Segment) []byte {
	le := binary.LittleEndian
	b := make([]byte, 4096)
	copy(b, "\x7fELF\x02\x01\x01")
	le.PutUint16(b[16:], 2)
	le.PutUint16(b[18:], 62)
	le.PutUint64(b[24:], 0x101000)
	le.PutUint64(b[32:], 64)
	le.PutUint16(b[54:], 56)
	le.PutUint16(b[56:], uint16(len(segs)))
	for i, s := range segs {
		p := b[64+56*i:]
		le.PutUint32(p, 1)
		le.PutUint64(p[8:], s.Off)
		le.PutUint64(p[16:], s.Addr)
		le.PutUint64(p[32:], s.FileSize)
		le.PutUint64(p[40:], s.MemSize)
	}
	return b
}

var text = Segment{0, 0x100000, 0x3000, 0x3000}
var data = Segment{0x3000, 0x103000, 0x1000, 0x20800}

func TestParse(t *testing.T) {
	got, err := Parse(elf(text, data), 0x4000, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	want := &Image{Entry: 0x101000, Base: 0x100000, End: 0x124000, Segments: []Segment{text, data}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestParseHostile(t *testing.T) {
	patch := func(off int, v byte) []byte { b := elf(text, data); b[off] = v; return b }
	for _, c := range []struct {
		name string
		head []byte
		size uint64
		want error
	}{
		{"empty", nil, 0, ErrShort},
		{"garbage", make([]byte, 4096), 4096, ErrMagic},
		{"32 bit", patch(4, 1), 0x4000, ErrMachine},
		{"arm", patch(18, 183), 0x4000, ErrMachine},
		{"headers far away", patch(39, 0xff), 0x4000, ErrHeaders},
		{"many headers", patch(57, 0xff), 0x4000, ErrHeaders},
		{"no segment", elf(), 0x4000, ErrSegments},
		{"truncated", elf(text, data), 0x3800, ErrSegment},
		{"offset wraps", elf(text, Segment{^uint64(0), 0x103000, 2, 2}), 0x4000, ErrSegment},
		{"file larger than memory", elf(Segment{0, 0x100000, 0x3000, 0x1000}), 0x4000, ErrRange},
		{"huge", elf(text, Segment{0, 0x103000, 0, 1 << 40}), 0x4000, ErrLimit},
		{"address wraps", elf(text, Segment{0, ^uint64(0) - 0xfff, 0x1000, 0x1000}), 0x4000, ErrRange},
		{"far apart", elf(text, Segment{0, 0x4000000, 0x1000, 0x1000}), 0x4000, ErrLimit},
		{"beyond all addresses", elf(text, Segment{0, 1<<46 - 0x1000, 0, 0x2000}), 0x4000, ErrRange},
		{"entry outside", elf(data), 0x4000, ErrEntry},
	} {
		if _, err := Parse(c.head, c.size, 1<<20); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(elf(text, data), uint64(0x4000))
	f.Fuzz(func(t *testing.T, head []byte, size uint64) {
		img, err := Parse(head, size, 1<<20)
		if err != nil {
			return
		}
		for _, s := range img.Segments {
			if s.Off+s.FileSize > size || s.Addr < img.Base || s.Addr+s.MemSize > img.End || img.End-img.Base > 1<<20 {
				t.Fatalf("accepted %+v of %d bytes in %#x-%#x", s, size, img.Base, img.End)
			}
		}
	})
}
