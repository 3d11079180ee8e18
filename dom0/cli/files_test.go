// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package cli

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/dom0/domain"
	"ringo/dom0/files"
)

// folders are files of a disk.
type folders struct {
	domain.Files
	list map[string][]files.File
}

func (f folders) List(folder string) ([]files.File, error) {
	if l, ok := f.list[folder]; ok {
		return l, nil
	}
	return nil, errors.New("no such folder")
}

// TestFolders lists and completes what is on disks, whose names may hold anything.
func TestFolders(t *testing.T) {
	r := newRig(t, nil)
	r.API.Manager.Files = folders{list: map[string][]files.File{
		"":      {{Name: "boot:cd.iso", Size: 100}, {Name: "boot:demo.toml", Size: 5}},
		"disk:": {{Name: "disk:nvme0n1/", Size: 1 << 20, Note: "gpt"}, {Name: "disk:nvme0n1p1/", Size: 4096, Note: `ext4 "root"`}},
		"disk:nvme0n1p1/": {
			{Name: "disk:nvme0n1p1/boot/"}, {Name: "disk:nvme0n1p1/a b", Size: 1}, {Name: "disk:nvme0n1p1/\x1b[2J", Size: 2}, {Name: "disk:nvme0n1p1/bzImage", Size: 3},
		},
		"boot:cd.iso/": {},
	}}
	for line, want := range map[string][]string{
		"files disk:":                      {"disk:nvme0n1/", "disk:nvme0n1p1/"},
		"files disk:nvme0n1p1/":            {"disk:nvme0n1p1/boot/", "disk:nvme0n1p1/bzImage"},
		"create kernel=disk:nvme0n1p1/bz":  {"kernel=disk:nvme0n1p1/bzImage"},
		"create kernel=boot:":              {"kernel=boot:cd.iso", "kernel=boot:demo.toml"},
		"create disk:nvme0n1p1/boo":        {"disk:nvme0n1p1/boot/"},
		"create name=x initrd=disk:other/": nil,
		"create memory=disk:nvme0n1p1/":    nil,
		"create de":                        {"demo.toml", "debug_exit="},
	} {
		if _, got := r.Complete(line); cmp.Diff(want, got) != "" {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
	for line, want := range map[string]string{
		"files disk:nvme0n1p1/": `Name              Size  Use as
boot/                -  disk:nvme0n1p1/boot/
a b                  1  disk:nvme0n1p1/a b
"\x1b[2J"            2  "disk:nvme0n1p1/\x1b[2J"
bzImage              3  disk:nvme0n1p1/bzImage
`,
		"files disk:": `Name               Size  Use as
nvme0n1/        1048576  disk:nvme0n1/  gpt
nvme0n1p1/         4096  disk:nvme0n1p1/  ext4 "root"
`,
		"files boot:cd.iso/": "the folder is empty\n",
		"files nowhere":      "error: no such folder\n",
	} {
		var b bytes.Buffer
		r.Run(line, &b)
		if diff := cmp.Diff(want, b.String()); diff != "" {
			t.Errorf("%s: %s", line, diff)
		}
	}
}
