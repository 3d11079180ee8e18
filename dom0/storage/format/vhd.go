// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package format

import (
	"encoding/binary"
	"fmt"

	"ringo/dom0/loader"
)

// Offsets of fields of the footer and of the header of a dynamic disk (Microsoft, "Virtual
// Hard Disk Image Format Specification", "Hard Disk Footer Format" and "Dynamic Disk Header
// Format"), in big endian.
const (
	vhdCookie     = "conectix"
	vhdHeader     = 16 // offset of the header
	vhdSize       = 48
	vhdType       = 60
	vhdChecksum   = 64
	vhdFooter     = 512
	vhdSparse     = "cxsparse"
	vhdTable      = 16
	vhdEntries    = 28
	vhdBlock      = 32
	vhdHeaderLen  = 1024
	vhdSectorSize = 512

	vhdFixed   = 2
	vhdDynamic = 3

	vhdUnused = 1<<32 - 1
	maxBlock  = 64 << 20
)

// vhd is a dynamic disk: blocks, each behind a bitmap of its sectors. What was never written
// is zeros there, so the bitmaps are not looked at.
type vhd struct {
	f      loader.Source
	table  uint64
	block  uint64
	bitmap uint64 // bytes
	size   int64
}

// footer reads the footer of f at an offset, if there is one.
func footer(f loader.Source, at int64) (b [vhdFooter]byte, ok bool) {
	if at < 0 || whole(f, b[:], uint64(at)) != nil || string(b[:8]) != vhdCookie {
		return b, false
	}
	sum := uint32(0)
	for i, c := range b {
		if i < vhdChecksum || i >= vhdChecksum+4 {
			sum += uint32(c)
		}
	}
	return b, ^sum == binary.BigEndian.Uint32(b[vhdChecksum:])
}

// fixed is a disk with nothing before it, and a footer behind it.
func fixed(f loader.Source) (d Disk, ok bool) {
	b, ok := footer(f, f.Size-vhdFooter)
	size := binary.BigEndian.Uint64(b[vhdSize:])
	if !ok || binary.BigEndian.Uint32(b[vhdType:]) != vhdFixed || size == 0 || size > uint64(f.Size-vhdFooter) {
		return d, false
	}
	return Disk{R: f.R, Size: int64(size), Kind: "VHD"}, true
}

// vhd is a disk that begins with a copy of its footer.
func (o opener) vhd(f loader.Source) (Disk, error) {
	be := binary.BigEndian
	b, ok := footer(f, 0)
	if !ok {
		return Disk{}, fmt.Errorf("%w a wrong sum of its first sector", errHas)
	}
	if kind := be.Uint32(b[vhdType:]); kind != vhdDynamic {
		return Disk{}, fmt.Errorf("%w another disk below it, or is of an unknown type (%d)", errUses, kind)
	}
	var h [vhdHeaderLen]byte
	if err := whole(f, h[:], be.Uint64(b[vhdHeader:])); err != nil {
		return Disk{}, err
	}
	v := &vhd{f: f, table: be.Uint64(h[vhdTable:]), block: uint64(be.Uint32(h[vhdBlock:]))}
	size, entries := be.Uint64(b[vhdSize:]), uint64(be.Uint32(h[vhdEntries:]))
	switch {
	case string(h[:8]) != vhdSparse:
		return Disk{}, fmt.Errorf("%w a header, which is not there", errHas)
	case v.block < vhdSectorSize || v.block > maxBlock || v.block&(v.block-1) != 0:
		return Disk{}, fmt.Errorf("%w blocks of %d bytes", errHas, v.block)
	case size == 0 || size > MaxSize:
		return Disk{}, fmt.Errorf("%w a disk of %d bytes", errHas, size)
	case (size-1)/v.block >= entries:
		return Disk{}, fmt.Errorf("%w %d blocks, too few for a disk of %d bytes", errHas, entries, size)
	case v.table > uint64(f.Size) || entries*4 > uint64(f.Size)-v.table:
		return Disk{}, fmt.Errorf("%w its table at %d", errHas, v.table)
	}
	v.size = int64(size)
	v.bitmap = ((v.block/vhdSectorSize+7)/8 + vhdSectorSize - 1) &^ (vhdSectorSize - 1)
	return Disk{R: v, Size: v.size}, nil
}

// ReadAt implements [io.ReaderAt].
func (v *vhd) ReadAt(b []byte, off int64) (int, error) {
	return split(b, off, v.size, v.block, v.read)
}

// read reads a part of block n.
func (v *vhd) read(n, from uint64, b []byte) error {
	var e [4]byte
	if err := whole(v.f, e[:], v.table+4*n); err != nil {
		return err
	}
	at := uint64(binary.BigEndian.Uint32(e[:]))
	if at == vhdUnused {
		clear(b)
		return nil
	}
	return padded(v.f, b, at*vhdSectorSize+v.bitmap+from)
}
