// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package part finds the partitions of a disk: by a GPT (UEFI Specification, 2.10, "GUID
// Partition Table (GPT) Disk Layout") or by an MBR with logical partitions in extended
// ones.
//
// # Threats
//
// The disk is hostile input. A partition lies on the disk, or it is left out; tables
// have a limit, and a chain of logical partitions goes on for so many.
package part

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf16"
)

// Table is what is on a disk. Kind is "gpt", "mbr", or "" where there is no table.
type Table struct {
	Kind  string
	Parts []Partition // by number
	// Warning says what is wrong with the table, or is "".
	Warning string
}

// Partition is a part of a disk, in bytes.
type Partition struct {
	Number      int
	Start, Size int64
	// Type is a GUID, or a byte in hexadecimal.
	Type string
	// Name is what its maker gave it: any letters. An MBR has none.
	Name string
}

// Find returns a partition by its number.
func (t *Table) Find(number int) (Partition, bool) {
	for _, p := range t.Parts {
		if p.Number == number {
			return p, true
		}
	}
	return Partition{}, false
}

// Cut divides "nvme0n1p2" into the name of a disk and a number, which is 0
// where there is none.
func Cut(s string) (name string, number int) {
	i := strings.LastIndexByte(s, 'p')
	if i < 1 {
		return s, 0
	}
	n, err := strconv.ParseUint(s[i+1:], 10, 16)
	if err != nil || n == 0 {
		return s, 0
	}
	return s[:i], int(n)
}

// ErrDamaged says that there was a table, and nothing of it can be used.
var ErrDamaged = errors.New("its partition table is damaged in both places: repair it, for instance with gdisk")

// disk is where a table is read from.
type disk struct {
	r     io.ReaderAt
	block int64
	size  int64
}

// Read reads the table of a disk of size bytes in blocks of block bytes. An error means
// that the disk cannot be read, or that its table is damaged.
func Read(r io.ReaderAt, size int64, block int) (Table, error) {
	d := disk{r, int64(block), size}
	b := make([]byte, block)
	if size < int64(block) {
		return Table{}, nil
	}
	if err := d.read(b, 0); err != nil {
		return Table{}, err
	}
	entries, ok := mbr(b)
	if !ok {
		return Table{}, nil
	}
	for _, e := range entries {
		if e.kind == mbrProtective {
			return d.gpt()
		}
	}
	return d.logical(entries)
}

// read reads all of b at a byte of the disk.
func (d *disk) read(b []byte, at int64) error {
	n, err := d.r.ReadAt(b, at)
	if n == len(b) {
		return nil
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// add appends a partition of count blocks, if all of it lies on the disk and behind
// the table; else it is said that it does not.
func (d *disk) add(t *Table, p Partition, start, count uint64) {
	blocks := uint64(d.size / d.block)
	if start == 0 || count == 0 || start >= blocks || count > blocks-start {
		t.Warning = fmt.Sprintf("partition %d does not lie on it", p.Number)
		return
	}
	p.Start, p.Size = int64(start)*d.block, int64(count)*d.block
	t.Parts = append(t.Parts, p)
}

// The first sector with an MBR ("Legacy Master Boot Record").
const (
	mbrTable     = 446
	mbrEntries   = 4
	mbrEntryLen  = 16
	mbrSignature = 510

	mbrProtective = 0xee

	maxLogical   = 128
	firstLogical = 5
)

// mbrEntry is an entry, in blocks.
type mbrEntry struct {
	kind         byte
	start, count uint64
}

// extended says that it holds logical partitions.
func (e mbrEntry) extended() bool { return e.kind == 0x05 || e.kind == 0x0f || e.kind == 0x85 }

// mbr takes the entries of a first sector; ok is false where there are none, as in the
// first sector of a FAT, which has the same signature.
func mbr(b []byte) (all [mbrEntries]mbrEntry, ok bool) {
	le := binary.LittleEndian
	if le.Uint16(b[mbrSignature:]) != 0xaa55 {
		return all, false
	}
	for i := range all {
		e := b[mbrTable+i*mbrEntryLen:]
		if e[0]&0x7f != 0 { // active or not, nothing else
			return all, false
		}
		if all[i] = (mbrEntry{e[4], uint64(le.Uint32(e[8:])), uint64(le.Uint32(e[12:]))}); all[i].kind != 0 && all[i].count != 0 {
			ok = true
		}
	}
	return all, ok
}

// logical makes a table of the entries of an MBR and of those in extended partitions.
func (d *disk) logical(entries [mbrEntries]mbrEntry) (Table, error) {
	t := Table{Kind: "mbr"}
	for i, e := range entries {
		if e.kind != 0 && e.count != 0 && !e.extended() {
			d.add(&t, Partition{Number: i + 1, Type: fmt.Sprintf("%02x", e.kind)}, e.start, e.count)
		}
	}
	number, links := firstLogical, 0
	for _, outer := range entries {
		if !outer.extended() {
			continue
		}
		// Each of a chain of sectors has a logical partition, and where the next is.
		seen := map[uint64]bool{}
		for at := uint64(0); links < maxLogical && !seen[at]; links++ {
			seen[at] = true
			if at >= outer.count || outer.start == 0 || (outer.start+at+1)*uint64(d.block) > uint64(d.size) {
				t.Warning = "its extended partition does not lie on it"
				break
			}
			b := make([]byte, d.block)
			if err := d.read(b, int64(outer.start+at)*d.block); err != nil {
				return t, err
			}
			list, ok := mbr(b)
			if !ok {
				break
			}
			if list[0].kind != 0 && list[0].count != 0 {
				d.add(&t, Partition{Number: number, Type: fmt.Sprintf("%02x", list[0].kind)}, outer.start+at+list[0].start, list[0].count)
				number++ // sectors whose partition was deleted do not count, as with Linux
			}
			if !list[1].extended() {
				break
			}
			at = list[1].start
		}
	}
	return t, nil
}

// text16 is text in UTF-16 up to its first zero.
func text16(b []byte) string {
	u := make([]uint16, 0, len(b)/2)
	for ; len(b) >= 2; b = b[2:] {
		c := binary.LittleEndian.Uint16(b)
		if c == 0 {
			break
		}
		u = append(u, c)
	}
	return strings.TrimSpace(string(utf16.Decode(u)))
}
