// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package format

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"ringo/dom0/loader"
)

// Limits of a description.
const (
	maxText    = 64 << 10
	maxExtents = 256
)

// description reads that of a VMDK disk, which lies at a sector and has so many.
func description(f loader.Source, at, sectors uint64) (string, error) {
	if sectors > maxText/vmSector || at > uint64(f.Size)/vmSector {
		return "", fmt.Errorf("%w a description of %d sectors at sector %d", errHas, sectors, at)
	}
	b := make([]byte, sectors*vmSector)
	err := whole(f, b, at*vmSector)
	text, _, _ := strings.Cut(string(b), "\x00")
	return text, err
}

// alone returns why a disk with a description cannot be read without another one.
func alone(text string) error {
	for l := range strings.Lines(text) {
		key, value, _ := strings.Cut(l, "=")
		if strings.TrimSpace(key) == "parentCID" && !strings.EqualFold(strings.TrimSpace(value), "ffffffff") {
			return fmt.Errorf("%w a disk below it (a snapshot of VMware's)", errUses)
		}
	}
	return nil
}

// extent is a part of a disk.
type extent struct {
	Disk
	from int64 // where it begins in its file
}

// extents are the parts of a disk, one after the other.
type extents struct {
	all  []extent
	size int64
}

// described is a disk whose description is a file, and names others ("The Extent
// Description").
func (o opener) described(f loader.Source) (d Disk, err error) {
	if f.Size > maxText {
		return d, fmt.Errorf("%w a description of %d bytes", errHas, f.Size)
	}
	b := make([]byte, f.Size)
	if err := whole(f, b, 0); err != nil {
		return d, err
	}
	if err := alone(string(b)); err != nil {
		return d, err
	}
	x := &extents{}
	for l := range strings.Lines(string(b)) {
		if w := strings.Fields(l); len(w) < 3 || w[0] != "RW" && w[0] != "RDONLY" {
			continue
		}
		e, err := o.extent(f, strings.TrimSpace(l))
		if err != nil {
			return d, err
		}
		if len(x.all) == maxExtents || e.Size > MaxSize-x.size {
			return d, fmt.Errorf("%w too many, or too large, parts", errHas)
		}
		x.all = append(x.all, e)
		x.size += e.Size
		d.Memory += e.Memory
	}
	d.R, d.Size = x, x.size
	return d, nil
}

// extent is a part that a line describes: its access, sectors, type, file and where in that
// it begins.
func (o opener) extent(f loader.Source, line string) (e extent, err error) {
	bad := func(why string) (extent, error) {
		return e, fmt.Errorf("%w the part %q, %s", errHas, line[:min(len(line), 100)], why)
	}
	before, rest, named := strings.Cut(line, `"`)
	name, after, closed := strings.Cut(rest, `"`)
	w := strings.Fields(before)
	if len(w) != 3 || named != closed {
		return bad("which is not understood")
	}
	n, err := strconv.ParseUint(w[1], 10, 64)
	if err != nil || n == 0 || n > MaxSize/vmSector {
		return bad("whose size is not one")
	}
	size := int64(n * vmSector)
	from := uint64(0)
	if s := strings.TrimSpace(after); s != "" {
		if from, err = strconv.ParseUint(strings.Fields(s)[0], 10, 64); err != nil || from > MaxSize/vmSector {
			return bad("whose beginning is not one")
		}
	}
	if w[2] == "ZERO" {
		e.Size = size
		return e, nil
	}
	if w[2] != "FLAT" && w[2] != "VMFS" && w[2] != "SPARSE" {
		return bad("of a type that cannot be read here")
	}
	g, err := o.beside(f, name)
	if err != nil {
		return e, err
	}
	if w[2] == "SPARSE" {
		if e.Disk, err = o.vmdk(g); err != nil {
			return e, refused(g, "VMDK", err)
		}
	} else {
		e.Disk, e.from = Disk{R: g.R, Size: g.Size}, int64(from*vmSector)
	}
	if e.from > e.Size || size > e.Size-e.from {
		return bad("which its file is too short for")
	}
	e.Size = size
	return e, nil
}

// ReadAt implements [io.ReaderAt].
func (x *extents) ReadAt(b []byte, off int64) (int, error) {
	return split(b, off, x.size, vmSector, x.read)
}

// read reads a part of sector n.
func (x *extents) read(n, from uint64, b []byte) error {
	at := int64(n*vmSector + from)
	for i := range x.all {
		e := &x.all[i]
		if at >= e.Size {
			at -= e.Size
			continue
		}
		if e.R == nil {
			clear(b)
			return nil
		}
		if m, err := e.R.ReadAt(b, e.from+at); m < len(b) {
			return err
		}
		return nil
	}
	return errors.New("there is no such part")
}
