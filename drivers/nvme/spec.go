// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package nvme

import "encoding/binary"

var le = binary.LittleEndian

// Registers (NVM Express 1.4, "Controller Registers").
const (
	regCAP  = 0x00
	regINTM = 0x0c // sets bits of the interrupt mask
	regCC   = 0x14
	regCSTS = 0x1c
	regAQA  = 0x24
	regASQ  = 0x28
	regACQ  = 0x30
	regBell = 0x1000

	ccEnable      = 1 << 0
	ccShutdown    = 1 << 14 // normal
	ccShutdownAny = 3 << 14
	ccEntries     = 6<<16 | 4<<20 // 64 and 16 bytes

	cstsReady     = 1 << 0
	cstsFatal     = 1 << 1
	cstsShut      = 3 << 2
	cstsShutReady = 2 << 2
)

// Sizes of entries in bytes, powers of two as in ccEntries.
const (
	sqeSize = 64
	cqeSize = 16
)

// Opcodes of the admin queue ("Opcodes for Admin Commands").
const (
	adminCreateSQ    = 0x01
	adminCreateCQ    = 0x05
	adminIdentify    = 0x06
	adminAbort       = 0x08
	adminSetFeatures = 0x09

	featureQueues = 7
)

// Opcodes of the NVM command set.
const (
	opFlush       = 0x00
	opWrite       = 0x01
	opRead        = 0x02
	opWriteZeroes = 0x08
	opDataset     = 0x09

	forceAccess = 1 << 30 // of doubleword 12
	deallocate  = 1 << 2  // of doubleword 11 of opDataset
)

// command is a submission queue entry.
type command struct {
	op         uint8
	namespace  uint32
	prp1, prp2 uint64
	d10, d11   uint32
	d12        uint32
}

// put writes an entry whose identifier is id. All of it is at places that the compiler
// knows: in the images others cost a mask for each byte.
func (c *command) put(e *[sqeSize]byte, id uint16) {
	put64((*[8]byte)(e[0:8]), uint64(c.op)|uint64(id)<<16|uint64(c.namespace)<<32)
	put64((*[8]byte)(e[8:16]), 0)
	put64((*[8]byte)(e[16:24]), 0)
	put64((*[8]byte)(e[24:32]), c.prp1)
	put64((*[8]byte)(e[32:40]), c.prp2)
	put64((*[8]byte)(e[40:48]), uint64(c.d10)|uint64(c.d11)<<32)
	put64((*[8]byte)(e[48:56]), uint64(c.d12))
	put64((*[8]byte)(e[56:64]), 0)
}

func put64(b *[8]byte, v uint64) {
	b[0], b[1], b[2], b[3] = byte(v), byte(v>>8), byte(v>>16), byte(v>>24)
	b[4], b[5], b[6], b[7] = byte(v>>32), byte(v>>40), byte(v>>48), byte(v>>56)
}

// status is the status field of a completion, without the phase: status code in bits
// 7:0, type in bits 10:8, "do not retry" in bit 14.
type status uint16

const (
	noRetry = 1 << 14

	typeGeneric = 0
	typeMedia   = 2

	statusAborted      = 0x07 // the command was aborted, on request
	statusSQDeleted    = 0x08
	statusInvalidField = 0x02
	statusRange        = 0x80
	statusReadOnly     = 0x20 // namespace is write protected
)

func (s status) kind() uint8 { return uint8(s>>8) & 7 }
func (s status) code() uint8 { return uint8(s) }
