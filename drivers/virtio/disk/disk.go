// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package disk drives virtio block devices (VIRTIO 1.2, "Block Device").
//
// The device is not trusted: see packages queue, for what becomes of one that lies or
// does not answer, and virtio, for its registers.
package disk

import (
	"encoding/binary"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"ringo/drivers/block"
	"ringo/drivers/block/queue"
	"ringo/drivers/virtio"
	"ringo/drivers/virtio/ring"
)

// Timeout is how long a request may take before the device is reset. The host behind the
// device has timeouts of its own.
const Timeout = 30 * time.Second

// Bounds of what is asked of a device.
const (
	maxQueues   = 8
	maxSlots    = 128 // requests of a queue
	maxSegments = 32  // pieces of a request's data
	maxTransfer = 128 << 10
	maxEmpty    = 64 << 20 // bytes of a request without data
)

// Features ("Feature bits").
const (
	featureSizeMax     = 1 << 1
	featureSegMax      = 1 << 2
	featureReadOnly    = 1 << 5
	featureBlockSize   = 1 << 6
	featureFlush       = 1 << 9
	featureCacheMode   = 1 << 11
	featureQueues      = 1 << 12
	featureDiscard     = 1 << 13
	featureWriteZeroes = 1 << 14

	wanted = featureSizeMax | featureSegMax | featureReadOnly | featureBlockSize | featureFlush | featureCacheMode |
		featureQueues | featureDiscard | featureWriteZeroes | ring.FeatureIndirect | ring.FeatureEventIndex
)

// Disk is a device that works.
type Disk struct {
	*queue.Disk
	d        *virtio.Device
	features uint64
	settings settings
	queues   []*requests
	polling  bool
	serial   string
	changed  atomic.Bool // the device says that its settings are others
	keeper   *queue.Keeper
	log      func(string)
}

// Start brings a device up, whatever state it is in. queues is how many queues are
// wanted, at least 1.
func Start(f virtio.Function, queues int) (*Disk, error) {
	dev, err := virtio.Open(f)
	if err != nil {
		return nil, err
	}
	d := &Disk{d: dev, log: f.Log}
	if err := d.start(queues); err != nil {
		if dev.Reset() != nil {
			f.Stop()
		}
		return nil, err
	}
	var all []*queue.Queue
	for _, q := range d.queues {
		all = append(all, q.q)
	}
	d.Disk = queue.NewDisk(d.info(), nil, all)
	d.keeper = queue.Keep(d, queue.Config{Timeout: Timeout, Polling: d.polling, Present: f.Present, Stop: f.Stop, Log: f.Log}, all)
	return d, nil
}

// start learns what the device is, and gives it its queues.
func (d *Disk) start(queues int) (err error) {
	if d.features, err = d.d.Negotiate(wanted); err != nil {
		return err
	}
	if d.settings, err = d.read(); err != nil {
		return err
	}
	for i := range min(max(queues, 1), d.settings.queues, maxQueues) {
		if err := d.addQueue(i); err != nil {
			if i > 0 {
				break // fewer will do
			}
			return err
		}
	}
	if !d.polling {
		_ = d.d.Listen(d.change) // without it the size does not change
	}
	for _, q := range d.queues {
		if err := q.Enable(); err != nil {
			return err
		}
	}
	d.d.Ready()
	ok := false
	if d.serial, ok = d.identify(); !ok {
		return d.Enable() // or its answer may come when it is taken for another request's
	}
	return nil
}

// addQueue makes queue i, with an interrupt.
func (d *Disk) addQueue(i int) error {
	q, err := newRequests(d, i)
	if err != nil {
		return err
	}
	if err := q.Bind(i+1, q.q.Service); err != nil {
		if i > 0 {
			return err
		}
		d.log("it is asked every millisecond: " + err.Error())
		d.polling = true
	}
	d.queues = append(d.queues, q)
	return nil
}

// change is what the device calls when its settings are others, or it has failed.
func (d *Disk) change() {
	d.changed.Store(true)
	if d.keeper != nil {
		d.keeper.Wake()
	}
}

