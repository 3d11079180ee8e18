// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package format

import (
	"compress/flate"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/zstd"

	"ringo/dom0/loader"
)

// Offsets of the header's fields (QEMU, "Qcow2 Image File Format", "Header").
const (
	q2Version       = 4
	q2BackingOffset = 8
	q2BackingSize   = 16
	q2ClusterBits   = 20
	q2Size          = 24
	q2Crypt         = 32
	q2L1Size        = 36
	q2L1Offset      = 40
	q2Incompatible  = 72
	q2Length        = 100
	q2Compression   = 104
	q2HeaderV2      = 72
	q2HeaderV3      = 112

	q2BackingFormat = 0xe279_2aca // kind of an extension
)

// Incompatible features, by bit.
var q2Features = []struct {
	bit  uint
	what string
}{
	{1, "the mark of a damaged image"}, {2, "a data file of its own"}, {4, "clusters in parts (extended L2 entries)"},
}

// q2Known are those that do not matter to who reads: the image was not closed (refcounts may
// be wrong), and there is a compression type.
const q2Known = 1<<0 | 1<<3

// Bits of table entries ("Cluster mapping").
const (
	q2Offset     = 0x00ff_ffff_ffff_fe00
	q2Compressed = 1 << 62
	q2Zero       = 1 << 0
)

const (
	minClusterBits = 9
	maxClusterBits = 21
	maxName        = 1023
)

// qcow2 is an image of QEMU's format, whose snapshots are not looked at.
type qcow2 struct {
	f       loader.Source
	version uint32
	bits    uint // of a cluster's size
	size    int64
	l1      uint64 // offset of the table
	below   *Disk  // nil: zeros
	unpacked
}

func (o opener) qcow2(f loader.Source) (Disk, error) {
	be := binary.BigEndian
	var h [q2HeaderV3]byte
	if err := whole(f, h[:q2HeaderV2], 0); err != nil {
		return Disk{}, err
	}
	q := &qcow2{f: f, version: be.Uint32(h[q2Version:]), bits: uint(be.Uint32(h[q2ClusterBits:])), l1: be.Uint64(h[q2L1Offset:])}
	if q.version != 2 && q.version != 3 {
		return Disk{}, fmt.Errorf("%w version %d", errUses, q.version)
	}
	if q.version == 3 {
		if err := whole(f, h[:q2Compression], 0); err != nil {
			return Disk{}, err
		}
		if be.Uint32(h[q2Length:]) > q2Compression {
			if err := whole(f, h[:], 0); err != nil {
				return Disk{}, err
			}
		}
	}
	if err := q.check(&h); err != nil {
		return Disk{}, err
	}
	memory := q.unpacked.init(1<<q.bits, h[q2Compression])
	if n := be.Uint32(h[q2BackingSize:]); n != 0 && be.Uint64(h[q2BackingOffset:]) != 0 {
		if n > maxName {
			return Disk{}, fmt.Errorf("%w the name of another file, of %d bytes", errHas, n)
		}
		name := make([]byte, n)
		if err := whole(f, name, be.Uint64(h[q2BackingOffset:])); err != nil {
			return Disk{}, err
		}
		d, err := o.backing(f, &h, string(name))
		if err != nil {
			return Disk{}, err
		}
		q.below, memory = &d, memory+d.Memory
	}
	return Disk{R: q, Size: q.size, Memory: memory}, nil
}

// backing finds the disk below. If the header says that it is raw, what a guest has written
// there is no image, whatever it begins with.
func (o opener) backing(f loader.Source, h *[q2HeaderV3]byte, name string) (Disk, error) {
	want, err := q2Below(f, h)
	if err != nil {
		return Disk{}, err
	}
	if want == "raw" {
		g, err := o.beside(f, name)
		return Disk{R: g.R, Size: g.Size}, err
	}
	d, err := o.layer(f, name)
	if err == nil && want != "" && !strings.EqualFold(want, d.Kind) && !(want == "vpc" && d.Kind == "VHD") {
		return Disk{}, fmt.Errorf("%w %q below in the format %q, and that is not its format", errHas, name, want)
	}
	return d, err
}

// q2Below is the format of the disk below, "" if the header does not say it ("Header
// extensions").
func q2Below(f loader.Source, h *[q2HeaderV3]byte) (string, error) {
	be := binary.BigEndian
	at := uint64(q2HeaderV2)
	if be.Uint32(h[q2Version:]) == 3 {
		at = uint64(be.Uint32(h[q2Length:]))
	}
	end := be.Uint64(h[q2BackingOffset:]) // the name comes behind them
	for n := 0; n < 64 && at <= end && end-at >= 8; n++ {
		var e [8]byte
		if err := whole(f, e[:], at); err != nil {
			return "", err
		}
		kind, size := be.Uint32(e[:]), uint64(be.Uint32(e[4:]))
		switch {
		case kind == 0:
			return "", nil
		case kind == q2BackingFormat && size <= 16:
			name := make([]byte, size)
			err := whole(f, name, at+8)
			return string(name), err
		}
		at += 8 + (size+7)&^7
	}
	return "", nil
}

