// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package extract takes the ELF kernel out of a Linux bzImage: the same bytes
// that the bzImage's own decompressor would run, so still the distribution's
// kernel, only packed differently or not at all.
package extract

import (
	"bytes"
	"compress/gzip"
	"debug/elf"
	"fmt"
	"io"
	"sort"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"ringo/dom0/loader"
)

// ELF returns the vmlinux inside a bzImage, without the relocations behind it.
func ELF(name string, bzImage []byte) ([]byte, error) {
	r, err := loader.Payload(loader.Source{Name: name, R: bytes.NewReader(bzImage), Size: int64(len(bzImage))})
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("%s %w", name, err)
	}
	n, err := size(b)
	if err != nil {
		return nil, fmt.Errorf("%s holds no ELF kernel: %w", name, err)
	}
	return b[:n], nil
}

// size returns where the ELF file at the beginning of b ends.
func size(b []byte) (int, error) {
	f, err := elf.NewFile(bytes.NewReader(b))
	if err != nil {
		return 0, err
	}
	// NewFile checked that the tables themselves lie within b. In ELF64 the
	// offset and number of section headers stand at 40 and 60.
	if f.Class != elf.ELFCLASS64 {
		return 0, fmt.Errorf("it is an %v file", f.Class)
	}
	end := f.ByteOrder.Uint64(b[40:]) + 64*uint64(f.ByteOrder.Uint16(b[60:]))
	for _, p := range f.Progs {
		end = max(end, p.Off+p.Filesz)
	}
	for _, s := range f.Sections {
		if s.Type != elf.SHT_NOBITS {
			end = max(end, s.Offset+s.FileSize)
		}
	}
	if end > uint64(len(b)) {
		return 0, io.ErrUnexpectedEOF
	}
	return int(end), nil
}

// packers are the ways of packing that the loader unpacks fast.
var packers = map[string]func(w io.Writer) (io.WriteCloser, error){
	"gzip": func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriterLevel(w, gzip.BestCompression) },
	"zstd": func(w io.Writer) (io.WriteCloser, error) {
		return zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedBetterCompression))
	},
	"lz4": func(w io.Writer) (io.WriteCloser, error) {
		z := lz4.NewWriter(w)
		return z, z.Apply(lz4.CompressionLevelOption(lz4.Level5), lz4.BlockSizeOption(lz4.Block4Mb))
	},
}

// Methods lists what Pack knows.
func Methods() []string {
	out := []string{"none"}
	for m := range packers {
		out = append(out, m)
	}
	sort.Strings(out[1:])
	return out
}

// Pack compresses b. The same input gives the same output.
func Pack(b []byte, method string) ([]byte, error) {
	if method == "none" {
		return b, nil
	}
	open, ok := packers[method]
	if !ok {
		return nil, fmt.Errorf("no such compression: %q", method)
	}
	var out bytes.Buffer
	w, err := open(&out)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(b); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
