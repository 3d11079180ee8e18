// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package loader

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/klauspost/compress/zstd"
)

// windowHead is how much of a stream the functions of this file look at: the
// headers of an xz stream and of its first block ("The .xz File Format" 1.2.1,
// "Block Header Size").
const windowHead = 12 + 1024

// xzMinWindow is the least window of the xz decoder.
const xzMinWindow = 4096

// xzWindow is compression.window: the size of the LZMA2 dictionary in the header
// of the first block ("The .xz File Format" 1.2.1, "Block Header", "LZMA2").
// Kernels are built with one of 32 or 128 MiB, whatever their size.
func xzWindow(b []byte, most uint64) uint64 {
	const flagsAt, filters, compressedSize, uncompressedSize = 13, 3, 0x40, 0x80
	const lzma2 = 0x21
	if len(b) < flagsAt+1 {
		return 0
	}
	end := 12 + (int(b[12])+1)*4
	if end > len(b) {
		return 0
	}
	crc := end - 4
	h := vli{b: b[:crc], at: flagsAt + 1}
	flags := b[flagsAt]
	for _, f := range []byte{compressedSize, uncompressedSize} {
		if flags&f != 0 {
			h.next()
		}
	}
	for range flags&filters + 1 {
		id, n := h.next(), h.next()
		if h.bad || n > uint64(crc-h.at) {
			return 0
		}
		if id != lzma2 || n != 1 {
			h.at += int(n)
			continue
		}
		code := least(b[h.at]&0x3f, max(most, xzMinWindow), xzDictionary)
		b[h.at] = code
		binary.LittleEndian.PutUint32(b[crc:], crc32.ChecksumIEEE(b[12:crc]))
		return xzDictionary(code)
	}
	return 0
}

// xzDictionary is the size of a dictionary by its code.
func xzDictionary(code byte) uint64 {
	if code >= 40 {
		return 1<<32 - 1
	}
	return (2 | uint64(code&1)) << (code/2 + 11)
}

// least returns the lowest code up to code whose size is most or more, or code.
func least(code byte, most uint64, size func(byte) uint64) byte {
	for c := range code {
		if size(c) >= most {
			return c
		}
	}
	return code
}

// vli reads the variable-length integers of xz.
type vli struct {
	b   []byte
	at  int
	bad bool
}

func (v *vli) next() (n uint64) {
	for i := range 9 {
		if v.at >= len(v.b) {
			break
		}
		c := v.b[v.at]
		v.at++
		n |= uint64(c&0x7f) << (7 * i)
		if c&0x80 == 0 {
			return n
		}
	}
	v.bad = true
	return 0
}

// zstdWindow is compression.window: the Window_Descriptor of the first frame, or
// the content's size where one segment is both (RFC 8878, "Frame Header").
// Kernels are built with a window of 128 MiB, whatever their size.
func zstdWindow(b []byte, most uint64) uint64 {
	const singleSegment = 0x20
	if len(b) < 18 { // the longest header
		return zstd.MinWindowSize
	}
	desc := b[4]
	if desc&singleSegment == 0 {
		b[5] = least(b[5], max(most, zstd.MinWindowSize), zstdSize)
		return zstdSize(b[5])
	}
	at := 5 + [4]int{0, 1, 2, 4}[desc&3] // behind the dictionary's identifier
	var n uint64
	switch desc >> 6 {
	case 0:
		n = uint64(b[at])
	case 1:
		n = uint64(binary.LittleEndian.Uint16(b[at:])) + 256
	case 2:
		n = uint64(binary.LittleEndian.Uint32(b[at:]))
	default:
		n = binary.LittleEndian.Uint64(b[at:])
	}
	return max(min(n, most), zstd.MinWindowSize)
}

// zstdSize is the size of a window by its descriptor.
func zstdSize(d byte) uint64 {
	base := uint64(1) << (10 + d>>3)
	return base + base/8*uint64(d&7)
}
