// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package iso

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"time"

	"ringo/dom0/files/tree"
)

// A record of a folder (ECMA-119, "Directory Records").
const (
	recordLeast = 33

	flagDirectory  = 0x02
	flagAssociated = 0x04
	flagMore       = 0x80 // the next record is of the same file
)

type record []byte

func (r record) attributes() uint64 { return uint64(r[1]) } // blocks before the content
func (r record) at() uint64         { return uint64(binary.LittleEndian.Uint32(r[2:])) }
func (r record) size() uint64       { return uint64(binary.LittleEndian.Uint32(r[10:])) }
func (r record) flags() byte        { return r[25] }
func (r record) interleaved() bool  { return r[26] != 0 || r[27] != 0 }
func (r record) identifier() []byte { return r[recordLeast:min(recordLeast+int(r[32]), len(r))] }

// systemUse is what follows the identifier, which is padded to an even end.
func (r record) systemUse() []byte {
	at := recordLeast + int(r[32])
	at += at & 1
	return r[min(at, len(r)):]
}

// modified is the time of a record.
func (r record) modified() time.Time {
	t := r[18:25]
	zone := time.FixedZone("", int(int8(t[6]))*15*60)
	return time.Date(1900+int(t[0]), time.Month(t[1]), int(t[2]), int(t[3]), int(t[4]), int(t[5]), 0, zone).UTC()
}

// piece is a part of a file that lies together, in bytes.
type piece struct{ at, size uint64 }

// node is a file, a folder or a link.
type node struct {
	v      *volume
	info   tree.Info
	pieces []piece
	target string // of a link
	refuse error  // why its content cannot be read
}

// node makes a node of a record.
func (v *volume) node(r record) *node {
	n := &node{v: v, info: tree.Info{Mode: 0o444, Modified: r.modified()}}
	if r.flags()&flagDirectory != 0 {
		n.info.Mode = fs.ModeDir | 0o555
	}
	n.add(r)
	return n
}

// Errors of what is there and cannot be read.
var (
	errKind        = errors.New("it is no file with content")
	errInterleaved = errors.New("it is interleaved")
	errCompressed  = errors.New("it is compressed (zisofs)")
)

// add appends the piece of a record.
func (n *node) add(r record) {
	if r.interleaved() {
		n.refuse = errInterleaved
	}
	n.pieces = append(n.pieces, piece{(r.at() + r.attributes()) * n.v.block, r.size()})
	switch {
	case n.info.Mode.IsRegular():
		n.info.Size += int64(r.size())
	case n.info.Mode.IsDir():
		n.info.Folder = int64(n.pieces[0].size)
	}
}

// Info implements [tree.Node].
func (n *node) Info() tree.Info { return n.info }

// Target implements [tree.Node].
func (n *node) Target() (string, error) {
	if n.info.Mode.Type() != fs.ModeSymlink {
		return "", errKind
	}
	return n.target, nil
}

// ReadAt implements [tree.Node].
func (n *node) ReadAt(b []byte, off int64) error {
	if !n.info.Mode.IsRegular() {
		return errKind
	}
	if n.refuse != nil {
		return n.refuse
	}
	at := uint64(off)
	for _, p := range n.pieces {
		if at >= p.size {
			at -= p.size
			continue
		}
		have := min(p.size-at, uint64(len(b)))
		if err := n.v.read(b[:have], p.at+at); err != nil {
			return err
		}
		if b, at = b[have:], 0; len(b) == 0 {
			return nil
		}
	}
	return damaged("a file ends too early")
}
