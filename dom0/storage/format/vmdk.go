// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package format

import (
	"encoding/binary"
	"fmt"
	"io"

	"ringo/dom0/loader"
)

// Offsets of the header's fields (VMware, "Virtual Disk Format 1.1", "Hosted Sparse Extent
// Header"), in little endian. Places in the file are in sectors.
const (
	vmVersion    = 4
	vmFlags      = 8
	vmCapacity   = 12
	vmGrain      = 20
	vmText       = 28
	vmTextLen    = 36
	vmEntries    = 44
	vmDirectory  = 56
	vmCompress   = 77
	vmHeader     = 79
	vmSector     = 512
	vmMaxVersion = 3

	vmZeroed     = 1 << 2
	vmCompressed = 1 << 16
	vmDeflate    = 1

	// vmAtEnd says that the directory is named by a second header, before the last sector
	// ("Stream-Optimized Compressed Sparse Extents").
	vmAtEnd = 1<<64 - 1
	// vmMarker is what is before a compressed grain: its first sector, and its length.
	vmMarker = 12

	maxGrain = 2048 // sectors
)

// vmdk is a sparse extent: grains, found by a directory of tables.
type vmdk struct {
	f         loader.Source
	flags     uint32
	grain     uint64 // bytes
	entries   uint64 // of a table
	directory uint64 // offset
	size      int64
	unpacked
}

// vmdk is a file that has its description within, or a part of a disk.
func (o opener) vmdk(f loader.Source) (Disk, error) {
	le := binary.LittleEndian
	var h [vmHeader]byte
	if err := whole(f, h[:], 0); err != nil {
		return Disk{}, err
	}
	if text, n := le.Uint64(h[vmText:]), le.Uint64(h[vmTextLen:]); text != 0 && n != 0 {
		b, err := description(f, text, n)
		if err != nil {
			return Disk{}, err
		}
		if err := alone(b); err != nil {
			return Disk{}, err
		}
	}
	if le.Uint64(h[vmDirectory:]) == vmAtEnd {
		if f.Size < 3*vmSector {
			return Disk{}, fmt.Errorf("%w a second header, before it begins", errHas)
		}
		if err := whole(f, h[:], uint64(f.Size)-2*vmSector); err != nil {
			return Disk{}, err
		}
		if string(h[:4]) != "KDMV" {
			return Disk{}, fmt.Errorf("%w a second header, which is not there", errHas)
		}
	}
	v := &vmdk{f: f, flags: le.Uint32(h[vmFlags:]), entries: uint64(le.Uint32(h[vmEntries:]))}
	version, capacity, grain, at := le.Uint32(h[vmVersion:]), le.Uint64(h[vmCapacity:]), le.Uint64(h[vmGrain:]), le.Uint64(h[vmDirectory:])
	switch {
	case version == 0 || version > vmMaxVersion:
		return Disk{}, fmt.Errorf("%w version %d", errUses, version)
	case grain == 0 || grain > maxGrain || grain&(grain-1) != 0:
		return Disk{}, fmt.Errorf("%w grains of %d sectors", errHas, grain)
	case v.entries == 0 || v.entries > 1<<16:
		return Disk{}, fmt.Errorf("%w tables of %d entries", errHas, v.entries)
	case capacity == 0 || capacity > MaxSize/vmSector:
		return Disk{}, fmt.Errorf("%w a disk of %d sectors", errHas, capacity)
	case at == 0 || at > uint64(f.Size)/vmSector:
		return Disk{}, fmt.Errorf("%w its directory at sector %d", errHas, at)
	case v.flags&vmCompressed != 0 && le.Uint16(h[vmCompress:]) != vmDeflate:
		return Disk{}, fmt.Errorf("%w compression of type %d", errUses, le.Uint16(h[vmCompress:]))
	}
	v.grain, v.directory, v.size = grain*vmSector, at*vmSector, int64(capacity*vmSector)
	d := Disk{R: v, Size: v.size}
	if v.flags&vmCompressed != 0 {
		d.Memory = v.unpacked.init(int(v.grain), packZlib)
		v.unpacked.short = uint64(v.size-1)/v.grain + 1
	}
	return d, nil
}

// ReadAt implements [io.ReaderAt].
func (v *vmdk) ReadAt(b []byte, off int64) (int, error) {
	return split(b, off, v.size, v.grain, v.read)
}

// entry reads an entry of a table, or of the directory.
func (v *vmdk) entry(table, n uint64) (uint64, error) {
	var b [4]byte
	err := whole(v.f, b[:], table+4*n)
	return uint64(binary.LittleEndian.Uint32(b[:])), err
}

// read reads a part of grain n.
func (v *vmdk) read(n, from uint64, b []byte) error {
	table, err := v.entry(v.directory, n/v.entries)
	if err != nil {
		return err
	}
	var at uint64
	if table != 0 {
		if at, err = v.entry(table*vmSector, n%v.entries); err != nil {
			return err
		}
	}
	switch {
	case at == 0, at == 1 && v.flags&vmZeroed != 0:
		clear(b)
		return nil
	case v.flags&vmCompressed == 0:
		return padded(v.f, b, at*vmSector+from)
	}
	var m [vmMarker]byte
	if err := whole(v.f, m[:], at*vmSector); err != nil {
		return err
	}
	if first := binary.LittleEndian.Uint64(m[:]); first != n*(v.grain/vmSector) {
		return fmt.Errorf("%w grain %d where sector %d is", errHas, n, first)
	}
	size := binary.LittleEndian.Uint32(m[8:])
	return v.unpacked.read(n, from, b, io.NewSectionReader(v.f.R, int64(at*vmSector+vmMarker), int64(size)))
}