// check checks what the header says.
func (q *qcow2) check(h *[q2HeaderV3]byte) error {
	be := binary.BigEndian
	features := be.Uint64(h[q2Incompatible:])
	for _, x := range q2Features {
		if features>>x.bit&1 != 0 {
			return fmt.Errorf("%w %s", errUses, x.what)
		}
	}
	entries := uint64(be.Uint32(h[q2L1Size:]))
	size := be.Uint64(h[q2Size:])
	switch {
	case features&^q2Known != 0:
		return fmt.Errorf("%w features %#x", errUses, features)
	case be.Uint32(h[q2Crypt:]) != 0:
		return fmt.Errorf("%w encryption", errUses)
	case h[q2Compression] > 1:
		return fmt.Errorf("%w compression of type %d", errUses, h[q2Compression])
	case q.bits < minClusterBits || q.bits > maxClusterBits:
		return fmt.Errorf("%w clusters of 2^%d bytes", errHas, q.bits)
	case size == 0 || size > MaxSize:
		return fmt.Errorf("%w a disk of %d bytes", errHas, size)
	case (size-1)>>(2*q.bits-3) >= entries:
		return fmt.Errorf("%w %d entries of a table, too few for a disk of %d bytes", errHas, entries, size)
	case q.l1%(1<<q.bits) != 0 || q.l1 > uint64(q.f.Size) || entries*8 > uint64(q.f.Size)-q.l1:
		return fmt.Errorf("%w its table at %d", errHas, q.l1)
	}
	q.size = int64(size)
	return nil
}

// ReadAt implements [io.ReaderAt].
func (q *qcow2) ReadAt(b []byte, off int64) (int, error) {
	return split(b, off, q.size, 1<<q.bits, q.read)
}

// entry reads an entry of a table.
func (q *qcow2) entry(table, n uint64) (uint64, error) {
	var b [8]byte
	err := whole(q.f, b[:], table+8*n)
	return binary.BigEndian.Uint64(b[:]), err
}

// read reads a part of cluster n.
func (q *qcow2) read(n, from uint64, b []byte) error {
	per := q.bits - 3 // of a table's entries
	x, err := q.entry(q.l1, n>>per)
	if err != nil {
		return err
	}
	if x &= q2Offset; x == 0 {
		return q.other(n, from, b)
	}
	if x%(1<<q.bits) != 0 {
		return fmt.Errorf("a table at %#x is in the middle of a cluster", x)
	}
	if x, err = q.entry(x, n%(1<<per)); err != nil {
		return err
	}
	switch at := x & q2Offset; {
	case x&q2Compressed != 0:
		return q.packed(n, x, from, b)
	case q.version > 2 && x&q2Zero != 0:
		clear(b)
		return nil
	case at == 0:
		return q.other(n, from, b)
	case at%(1<<q.bits) != 0:
		return fmt.Errorf("a cluster at %#x is in the middle of another", at)
	default:
		return padded(q.f, b, at+from)
	}
}

// other reads what the image does not have itself.
func (q *qcow2) other(n, from uint64, b []byte) error {
	at := int64(n<<q.bits + from)
	if q.below == nil || at >= q.below.Size {
		clear(b)
		return nil
	}
	k := min(int64(len(b)), q.below.Size-at)
	clear(b[k:])
	if m, err := q.below.R.ReadAt(b[:k], at); int64(m) < k {
		return err
	}
	return nil
}

// packed reads a part of a cluster that is compressed. Its entry has an offset in its lower
// bits, above that the number of further sectors that the data are in ("Compressed Clusters
// Descriptor").
func (q *qcow2) packed(n, x, from uint64, b []byte) error {
	shift := 62 - (q.bits - 8)
	at := x & (1<<shift - 1)
	sectors := x &^ q2Compressed &^ (1 << 63) >> shift
	size := (sectors+1)*512 - at%512
	if at >= uint64(q.f.Size) {
		return fmt.Errorf("%w data beyond its end, at %d", errHas, at)
	}
	size = min(size, uint64(q.f.Size)-at)
	return q.unpacked.read(n, from, b, io.NewSectionReader(q.f.R, int64(at), int64(size)))
}

// Types of compression.
const (
	packDeflate = 0 // RFC 1951
	packZstd    = 1 // RFC 8878
	packZlib    = 2 // RFC 1950
)

// unpacker reads what is compressed. end is to be called when it is not needed any more.
func unpacker(kind byte, r io.Reader) (z io.Reader, end func(), err error) {
	if kind == packZstd {
		d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(zstdBytes), zstd.WithDecoderMaxWindow(2<<20))
		if err != nil {
			return nil, nil, err
		}
		return d, d.Close, nil
	}
	if kind == packZlib {
		d, err := zlib.NewReader(r)
		if err != nil {
			return nil, nil, err
		}
		return d, func() { d.Close() }, nil
	}
	d := flate.NewReader(r)
	return d, func() { d.Close() }, nil
}
