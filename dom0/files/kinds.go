// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package files

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"ringo/dom0/files/ext"
	"ringo/dom0/files/fat"
	"ringo/dom0/files/iso"
	"ringo/dom0/files/tree"
)

// open opens the file system in r, of size bytes, whatever it is. Errors go on from
// the name of where it is.
func open(r io.ReaderAt, size int64) (*tree.FS, error) {
	for _, kind := range []struct {
		open func(io.ReaderAt) (*tree.FS, error)
		none error
	}{{ext.Open, ext.ErrNone}, {iso.Open, iso.ErrNone}, {fat.Open, fat.ErrNone}} {
		f, err := kind.open(r)
		switch {
		case err == nil:
			return f, nil
		case errors.Is(err, tree.ErrDamaged):
			return nil, fmt.Errorf("cannot be read: %w", err)
		case !errors.Is(err, kind.none):
			return nil, err
		}
	}
	if name := foreign(r, size); name != "" {
		return nil, fmt.Errorf("holds %s, which is not read here: FAT, ISO 9660 and ext2, ext3, ext4 are", name)
	}
	return nil, errors.New("holds no file system that is known here")
}

// magics are what else a disk may hold.
var magics = []struct {
	at          int64
	magic, name string
}{
	{3, "NTFS    ", "NTFS"},
	{3, "EXFAT   ", "exFAT"},
	{0, "XFSB", "XFS"},
	{0x10040, "_BHRfS_M", "btrfs"},
	{0x400, "\x10\x20\xf5\xf2", "F2FS"},
	{0, "hsqs", "squashfs"},
	{0, "LUKS\xba\xbe", "an encrypted volume (LUKS)"},
	{0x200, "LABELONE", "a volume of LVM"},
	{0x218, "LVM2 001", "a volume of LVM"},
	{4096 - 10, "SWAPSPACE2", "swap space"},
	{0x1000, "\xfc\x4e\x2b\xa9", "a part of a RAID of Linux"},
	{0x8001, "BEA01", "UDF"},
}

// foreign names what a disk holds, "" for what is not known.
func foreign(r io.ReaderAt, size int64) string {
	for _, m := range magics {
		b := make([]byte, len(m.magic))
		if m.at+int64(len(b)) > size {
			continue
		}
		if n, _ := r.ReadAt(b, m.at); n == len(b) && bytes.Equal(b, []byte(m.magic)) {
			return m.name
		}
	}
	return ""
}
