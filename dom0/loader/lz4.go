// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package loader

import (
	"encoding/binary"
	"errors"
	"io"
	"runtime"

	"github.com/pierrec/lz4/v4"
)

// The legacy frame of LZ4, in which kernels are packed ("LZ4 Frame Format
// Description", "Legacy frame"): the magic number, then blocks with their
// compressed size before them, each of legacyBlock bytes but the last.
const (
	lz4LegacyMagic = 0x184c2102
	legacyBlock    = 8 << 20
	legacyCost     = 2*legacyBlock + legacyBlock/255 + 64<<10
	// frameCost is what the library takes for blocks of 4 MiB, once and once for
	// each P, since it keeps them in a sync.Pool.
	frameCost = 4<<20 + 256<<10
)

func legacyMemory() uint64   { return legacyCost }
func lz4FrameMemory() uint64 { return frameCost * uint64(1+runtime.GOMAXPROCS(0)) }

// openLZ4 decodes in the calling goroutine, as openZstd does.
func openLZ4(r io.Reader, _ uint64) (io.ReadCloser, error) {
	z := lz4.NewReader(r)
	return io.NopCloser(z), z.Apply(lz4.ConcurrencyOption(1))
}

func openLegacy(r io.Reader, _ uint64) (io.ReadCloser, error) {
	return io.NopCloser(&legacy{r: r, out: make([]byte, legacyBlock)}), nil
}

// legacy unpacks legacy frames with two buffers of one block.
type legacy struct {
	r       io.Reader
	in, out []byte
	left    []byte // of out
	err     error
}

var errLegacy = errors.New("bad block")

// Read implements io.Reader.
func (l *legacy) Read(b []byte) (int, error) {
	for len(l.left) == 0 {
		if l.err == nil {
			l.err = l.next()
		}
		if l.err != nil {
			return 0, l.err
		}
	}
	n := copy(b, l.left)
	l.left = l.left[n:]
	return n, nil
}

// next unpacks a block. The frame ends with the file, or as the kernel's own
// unpacker has it with a size of 0; frames may follow each other.
func (l *legacy) next() error {
	var head [4]byte
	if _, err := io.ReadFull(l.r, head[:]); err != nil {
		return err // io.EOF at the end of a block is the end of the file
	}
	n := binary.LittleEndian.Uint32(head[:])
	switch {
	case n == lz4LegacyMagic:
		return nil
	case n == 0:
		return io.EOF
	case n > uint32(lz4.CompressBlockBound(legacyBlock)):
		return errLegacy
	}
	if l.in == nil {
		l.in = make([]byte, lz4.CompressBlockBound(legacyBlock))
	}
	if _, err := io.ReadFull(l.r, l.in[:n]); err != nil {
		return io.ErrUnexpectedEOF
	}
	m, err := lz4.UncompressBlock(l.in[:n], l.out)
	if err != nil {
		return err
	}
	l.left = l.out[:m]
	return nil
}
