// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package atatest is ATA disks and ATAPI drives in memory, for the controllers of other
// packages.
package atatest

import (
	"encoding/binary"
	"fmt"

	"ringo/drivers/block"
	"ringo/drivers/block/blocktest"
)

var le = binary.LittleEndian

// Drive is what is plugged in.
type Drive struct {
	Identity [512]byte
	Packet   bool
	NoLog    bool // of queued errors
	Medium   *blocktest.Medium
	// Sense is what the next packet commands fail with: key, code.
	Sense [][2]byte
	// Unready says that it stays busy after a reset.
	Unready bool

	Log [512]byte // of the last queued error

	sense [2]byte
}

// NewDisk is a disk with NCQ, a write cache, and TRIM.
func NewDisk(serial string, blocks uint64) *Drive {
	v := &Drive{Medium: blocktest.NewMedium(blocks, 512)}
	v.word(49, 1<<9|1<<8)
	le.PutUint32(v.Identity[120:], uint32(min(blocks, 1<<28-1)))
	v.word(75, 31)
	v.word(76, 1<<8)
	v.word(83, 1<<14|1<<10)
	v.word(84, 1<<14)
	v.word(85, 1<<5)
	le.PutUint64(v.Identity[200:], blocks)
	v.word(169, 1)
	v.text(10, 20, serial)
	v.text(23, 8, "1.0")
	v.text(27, 40, "A disk\x1b[1m in memory")
	return v
}

// NewCD is an ATAPI drive; blocks are of 2048 bytes, and there is no medium if 0.
func NewCD(blocks uint64) *Drive {
	v := &Drive{Packet: true, Medium: blocktest.NewMedium(blocks, 2048)}
	v.word(49, 1<<9|1<<8)
	v.text(10, 20, "CD1")
	v.text(27, 40, "A CD in memory")
	return v
}

// word sets a word of what the drive says it is.
func (v *Drive) word(n int, w uint16) { le.PutUint16(v.Identity[2*n:], w) }

// Word changes what the drive says it is.
func (v *Drive) Word(n int, w uint16) *Drive {
	v.word(n, w)
	return v
}

func (v *Drive) text(word, n int, s string) {
	for i := range n {
		c := byte(' ')
		if i < len(s) {
			c = s[i]
		}
		v.Identity[2*word+i^1] = c
	}
}

// Blame writes the log of a queued error.
func (v *Drive) Blame(tag int, code uint8) {
	v.Log = [512]byte{0: byte(tag), 2: 0x41, 3: code}
	sum := uint8(0)
	for _, b := range v.Log {
		sum += b
	}
	v.Log[511] = -sum
}

// Ops are the commands of disks that requests become.
var Ops = map[uint8]block.Op{
	0x60: block.Read, 0x24: block.Read, 0x25: block.Read, 0x20: block.Read, 0xc8: block.Read,
	0x61: block.Write, 0x34: block.Write, 0x35: block.Write, 0x3d: block.Write, 0x30: block.Write, 0xca: block.Write,
	0xea: block.Flush, 0xe7: block.Flush, 0x06: block.Discard,
}

// Command is what a drive is asked for.
type Command struct {
	Op      uint8
	LBA     uint64
	Count   uint32
	Packet  [12]byte
	Through bool
}

// Do carries a command out with what the drive was given. It returns what it gives, or
// its error register, and what is wrong with the command.
func (v *Drive) Do(c Command, in []byte) (out []byte, code uint8, wrong string) {
	op, disk := Ops[c.Op]
	switch {
	case c.Op == 0xec && !v.Packet, c.Op == 0xa1 && v.Packet:
		return v.Identity[:], 0, ""
	case c.Op == 0xa0 && v.Packet:
		out, code = v.packet(c.Packet)
		return out, code, ""
	case c.Op == 0x2f && c.LBA == 0x10 && !v.NoLog:
		return v.Log[:], 0, ""
	case !disk || v.Packet:
		return nil, 4, ""
	case op == block.Flush:
		v.Medium.Flush()
		return nil, 0, ""
	case op == block.Discard:
		for ; len(in) >= 8; in = in[8:] {
			e := le.Uint64(in)
			v.Medium.Zero(e&(1<<48-1), e>>48)
		}
		return nil, 0, ""
	}
	if c.Count == 0 {
		c.Count = 256
		if le.Uint16(v.Identity[2*83:])&(1<<10) != 0 {
			c.Count = 1 << 16
		}
	}
	size := int(c.Count) * 512
	if !v.Medium.Has(c.LBA, uint64(c.Count)) || op == block.Write && len(in) != size {
		return nil, 0x10, fmt.Sprintf("command %#x at %d, %d blocks, with %d bytes", c.Op, c.LBA, c.Count, len(in))
	}
	if op == block.Read {
		out = make([]byte, size)
		v.Medium.Read(c.LBA, out)
		return out, 0, ""
	}
	v.Medium.Write(c.LBA, in, c.Op == 0x3d || c.Through || le.Uint16(v.Identity[2*85:])&(1<<5) == 0)
	return nil, 0, ""
}

// packet carries out a command of an ATAPI drive.
func (v *Drive) packet(c [12]byte) (out []byte, code uint8) {
	be := binary.BigEndian
	if c[0] == 0x03 {
		b := make([]byte, 18)
		b[0], b[2], b[7], b[12] = 0x70, v.sense[0], 10, v.sense[1]
		v.sense = [2]byte{}
		return b, 0
	}
	if len(v.Sense) > 0 {
		v.sense, v.Sense = v.Sense[0], v.Sense[1:]
		return nil, v.sense[0]<<4 | 4
	}
	if v.Medium.Blocks == 0 {
		v.sense = [2]byte{2, 0x3a}
		return nil, 2<<4 | 4
	}
	switch c[0] {
	case 0x25:
		b := make([]byte, 8)
		be.PutUint32(b, uint32(v.Medium.Blocks-1))
		be.PutUint32(b[4:], 2048)
		return b, 0
	case 0xa8:
		at, n := uint64(be.Uint32(c[2:])), be.Uint32(c[6:])
		if v.Medium.Has(at, uint64(n)) {
			b := make([]byte, n*2048)
			v.Medium.Read(at, b)
			return b, 0
		}
		v.sense = [2]byte{5, 0x21}
	default:
		v.sense = [2]byte{5, 0x20}
	}
	return nil, 5<<4 | 4
}
