// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package ata is the language of ATA disks and ATAPI drives, whoever carries it (ATA/ATAPI
// Command Set - 3, ACS-3; MultiMedia Commands - 5).
package ata

import (
	"encoding/binary"
	"fmt"
	"strings"

	"ringo/drivers/block"
)

// Commands ("Command descriptions").
const (
	opTrim           = 0x06
	opReadExt        = 0x25 // READ DMA EXT
	OpReadLog        = 0x2f
	opWriteExt       = 0x35
	opWriteThrough   = 0x3d // WRITE DMA FUA EXT
	opReadQueued     = 0x60
	opWriteQueued    = 0x61
	OpPacket         = 0xa0
	OpIdentifyPacket = 0xa1
	opRead           = 0xc8
	opWrite          = 0xca
	opFlush          = 0xe7
	opFlushExt       = 0xea
	OpIdentify       = 0xec
)

// Bits of the status, and of the error register ("Normal and error outputs").
const (
	StatusError = 1 << 0
	StatusData  = 1 << 3 // DRQ
	StatusFault = 1 << 5
	StatusBusy  = 1 << 7

	errorAbort = 1 << 2
	errorRange = 1 << 4 // IDNF
	errorMedia = 1 << 6 // UNC
)

// deviceLBA is the bit of the device register that says that positions are LBAs.
const deviceLBA = 1 << 6

// Command is what the registers of a device hold when a command is given.
type Command struct {
	Op      uint8
	Feature uint16
	LBA     uint64
	Count   uint16
	Device  uint8
	Write   bool // data goes to the device
	Queued  bool // NCQ
	// Packet is the command of an ATAPI drive, if Op is OpPacket.
	Packet [12]byte
}

// Identity is what a device says about itself, checked.
type Identity struct {
	Model, Serial, Firmware string
	Blocks                  uint64
	BlockSize               int
	Long                    bool // it has 48-bit addresses
	Depth                   int  // of its queue, 0: it has none
	Volatile                bool // it has a write cache, which is on
	Through                 bool // it can write through it
	Trim                    bool
	DMA                     bool
	Packet                  bool // an ATAPI drive, whose size is asked for elsewhere
}

var le = binary.LittleEndian

// ParseIdentity reads what IDENTIFY DEVICE, or IDENTIFY PACKET DEVICE, has returned, 512
// bytes.
func ParseIdentity(b []byte, packet bool) (i Identity, err error) {
	word := func(n int) uint16 { return le.Uint16(b[2*n:]) }
	i = Identity{
		Serial: text(b[20:40]), Firmware: text(b[46:54]), Model: text(b[54:94]), BlockSize: 512, DMA: word(49)&(1<<8) != 0,
	}
	if packet {
		i.Packet, i.BlockSize = true, 2048
		return i, nil
	}
	if word(83)>>14 == 1 {
		i.Long = word(83)&(1<<10) != 0
	}
	i.Blocks = min(uint64(le.Uint32(b[120:])), 1<<28) // what 28 bits name
	if i.Long {
		i.Blocks = le.Uint64(b[200:])
	}
	if word(106)>>14 == 1 && word(106)&(1<<12) != 0 {
		n := le.Uint32(b[234:])
		if n > 2048 {
			return i, fmt.Errorf("blocks of %d words", n)
		}
		i.BlockSize = int(2 * n)
	}
	if i.BlockSize < 512 || i.BlockSize > 4096 || i.BlockSize&(i.BlockSize-1) != 0 || i.Blocks > 1<<48 || i.Blocks == 0 {
		return i, fmt.Errorf("%d blocks of %d bytes", i.Blocks, i.BlockSize)
	}
	if word(49)&(1<<9) == 0 {
		return i, fmt.Errorf("it has no LBA")
	}
	if word(76)&(1<<8) != 0 && word(76) != 0xffff && i.Long {
		i.Depth = int(word(75)&31) + 1
	}
	i.Volatile = word(85)&(1<<5) != 0
	i.Through = i.Long && word(84)>>14 == 1 && word(84)&(1<<6) != 0
	i.Trim = i.Long && word(169)&1 != 0
	return i, nil
}

