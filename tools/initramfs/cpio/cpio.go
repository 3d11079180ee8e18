// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package cpio writes archives in the "newc" format, the one that Linux unpacks
// as an initramfs (Linux, Documentation/driver-api/early-userspace/
// buffer-format.rst). The same entries give the same bytes: owner and time are
// always zero, inode numbers count up.
package cpio

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// Type bits of Entry.Mode (POSIX, <sys/stat.h>).
const (
	Dir     = 0o040000
	Char    = 0o020000
	Regular = 0o100000
	Symlink = 0o120000
)

// Entry is one file.
type Entry struct {
	// Name is the path below the root, without a leading slash.
	Name string
	// Mode is one of the type bits and the permissions.
	Mode uint32
	// Data is the content, or the target of a symlink.
	Data []byte
	// Major and Minor number a device.
	Major, Minor uint32
}

// ErrName is returned for a name that is empty, absolute, or holds a NUL.
var ErrName = errors.New("cpio: bad file name")

// Write writes all entries and the trailer to w.
func Write(w io.Writer, entries []Entry) error {
	for i, e := range entries {
		if e.Name == "" || e.Name[0] == '/' || strings.ContainsRune(e.Name, 0) {
			return fmt.Errorf("%w: %q", ErrName, e.Name)
		}
		if uint64(len(e.Data)) >= 1<<32 {
			return fmt.Errorf("cpio: %s is too large", e.Name)
		}
		if err := writeOne(w, uint32(i+1), e); err != nil {
			return err
		}
	}
	return writeOne(w, 0, Entry{Name: "TRAILER!!!"})
}

func writeOne(w io.Writer, ino uint32, e Entry) error {
	links := uint32(1)
	if e.Mode&0o170000 == Dir {
		links = 2
	}
	head := "070701"
	for _, v := range []uint32{ino, e.Mode, 0, 0, links, 0, uint32(len(e.Data)),
		0, 0, e.Major, e.Minor, uint32(len(e.Name) + 1), 0} {
		head += fmt.Sprintf("%08X", v)
	}
	head += e.Name + "\x00"
	if _, err := io.WriteString(w, head+padding(len(head))); err != nil {
		return err
	}
	if _, err := w.Write(e.Data); err != nil {
		return err
	}
	_, err := io.WriteString(w, padding(len(e.Data)))
	return err
}

// padding fills n bytes up to a multiple of four.
func padding(n int) string { return "\x00\x00\x00"[:-n&3] }
