// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package ext reads the file systems ext2, ext3 and ext4 (Linux,
// Documentation/filesystems/ext4; e2fsprogs, lib/ext2fs/ext2_fs.h).
//
// It reads files by extents and by block maps, of any size and with holes, inline
// data, folders of all kinds (a hash tree is a list as well), and symbolic links. The
// journal is not replayed: a file system that was not unmounted is read as it is, with
// [tree.FS.Warning]. Checksums are not compared. What is compressed or encrypted is
// refused.
//
// # Threats
//
// The disk is hostile input. Every number is checked where it is used: blocks are
// within the file system, trees of extents become less deep with each step, folders
// end. Nothing is kept but the superblock and what is being read.
package ext

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"strings"

	"ringo/dom0/files/tree"
)

// The superblock, in bytes from its start ("The Super Block").
const (
	superAt   = 1024
	superSize = 1024

	sbInodes         = 0x00
	sbBlocks         = 0x04
	sbFirstBlock     = 0x14
	sbLogBlock       = 0x18
	sbBlocksPerGroup = 0x20
	sbInodesPerGroup = 0x28
	sbMagic          = 0x38
	sbState          = 0x3a
	sbRevision       = 0x4c
	sbInodeSize      = 0x58
	sbCompat         = 0x5c
	sbIncompat       = 0x60
	sbReadOnly       = 0x64
	sbLabel          = 0x78
	sbDescSize       = 0xfe
	sbFirstMeta      = 0x104
	sbBlocksHigh     = 0x150
	sbBackups        = 0x24c

	magic      = 0xef53
	stateValid = 1
	stateError = 2
)

// Feature bits.
const (
	compatJournal = 0x4
	compatSparse2 = 0x200

	incompatFileType = 0x2
	incompatRecover  = 0x4
	incompatMetaBG   = 0x10
	incompatExtents  = 0x40
	incompat64       = 0x80
	incompatMMP      = 0x100
	incompatFlexBG   = 0x200
	incompatEAInode  = 0x400
	incompatSeed     = 0x2000
	incompatLargeDir = 0x4000
	incompatInline   = 0x8000
	incompatEncrypt  = 0x10000
	incompatCaseFold = 0x20000

	readable = incompatFileType | incompatRecover | incompatMetaBG | incompatExtents | incompat64 | incompatMMP |
		incompatFlexBG | incompatEAInode | incompatSeed | incompatLargeDir | incompatInline | incompatEncrypt | incompatCaseFold

	readOnlySparse = 0x1
)

// rootInode is the number of the root's inode.
const rootInode = 2

// ErrNone says that there is no file system of this kind.
var ErrNone = errors.New("is no ext2, ext3 or ext4")

// volume is a file system.
type volume struct {
	r             io.ReaderAt
	block         uint64 // size of a block, in bytes
	blocks        uint64 // number of blocks
	first         uint64 // block where the first group begins
	perGroup      uint64 // blocks of a group
	inodes        uint32
	inodesPer     uint32 // of a group
	inodeSize     uint32
	descSize      uint64
	firstMeta     uint64 // first meta group whose descriptors lie in it
	compat        uint32
	incompat      uint32
	readOnly      uint32
	backups       [2]uint32
	superInBlock1 bool
}

// Open reads the superblock of the file system in r.
func Open(r io.ReaderAt) (*tree.FS, error) {
	var b [superSize]byte
	if n, err := r.ReadAt(b[:], superAt); n < len(b) {
		if errors.Is(err, io.EOF) {
			return nil, ErrNone
		}
		return nil, err
	}
	if binary.LittleEndian.Uint16(b[sbMagic:]) != magic {
		return nil, ErrNone
	}
	v, err := parse(&b)
	if err != nil {
		return nil, err
	}
	v.r = r
	root, err := v.inode(rootInode)
	if err != nil {
		return nil, fmt.Errorf("its root cannot be read: %w", err)
	}
	label, _, _ := strings.Cut(string(b[sbLabel:sbLabel+16]), "\x00")
	return &tree.FS{Kind: v.kind(), Label: label, Warning: v.warning(binary.LittleEndian.Uint16(b[sbState:])), Root: root}, nil
}

