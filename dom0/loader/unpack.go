// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package loader

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/therootcompany/xz"
)

// unpack returns the decompressed stream of r, of which size is the length that
// the file declares, or anySize. What it takes of dom0's memory is reserved until
// g.release.
func (g *guest) unpack(r io.Reader, c *compression, size int64) (*unpacked, error) {
	most := uint64(maxImage)
	if size != anySize {
		most = uint64(size)
	}
	need, window := c.cost(), uint64(0)
	if c.window != nil {
		head := make([]byte, windowHead)
		n, err := io.ReadFull(r, head)
		if err != nil && err != io.ErrUnexpectedEOF && err != io.EOF {
			return nil, err
		}
		window = c.window(head[:n], most)
		need += window
		r = io.MultiReader(bytes.NewReader(head[:n]), r)
	}
	held, err := g.account.ReserveNext(need)
	if err != nil {
		return nil, fmt.Errorf("is not unpacked: %w", err)
	}
	g.held = held
	z, err := c.open(r, window)
	if err != nil {
		return nil, damaged(c, err)
	}
	return &unpacked{z: z, c: c, most: int64(most), size: size}, nil
}

// unpackELF decompresses an ELF file into memory. The stream is read to its
// end, so that its checksum is verified. size is as for unpack.
func (g *guest) unpackELF(r io.Reader, c *compression, size int64) (*image, error) {
	z, err := g.unpack(r, c, size)
	if err != nil {
		return nil, err
	}
	defer z.Close()
	img, err := g.loadELF(z)
	if err != nil || g.dry {
		return img, err
	}
	if size == anySize {
		z.most = min(z.most, max(z.n, int64(img.fileEnd))+maxTail)
	}
	if _, err := io.Copy(io.Discard, z); err != nil {
		return nil, err
	}
	if size != anySize && z.n != size {
		return nil, damage("it decompresses to %d bytes, its header says %d", z.n, size)
	}
	return img, nil
}

// damaged says that decompression failed.
func damaged(c *compression, err error) error {
	for _, e := range []error{zstd.ErrWindowSizeExceeded, zstd.ErrDecoderSizeExceeded, xz.ErrMemlimit} {
		if errors.Is(err, e) {
			return fmt.Errorf("is compressed with %s in parts, of which the first has not the largest window: compress it as a whole", c.name)
		}
	}
	return damage("%s: %v", c.name, err)
}

// unpacked is a decompressed stream of at most most bytes. Its errors are for
// the user, except io.EOF.
type unpacked struct {
	z    io.ReadCloser
	c    *compression
	n    int64 // bytes read
	most int64
	size int64 // that the file declares, or anySize
}

// Read implements io.Reader.
func (s *unpacked) Read(b []byte) (int, error) {
	n, err := s.z.Read(b)
	s.n += int64(n)
	switch {
	case s.n <= s.most:
	case s.size != anySize:
		return n, damage("it decompresses to more than the %d bytes that its header says", s.size)
	case s.most < maxImage:
		return n, fmt.Errorf("is followed by more than %d MiB that belong to no kernel", maxTail>>20)
	default:
		return n, fmt.Errorf("decompresses to more than %d MiB", maxImage>>20)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = damaged(s.c, err)
	}
	return n, err
}

// Close implements io.Closer.
func (s *unpacked) Close() error { return s.z.Close() }
