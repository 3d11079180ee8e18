// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package iso reads the file system of CDs, ISO 9660 (ECMA-119), with the names of Rock
// Ridge (IEEE P1282, 1.12) or Joliet, whichever is there, and files of several extents.
//
// # Threats
//
// The disk is hostile input. Records are read within their sector, continuations a few
// times, folders up to a limit; nothing is kept but the descriptor.
package iso

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf16"

	"ringo/dom0/files/tree"
)

// Volume descriptors (ECMA-119, "Volume Descriptors").
const (
	sector         = 2048
	descriptorsAt  = 16 * sector
	maxDescriptors = 64

	vdPrimary       = 1
	vdSupplementary = 2
	vdEnd           = 255

	vdLabel     = 40
	vdEscape    = 88
	vdBlock     = 128
	vdRoot      = 156
	vdRootLen   = 34
	vdLabelSize = 32
)

// ErrNone says that there is no file system of this kind.
var ErrNone = errors.New("is no ISO 9660")

// naming is where the names of files come from.
type naming uint8

const (
	plain naming = iota
	joliet
	rockRidge
)

// volume is a file system.
type volume struct {
	r      io.ReaderAt
	block  uint64 // bytes
	naming naming
	skip   int // bytes before the fields of SUSP
}

// Open reads the descriptors of the file system in r.
func Open(r io.ReaderAt) (*tree.FS, error) {
	var primary, wide []byte
	for i := range maxDescriptors {
		b := make([]byte, sector)
		if n, err := r.ReadAt(b, descriptorsAt+int64(i)*sector); n < len(b) {
			if errors.Is(err, io.EOF) && i == 0 {
				return nil, ErrNone
			}
			if errors.Is(err, io.EOF) {
				break
			}
			return nil, err
		}
		if string(b[1:6]) != "CD001" || b[0] == vdEnd {
			break
		}
		switch {
		case b[0] == vdPrimary && primary == nil:
			primary = b
		case b[0] == vdSupplementary && isJoliet(b) && wide == nil:
			wide = b
		}
	}
	if primary == nil {
		return nil, ErrNone
	}
	return open(r, primary, wide)
}

// isJoliet tells by the character set (Joliet, "SVD Escape Sequences Field").
func isJoliet(b []byte) bool {
	s := string(b[vdEscape : vdEscape+3])
	return s == "%/@" || s == "%/C" || s == "%/E"
}

// open chooses the tree of folders with the best names.
func open(r io.ReaderAt, primary, wide []byte) (*tree.FS, error) {
	v := &volume{r: r, block: uint64(binary.LittleEndian.Uint16(primary[vdBlock:]))}
	if v.block != 512 && v.block != 1024 && v.block != sector {
		return nil, damaged("blocks of %d bytes", v.block)
	}
	root, err := v.root(primary)
	if err != nil {
		return nil, err
	}
	f := &tree.FS{Kind: "iso9660", Label: strings.TrimRight(string(primary[vdLabel:vdLabel+vdLabelSize]), " \x00"), Root: root}
	skip, has, err := root.indicator()
	if err != nil {
		return nil, fmt.Errorf("its root cannot be read: %w", err)
	}
	switch {
	case has:
		v.naming, v.skip = rockRidge, skip
	case wide != nil:
		w := &volume{r: r, block: uint64(binary.LittleEndian.Uint16(wide[vdBlock:])), naming: joliet}
		if w.block != v.block {
			return nil, damaged("blocks of two sizes")
		}
		if f.Root, err = w.root(wide); err != nil {
			return nil, err
		}
		f.Label = strings.TrimRight(text16([]byte(wide[vdLabel:vdLabel+vdLabelSize])), " \x00")
	default:
		f.Fold = true
	}
	return f, nil
}

// root is the folder that a descriptor names.
func (v *volume) root(b []byte) (*node, error) {
	rec := record(b[vdRoot : vdRoot+vdRootLen])
	n := v.node(rec)
	if !n.info.Mode.IsDir() {
		return nil, damaged("its root is no folder")
	}
	return n, nil
}

// read reads all of b.
func (v *volume) read(b []byte, at uint64) error {
	n, err := v.r.ReadAt(b, int64(at))
	switch {
	case n == len(b):
		return nil
	case errors.Is(err, io.EOF):
		return damaged("it is longer than where it lies")
	}
	return err
}

// text16 is text of 16 bits a letter, the high byte first.
func text16(b []byte) string {
	u := make([]uint16, len(b)/2)
	for i := range u {
		u[i] = binary.BigEndian.Uint16(b[2*i:])
	}
	return string(utf16.Decode(u))
}

// damaged is an error that wraps [tree.ErrDamaged].
func damaged(format string, args ...any) error {
	return fmt.Errorf("%w ("+format+")", append([]any{tree.ErrDamaged}, args...)...)
}
