// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package files finds what configurations name: boot modules, and files in the file
// systems of disks and of boot modules that are images of disks.
//
//	boot:vmlinuz                    a boot module
//	boot:debian.iso/install/vmlinuz a file in one
//	boot:usb.imgp1/vmlinuz          the same, in its first partition
//	disk:nvme0n1p2/boot/vmlinuz     a file on a disk of the machine
//	net:vmlinuz                     what was fetched under that name; also an image
//	http://server/vmlinuz           a file on a server
//
// Nothing of a file is kept: what [Files.Open] returns reads the disk; but what is
// fetched is kept in memory, see [Fetched].
//
// # Threats
//
// Disks and images are hostile input; see [ringo/dom0/files/tree] and the packages of
// the formats for what bounds their cost. A reader that panics fails the request.
package files

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"ringo/dom0/config/near"
	"ringo/dom0/hcall"
	"ringo/dom0/loader"
	"ringo/dom0/problem"
	"ringo/hv/abi"
)

// Prefixes of names.
const (
	bootPrefix = "boot:"
	diskPrefix = "disk:"
)

// Memory reaches physical memory that is mapped into dom0.
type Memory interface {
	Slice(addr, size uint64) []byte
}

// Disk is what has file systems. Size and Block are in bytes.
type Disk struct {
	Name  string
	R     io.ReaderAt
	Size  int64
	Block int
}

// Options are where files come from.
type Options struct {
	Memory  Memory
	Modules []abi.Module // without dom0 itself
	// Disks returns the disks of the machine; nil: there are none.
	Disks func() []Disk
	// Fetched are those that came over the network; nil: there are none.
	Fetched *Fetched
	// Web opens what an URL names, and returns its size; nil: there is no network.
	Web func(url string) (io.ReaderAt, int64, error)
	// Warn takes a line about a file system that is read in spite of something; nil
	// is for nobody.
	Warn func(line string)
}

// Files are those that can be named. Its methods are safe for concurrent use.
type Files struct {
	o Options

	mu     sync.Mutex
	warned map[string]bool // lines that were said
}

// New returns the files of o.
func New(o Options) *Files { return &Files{o: o, warned: map[string]bool{}} }

// File is a line of a list of files.
type File struct {
	Name string // as Open takes it; of a folder with a slash at the end, as List takes it
	Size int64  // in bytes; of a folder 0
	Note string // what is known of a disk or a partition
}

// Open finds a file. Its content is read when it is asked for; errors of that are
// part of a sentence about the file.
func (f *Files) Open(name string) (src loader.Source, err error) {
	defer f.failed(&err)
	if m := f.module(name); m != nil {
		return *m, nil
	}
	if isURL(name) {
		return f.url(name)
	}
	if !strings.Contains(name, "/") && !strings.HasPrefix(name, diskPrefix) {
		return src, f.noModule(name)
	}
	p, err := f.place(name)
	if err != nil {
		return src, err
	}
	return p.open(name)
}

// failed makes an error of a panic; it is deferred.
func (f *Files) failed(err *error) {
	if v := recover(); v != nil {
		*err = problem.Panic(v)
	}
}

// module returns the boot module with a name, or what was fetched, or nil.
func (f *Files) module(name string) *loader.Source {
	if s, ok := f.o.Fetched.source(name); ok {
		return &s
	}
	for i := range f.o.Modules {
		if m := &f.o.Modules[i]; bootPrefix+hcall.Text(m.Name[:]) == name {
			return &loader.Source{Name: name, R: bytes.NewReader(f.o.Memory.Slice(m.Start, m.Size)), Size: int64(m.Size)}
		}
	}
	return nil
}

// noModule is the error for a name that is no boot module's.
func (f *Files) noModule(name string) error {
	// The prefix is no part of what may be misspelt.
	var known []string
	for _, m := range f.modules() {
		known = append(known, strings.TrimPrefix(m.Name, bootPrefix))
	}
	if w, ok := near.Word(strings.TrimPrefix(name, bootPrefix), known); ok {
		if !strings.HasPrefix(w, fetchedPrefix) {
			w = bootPrefix + w
		}
		return problem.New(problem.NotFound, fmt.Sprintf("did you mean %q?", w), "no file %q", name)
	}
	return problem.New(problem.NotFound, "the command files lists what there is", "no file %q", name)
}

// modules lists the boot modules, and what was fetched.
func (f *Files) modules() []File {
	var out []File
	for i := range f.o.Modules {
		out = append(out, File{Name: bootPrefix + hcall.Text(f.o.Modules[i].Name[:]), Size: int64(f.o.Modules[i].Size)})
	}
	for _, t := range f.o.Fetched.Transfers() {
		switch {
		case !t.Ended:
			out = append(out, File{Name: t.Name, Size: t.Done, Note: "being fetched"})
		case t.Err != nil:
			out = append(out, File{Name: t.Name, Note: "failed: " + t.Err.Error()})
		default:
			out = append(out, File{Name: t.Name, Size: t.Done, Note: "from " + t.From})
		}
	}
	slices.SortFunc(out, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// disks are those of the machine.
func (f *Files) disks() []Disk {
	if f.o.Disks == nil {
		return nil
	}
	return f.o.Disks()
}

// warn says a line, once.
func (f *Files) warn(line string) {
	f.mu.Lock()
	said := f.warned[line]
	f.warned[line] = true
	f.mu.Unlock()
	if !said && f.o.Warn != nil {
		f.o.Warn(line)
	}
}
