// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package domain

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"ringo/dom0/account"
	"ringo/dom0/config"
	"ringo/dom0/config/near"
	"ringo/dom0/guestmem"
	"ringo/dom0/hcall"
	"ringo/dom0/loader"
	"ringo/dom0/problem"
	"ringo/hv/abi"
)

// Files are what configurations may name.
type Files interface {
	// Open finds a file: "boot:NAME" is a boot module.
	Open(name string) (loader.Source, error)
	// List returns all files, by name.
	List() []File
}

// File is a line of the list of files.
type File struct {
	Name string // as Open takes it
	Size int64
}

// modulePrefix stands before the names of boot modules.
const modulePrefix = "boot:"

// Modules are the files that the boot loader brought along.
type Modules struct {
	mem  Memory
	list []abi.Module
}

// NewModules returns the boot modules in mem. The first module of the image list
// that is dom0 itself should not be among them.
func NewModules(mem Memory, list []abi.Module) *Modules { return &Modules{mem, list} }

// Open implements [Files].
func (f *Modules) Open(name string) (loader.Source, error) {
	for i := range f.list {
		if m := &f.list[i]; modulePrefix+hcall.Text(m.Name[:]) == name {
			return loader.Source{
				Name: name, R: bytes.NewReader(f.mem.Slice(m.Start, m.Size)), Size: int64(m.Size),
			}, nil
		}
	}
	// The prefix is no part of what may be misspelt.
	var known []string
	for _, file := range f.List() {
		known = append(known, strings.TrimPrefix(file.Name, modulePrefix))
	}
	if w, ok := near.Word(strings.TrimPrefix(name, modulePrefix), known); ok {
		return loader.Source{}, problem.New(problem.NotFound, fmt.Sprintf("did you mean %q?", modulePrefix+w), "no file %q", name)
	}
	return loader.Source{}, problem.New(problem.NotFound, "the command files lists what there is", "no file %q", name)
}

// List implements [Files].
func (f *Modules) List() []File {
	var out []File
	for i := range f.list {
		out = append(out, File{modulePrefix + hcall.Text(f.list[i].Name[:]), int64(f.list[i].Size)})
	}
	slices.SortFunc(out, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// ReadConfig returns the content of a configuration file, which may be named
// without "boot:".
func (m *Manager) ReadConfig(name string) ([]byte, error) {
	src, err := m.Files.Open(name)
	if err != nil && !strings.Contains(name, ":") {
		if module, err2 := m.Files.Open(modulePrefix + name); err2 == nil {
			src, err = module, nil
		}
	}
	if err != nil {
		return nil, err
	}
	if src.Size > config.MaxFile {
		return nil, problem.New(problem.Invalid, "", "%s: %d bytes are too large for a configuration: at most %d", name, src.Size, config.MaxFile)
	}
	b, err := io.ReadAll(io.NewSectionReader(src.R, 0, src.Size))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return b, nil
}

// Images is the [Loader] for real kernels.
type Images struct {
	// Account is what unpacking reserves dom0's memory from.
	Account *account.Account
}

// Check implements [Loader].
func (Images) Check(kernel loader.Source) (loader.Wants, error) { return loader.Check(kernel) }

// Try implements [Loader].
func (i Images) Try(r loader.Request) error {
	r.Account = i.Account
	return loader.Try(r)
}

// Load implements [Loader].
func (i Images) Load(r loader.Request, mem loader.Guest) (abi.VCPUContext, error) {
	r.Account = i.Account
	return loader.Load(r, mem)
}

// ram is a domain's memory as the loader wants it.
type ram struct{ *guestmem.Memory }

// RAM implements [loader.Guest].
func (r ram) RAM(a loader.GPA, n uint64) []byte { return r.Memory.RAM(uint64(a), n) }

// memory returns the RAM of a domain, which is mapped into dom0 for as long as the
// domain lives.
func (m *Manager) memory(id uint32) (*guestmem.Memory, error) {
	ext, err := m.HV.Map(id)
	if err != nil {
		return nil, err
	}
	return m.view(ext), nil
}

// view returns extents of a domain that are mapped.
func (m *Manager) view(ext []abi.Extent) *guestmem.Memory {
	var all []guestmem.Extent
	for _, e := range ext {
		all = append(all, guestmem.Extent{GPA: e.GPA, Bytes: m.Memory.Slice(e.HPA, e.Size)})
	}
	return guestmem.New(all)
}
