// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package iso

import (
	"encoding/binary"
	"io/fs"
	"strings"

	"ringo/dom0/files/tree"
)

// maxAreas is how many continuations the fields of a record have.
const maxAreas = 16

// fields calls f with the fields of SUSP that belong to a record, wherever they are
// continued.
func (v *volume) fields(use []byte, f func(id string, b []byte)) error {
	for range maxAreas {
		var next []byte
		for len(use) >= 4 {
			size := int(use[2])
			if size < 4 || size > len(use) {
				break
			}
			b := use[:size]
			switch id := string(b[:2]); {
			case id == "ST":
				use = nil
				continue
			case id == "CE" && size >= 28:
				next = b
			default:
				f(id, b)
			}
			use = use[size:]
		}
		if next == nil {
			return nil
		}
		le := binary.LittleEndian
		at, off, size := uint64(le.Uint32(next[4:])), uint64(le.Uint32(next[12:])), uint64(le.Uint32(next[20:]))
		if off+size > sector {
			return damaged("a continuation of %d bytes", size)
		}
		use = make([]byte, size)
		if err := v.read(use, at*v.block+off); err != nil {
			return err
		}
	}
	return damaged("continuations without an end")
}

// ridge is describe by the fields of Rock Ridge.
func (n *node) ridge(r record, id []byte) (string, error) {
	var name strings.Builder
	var target link
	use := r.systemUse()
	gone := false
	err := n.v.fields(use[min(n.v.skip, len(use)):], func(id string, b []byte) {
		switch {
		case id == "NM" && len(b) >= 5 && b[4]&^1 == 0 && name.Len() < 1024:
			name.Write(b[5:])
		case id == "PX" && len(b) >= 8:
			n.permit(binary.LittleEndian.Uint32(b[4:]))
		case id == "SL" && len(b) >= 5:
			target.add(b[5:])
		case id == "CL" && len(b) >= 8: // a folder that was moved up because it lay too deep
			n.info.Mode = n.info.Mode.Perm() | fs.ModeDir
			n.info.Size = 0
			gone = n.move(binary.LittleEndian.Uint32(b[4:])) != nil
		case id == "RE": // one that was moved here
			gone = true
		case id == "ZF":
			n.refuse = errCompressed
		}
	})
	if n.info.Mode.Type() == fs.ModeSymlink {
		n.target, n.info.Size = target.String(), 0
	}
	switch {
	case err != nil || gone:
		return "", err
	case name.Len() == 0:
		return withoutVersion(string(id)), nil
	}
	return name.String(), nil
}

// permit takes a mode of POSIX.
func (n *node) permit(m uint32) {
	mode := fs.FileMode(m & 0o777)
	switch m & 0xf000 {
	case 0x8000:
	case 0x4000:
		mode |= fs.ModeDir
	case 0xa000:
		mode |= fs.ModeSymlink
	default:
		mode |= fs.ModeIrregular
	}
	if mode.IsDir() != n.info.Mode.IsDir() {
		return // the record knows better
	}
	n.info.Mode = mode
}

// move takes the content of a folder from its own first record.
func (n *node) move(block uint32) error {
	at := uint64(block) * n.v.block
	b := make(record, recordLeast+1)
	if err := n.v.read(b, at); err != nil {
		return err
	}
	n.pieces = []piece{{(b.at() + b.attributes()) * n.v.block, b.size()}}
	return nil
}

// link collects the parts of a symbolic link ("SL", "Component Record").
type link struct {
	strings.Builder
	joined bool // the next part belongs to the last one
}

// add takes the components of a field.
func (l *link) add(b []byte) {
	const more, current, parent, root = 1, 2, 4, 8
	for len(b) >= 2 && 2+int(b[1]) <= len(b) && l.Len() < tree.MaxTarget {
		flags, text := b[0], string(b[2:2+int(b[1])])
		switch {
		case flags&current != 0:
			text = "."
		case flags&parent != 0:
			text = ".."
		case flags&root != 0:
			text = ""
		}
		if l.Len() > 0 && !l.joined && !strings.HasSuffix(l.String(), "/") {
			l.WriteByte('/')
		}
		l.WriteString(text)
		if flags&root != 0 {
			l.WriteByte('/')
		}
		l.joined = flags&more != 0
		b = b[2+int(b[1]):]
	}
}
