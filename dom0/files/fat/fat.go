// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package fat reads the file systems FAT12, FAT16 and FAT32 with long names (Microsoft,
// "FAT32 File System Specification", 1.03).
//
// # Threats
//
// The disk is hostile input. Clusters are checked where they are used; a chain that
// leads back to itself ends where the size of the file does, or the limit of a folder.
// No table is kept: an entry of it is read when it is needed.
package fat

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"strings"

	"ringo/dom0/files/tree"
)

// The first sector ("Boot Sector and BPB Structure").
const (
	sectorLen = 512

	bsBytesPerSector = 11
	bsSectorsPer     = 13 // of a cluster
	bsReserved       = 14
	bsTables         = 16
	bsRootEntries    = 17
	bsTotal16        = 19
	bsMedia          = 21
	bsTableSize16    = 22
	bsTotal32        = 32
	bsTableSize32    = 36
	bsFlags          = 40
	bsVersion        = 42
	bsRootCluster    = 44
	bsSignature      = 510

	extended16, extended32 = 38, 66 // 29h: a label follows 5 bytes later
	extendedMagic          = 0x29
)

// ErrNone says that there is no file system of this kind.
var ErrNone = errors.New("is no FAT")

// volume is a file system. Places and sizes are in bytes.
type volume struct {
	r        io.ReaderAt
	bits     uint   // of an entry of the table
	table    uint64 // where the table lies
	root     uint64 // where the root lies that is no chain of clusters
	rootSize uint64
	data     uint64 // where cluster 2 begins
	cluster  uint64 // size
	clusters uint32 // their number, plus the two that do not exist
}

// Open reads the first sector of the file system in r.
func Open(r io.ReaderAt) (*tree.FS, error) {
	var b [sectorLen]byte
	if n, err := r.ReadAt(b[:], 0); n < len(b) {
		if errors.Is(err, io.EOF) {
			return nil, ErrNone
		}
		return nil, err
	}
	v, err := parse(&b)
	if err != nil {
		return nil, err
	}
	v.r = r
	root := &node{v: v, dir: true}
	ext := extended16
	if v.bits == 32 {
		root.first = binary.LittleEndian.Uint32(b[bsRootCluster:])
		ext = extended32
	}
	f := &tree.FS{Kind: fmt.Sprint("fat", v.bits), Root: root, Fold: true}
	// The label is an entry of the root; in the first sector is a copy of it, or an
	// older one.
	if f.Label = root.label(); f.Label == "" && b[ext] == extendedMagic {
		f.Label = strings.TrimRight(string(b[ext+5:ext+16]), " \x00")
		if f.Label == "NO NAME" {
			f.Label = ""
		}
	}
	return f, nil
}

// parse takes the layout from a first sector. Whether it is one is told by what all
// of its fields say together, since nothing else marks it.
func parse(b *[sectorLen]byte) (*volume, error) {
	le := binary.LittleEndian
	sector, per := uint64(le.Uint16(b[bsBytesPerSector:])), uint64(b[bsSectorsPer])
	tables, media := uint64(b[bsTables]), b[bsMedia]
	reserved := uint64(le.Uint16(b[bsReserved:]))
	switch {
	case le.Uint16(b[bsSignature:]) != 0xaa55:
	case sector < 512 || sector > 4096 || bits.OnesCount64(sector) != 1:
	case bits.OnesCount64(per) != 1:
	case tables == 0 || tables > 4 || reserved == 0 || media != 0xf0 && media < 0xf8:
	default:
		return layout(b, sector, per, reserved, tables)
	}
	return nil, ErrNone
}

// layout computes where everything lies.
func layout(b *[sectorLen]byte, sector, per, reserved, tables uint64) (*volume, error) {
	le := binary.LittleEndian
	size, total := uint64(le.Uint16(b[bsTableSize16:])), uint64(le.Uint16(b[bsTotal16:]))
	v := &volume{cluster: sector * per, table: reserved * sector}
	if size == 0 {
		v.bits = 32
		if size = uint64(le.Uint32(b[bsTableSize32:])); size == 0 {
			return nil, ErrNone
		}
		if le.Uint16(b[bsVersion:]) != 0 {
			return nil, errors.New("is a FAT32 of an unknown version")
		}
		// One of the tables may be the only one that is kept.
		if flags := uint64(le.Uint16(b[bsFlags:])); flags&0x80 != 0 && flags&0xf < tables {
			v.table += flags & 0xf * size * sector
		}
	}
	if total == 0 {
		total = uint64(le.Uint32(b[bsTotal32:]))
	}
	v.root = (reserved + tables*size) * sector
	v.rootSize = uint64(le.Uint16(b[bsRootEntries:])) * entryLen
	v.data = v.root + (v.rootSize+sector-1)/sector*sector
	if v.data >= total*sector {
		return nil, fmt.Errorf("%w (no room for files)", tree.ErrDamaged)
	}
	count := (total*sector - v.data) / v.cluster
	if v.bits == 0 {
		if v.bits = 16; count < 4085 { // "FAT Type Determination"
			v.bits = 12
		}
	}
	// What has no entry in the table is not there.
	v.clusters = uint32(min(count+2, size*sector*8/uint64(v.bits), 1<<28))
	return v, nil
}

// next returns the cluster after c in its chain; end is true at its end.
func (v *volume) next(c uint32) (n uint32, end bool, err error) {
	if err := v.check(c); err != nil {
		return 0, false, err
	}
	var b [4]byte
	at := v.table + uint64(c)*uint64(v.bits)/8
	if err := v.read(b[:(v.bits+7)/8], at); err != nil {
		return 0, false, err
	}
	n = binary.LittleEndian.Uint32(b[:])
	switch {
	case v.bits == 32:
		n &= 1<<28 - 1
		end = n >= 1<<28-8
	case v.bits == 16:
		end = n >= 1<<16-8
	case c&1 != 0:
		n >>= 4
		end = n >= 1<<12-8
	default:
		n &= 1<<12 - 1
		end = n >= 1<<12-8
	}
	return n, end, nil
}

// check says whether a cluster exists.
func (v *volume) check(c uint32) error {
	if c < 2 || c >= v.clusters {
		return fmt.Errorf("%w (cluster %#x does not exist)", tree.ErrDamaged, c)
	}
	return nil
}

// read reads all of b.
func (v *volume) read(b []byte, at uint64) error {
	n, err := v.r.ReadAt(b, int64(at))
	switch {
	case n == len(b):
		return nil
	case errors.Is(err, io.EOF):
		return fmt.Errorf("%w: it is longer than where it lies", tree.ErrDamaged)
	}
	return err
}
