// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package domain

import (
	"fmt"
	"io"
	"strings"

	"ringo/dom0/account"
	"ringo/dom0/config"
	"ringo/dom0/files"
	"ringo/dom0/guestmem"
	"ringo/dom0/loader"
	"ringo/dom0/problem"
	"ringo/hv/abi"
)

// Files are what configurations may name; see [files.Files].
type Files interface {
	// Open finds a file.
	Open(name string) (loader.Source, error)
	// List returns the files of a folder.
	List(folder string) ([]files.File, error)
}

// ReadConfig returns the content of a configuration file, which may be named
// without "boot:".
func (m *Manager) ReadConfig(name string) ([]byte, error) {
	src, err := m.Files.Open(name)
	if err != nil && !strings.Contains(name, ":") {
		if module, err2 := m.Files.Open("boot:" + name); err2 == nil {
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
		all = append(all, guestmem.Extent{GPA: e.GPA, Bus: e.HPA, Bytes: m.Memory.Slice(e.HPA, e.Size)})
	}
	return guestmem.New(all)
}