// text is a string of the device, whose characters are swapped in pairs, as people may
// see it.
func text(b []byte) string {
	var s strings.Builder
	for i := range b {
		if c := b[i^1]; c >= ' ' && c <= '~' {
			s.WriteByte(c)
		}
	}
	return strings.TrimSpace(s.String())
}

// Info describes the disk. A request moves at most so many bytes.
func (i *Identity) Info(transfer int) block.Info {
	most := uint32(transfer / i.BlockSize)
	if !i.Long {
		most = min(most, 256)
	}
	return block.Info{
		Model: i.Model, Serial: i.Serial, Firmware: i.Firmware, Blocks: i.Blocks, BlockSize: i.BlockSize,
		MaxBlocks: most, MaxEmpty: 1 << 16, ReadOnly: i.Packet, Volatile: i.Volatile, Discard: i.Trim,
	}
}

// TrimSize is the data of a Discard, in bytes.
const TrimSize = 512

// Command returns the command for a request, NCQ's if it is to be queued with a tag. The
// data of a Discard is the caller's to give, made by [Trim].
func (i *Identity) Command(r *block.Request, queued bool, tag int) Command {
	c := Command{LBA: r.Start, Count: uint16(r.Blocks), Device: deviceLBA, Write: r.Op == block.Write}
	switch {
	case i.Packet:
		return Read(r.Start, r.Blocks)
	case r.Op == block.Flush:
		return Command{Op: pick(i.Long, opFlushExt, opFlush), Device: deviceLBA}
	case r.Op == block.Discard:
		return Command{Op: opTrim, Feature: 1, Count: TrimSize / 512, Device: deviceLBA, Write: true}
	case queued:
		c.Op, c.Queued = pick(c.Write, opWriteQueued, opReadQueued), true
		c.Feature, c.Count = c.Count, uint16(tag)<<3
		if r.FUA && i.Through && c.Write {
			c.Device |= 1 << 7
		}
	case !i.Long:
		c.Op = pick(c.Write, opWrite, opRead)
		c.Device |= uint8(r.Start>>24) & 15
	case c.Write && r.FUA && i.Through:
		c.Op = opWriteThrough
	default:
		c.Op = pick(c.Write, opWriteExt, opReadExt)
	}
	return c
}

func pick(yes bool, a, b uint8) uint8 {
	if yes {
		return a
	}
	return b
}

// Trim writes the ranges of a Discard ("DATA SET MANAGEMENT").
func Trim(r *block.Request, b []byte) {
	clear(b[:TrimSize])
	at, left := r.Start, uint64(r.Blocks)
	for n := 0; left > 0; n += 8 {
		k := min(left, 0xffff)
		le.PutUint64(b[n:], at|k<<48)
		at, left = at+k, left-k
	}
}

// Failure is the error of a status and an error register, nil if it is success.
func Failure(status, code uint8) (err error, again bool) {
	switch {
	case status&(StatusError|StatusFault) == 0:
		return nil, false
	case code&(errorMedia|errorRange) != 0:
		return fmt.Errorf("status %#x, error %#x: %w", status, code, block.ErrMedia), false
	}
	return fmt.Errorf("status %#x, error %#x: %w", status, code, block.ErrDevice), true
}

// QueuedError reads the log of a queue that has failed, page 10h: which tag it is about,
// and how it failed ("NCQ Command Error log"). ok is false if it is about none.
func QueuedError(b []byte) (tag int, status, code uint8, ok bool) {
	sum := uint8(0)
	for _, c := range b[:512] {
		sum += c
	}
	return int(b[0] & 31), b[2], b[3], b[0]&(1<<7) == 0 && sum == 0 && b[2]&(StatusError|StatusFault) != 0
}

// QueuedErrorLog is the command that reads it.
func QueuedErrorLog() Command {
	return Command{Op: OpReadLog, LBA: 0x10, Count: 1, Device: deviceLBA}
}
