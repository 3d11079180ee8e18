// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package extract

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"strings"
	"testing"

	"ringo/dom0/board"
	"ringo/dom0/loader"
	"ringo/dom0/loader/loadertest"
)

// vmlinux is an ELF file with one segment and a section behind it.
func vmlinux() []byte {
	const text, shoff = 200_000, 64 + 56 + 200_000
	le := binary.LittleEndian
	b := make([]byte, shoff+2*64)
	copy(b, "\x7fELF\x02\x01\x01")
	le.PutUint16(b[16:], 2)
	le.PutUint16(b[18:], 62)
	le.PutUint32(b[20:], 1)
	le.PutUint64(b[24:], 1<<20)
	le.PutUint64(b[32:], 64)
	le.PutUint64(b[40:], shoff)
	for i, v := range []uint16{64, 56, 1, 64, 2, 1} {
		le.PutUint16(b[52+2*i:], v)
	}
	p := b[64:]
	le.PutUint32(p, 1)
	for i, v := range []uint64{120, 1 << 20, 1 << 20, text, text + 5000} {
		le.PutUint64(p[8+8*i:], v)
	}
	for i := range text {
		p[56+i] = byte(i * i >> 7)
	}
	// Section 1, the string table: it lies in the text.
	s := b[shoff+64:]
	le.PutUint32(s[4:], 3)
	le.PutUint64(s[24:], 120)
	le.PutUint64(s[32:], 100)
	return b
}

func bzimage(payload []byte) []byte {
	b := make([]byte, 5*512)
	copy(b[0x200:], "\xeb\x6aHdrS\x0f\x02")
	b[0x211], b[0x236] = 1, 1
	binary.LittleEndian.PutUint32(b[0x24c:], uint32(len(payload)))
	return append(b, payload...)
}

func zip(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Write(b)
	w.Close()
	return out.Bytes()
}

func TestELF(t *testing.T) {
	want := vmlinux()
	got, err := ELF("k", bzimage(zip(append(bytes.Clone(want), "relocations"...))))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, got) {
		t.Errorf("%d bytes, want %d", len(got), len(want))
	}
}

// What Pack makes is what the loader takes, and the same every time.
func TestPackLoads(t *testing.T) {
	elf := vmlinux()
	for _, method := range Methods() {
		b, err := Pack(elf, method)
		if err != nil {
			t.Fatal(err)
		}
		again, _ := Pack(elf, method)
		if !bytes.Equal(b, again) {
			t.Errorf("%s: two results", method)
		}
		m, _ := loadertest.New(16 << 20)
		machine, err := board.New(board.Config{CPUs: 1, Memory: 16 << 20})
		if err != nil {
			t.Fatal(err)
		}
		_, err = loader.Load(loader.Request{
			Kernel:  loader.Source{Name: method, R: bytes.NewReader(b), Size: int64(len(b))},
			Machine: machine}, m)
		if err != nil {
			t.Error(err)
			continue
		}
		if !bytes.Equal(m.Bytes(1<<20, 200_000), elf[120:200_120]) {
			t.Errorf("%s: text differs", method)
		}
	}
}

func TestErrors(t *testing.T) {
	good := bzimage(zip(vmlinux()))
	for want, b := range map[string][]byte{
		"not a Linux kernel": []byte("text"),
		"is not a bzImage":   vmlinux(),
		"is truncated":       good[:len(good)-10],
		"holds no ELF":       bzimage(zip([]byte("hello, this is no kernel"))),
		"EOF":                bzimage(zip(vmlinux()[:150_000])),
		"damaged":            append(bytes.Clone(good[:10_000]), make([]byte, len(good)-10_000)...),
	} {
		if _, err := ELF("k", b); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %q", err, want)
		}
	}
	if _, err := Pack(nil, "rar"); err == nil {
		t.Error("rar is no compression")
	}
}
