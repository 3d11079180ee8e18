// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package ata

import (
	"encoding/binary"
	"fmt"

	"ringo/drivers/block"
)

var be = binary.BigEndian

// packet is a command of an ATAPI drive that reads so many bytes by DMA.
func packet(op uint8, size uint16) Command {
	c := Command{Op: OpPacket, Feature: 1, LBA: uint64(size) << 8}
	c.Packet[0] = op
	return c
}

// Sizes of what the commands below read, in bytes.
const (
	CapacitySize = 8
	SenseSize    = 18
)

// Capacity asks for the medium's size (READ CAPACITY (10)).
func Capacity() Command { return packet(0x25, CapacitySize) }

// Sense asks why the last command failed (REQUEST SENSE).
func Sense() Command {
	c := packet(0x03, SenseSize)
	c.Packet[4] = SenseSize
	return c
}

// Read reads blocks (READ (12)).
func Read(start uint64, blocks uint32) Command {
	c := packet(0xa8, 0xfffe)
	be.PutUint32(c.Packet[2:], uint32(start))
	be.PutUint32(c.Packet[6:], blocks)
	return c
}

// ParseCapacity returns the number of blocks, of 2048 bytes.
func ParseCapacity(b []byte) (uint64, error) {
	last, size := be.Uint32(b), be.Uint32(b[4:])
	if size != 2048 || last == ^uint32(0) {
		return 0, fmt.Errorf("a medium of %d blocks of %d bytes", uint64(last)+1, size)
	}
	return uint64(last) + 1, nil
}

// Keys of a sense.
const (
	senseNotReady  = 2
	senseMedium    = 3
	senseInvalid   = 5
	senseAttention = 6
)

// ParseSense says what a sense means. changed says that there may be another medium.
func ParseSense(b []byte) (err error, again, changed bool) {
	key, code := b[2]&15, b[12]
	e := fmt.Errorf("sense %x/%02x", key, code)
	switch key {
	case senseAttention:
		return fmt.Errorf("%w: %w", e, block.ErrDevice), true, true
	case senseNotReady:
		return fmt.Errorf("%w: %w", e, block.ErrMedia), false, true
	case senseMedium:
		return fmt.Errorf("%w: %w", e, block.ErrMedia), false, false
	case senseInvalid:
		return fmt.Errorf("%w: %w", e, block.ErrInvalid), false, false
	}
	return fmt.Errorf("%w: %w", e, block.ErrDevice), true, false
}
