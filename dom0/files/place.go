// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package files

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"ringo/dom0/config/near"
	"ringo/dom0/files/part"
	"ringo/dom0/files/tree"
	"ringo/dom0/loader"
	"ringo/dom0/problem"
)

// place is where a file may be: a path in a file system.
type place struct {
	volume string // "disk:nvme0n1p1"
	path   string // as fs.FS has it
	fs     *tree.FS
}

// place finds the file system of a name, and opens it.
func (f *Files) place(name string) (*place, error) {
	volume, rest, _ := strings.Cut(name, "/")
	p := &place{volume: volume, path: cmp.Or(path.Clean("/" + rest)[1:], ".")}
	d, number, err := f.device(volume)
	if err != nil {
		return nil, err
	}
	d = d.fresh()
	r, size := d.R, d.Size
	var table part.Table
	if number != 0 {
		if table, err = part.Read(d.R, d.Size, d.Block); err != nil {
			return nil, problem.New(problem.Refused, "", "disk %s cannot be read: %v", d.Name, err)
		}
		q, ok := table.Find(number)
		if !ok {
			return nil, problem.New(problem.NotFound, has(d.Name, table), "%s has no partition %d", d.Name, number)
		}
		r, size = io.NewSectionReader(d.R, q.Start, q.Size), q.Size
	}
	if p.fs, err = open(r, size); err != nil {
		return nil, f.unreadable(volume, d, number, err)
	}
	if p.fs.Warning != "" {
		f.warn(fmt.Sprintf("warning: %s (%s) %s", volume, p.fs.Kind, p.fs.Warning))
	}
	return p, nil
}

// fresh returns the disk as it is now: somebody may have written it since it was read, and
// a drive may have another medium, of which some say only when they are asked for data.
func (d Disk) fresh() Disk {
	if r, ok := d.R.(interface {
		Forget()
		Size() int64
	}); ok {
		r.Forget()
		_, _ = d.R.ReadAt(make([]byte, imageBlock), 0)
		d.Size = r.Size()
	}
	return d
}

// device finds a disk or a boot module by name, and the number of the partition that
// is asked for, or 0.
func (f *Files) device(volume string) (d Disk, number int, err error) {
	base, number := part.Cut(volume)
	for _, name := range []string{volume, base} {
		if name != volume && number == 0 {
			break
		}
		n := number
		if name == volume {
			n = 0
		}
		if m := f.module(name); m != nil {
			return Disk{m.Name, m.R, m.Size, imageBlock}, n, nil
		}
		if disk, ok := strings.CutPrefix(name, diskPrefix); ok {
			for _, d := range f.disks() {
				if d.Name == disk {
					return d, n, nil
				}
			}
		}
	}
	if !strings.HasPrefix(volume, diskPrefix) {
		return d, 0, f.noModule(volume)
	}
	return d, 0, f.noDisk(strings.TrimPrefix(base, diskPrefix))
}

// imageBlock is the block size of an image in a boot module.
const imageBlock = 512

// noDisk is the error for a name that is no disk's.
func (f *Files) noDisk(name string) error {
	var known []string
	for _, d := range f.disks() {
		known = append(known, d.Name)
	}
	remedy := "this machine has none that can be read"
	if w, ok := near.Word(name, known); ok {
		remedy = fmt.Sprintf("did you mean %q?", diskPrefix+w)
	} else if len(known) > 0 {
		remedy = "there is " + strings.Join(known, ", ")
	}
	return problem.New(problem.NotFound, remedy, "no disk %q", name)
}

// has says which partitions a disk has, as a remedy.
func has(name string, t part.Table) string {
	if t.Warning != "" {
		return t.Warning
	}
	if len(t.Parts) == 0 {
		return "it has no partitions: leave the number out"
	}
	var list []string
	for _, p := range t.Parts {
		if list = append(list, fmt.Sprintf("%sp%d", name, p.Number)); len(list) == 8 {
			list = append(list, "...")
			break
		}
	}
	return "there is " + strings.Join(list, ", ")
}

// unreadable says why a file system could not be opened, and what else there may be.
func (f *Files) unreadable(volume string, d Disk, number int, err error) error {
	remedy := ""
	if t, err := part.Read(d.R, d.Size, d.Block); number == 0 && err == nil && len(t.Parts) > 0 {
		remedy = has(volume, t)
	}
	return problem.New(problem.Refused, remedy, "%s %v", volume, err)
}

// open returns the file of the place, which name names.
func (p *place) open(name string) (loader.Source, error) {
	x, err := p.fs.Open(p.path)
	if err != nil {
		return loader.Source{}, p.missing(name, err)
	}
	in, err := x.Stat()
	switch {
	case err != nil:
		return loader.Source{}, err
	case in.IsDir():
		return loader.Source{}, problem.New(problem.Invalid, "files "+strings.TrimSuffix(name, "/")+"/ lists what is in it", "%q is a folder", name)
	case !in.Mode().IsRegular():
		return loader.Source{}, problem.New(problem.Invalid, "", "%q is no file with content", name)
	}
	return loader.Source{Name: name, R: content{x.(io.ReaderAt)}, Size: in.Size()}, nil
}

// missing says what is wrong with a path, and which may be meant.
func (p *place) missing(name string, err error) error {
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		err = pe.Err
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return problem.New(problem.Refused, "", "%q cannot be read: %v", name, err)
	}
	// The longest part of the path that is there.
	dir, rest := p.path, ""
	for dir != "." {
		dir, rest = path.Dir(dir), path.Base(dir)
		in, err := fs.Stat(p.fs, dir)
		if err != nil {
			continue
		}
		if !in.IsDir() {
			return problem.New(problem.NotFound, "", "no file %q: %s is no folder", name, path.Base(dir))
		}
		break
	}
	where := p.volume + "/"
	if dir != "." {
		where += dir + "/"
	}
	if names, err := p.fs.Names(dir); err == nil {
		if w, ok := near.Word(rest, names); ok {
			return problem.New(problem.NotFound, fmt.Sprintf("did you mean %q?", where+w), "no file %q", name)
		}
	}
	return problem.New(problem.NotFound, "files "+where+" lists what there is", "no file %q", name)
}

// content reads a file; what goes wrong fails the one who reads.
type content struct{ r io.ReaderAt }

// ReadAt implements [io.ReaderAt].
func (c content) ReadAt(b []byte, off int64) (n int, err error) {
	defer func() {
		if v := recover(); v != nil {
			n, err = 0, problem.Panic(v)
		}
		if err != nil && !errors.Is(err, io.EOF) {
			err = fmt.Errorf("cannot be read: %w", err)
		}
	}()
	return c.r.ReadAt(b, off)
}
