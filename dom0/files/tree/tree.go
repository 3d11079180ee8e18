// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package tree makes an [fs.FS] of a file system that is read from a disk: paths,
// symbolic links and listings are the same for all kinds of them.
//
// # Threats
//
// The disk is hostile input. What a path costs is bounded by the limits of this
// package: links that are followed, entries that a listing holds, bytes of folders
// that are looked at, of one and on the whole way. Names may hold anything but a slash; whoever shows them quotes
// them.
package tree

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"
)

// Limits.
const (
	// MaxFolder is how much of a folder is read, in bytes.
	MaxFolder = 16 << 20
	// MaxLinks is how many symbolic links a path may lead through.
	MaxLinks = 40
	// MaxTarget is the longest target of a symbolic link, in bytes.
	MaxTarget = 4096
	// maxWork is how much of folders may have to be read on the way to a file, in bytes,
	// and nameWork what looking for a name counts at least: links may lead through
	// the same folders tens of thousands of times.
	maxWork  = 128 << 20
	nameWork = 16 << 10
	// maxEntries is how many entries a listing holds.
	maxEntries = 4096
)

// Errors.
var (
	ErrDamaged = errors.New("the file system is damaged")
	ErrLinks   = errors.New("its symbolic links lead too far")
	ErrWork    = errors.New("the way there leads through too many folders, or too long ones")
	ErrMany    = errors.New("the folder has too many entries to list")
	ErrLong    = errors.New("the folder is longer than the 16 MiB that are read of one")
)

// Node is a file, a folder or a symbolic link. Its methods are safe for concurrent
// use.
type Node interface {
	Info() Info
	// ReadAt reads the content of a file: all of b, which lies within its size.
	ReadAt(b []byte, off int64) error
	// Each calls f with the entries of a folder in the order of the disk, without "."
	// and "..", until f returns false.
	Each(f func(Entry) bool) error
	// Target returns where a symbolic link leads.
	Target() (string, error)
}

// Info is what is known of a node.
type Info struct {
	Mode     fs.FileMode // type and permissions
	Size     int64       // of a file, in bytes
	Folder   int64       // of a folder: how much of the disk a look through it reads
	Modified time.Time
}

// Entry is a name in a folder. Load returns what it names.
type Entry struct {
	Name string
	Load func() (Node, error)
}

// FS is a file system. It implements [fs.FS]; its files implement [io.ReaderAt].
type FS struct {
	Kind  string // "ext4"
	Label string // as its maker gave it: any bytes
	// Warning says why its content may not be what was written last, or is "".
	Warning string
	Root    Node
	// Fold says that the case of letters in names does not matter.
	Fold bool
}

// Open implements [fs.FS]. Errors are of type [*fs.PathError].
func (f *FS) Open(name string) (fs.File, error) {
	n, err := f.find(name)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	x := opened{node: n, info: info{path.Base(name), n.Info()}}
	if x.info.IsDir() {
		return &folder{opened: x}, nil
	}
	return &file{opened: x, SectionReader: io.NewSectionReader(readerAt{n}, 0, x.info.Size())}, nil
}

// find walks from the root to what name names.
func (f *FS) find(name string) (Node, error) {
	if !fs.ValidPath(name) {
		return nil, fs.ErrInvalid
	}
	w := walk{fs: f, at: []Node{f.Root}}
	if name == "." {
		return f.Root, nil
	}
	return w.follow(strings.Split(name, "/"))
}

// walk is the way to a node: at are the folders from the root to where it is.
type walk struct {
	fs    *FS
	at    []Node
	links int
	work  int64 // as maxWork counts it
}

// follow goes on by the names of rest and returns where that leads.
func (w *walk) follow(rest []string) (Node, error) {
	for len(rest) > 0 {
		name := rest[0]
		rest = rest[1:]
		here := w.at[len(w.at)-1]
		switch {
		case !here.Info().Mode.IsDir():
			return nil, fs.ErrNotExist
		case name == "" || name == ".":
			continue
		case name == "..":
			w.at = w.at[:max(len(w.at)-1, 1)]
			continue
		}
		if w.work += max(here.Info().Folder, nameWork); w.work > maxWork {
			return nil, ErrWork
		}
		n, err := w.fs.child(here, name)
		if err != nil {
			return nil, err
		}
		if n.Info().Mode.Type() != fs.ModeSymlink {
			if len(w.at) > MaxTarget { // folders that hold each other
				return nil, ErrLinks
			}
			w.at = append(w.at, n)
			continue
		}
		if w.links++; w.links > MaxLinks {
			return nil, ErrLinks
		}
		target, err := n.Target()
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(target, "/") {
			w.at = w.at[:1]
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	return w.at[len(w.at)-1], nil
}

// child finds a name in a folder.
func (f *FS) child(dir Node, name string) (found Node, err error) {
	missing := true
	var loaded error
	err = dir.Each(func(e Entry) bool {
		if e.Name != name && !(f.Fold && strings.EqualFold(e.Name, name)) {
			return true
		}
		missing = false
		found, loaded = e.Load()
		return false
	})
	switch {
	case err != nil:
		return nil, err
	case missing:
		return nil, fs.ErrNotExist
	}
	return found, loaded
}

// readerAt gives a node's content to a [io.SectionReader], which keeps to its size.
type readerAt struct{ n Node }

func (r readerAt) ReadAt(b []byte, off int64) (int, error) {
	if err := r.n.ReadAt(b, off); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Names returns the names in a folder, most of them if there are many.
func (f *FS) Names(name string) (names []string, err error) {
	n, err := f.find(name)
	if err != nil {
		return nil, err
	}
	err = n.Each(func(e Entry) bool {
		names = append(names, e.Name)
		return len(names) < maxEntries/2
	})
	return names, err
}
