// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package loader

import (
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/therootcompany/xz"
)

const (
	// maxImage is the largest kernel after decompression, in bytes.
	maxImage = 512 << 20
	// maxTail is how much may follow an ELF file whose size nobody tells, in
	// bytes: relocations, for instance.
	maxTail = 16 << 20
	// anySize stands for a decompressed size that the file does not tell.
	anySize = -1
)

// compression is one way of compressing a kernel.
type compression struct {
	name  string
	magic string
	// open returns the decompressed stream, whose windows have window bytes at
	// most; nil when not supported.
	open func(r io.Reader, window uint64) (io.ReadCloser, error)
	// cost is what decompression takes of the heap at most, in bytes, beside the
	// window. TestUnpackingCosts measures it.
	cost func() uint64
	// window reads the size of the window in the first bytes of a stream and, if
	// it is larger than most, makes it smaller there: a window need not be larger
	// than the output. It returns the size, in bytes. Nil when the window is part
	// of cost.
	window func(head []byte, most uint64) uint64
	// trailer is the number of bytes that the kernel's build adds behind the
	// stream to say its size. gzip has the size in its own trailer.
	trailer int
}

// memory is a cost of n bytes.
func memory(n uint64) func() uint64 { return func() uint64 { return n } }

// compressions is what scripts/Makefile.lib and lib/decompress.c of Linux know.
var compressions = []compression{
	{"gzip", "\x1f\x8b", openGzip, memory(256 << 10), nil, 0},
	{"xz", "\xfd7zXZ\x00", openXZ, memory(256 << 10), xzWindow, 4},
	{"zstd", "\x28\xb5\x2f\xfd", openZstd, memory(4 << 20), zstdWindow, 4},
	{"lz4", "\x02\x21\x4c\x18", openLegacy, legacyMemory, nil, 4}, // legacy frame
	{"lz4", "\x04\x22\x4d\x18", openLZ4, lz4FrameMemory, nil, 4},
	{"bzip2", "BZh", openBzip2, memory(5 << 20), nil, 4},
	{"lzma", "\x5d\x00\x00", nil, nil, nil, 4},
	{"lzo", "\x89LZO", nil, nil, nil, 4},
	{"no compression", "\x7fELF", openPlain, memory(0), nil, 4},
}

// detect finds the compression of a stream by its first bytes, or nil.
func detect(b []byte) *compression {
	for i := range compressions {
		if bytes.HasPrefix(b, []byte(compressions[i].magic)) {
			return &compressions[i]
		}
	}
	return nil
}

func openGzip(r io.Reader, _ uint64) (io.ReadCloser, error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, err
	}
	z.Multistream(false)
	return z, nil
}

func openXZ(r io.Reader, window uint64) (io.ReadCloser, error) {
	z, err := xz.NewReader(r, uint32(max(window, xzMinWindow)))
	if err != nil {
		return nil, err
	}
	z.Multistream(false)
	return io.NopCloser(z), nil
}

// openZstd decodes in the calling goroutine: dom0 has one CPU to spare at most,
// and nothing is left running when the request fails.
func openZstd(r io.Reader, window uint64) (io.ReadCloser, error) {
	z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(max(window, zstd.MinWindowSize)))
	if err != nil {
		return nil, err
	}
	return z.IOReadCloser(), nil
}

func openBzip2(r io.Reader, _ uint64) (io.ReadCloser, error) {
	return io.NopCloser(bzip2.NewReader(r)), nil
}

func openPlain(r io.Reader, _ uint64) (io.ReadCloser, error) { return io.NopCloser(r), nil }