// parse takes what is needed of a superblock and checks it.
func parse(b *[superSize]byte) (*volume, error) {
	le := binary.LittleEndian
	v := &volume{
		blocks: uint64(le.Uint32(b[sbBlocks:])), first: uint64(le.Uint32(b[sbFirstBlock:])),
		perGroup: uint64(le.Uint32(b[sbBlocksPerGroup:])), inodes: le.Uint32(b[sbInodes:]),
		inodesPer: le.Uint32(b[sbInodesPerGroup:]), inodeSize: 128, descSize: 32,
		firstMeta: uint64(le.Uint32(b[sbFirstMeta:])),
	}
	if le.Uint32(b[sbRevision:]) > 0 {
		v.inodeSize = uint32(le.Uint16(b[sbInodeSize:]))
		v.compat, v.incompat, v.readOnly = le.Uint32(b[sbCompat:]), le.Uint32(b[sbIncompat:]), le.Uint32(b[sbReadOnly:])
	}
	if odd := v.incompat &^ readable; odd != 0 {
		return nil, fmt.Errorf("is an ext file system with features that are not read (incompat %#x)", odd)
	}
	log := le.Uint32(b[sbLogBlock:])
	if log > 6 {
		return nil, damaged("blocks of 2^%d KiB", log)
	}
	v.block = 1024 << log
	v.superInBlock1 = v.block == superAt
	if v.incompat&incompat64 != 0 {
		v.blocks |= uint64(le.Uint32(b[sbBlocksHigh:])) << 32
		v.descSize = uint64(le.Uint16(b[sbDescSize:]))
	}
	v.backups = [2]uint32{le.Uint32(b[sbBackups:]), le.Uint32(b[sbBackups+4:])}
	switch {
	case v.descSize < 32 || v.descSize > v.block || bits.OnesCount64(v.descSize) != 1:
		return nil, damaged("group descriptors of %d bytes", v.descSize)
	case v.inodeSize < 128 || uint64(v.inodeSize) > v.block || bits.OnesCount32(v.inodeSize) != 1:
		return nil, damaged("inodes of %d bytes", v.inodeSize)
	case v.inodesPer == 0 || v.perGroup == 0 || v.first > 1:
		return nil, damaged("its groups are empty")
	case v.blocks <= v.first || v.blocks > 1<<47: // of 64 KiB each
		return nil, damaged("it has %d blocks", v.blocks)
	}
	return v, nil
}

// kind is the name of the file system by what it uses.
func (v *volume) kind() string {
	switch {
	case v.incompat&(incompatExtents|incompat64|incompatFlexBG|incompatInline|incompatMetaBG) != 0:
		return "ext4"
	case v.compat&compatJournal != 0:
		return "ext3"
	}
	return "ext2"
}

// warning says what speaks against its content.
func (v *volume) warning(state uint16) string {
	switch {
	case v.incompat&incompatRecover != 0:
		return "was not unmounted, and its journal is not replayed here: what was written last may be missing or damaged"
	case state&stateError != 0:
		return "is known to have errors: check it with e2fsck"
	case state&stateValid == 0:
		return "was not unmounted: what was written last may be missing or damaged"
	}
	return ""
}

// read reads all of b at a byte of the file system.
func (v *volume) read(b []byte, at uint64) error {
	if size := v.blocks * v.block; at > size || uint64(len(b)) > size-at {
		return damaged("something lies outside of it")
	}
	n, err := v.r.ReadAt(b, int64(at))
	switch {
	case n == len(b):
		return nil
	case errors.Is(err, io.EOF):
		return fmt.Errorf("%w: it is longer than where it lies", tree.ErrDamaged)
	}
	return err
}

// descriptor reads the first bytes of the descriptor of a group ("Block Group
// Descriptors", "Meta Block Groups").
func (v *volume) descriptor(b []byte, group uint64) error {
	per := v.block / v.descSize
	meta := group / per
	at := v.first + 1 + meta
	if v.superInBlock1 {
		at = 2 + meta
	}
	if v.incompat&incompatMetaBG != 0 && meta >= v.firstMeta {
		g := meta * per
		at = v.first + g*v.perGroup
		if v.hasSuper(g) {
			at++
		}
		if v.superInBlock1 && g == 0 && v.first == 0 {
			at++
		}
	}
	if at >= v.blocks {
		return damaged("a group's descriptor is outside")
	}
	return v.read(b, at*v.block+group%per*v.descSize)
}

// hasSuper says whether a group begins with a copy of the superblock.
func (v *volume) hasSuper(group uint64) bool {
	switch {
	case group == 0:
		return true
	case v.compat&compatSparse2 != 0:
		return group == uint64(v.backups[0]) || group == uint64(v.backups[1])
	case group == 1 || v.readOnly&readOnlySparse == 0:
		return true
	}
	for _, base := range []uint64{3, 5, 7} {
		n := base
		for n < group {
			n *= base
		}
		if n == group {
			return true
		}
	}
	return false
}

// damaged is an error that wraps [tree.ErrDamaged].
func damaged(format string, args ...any) error {
	return fmt.Errorf("%w ("+format+")", append([]any{tree.ErrDamaged}, args...)...)
}
