// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package ext

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"math"
	"sync"
	"time"

	"ringo/dom0/files/tree"
)

// An inode, in bytes from its start ("Index Nodes").
const (
	inMode     = 0x00
	inSize     = 0x04
	inModified = 0x10
	inFlags    = 0x20
	inBlock    = 0x28
	inSizeHigh = 0x6c
	inExtra    = 0x80

	blockLen = 60 // of what is at inBlock

	flagCompressed = 0x4
	flagEncrypted  = 0x800
	flagExtents    = 0x80000
	flagInline     = 0x10000000

	// maxInode is how much of an inode is kept: inline data is within it.
	maxInode = 4096
)

// inode is a file, a folder or a link.
type inode struct {
	v       *volume
	info    tree.Info
	size    uint64
	flags   uint32
	i       [blockLen]byte // its map of blocks or root of extents, or data
	overrun []byte         // what of inline data does not fit i

	mu   sync.Mutex
	last run // what was found last
}

// inode reads an inode by its number.
func (v *volume) inode(n uint32) (*inode, error) {
	if n == 0 || n > v.inodes {
		return nil, damaged("there is no inode %d", n)
	}
	le := binary.LittleEndian
	group, index := uint64((n-1)/v.inodesPer), uint64((n-1)%v.inodesPer)
	var d [64]byte
	desc := d[:min(v.descSize, 64)]
	if err := v.descriptor(desc, group); err != nil {
		return nil, err
	}
	table := uint64(le.Uint32(d[8:])) | uint64(le.Uint32(d[0x28:]))<<32
	if table >= v.blocks {
		return nil, damaged("a table of inodes is outside")
	}
	b := make([]byte, min(v.inodeSize, maxInode))
	if err := v.read(b, table*v.block+index*uint64(v.inodeSize)); err != nil {
		return nil, err
	}
	x := &inode{v: v, flags: le.Uint32(b[inFlags:]), size: uint64(le.Uint32(b[inSize:]))}
	copy(x.i[:], b[inBlock:])
	mode := le.Uint16(b[inMode:])
	x.info = tree.Info{Mode: fileMode(mode), Modified: time.Unix(int64(int32(le.Uint32(b[inModified:]))), 0).UTC()}
	if x.info.Mode.IsRegular() || x.info.Mode.IsDir() && v.incompat&incompatLargeDir != 0 {
		x.size |= uint64(le.Uint32(b[inSizeHigh:])) << 32
	}
	if x.size > math.MaxInt64 {
		return nil, damaged("a file of %d bytes", x.size)
	}
	switch {
	case x.info.Mode.IsRegular():
		x.info.Size = int64(x.size)
	case x.info.Mode.IsDir():
		x.info.Folder = int64(x.size)
	}
	if x.flags&flagInline != 0 {
		x.overrun = inlineData(b)
	}
	return x, nil
}

// fileMode is a mode as Go has it.
func fileMode(m uint16) fs.FileMode {
	out := fs.FileMode(m & 0o777)
	switch m & 0xf000 {
	case 0x8000:
	case 0x4000:
		out |= fs.ModeDir
	case 0xa000:
		out |= fs.ModeSymlink
	case 0x1000:
		out |= fs.ModeNamedPipe
	case 0x2000:
		out |= fs.ModeDevice | fs.ModeCharDevice
	case 0x6000:
		out |= fs.ModeDevice
	case 0xc000:
		out |= fs.ModeSocket
	default:
		out |= fs.ModeIrregular
	}
	return out
}

// inlineData finds the attribute system.data in an inode ("Inline Data", "Extended
// Attributes").
func inlineData(b []byte) []byte {
	const attrMagic, system, entryLen = 0xea020000, 7, 16
	le := binary.LittleEndian
	if len(b) < inExtra+4 {
		return nil
	}
	at := inExtra + int(le.Uint16(b[inExtra:]))
	if at+4 > len(b) || le.Uint32(b[at:]) != attrMagic {
		return nil
	}
	b = b[at+4:]
	for e := b; len(e) >= entryLen && le.Uint32(e) != 0; {
		name, index := int(e[0]), e[1]
		off, inum, size := int(le.Uint16(e[2:])), le.Uint32(e[4:]), le.Uint32(e[8:])
		if entryLen+name > len(e) {
			return nil
		}
		if index == system && string(e[entryLen:entryLen+name]) == "data" && inum == 0 {
			if off > len(b) || uint64(size) > uint64(len(b)-off) {
				return nil
			}
			return b[off : off+int(size)]
		}
		e = e[min((entryLen+name+3)&^3, len(e)):]
	}
	return nil
}

// Errors of what is there and cannot be read.
var (
	errEncrypted  = errors.New("it is encrypted")
	errCompressed = errors.New("it is compressed")
	errDevice     = errors.New("it is no file with content")
)

// Info implements [tree.Node].
func (x *inode) Info() tree.Info { return x.info }

// ReadAt implements [tree.Node].
func (x *inode) ReadAt(b []byte, off int64) error {
	switch {
	case !x.info.Mode.IsRegular():
		return errDevice
	case x.flags&flagEncrypted != 0:
		return errEncrypted
	case x.flags&flagCompressed != 0 && x.flags&flagExtents == 0:
		return errCompressed
	}
	return x.content(b, uint64(off))
}

// content reads what an inode has at off, all of b, whatever the inode is.
func (x *inode) content(b []byte, off uint64) error {
	if x.flags&flagInline != 0 {
		return x.inline(b, off)
	}
	for len(b) > 0 {
		r, err := x.find(off / x.v.block)
		if err != nil {
			return err
		}
		skip := off - r.from*x.v.block
		n := min(r.count*x.v.block-skip, uint64(len(b)))
		if r.to == 0 {
			clear(b[:n])
		} else if err := x.v.read(b[:n], r.to*x.v.block+skip); err != nil {
			return err
		}
		b, off = b[n:], off+n
	}
	return nil
}

// inline is content of what lies in the inode.
func (x *inode) inline(b []byte, off uint64) error {
	all := uint64(blockLen + len(x.overrun))
	if off > all || uint64(len(b)) > all-off {
		return damaged("inline data of %d bytes, where there are %d", off+uint64(len(b)), all)
	}
	if off < blockLen {
		n := copy(b, x.i[off:])
		b, off = b[n:], off+uint64(n)
	}
	if len(b) > 0 {
		copy(b, x.overrun[off-blockLen:])
	}
	return nil
}

// Target implements [tree.Node].
func (x *inode) Target() (string, error) {
	switch {
	case x.info.Mode.Type() != fs.ModeSymlink:
		return "", errDevice
	case x.flags&flagEncrypted != 0:
		return "", errEncrypted
	case x.size == 0 || x.size > tree.MaxTarget:
		return "", damaged("a symbolic link of %d bytes", x.size)
	}
	b := make([]byte, x.size)
	if x.flags&(flagInline|flagExtents) == 0 && x.size < blockLen { // a fast one
		copy(b, x.i[:])
		return string(b), nil
	}
	err := x.content(b, 0)
	return string(b), err
}
