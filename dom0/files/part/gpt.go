// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package part

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// The header ("GPT Header") and entries ("GPT Partition Entry Array").
const (
	gptSignature = "EFI PART"
	gptLeast     = 92

	gptSize       = 12
	gptChecksum   = 16
	gptSelf       = 24
	gptOther      = 32
	gptFirst      = 40
	gptLast       = 48
	gptEntries    = 72
	gptCount      = 80
	gptEntrySize  = 84
	gptEntriesSum = 88

	entryLeast = 128
	entryStart = 32
	entryEnd   = 40
	entryName  = 56

	// maxTable is how long an array of entries may be, in bytes.
	maxTable = 1 << 20
)

// gpt reads the first table that is whole.
func (d *disk) gpt() (Table, error) {
	last := d.size/d.block - 1
	t, first := d.header(1)
	if first == nil {
		return t, nil
	}
	// The first one may still say where the other is, on a disk that has grown.
	for _, at := range []int64{last, d.other()} {
		if at <= 1 || at > last {
			continue
		}
		if t, err := d.header(at); err == nil {
			if t.Warning == "" {
				t.Warning = "its first partition table is damaged, and the copy at its end is used: repair it, for instance with gdisk"
			}
			return t, nil
		}
	}
	if damaged(first) {
		return Table{}, ErrDamaged
	}
	return Table{}, first
}

// other returns where the first header says that its copy is.
func (d *disk) other() int64 {
	b := make([]byte, d.block)
	if d.read(b, d.block) != nil || string(b[:8]) != gptSignature {
		return 0
	}
	return int64(min(binary.LittleEndian.Uint64(b[gptOther:]), 1<<62))
}

// gptError is what is wrong with a table.
type gptError string

func (e gptError) Error() string { return "its partition table has " + string(e) }

// damaged says that an error is of what a table holds, not of reading it.
func damaged(err error) bool {
	_, ok := err.(gptError)
	return ok
}

// header reads the table whose header is in a block.
func (d *disk) header(at int64) (Table, error) {
	le := binary.LittleEndian
	b := make([]byte, d.block)
	if err := d.read(b, at*d.block); err != nil {
		return Table{}, err
	}
	size, sum := le.Uint32(b[gptSize:]), le.Uint32(b[gptChecksum:])
	if string(b[:8]) != gptSignature || size < gptLeast || int64(size) > d.block {
		return Table{}, gptError("no header")
	}
	clear(b[gptChecksum : gptChecksum+4])
	if crc32.ChecksumIEEE(b[:size]) != sum {
		return Table{}, gptError("a header with a wrong checksum")
	}
	count, each := uint64(le.Uint32(b[gptCount:])), uint64(le.Uint32(b[gptEntrySize:]))
	start := le.Uint64(b[gptEntries:])
	switch {
	case le.Uint64(b[gptSelf:]) != uint64(at):
		return Table{}, gptError("a header for another place")
	case each < entryLeast || each%8 != 0 || each > maxTable || count > maxTable/each:
		return Table{}, gptError(fmt.Sprintf("%d entries of %d bytes", count, each))
	case start < 1 || start >= uint64(d.size/d.block):
		return Table{}, gptError("entries outside of the disk")
	}
	list := make([]byte, count*each)
	if err := d.read(list, int64(start)*d.block); err != nil {
		return Table{}, err
	}
	if crc32.ChecksumIEEE(list) != le.Uint32(b[gptEntriesSum:]) {
		return Table{}, gptError("entries with a wrong checksum")
	}
	return d.entries(list, int(each), le.Uint64(b[gptFirst:]), le.Uint64(b[gptLast:])), nil
}

// entries makes a table of the entries, which lie between two blocks.
func (d *disk) entries(list []byte, each int, first, last uint64) Table {
	le := binary.LittleEndian
	t := Table{Kind: "gpt"}
	for i := 0; i*each < len(list); i++ {
		e := list[i*each : (i+1)*each]
		p := Partition{Number: i + 1, Type: guid(e), Name: text16(e[entryName:entryLeast])}
		from, to := le.Uint64(e[entryStart:]), le.Uint64(e[entryEnd:])
		switch {
		case p.Type == guid(make([]byte, 16)):
		case from < first || to > last || to < from || to == 1<<64-1:
			t.Warning = fmt.Sprintf("partition %d does not lie where partitions may", p.Number)
		default:
			d.add(&t, p, from, to-from+1)
		}
	}
	return t
}

// guid is a GUID as it is written.
func guid(b []byte) string {
	le := binary.LittleEndian
	return fmt.Sprintf("%08x-%04x-%04x-%x-%x", le.Uint32(b), le.Uint16(b[4:]), le.Uint16(b[6:]), b[8:10], b[10:16])
}
