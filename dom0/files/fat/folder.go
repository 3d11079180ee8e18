// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package fat

import (
	"encoding/binary"
	"errors"
	"strings"
	"time"
	"unicode/utf16"

	"ringo/dom0/files/tree"
)

// An entry of a folder ("FAT Directory Structure", "FAT Long Directory Entries").
const (
	entryLen = 32

	enAttr      = 11
	enCase      = 12 // of Windows NT: letters of the short name that are small
	enFirstHigh = 20
	enTime      = 22
	enDate      = 24
	enFirst     = 26
	enSize      = 28

	attrReadOnly  = 0x01
	attrLabel     = 0x08
	attrDirectory = 0x10
	attrLong      = 0x0f
	attrMask      = 0x3f

	smallBase, smallExtension = 0x08, 0x10

	lnLast     = 0x40 // of the first byte: the number of a part of a name
	lnChecksum = 13
	lnChars    = 13 // UTF-16 units of a part
	lnParts    = 20
)

// maxFolder is how many entries a folder has at most.
const maxFolder = 65536

// Each implements [tree.Node].
func (n *node) Each(f func(tree.Entry) bool) error {
	if !n.dir {
		return errKind
	}
	var l long
	return n.entries(func(e []byte) bool {
		name, ok := l.name(e)
		if !ok || name == "." || name == ".." {
			return true
		}
		x := n.v.node(e)
		return f(tree.Entry{Name: name, Load: func() (tree.Node, error) { return x, nil }})
	})
}

// node makes a node of an entry.
func (v *volume) node(e []byte) *node {
	le := binary.LittleEndian
	x := &node{
		v: v, dir: e[enAttr]&attrDirectory != 0, readOnly: e[enAttr]&attrReadOnly != 0,
		first: uint32(le.Uint16(e[enFirst:])), size: le.Uint32(e[enSize:]),
		modified: stamp(le.Uint16(e[enDate:]), le.Uint16(e[enTime:])),
	}
	if v.bits == 32 {
		x.first |= uint32(le.Uint16(e[enFirstHigh:])) << 16
	}
	return x
}

// stamp is a date and a time of two seconds' exactness, in the zone of who knows.
func stamp(d, t uint16) time.Time {
	if d == 0 {
		return time.Time{}
	}
	return time.Date(1980+int(d>>9), time.Month(d>>5&15), int(d&31), int(t>>11), int(t>>5&63), int(t&31)*2, 0, time.UTC)
}

// label finds the name of the file system in its root.
func (n *node) label() (s string) {
	_ = n.entries(func(e []byte) bool {
		if a := e[enAttr]; a&attrMask != attrLong && a&(attrLabel|attrDirectory) == attrLabel {
			s = strings.TrimRight(string(e[:11]), " ")
			return false
		}
		return true
	})
	return s
}

// entries calls f with the entries of a folder that are used, until it returns false.
func (n *node) entries(f func(e []byte) bool) error {
	fixed := n.first == 0
	if fixed && n.v.rootSize == 0 {
		return n.v.check(0)
	}
	b := make([]byte, min(n.v.cluster, 4096))
	for off := uint64(0); off < maxFolder*entryLen; off += uint64(len(b)) {
		var err error
		if fixed {
			if off >= n.v.rootSize {
				return nil
			}
			b = b[:min(uint64(len(b)), n.v.rootSize-off)]
			err = n.v.read(b, n.v.root+off)
		} else {
			err = n.content(b, off)
		}
		if errors.Is(err, errShort) {
			return nil // a folder may be full
		}
		if err != nil {
			return err
		}
		for e := b; len(e) >= entryLen; e = e[entryLen:] {
			if e[0] == 0 {
				return nil
			}
			if e[0] != 0xe5 && !f(e[:entryLen]) {
				return nil
			}
		}
	}
	return nil
}

// long collects the parts of a long name, which come before the short one, the last
// part first.
type long struct {
	units [lnParts * lnChars]uint16
	want  int // the number of the next part; 0: all are there, -1: there is none
	parts int
	sum   byte
}

// name takes an entry and returns the name of a file or folder, if it is one.
func (l *long) name(e []byte) (string, bool) {
	attr := e[enAttr]
	if attr&attrMask == attrLong {
		l.add(e)
		return "", false
	}
	defer func() { l.parts = 0 }()
	if attr&attrLabel != 0 {
		return "", false
	}
	if l.parts > 0 && l.want == 0 && l.sum == checksum(e) {
		u := l.units[:l.parts*lnChars]
		for i, c := range u {
			if c == 0 {
				u = u[:i]
				break
			}
		}
		return string(utf16.Decode(u)), true
	}
	return short(e), true
}

// add takes a part of a long name.
func (l *long) add(e []byte) {
	number := int(e[0] &^ lnLast)
	if e[0]&lnLast != 0 && number >= 1 && number <= lnParts {
		l.parts, l.want, l.sum = number, number, e[lnChecksum]
	}
	if l.parts == 0 || number == 0 || number != l.want || e[lnChecksum] != l.sum {
		l.parts = 0
		return
	}
	at := (number - 1) * lnChars
	for _, r := range [][2]int{{1, 11}, {14, 26}, {28, 32}} {
		for i := r[0]; i < r[1]; i += 2 {
			l.units[at] = binary.LittleEndian.Uint16(e[i:])
			at++
		}
	}
	l.want--
}

// checksum is that of a short name, which its long one carries.
func checksum(e []byte) (sum byte) {
	for _, c := range e[:11] {
		sum = sum>>1 | sum<<7
		sum += c
	}
	return sum
}

// short is a name of eight letters and three. Those beyond ASCII are taken for
// Latin-1: which code page they are of is written nowhere.
func short(e []byte) string {
	part := func(b []byte, small bool) string {
		var s strings.Builder
		for _, c := range b {
			if small && c >= 'A' && c <= 'Z' {
				c += 'a' - 'A'
			}
			s.WriteRune(rune(c))
		}
		return strings.TrimRight(s.String(), " ")
	}
	if e[0] == 0x05 { // stands for what would mean that it is deleted
		e = append([]byte{0xe5}, e[1:]...)
	}
	base, extension := part(e[:8], e[enCase]&smallBase != 0), part(e[8:11], e[enCase]&smallExtension != 0)
	if extension == "" {
		return base
	}
	return base + "." + extension
}
