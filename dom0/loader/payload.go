// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package loader

import (
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/therootcompany/xz"
)

const (
	// maxImage is the largest kernel after decompression, in bytes.
	maxImage = 512 << 20
	// maxWindow is the largest window (dictionary) of a decompressor, in
	// bytes: what the kernel's build uses at most. Memory of the window is
	// touched only as far as the image is long.
	maxWindow = 128 << 20
	// anySize stands for a decompressed size that the file does not tell.
	anySize = -1
)

// compression is one way of compressing a kernel.
type compression struct {
	name  string
	magic string
	// open returns the decompressed stream; nil when not supported.
	open func(r io.Reader) (io.ReadCloser, error)
	// trailer is the number of bytes that the kernel's build adds behind the
	// stream to say its size. gzip has the size in its own trailer.
	trailer int
}

// compressions is what scripts/Makefile.lib and lib/decompress.c of Linux know.
var compressions = []compression{
	{"gzip", "\x1f\x8b", openGzip, 0},
	{"xz", "\xfd7zXZ\x00", openXZ, 4},
	{"zstd", "\x28\xb5\x2f\xfd", openZstd, 4},
	{"lz4", "\x02\x21\x4c\x18", openLZ4, 4}, // legacy frame
	{"lz4", "\x04\x22\x4d\x18", openLZ4, 4},
	{"bzip2", "BZh", openBzip2, 4},
	{"lzma", "\x5d\x00\x00", nil, 4},
	{"lzo", "\x89LZO", nil, 4},
	{"no compression", "\x7fELF", openPlain, 4},
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

func openGzip(r io.Reader) (io.ReadCloser, error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, err
	}
	z.Multistream(false)
	return z, nil
}

func openXZ(r io.Reader) (io.ReadCloser, error) {
	z, err := xz.NewReader(r, maxWindow)
	if err != nil {
		return nil, err
	}
	z.Multistream(false)
	return io.NopCloser(z), nil
}

// openZstd decodes in the calling goroutine: dom0 has one CPU to spare at most,
// and nothing is left running when the request fails.
func openZstd(r io.Reader) (io.ReadCloser, error) {
	z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return nil, err
	}
	return z.IOReadCloser(), nil
}

func openLZ4(r io.Reader) (io.ReadCloser, error) { return io.NopCloser(lz4.NewReader(r)), nil }

func openBzip2(r io.Reader) (io.ReadCloser, error) { return io.NopCloser(bzip2.NewReader(r)), nil }

func openPlain(r io.Reader) (io.ReadCloser, error) { return io.NopCloser(r), nil }

// unpackELF decompresses an ELF file into memory. The stream is read to its
// end, so that its checksum is verified. size is the decompressed size that
// the file declares, or anySize; keep, unless nil, gets a copy of the stream.
func (g *guest) unpackELF(r io.Reader, c *compression, size int64, keep *sparse) (*image, error) {
	z, err := c.open(r)
	if err != nil {
		return nil, damaged(c, err)
	}
	defer z.Close()
	s := &counted{r: z, c: c, keep: keep}
	img, err := g.loadELF(s)
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(io.Discard, s); err != nil {
		return nil, err
	}
	if size != anySize && s.n != size {
		return nil, damage("it decompresses to %d bytes, its header says %d", s.n, size)
	}
	return img, nil
}

// damaged says that decompression failed.
func damaged(c *compression, err error) error {
	return damage("%s: %v", c.name, err)
}

// counted is a decompressed stream of at most maxImage bytes. Its errors are
// for the user, except io.EOF.
type counted struct {
	r    io.Reader
	c    *compression
	n    int64
	keep *sparse
}

func (s *counted) Read(b []byte) (int, error) {
	n, err := s.r.Read(b)
	s.n += int64(n)
	if s.n > maxImage {
		return n, fmt.Errorf("decompresses to more than %d MiB", maxImage>>20)
	}
	if s.keep != nil {
		s.keep.Write(b[:n])
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = damaged(s.c, err)
	}
	return n, err
}