// Check implements [queue.Device].
func (d *Disk) Check() string {
	if why := d.d.Health(); why != "" {
		return why
	}
	if d.changed.Swap(false) {
		switch s, err := d.read(); {
		case err != nil:
			d.log("its new size is not taken: " + err.Error())
		case s.blocks != d.settings.blocks:
			d.settings.blocks = s.blocks
			d.SetInfo(d.info())
			d.log(fmt.Sprintf("it has %d blocks now", s.blocks))
		}
	}
	return ""
}

// Disable implements [queue.Device].
func (d *Disk) Disable() error { return d.d.Reset() }

// Enable implements [queue.Device].
func (d *Disk) Enable() error {
	if _, err := d.d.Negotiate(wanted); err != nil {
		return err
	}
	for _, q := range d.queues {
		if err := q.Enable(); err != nil {
			return err
		}
	}
	d.d.Ready()
	return nil
}

// Dead returns why the device does nothing any more, or nil.
func (d *Disk) Dead() error { return d.keeper.Dead() }

// Close takes no more requests, waits for those that the device has, has what it holds
// put on the medium, and resets it.
func (d *Disk) Close() error { return d.keeper.Close(nil, d.Disk) }

// info describes the disk.
func (d *Disk) info() block.Info {
	s := d.settings
	i := block.Info{
		Model: "virtio block device", Serial: d.serial, Blocks: s.blocks, BlockSize: s.blockSize,
		MaxBlocks: uint32(s.transfer / s.blockSize), MaxEmpty: maxEmpty / uint32(s.blockSize),
		ReadOnly: d.features&featureReadOnly != 0, Volatile: s.volatile,
	}
	per := uint32(s.blockSize / sector)
	i.Discard = d.features&featureDiscard != 0 && s.discard >= per
	i.WriteZeroes = d.features&featureWriteZeroes != 0 && s.zeroes >= per
	if i.Discard {
		i.MaxEmpty = min(i.MaxEmpty, s.discard/per)
	}
	if i.WriteZeroes {
		i.MaxEmpty = min(i.MaxEmpty, s.zeroes/per)
	}
	return i
}

// sector is the unit of positions and sizes on the wire, in bytes.
const sector = 512

// settings is what the device says about itself, checked.
type settings struct {
	blocks          uint64
	blockSize       int
	transfer        int // most bytes of a request
	segments        int // most pieces of its data
	queues          int
	discard, zeroes uint32 // most sectors
	volatile        bool
}

// read reads the settings ("Device configuration layout").
func (d *Disk) read() (s settings, err error) {
	var b [60]byte
	n := 24 // what all devices have
	if d.features&(featureCacheMode|featureQueues) != 0 {
		n = 36
	}
	if d.features&(featureDiscard|featureWriteZeroes) != 0 {
		n = len(b)
	}
	if err := d.d.Settings(0, b[:n]); err != nil {
		return s, err
	}
	s = settings{blockSize: sector, transfer: maxTransfer, segments: 1, queues: 1}
	has := func(feature uint64) bool { return d.features&feature != 0 }
	if has(featureBlockSize) {
		s.blockSize = int(le.Uint32(b[20:]))
	}
	capacity := le.Uint64(b[0:])
	if s.blockSize < sector || s.blockSize > 4096 || s.blockSize&(s.blockSize-1) != 0 || capacity > 1<<54 {
		return s, fmt.Errorf("it has %d sectors in blocks of %d bytes", capacity, s.blockSize)
	}
	s.blocks = capacity / uint64(s.blockSize/sector)
	if has(featureSizeMax) {
		s.transfer = int(min(maxTransfer, le.Uint32(b[8:])))
	}
	if s.transfer < s.blockSize {
		return s, fmt.Errorf("it takes %d bytes at a time", s.transfer)
	}
	if has(featureSegMax) {
		s.segments = int(min(max(le.Uint32(b[12:]), 1), maxSegments))
	}
	if has(featureQueues) {
		s.queues = int(max(le.Uint16(b[34:]), 1))
	}
	s.discard, s.zeroes = le.Uint32(b[36:]), le.Uint32(b[48:])
	s.volatile = has(featureFlush) && !(has(featureCacheMode) && b[32] == 0)
	return s, nil
}

var le = binary.LittleEndian

// text is a string of the device as people may see it.
func text(b []byte) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, string(b)))
}
