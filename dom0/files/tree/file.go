// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package tree

import (
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"
)

// info implements [fs.FileInfo].
type info struct {
	name string
	Info
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.Info.Size }
func (i info) Mode() fs.FileMode  { return i.Info.Mode }
func (i info) ModTime() time.Time { return i.Modified }
func (i info) IsDir() bool        { return i.Info.Mode.IsDir() }
func (i info) Sys() any           { return nil }

// opened is what files and folders have in common.
type opened struct {
	node Node
	info info
}

func (o *opened) Stat() (fs.FileInfo, error) { return o.info, nil }
func (o *opened) Close() error               { return nil }

// file is a file; its size bounds what is read.
type file struct {
	opened
	*io.SectionReader
}

// folder implements [fs.ReadDirFile].
type folder struct {
	opened
	list []fs.DirEntry
	read bool
}

func (d *folder) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.info.name, Err: fs.ErrInvalid}
}

// ReadDir implements [fs.ReadDirFile]. What cannot be loaded is left out.
func (d *folder) ReadDir(n int) ([]fs.DirEntry, error) {
	if !d.read {
		if err := d.load(); err != nil {
			return nil, &fs.PathError{Op: "readdir", Path: d.info.name, Err: err}
		}
		d.read = true
	}
	if n <= 0 {
		n = len(d.list)
	} else if len(d.list) == 0 {
		return nil, io.EOF
	}
	n = min(n, len(d.list))
	out := d.list[:n:n]
	d.list = d.list[n:]
	return out, nil
}

// load reads the folder.
func (d *folder) load() error {
	var many bool
	err := d.node.Each(func(e Entry) bool {
		if many = len(d.list) == maxEntries; many {
			return false
		}
		if !fs.ValidPath(e.Name) || strings.Contains(e.Name, "/") {
			return true
		}
		if n, err := e.Load(); err == nil {
			d.list = append(d.list, fs.FileInfoToDirEntry(info{e.Name, n.Info()}))
		}
		return true
	})
	if many {
		return ErrMany
	}
	slices.SortFunc(d.list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return err
}
