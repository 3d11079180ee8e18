// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package ext

import (
	"encoding/binary"

	"ringo/dom0/files/tree"
)

// Each implements [tree.Node].
func (x *inode) Each(f func(tree.Entry) bool) error {
	switch {
	case !x.info.Mode.IsDir():
		return errDevice
	case x.flags&flagEncrypted != 0:
		return errEncrypted
	case x.size > tree.MaxFolder:
		return tree.ErrLong
	}
	if x.flags&flagInline != 0 {
		// The number of the folder above comes first, then entries; more of them in
		// the attribute ("Inline Directories").
		if more, err := x.entries(x.i[4:], f); err != nil || !more {
			return err
		}
		_, err := x.entries(x.overrun, f)
		return err
	}
	b := make([]byte, x.v.block)
	for off := uint64(0); off < x.size; off += x.v.block {
		n := min(x.v.block, x.size-off)
		if err := x.content(b[:n], off); err != nil {
			return err
		}
		if more, err := x.entries(b[:n], f); err != nil || !more {
			return err
		}
	}
	return nil
}

// entries calls f with the entries of a block, until that returns false ("Linear
// (Classic) Directories"). Nodes of a hash tree look like entries that are not used.
func (x *inode) entries(b []byte, f func(tree.Entry) bool) (more bool, err error) {
	const least = 8
	le := binary.LittleEndian
	for len(b) >= least {
		number, size, name := le.Uint32(b), uint64(le.Uint16(b[4:])), int(b[6])
		// Of blocks of 64 KiB the two low bits are those above the others.
		if size == 0xffff || size == 0 && x.v.block == 1<<16 {
			size = 1 << 16
		}
		size = size&^3 | size&3<<16
		if size < least || size > uint64(len(b)) || number != 0 && uint64(least+name) > size {
			return false, damaged("an entry of a folder has no end")
		}
		if number != 0 {
			e := tree.Entry{Name: string(b[least : least+name]), Load: func() (tree.Node, error) { return x.v.node(number) }}
			if e.Name != "." && e.Name != ".." && !f(e) {
				return false, nil
			}
		}
		b = b[size:]
	}
	return true, nil
}

// node is inode as a node.
func (v *volume) node(n uint32) (tree.Node, error) {
	x, err := v.inode(n)
	if err != nil {
		return nil, err
	}
	return x, nil
}
