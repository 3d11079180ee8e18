// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package format reads files that contain a disk in one of the formats of other
// hypervisors: qcow2, VMDK and VHD. What is in none of them is a raw image.
//
// Nothing of the tables that such a file has is kept: each entry is read when it is needed,
// from the file, for which its disk has a cache. Of compressed data one cluster is kept.
//
// # Threats
//
//	a file does                           what happens
//	------------------------------------  ---------------------------------------
//	lies about sizes or offsets           an error when it is opened, or when what
//	                                      lies there is read
//	says that it is huge                  [MaxSize] is the limit; memory does not
//	                                      depend on it
//	names files that it is made of       that is looked for in its own folder only,
//	                                      and [depth] files deep
//	has data that grow when unpacked      a cluster is unpacked, into its size
package format

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"ringo/dom0/loader"
	"ringo/dom0/problem"
)

// MaxSize is the largest disk, in bytes, as large as qcow2 can be with its usual clusters.
const MaxSize = 64 << 40

// depth is of how many files one can be made, each on top of the next.
const depth = 8

// Disk is what a file contains.
type Disk struct {
	R    io.ReaderAt
	Size int64  // in bytes
	Kind string // of format, "" is a raw image
	// Memory is how many bytes of the heap are kept at most.
	Memory uint64
}

// opener finds other files in a file's folder.
type opener struct {
	open func(name string) (loader.Source, error)
	left int // how many more there may be
}

// Open looks at what a file contains. open finds other files that it is made of.
func Open(f loader.Source, open func(name string) (loader.Source, error)) (Disk, error) {
	return opener{open, depth}.disk(f)
}

// kind is a format that a file begins with; open is nil where it is only known.
type kind struct {
	magic, name string
	open        func(f loader.Source) (Disk, error)
}

func (o opener) kinds() []kind {
	return []kind{
		{"QFI\xfb", "qcow2", o.qcow2}, {"vhdxfile", "VHDX", nil}, {"KDMV", "VMDK", o.vmdk}, {vhdCookie, "VHD", o.vhd}, {"# Disk Descriptor", "VMDK", o.described},
		{"<<< ", "VDI", nil},
	}
}

func (o opener) disk(f loader.Source) (d Disk, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = problem.Panic(v)
		}
	}()
	var head [20]byte
	if err := whole(f, head[:min(int64(len(head)), f.Size)], 0); err != nil {
		return d, fmt.Errorf("%q %w", f.Name, err)
	}
	for _, x := range o.kinds() {
		if !strings.HasPrefix(string(head[:]), x.magic) {
			continue
		}
		if x.open == nil {
			return d, problem.New(problem.Unsupported, "make a raw one, for instance with qemu-img convert -O raw", "%q is in the format %s", f.Name, x.name)
		}
		d, err := x.open(f)
		if err != nil {
			return d, refused(f, x.name, err)
		}
		d.Kind = x.name
		if d.Size <= 0 || d.Size > MaxSize {
			return d, refused(f, x.name, fmt.Errorf("%w a disk of %d bytes", errHas, d.Size))
		}
		return d, nil
	}
	if d, ok := fixed(f); ok {
		return d, nil
	}
	return Disk{R: f.R, Size: f.Size}, nil
}

// refused says why a file cannot be used.
func refused(f loader.Source, kind string, err error) error {
	if p := (*problem.Error)(nil); errors.As(err, &p) {
		return err // of another file
	}
	return problem.New(problem.Refused, "qemu-img convert -O raw makes an image of it that can be used, if it can be read there", "%q is %s, and %v", f.Name, kind, err)
}

// What is wrong begins so.
var (
	errHas  = errors.New("says that it has")
	errUses = errors.New("uses what cannot be read here:")
)

// whole reads all of b, or says why that cannot be.
func whole(f loader.Source, b []byte, at uint64) error {
	if at > uint64(f.Size) || uint64(len(b)) > uint64(f.Size)-at {
		return fmt.Errorf("%w something beyond its end, at %d", errHas, at)
	}
	if n, err := f.R.ReadAt(b, int64(at)); n < len(b) {
		return err
	}
	return nil
}

// padded reads b, and zeros where the file has ended: what was written last need not have
// been all of a cluster.
func padded(f loader.Source, b []byte, at uint64) error {
	if at >= uint64(f.Size) {
		return fmt.Errorf("%w data beyond its end, at %d", errHas, at)
	}
	n := min(uint64(len(b)), uint64(f.Size)-at)
	clear(b[n:])
	return whole(f, b[:n], at)
}

// beside finds another file, in the folder of f.
func (o opener) beside(f loader.Source, name string) (loader.Source, error) {
	if o.left == 0 {
		return f, fmt.Errorf("%w more than %d files", errUses, depth)
	}
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\\:\x00\n\r") {
		return f, fmt.Errorf("it is made of %q, which is not in its folder: rebase it to a name without folders", name)
	}
	folder := f.Name[:strings.LastIndexAny(f.Name, "/:")+1]
	g, err := o.open(folder + name)
	if err != nil {
		return f, fmt.Errorf("it is made of another file: %w", err)
	}
	return g, nil
}

// layer finds the disk that lies below the one of f.
func (o opener) layer(f loader.Source, name string) (Disk, error) {
	g, err := o.beside(f, name)
	if err != nil {
		return Disk{}, err
	}
	return opener{o.open, o.left - 1}.disk(g)
}

// split calls f with the parts of b, which lies at off, that are in one cluster each: the
// number of that, where in it the part begins, and the part. It is for disks of size bytes,
// as [io.ReaderAt] has it.
func split(b []byte, off, size int64, cluster uint64, f func(n, from uint64, b []byte) error) (done int, err error) {
	if off < 0 {
		return 0, errors.New("a negative offset")
	}
	if off >= size {
		return 0, io.EOF
	}
	end := error(nil)
	if int64(len(b)) > size-off {
		b, end = b[:size-off], io.EOF
	}
	for done < len(b) {
		at := uint64(off) + uint64(done)
		from := at % cluster
		k := int(min(cluster-from, uint64(len(b)-done)))
		if err := f(at/cluster, from, b[done:done+k]); err != nil {
			return done, err
		}
		done += k
	}
	return done, end
}
