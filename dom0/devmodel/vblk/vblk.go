// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package vblk is the virtio block device (VIRTIO 1.2, "Block Device"): a disk for a
// guest, on whatever a [block.Device] is. Data moves between the guest's RAM and the
// disk behind it without a copy, but for [Config.Bounce].
//
// The server of a queue takes requests, gives them to the disk, and gives back
// what the disk has done: all that has ended by then is one interrupt. The disk's own
// goroutine, which must not be held up, leaves it a word only.
//
// # Threats
//
//	guest does                            model does
//	------------------------------------  ---------------------------------------
//	breaks the rules of rings             DEVICE_NEEDS_RESET, by vpci
//	gives no room for header or status    the same: there is no way to answer
//	asks for what is not on the disk      an I/O error
//	gives more, or smaller, pieces of     an I/O error; a large piece is done in
//	 data than a request may have          parts, as large as the disk takes
//	changes a request while it is done    it was read once; data is the guest's
//	asks without end                      [slots] requests are under way, others
//	                                      wait in the ring
//	resets while the disk works           the reset ends when the disk is done with
//	                                      the guest's RAM; what waits there is dropped
//	goes away                             the same
//	goes on after an error that is to     its request waits, and what else it asks for
//	 stop it, until it is paused          is done or waits as well
//	finds a mistake here                  the panic ends the queue, when the disk is
//	                                      done with what it has of it
package vblk

import (
	"encoding/binary"
	"sync/atomic"

	"ringo/dom0/devmodel/vpci"
	"ringo/drivers/block"
	"ringo/drivers/dma"
)

// Device ID, PCI class and features (VIRTIO 1.2, "Device Types" and, of the block
// device, "Feature bits").
const (
	id           = 2
	classStorage = 0x018000

	featSegMax      = 1 << 2
	featReadOnly    = 1 << 5
	featBlockSize   = 1 << 6
	featFlush       = 1 << 9
	featTopology    = 1 << 10
	featConfigWCE   = 1 << 11
	featQueues      = 1 << 12
	featDiscard     = 1 << 13
	featWriteZeroes = 1 << 14
)

// Bounds on what a guest gets.
const (
	// MaxQueues is the largest number of queues.
	MaxQueues = 4
	queueSize = 128
	slots     = 64 // requests of a queue under way
	rounds    = 8  // of a server before others have their turn
	segments  = 32 // pieces of data of a request
	sector    = 512

	// QueueBytes is what a queue keeps on the heap at most.
	QueueBytes = slots*(maxPieces*48+512) + 16<<10
	// BounceBytes is how long the memory must be that Config.Bounce returns.
	BounceBytes = 256 << 10
)

// Memory is the guest's RAM as devices see it; guestmem.Memory is one.
type Memory interface {
	// Segment is RAM at a: at least one byte, at most n, and fewer than n where it is
	// not contiguous; nothing where a is not RAM.
	Segment(a, n uint64) dma.Segment
}

// Config is what a device is made of.
type Config struct {
	Disk   block.Device
	Memory Memory
	Serial string // 20 bytes of it are used
	Queues int    // 1 to MaxQueues
	// Bounce returns memory, a piece for each page, for a queue's data to pass through,
	// where the disk cannot reach the guest's. It is nil where it can.
	Bounce func() []dma.Segment
	// Drop ends those requests of a queue that the disk has wait, with an error; nil: none
	// waits without end.
	Drop func(queue int)
	// Stop has requests that fail wait; nil: the guest is given an I/O error.
	Stop *Stop
	// Slow says that the disk does work before Submit returns, as copying or unpacking is:
	// queues are served by goroutines of their own then, not by who wakes them.
	Slow bool
}

// device is what all queues share.
type device struct {
	Config
	info block.Info // but for its size
	// blocks is the size that the driver was told last.
	blocks atomic.Uint64
	unit   uint64 // sectors of a block
	// cached says that writes may stay in the disk's cache until a flush: the driver
	// wishes so (VIRTIO 1.2, "Device Operation" of the block device).
	cached atomic.Bool
	bounce [][]dma.Segment // of each queue
}

// Kind returns the device.
func Kind(c Config) vpci.Kind {
	d := &device{Config: c, info: c.Disk.Info(), bounce: make([][]dma.Segment, c.Queues)}
	d.blocks.Store(d.info.Blocks)
	d.unit = uint64(d.info.BlockSize) / sector
	k := vpci.Kind{ID: id, Class: classStorage, Prompt: !c.Slow, Open: d.open, Config: d.config, SetConfig: d.setConfig, Reset: func() { d.cached.Store(true) }}
	for i := range c.Queues {
		k.Queues = append(k.Queues, queueSize)
		if c.Bounce != nil {
			d.bounce[i] = c.Bounce()
		}
	}
	k.Features = featSegMax | featBlockSize | featFlush | featTopology | featConfigWCE | featQueues
	for _, f := range []struct {
		on  bool
		bit uint64
	}{{d.info.ReadOnly, featReadOnly}, {d.info.Discard && !d.info.ReadOnly, featDiscard}, {d.info.WriteZeroes && !d.info.ReadOnly, featWriteZeroes}} {
		if f.on {
			k.Features |= f.bit
		}
	}
	return k
}

// Fields of the configuration (VIRTIO 1.2, "Device configuration layout" of the block
// device).
const (
	cfgCapacity     = 0
	cfgSegMax       = 12
	cfgBlockSize    = 20
	cfgTopology     = 24 // exponent, offset, least and best I/O size
	cfgWriteback    = 32
	cfgQueues       = 34
	cfgMaxDiscard   = 36
	cfgDiscardSegs  = 40
	cfgDiscardAlign = 44
	cfgMaxZeroes    = 48
	cfgZeroesSegs   = 52
	cfgMayUnmap     = 56
	cfgLen          = 60
)

func (d *device) config() []byte {
	var b [cfgLen]byte
	le := binary.LittleEndian
	blocks := d.Disk.Info().Blocks // it may have grown
	d.blocks.Store(blocks)
	le.PutUint64(b[cfgCapacity:], blocks*d.unit)
	le.PutUint32(b[cfgSegMax:], segments)
	le.PutUint32(b[cfgBlockSize:], uint32(d.info.BlockSize))
	le.PutUint16(b[cfgTopology+2:], uint16(max(4096/d.info.BlockSize, 1))) // in blocks
	if d.cached.Load() {
		b[cfgWriteback] = 1
	}
	le.PutUint16(b[cfgQueues:], uint16(d.Queues))
	empty := uint32(min(uint64(d.info.MaxEmpty)*d.unit, 1<<31))
	if d.info.Discard {
		le.PutUint32(b[cfgMaxDiscard:], empty)
		le.PutUint32(b[cfgDiscardSegs:], 1)
		le.PutUint32(b[cfgDiscardAlign:], uint32(d.unit))
	}
	if d.info.WriteZeroes {
		le.PutUint32(b[cfgMaxZeroes:], empty)
		le.PutUint32(b[cfgZeroesSegs:], 1)
	}
	return b[:]
}

func (d *device) setConfig(off uint64, size uint8, val uint64) {
	if off == cfgWriteback && size == 1 {
		d.cached.Store(val&1 != 0)
	}
}
