// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"ringo/boot/layout"
)

// elfFile makes a small executable as the Go linker lays them out: the ELF
// header page, a text segment and a data segment with BSS.
func elfFile(change func(b []byte)) []byte {
	const text, data, end = 0x1000, 0x2000, 0x2800
	b := make([]byte, end+100) // and something behind the data
	le := binary.LittleEndian
	copy(b, "\x7fELF\x02\x01\x01")
	le.PutUint16(b[16:], 2)  // ET_EXEC
	le.PutUint16(b[18:], 62) // EM_X86_64
	le.PutUint32(b[20:], 1)
	le.PutUint64(b[24:], layout.TextBase+0x40)
	le.PutUint64(b[32:], 64)
	le.PutUint16(b[52:], 64)
	le.PutUint16(b[54:], 56)
	le.PutUint16(b[56:], 3)
	le.PutUint16(b[58:], 64)
	seg := func(i int, kind uint32, off, filesz, memsz uint64) {
		p := b[64+56*i:]
		le.PutUint32(p, kind)
		le.PutUint64(p[8:], off)
		le.PutUint64(p[16:], layout.ImageBase+off)
		le.PutUint64(p[32:], filesz)
		le.PutUint64(p[40:], memsz)
	}
	seg(0, 1, 0, data, data)
	seg(1, 1, data, end-data, 0x5000)
	seg(2, 4, 0xf80, 0x80, 0x80) // note
	for i := 0xf80; i < 0x1000; i++ {
		b[i] = 0xee
	}
	for i := text; i < len(b); i++ {
		b[i] = byte(i)
	}
	if change != nil {
		change(b)
	}
	return b
}

func TestPatch(t *testing.T) {
	in := elfFile(nil)
	img, err := load(in)
	if err != nil {
		t.Fatal(err)
	}
	if err := img.patch(); err != nil {
		t.Fatal(err)
	}
	if len(img.data) != 0x2800 {
		t.Errorf("%#x bytes, want to the end of the data", len(img.data))
	}
	if !bytes.Equal(img.data[0x1000:], in[0x1000:0x2800]) || !bytes.Equal(img.data[:0x300], in[:0x300]) ||
		!bytes.Equal(img.data[0xf80:0x1000], in[0xf80:0x1000]) {
		t.Error("something outside the hole changed")
	}
	check1(t, img.data)
	check2(t, img.data)
	again, _ := load(in)
	if err := again.patch(); err != nil || !bytes.Equal(again.data, img.data) {
		t.Error("not reproducible")
	}
}

// check1 finds the multiboot 1 header as a loader does.
func check1(t *testing.T, b []byte) {
	t.Helper()
	le := binary.LittleEndian
	for off := uint32(0); off < 8192-32; off += 4 {
		h := b[off:]
		if le.Uint32(h) != 0x1badb002 {
			continue
		}
		if le.Uint32(h)+le.Uint32(h[4:])+le.Uint32(h[8:]) != 0 {
			t.Error("multiboot 1: wrong checksum")
		}
		if le.Uint32(h[4:])&(1<<16) == 0 {
			t.Error("multiboot 1: addresses not valid")
		}
		want := []uint32{layout.ImageBase + off, layout.ImageBase, layout.ImageBase + uint32(len(b)), layout.ImageBase + 0x7000, layout.TextBase + 0x40}
		for i, w := range want {
			if got := le.Uint32(h[12+4*i:]); got != w {
				t.Errorf("multiboot 1: field %d is %#x, want %#x", i, got, w)
			}
		}
		return
	}
	t.Error("no multiboot 1 header")
}

func check2(t *testing.T, b []byte) {
	t.Helper()
	le := binary.LittleEndian
	for off := uint32(0); off < 32768-16 && off < 0x1000; off += 8 {
		h := b[off:]
		if le.Uint32(h) != 0xe85250d6 {
			continue
		}
		n := le.Uint32(h[8:])
		if le.Uint32(h)+le.Uint32(h[4:])+n+le.Uint32(h[12:]) != 0 {
			t.Error("multiboot 2: wrong checksum")
		}
		tags := map[uint16][]byte{}
		at := uint32(16)
		for at < n {
			kind, size := le.Uint16(h[at:]), le.Uint32(h[at+4:])
			if optional := le.Uint16(h[at+2:]) == 1; optional != (kind == 4 || kind == 5) {
				t.Errorf("multiboot 2: tag %d: optional is %v", kind, optional)
			}
			if size < 8 {
				t.Fatalf("multiboot 2: tag %d has %d bytes", kind, size)
			}
			tags[kind] = h[at+8 : at+size]
			at += (size + 7) &^ 7
		}
		if at != n || tags[0] == nil || len(tags[0]) != 0 {
			t.Errorf("multiboot 2: tags end at %d of %d", at, n)
		}
		if a := tags[2]; le.Uint32(a) != layout.ImageBase+off || le.Uint32(a[4:]) != layout.ImageBase ||
			le.Uint32(a[8:]) != layout.ImageBase+uint32(len(b)) || le.Uint32(a[12:]) != layout.ImageBase+0x7000 {
			t.Errorf("multiboot 2: address tag % x", a)
		}
		if le.Uint32(tags[4]) != 2 || len(tags[5]) != 12 || le.Uint32(tags[5][8:]) != 32 {
			t.Errorf("multiboot 2: console % x, frame buffer % x", tags[4], tags[5])
		}
		if le.Uint32(tags[3]) != layout.TextBase+0x40 {
			t.Errorf("multiboot 2: entry %#x", le.Uint32(tags[3]))
		}
		return
	}
	t.Error("no multiboot 2 header")
}

func TestErrors(t *testing.T) {
	le := binary.LittleEndian
	for _, c := range []struct {
		name, want string
		change     func(b []byte)
	}{
		{"not ELF", "bad magic", func(b []byte) { b[0] = 0 }},
		{"position-independent", "fixed address", func(b []byte) { le.PutUint16(b[16:], 3) }},
		{"other machine", "x86-64", func(b []byte) { le.PutUint16(b[18:], 3) }},
		{"other base", "-T 0x101000", func(b []byte) {
			le.PutUint64(b[64+16:], 0x400000)
			le.PutUint64(b[64+56+16:], 0x402000)
		}},
		{"entry outside", "startBare", func(b []byte) { le.PutUint64(b[24:], 0x1000) }},
		{"not linear", "as in the file", func(b []byte) { le.PutUint64(b[64+56+16:], layout.ImageBase+0x9000) }},
		{"truncated", "not in the file", func(b []byte) { le.PutUint64(b[64+56+32:], 0x10000); le.PutUint64(b[64+56+40:], 0x10000) }},
		{"too large", "too large", func(b []byte) { le.PutUint64(b[64+56+40:], 1<<40) }},
	} {
		img, err := load(elfFile(c.change))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v %v", c.name, img, err)
		}
	}
	img, err := load(elfFile(func(b []byte) {
		for i := 0x400; i < 0x1000; i += 16 {
			b[i] = 1
		}
	}))
	if err != nil {
		t.Fatal(err)
	}
	if err := img.patch(); err == nil || !strings.Contains(err.Error(), "no room") {
		t.Errorf("no room: %v", err)
	}
}

// FuzzLoad: a broken file is an error, never a panic.
func FuzzLoad(f *testing.F) {
	f.Add(elfFile(nil)[:0x1100])
	f.Add(elfFile(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if img, err := load(b); err == nil {
			img.patch()
		}
	})
}
