// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package dump keeps the memory and the registers of a guest as an ELF core file
// that gdb and crash(8) read. The file has the guest's RAM whole, by guest physical
// address; what is kept of it is compressed, without what is zero, and made whole as
// it is read.
//
// What a hostile guest can do here:
//
//	fill its RAM with noise   -> it is kept as it is; what does not fit in the account
//	                             is refused, and nothing is left of it
//	offer a false VMCOREINFO  -> a note of at most 4 KiB that lies about the guest
package dump

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/pierrec/lz4/v4"

	"ringo/dom0/account"
	"ringo/hv/abi"
)

// Range is RAM at a guest physical address; both are multiples of 4 KiB.
type Range struct{ Start, Size uint64 }

// Source is a guest that does not run.
type Source struct {
	RAM   []Range // ascending, disjoint
	VCPUs []abi.VCPUContext
	// Slice returns RAM at an address: at least one byte, at most n.
	Slice func(a, n uint64) []byte
}

// block is how much RAM is kept in one piece, and page what VMCOREINFO is looked for
// at.
const (
	block = 64 << 10
	page  = 4 << 10
)

// piece is a block that is not zero.
type piece struct {
	at   int64 // offset in the file
	n    int   // bytes of RAM
	data []byte
}

// Dump is a core file. Once made it does not change.
type Dump struct {
	Loads   []Load
	VCPUs   []abi.VCPUContext
	Release string // of the guest's kernel, from VMCOREINFO; "" where it offers none
	Zero    uint64 // bytes of RAM that are not kept since they are zero

	head   []byte
	size   int64
	pieces []piece // ascending

	account  *account.Account
	most     uint64
	paid     uint64
	kept     uint64
	releases []func()
}

// Load is a range of RAM and where it is in the file.
type Load struct {
	Range
	Offset int64
}

// What is reserved: fixed for the compressor, step at a time, and beside the bytes of a
// piece, of which allocation may round an eighth up, overhead.
const (
	fixed    = 768 << 10
	step     = 1 << 20
	overhead = 96
)

// ErrMost is what New fails with when a dump takes more than it may.
var ErrMost = errors.New("dump: too large")

// New makes the dump of a guest. Its memory is reserved from a, which may be nil, and
// at most most bytes of it.
func New(src Source, a *account.Account, most uint64) (*Dump, error) {
	d := &Dump{VCPUs: slices.Clone(src.VCPUs), account: a, most: most}
	info := find(src)
	if s, _, ok := strings.Cut(string(info), "\n"); ok {
		d.Release = strings.TrimPrefix(s, release)
	}
	d.layout(src, info)
	done, err := a.Reserve(fixed)
	if err != nil {
		return nil, err
	}
	defer done()
	p := packer{out: make([]byte, lz4.CompressBlockBound(block)), in: make([]byte, block)}
	for _, l := range d.Loads {
		for off := uint64(0); off < l.Size; off += block {
			if err := d.keep(&p, src, l, off); err != nil {
				d.Close()
				return nil, err
			}
		}
	}
	return d, nil
}

// packer compresses blocks.
type packer struct {
	c       lz4.Compressor
	in, out []byte
}

var zeros [block]byte

// keep takes the block of a range at off.
func (d *Dump) keep(p *packer, src Source, l Load, off uint64) error {
	n := int(min(block, l.Size-off))
	in := p.in[:n]
	if got := src.copy(in, l.Start+off); got < n {
		return fmt.Errorf("the guest's memory at %#x cannot be read", l.Start+off+uint64(got))
	}
	if bytes.Equal(in, zeros[:n]) {
		d.Zero += uint64(n)
		return nil
	}
	out := in
	if m, err := p.c.CompressBlock(in, p.out); err == nil && m > 0 && m < n {
		out = p.out[:m]
	}
	cost := uint64(len(out)+len(out)/8) + overhead
	if d.kept+cost > d.paid {
		if d.paid+step > d.most {
			return ErrMost
		}
		release, err := d.account.Reserve(step)
		if err != nil {
			return err
		}
		d.paid += step
		d.releases = append(d.releases, release)
	}
	d.kept += cost
	d.pieces = append(d.pieces, piece{l.Offset + int64(off), n, slices.Clone(out)})
	return nil
}

// copy fills p with RAM at a, and returns how much of it there is.
func (s Source) copy(p []byte, a uint64) (n int) {
	for n < len(p) {
		b := s.Slice(a+uint64(n), uint64(len(p)-n))
		if len(b) == 0 {
			break
		}
		n += copy(p[n:], b)
	}
	return n
}

// Close gives the reserved memory back. Nothing refers to the dump any more.
func (d *Dump) Close() {
	for _, f := range d.releases {
		f()
	}
	d.releases = nil
}

// Size is that of the file, in bytes.
func (d *Dump) Size() int64 { return d.size }

// Kept is what is reserved for the dump, in bytes.
func (d *Dump) Kept() uint64 { return d.paid }

// ReadAt implements [io.ReaderAt].
func (d *Dump) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("dump: offset %d", off)
	}
	if off >= d.size {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), d.size-off))
	q := p[:n]
	clear(q)
	if off < int64(len(d.head)) {
		copy(q, d.head[off:])
	}
	first, _ := slices.BinarySearchFunc(d.pieces, off, func(x piece, off int64) int {
		if x.at+int64(x.n) <= off {
			return -1
		}
		return 1
	})
	var whole []byte
	for _, x := range d.pieces[first:] {
		if x.at >= off+int64(n) {
			break
		}
		b := x.data
		if len(b) < x.n {
			if whole == nil {
				whole = make([]byte, block)
			}
			if m, err := lz4.UncompressBlock(b, whole); err != nil || m != x.n {
				return 0, fmt.Errorf("dump: the block at %#x is damaged", x.at)
			}
			b = whole[:x.n]
		}
		if from := off - x.at; from > 0 {
			copy(q, b[from:])
		} else {
			copy(q[-from:], b)
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
