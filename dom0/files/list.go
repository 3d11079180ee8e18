// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package files

import (
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"ringo/dom0/files/part"
)

// List returns the files of a folder: boot modules of "", disks and their partitions
// of "disk:", what is in it of "disk:NAME/PATH" or "boot:NAME/PATH".
func (f *Files) List(folder string) (list []File, err error) {
	defer f.failed(&err)
	switch folder {
	case "", bootPrefix:
		return f.modules(), nil
	case diskPrefix:
		for _, d := range f.disks() {
			list = append(list, volumes(d)...)
		}
		return list, nil
	}
	p, err := f.place(folder)
	if err != nil {
		return nil, err
	}
	entries, err := fs.ReadDir(p.fs, p.path)
	if err != nil {
		return nil, p.missing(folder, err)
	}
	where := p.volume + "/"
	if p.path != "." {
		where += p.path + "/"
	}
	for _, e := range entries {
		x := File{Name: where + e.Name()}
		if in, err := e.Info(); err == nil {
			x.Size = in.Size()
		}
		switch {
		case e.IsDir():
			x.Name, x.Size = x.Name+"/", 0
		case e.Type() == fs.ModeSymlink:
			x.Note = "link"
			if in, err := fs.Stat(p.fs, path.Join(p.path, e.Name())); err == nil && in.IsDir() {
				x.Name += "/"
			} else if err == nil {
				x.Size = in.Size()
			}
		}
		list = append(list, x)
	}
	return list, nil
}

// volumes are a disk and its partitions, as folders, with what is known of them.
func volumes(d Disk) []File {
	d = d.fresh()
	name := diskPrefix + d.Name
	out := []File{{Name: name + "/", Size: d.Size}}
	t, err := part.Read(d.R, d.Size, d.Block)
	if err != nil {
		out[0].Note = err.Error()
		return out
	}
	out[0].Note = strings.TrimSpace(t.Kind + " " + t.Warning)
	if f, err := open(d.R, d.Size); err == nil {
		out[0].Note = strings.TrimSpace(out[0].Note + " " + describe(f.Kind, f.Label))
	}
	for _, p := range t.Parts {
		x := File{Name: fmt.Sprintf("%sp%d/", name, p.Number), Size: p.Size}
		r := io.NewSectionReader(d.R, p.Start, p.Size)
		if f, err := open(r, p.Size); err == nil {
			x.Note = describe(f.Kind, f.Label)
		} else if kind := foreign(r, p.Size); kind != "" {
			x.Note = kind
		}
		if p.Name != "" {
			x.Note = strings.TrimSpace(x.Note + fmt.Sprintf(" (%q)", p.Name))
		}
		out = append(out, x)
	}
	return out
}

// describe is a kind of file system and its label.
func describe(kind, label string) string {
	if label == "" {
		return kind
	}
	return fmt.Sprintf("%s %q", kind, label)
}
