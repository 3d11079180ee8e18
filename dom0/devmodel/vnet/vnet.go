// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package vnet is the virtio network device (VIRTIO 1.2, "Network Device"). What the
// guest sends goes to [Config.Send], in batches and in place; what it is to receive comes
// by [Device.Deliver], and is copied once, into the guest's buffers. Checksums and TCP
// segments are left to whoever needs them done ([nic.Frame]).
//
// The server of a send queue does all of that. That of a receive queue has little to do:
// frames are delivered in the goroutine of whoever delivers them. A control queue sets
// filters.
//
// # Threats
//
//	guest does                            model does
//	------------------------------------  ---------------------------------------
//	breaks the rules of rings             DEVICE_NEEDS_RESET, by vpci
//	gives read-only buffers to receive    the same
//	sends what is no frame, or asks for   the frame is lost, and counted
//	 what cannot be done with it
//	changes what it sends meanwhile       the first [HeadLen] bytes were copied
//	                                      before they were looked at; the rest is
//	                                      data, whose sum it spoils for itself
//	gives no buffers, or tiny ones        what has no room is lost: nothing waits,
//	                                      and a frame has [maxPieces] pieces
//	sends without end                     [batch] frames at a time, then others run
//	asks for ever more addresses, VLANs   tables of fixed size; beyond them all
//	                                      addresses pass
//	resets while frames are delivered     the reset ends when they are
//	goes away                             the same; frames for it are lost
//	finds a mistake here, or in Send      the panic ends one queue, and the device
//	                                      needs a reset: never who delivers
package vnet

import (
	"sync"
	"sync/atomic"

	"ringo/dom0/devmodel/vpci"
	"ringo/drivers/nic"
)

// Device ID, PCI class, and features (VIRTIO 1.2, "Device Types" and, of the network
// device, "Feature bits").
const (
	id            = 1
	classEthernet = 0x020000

	featChecksum      = 1 << 0
	featGuestChecksum = 1 << 1
	featOffloads      = 1 << 2 // CTRL_GUEST_OFFLOADS
	featMTU           = 1 << 3
	featMAC           = 1 << 5
	featGuestTSO4     = 1 << 7
	featGuestTSO6     = 1 << 8
	featTSO4          = 1 << 11
	featTSO6          = 1 << 12
	featMerge         = 1 << 15
	featStatus        = 1 << 16
	featControl       = 1 << 17
	featRx            = 1 << 18
	featVLAN          = 1 << 19
	featRxExtra       = 1 << 20
	featAnnounce      = 1 << 21
	featQueues        = 1 << 22
	featSetMAC        = 1 << 23

	offloads = featGuestChecksum | featGuestTSO4 | featGuestTSO6
	offered  = offloads | featChecksum | featOffloads | featMTU | featMAC | featTSO4 | featTSO6 | featMerge | featStatus | featControl |
		featRx | featVLAN | featRxExtra | featAnnounce | featSetMAC
)

// Bounds on what a guest gets.
const (
	// MaxPairs is the largest number of pairs of queues.
	MaxPairs = 4
	// HeadLen is how many bytes of a frame that is sent are in its first piece, and the
	// guest's no more: all headers that somebody looks at, of most frames all of it.
	HeadLen = 128
	// MinMTU and MaxMTU are the bounds of Config.MTU.
	MinMTU, MaxMTU = 68, 9000

	receiveSize = 1024 // of queues; what is received in a burst has to wait in the guest
	sendSize    = 256
	controlSize = 64
	batch       = 64 // frames that are sent at once
	maxPieces   = 512
	// maxFrame is the longest that is sent or received, before it is cut, in bytes: the
	// most that IP has, behind Ethernet's header and a tag.
	maxFrame = nic.HeaderLen + nic.VLANLen + 0xffff
	// minSegment is how small the pieces may be that a guest asks for: the least that
	// Linux's TCP sends (TCP_MIN_SND_MSS).
	minSegment = 48

	// QueueBytes is what a pair keeps on the heap at most, DeviceBytes what a device has
	// beside that.
	QueueBytes  = 80 << 10
	DeviceBytes = 16 << 10
)

// Config is what a device is made of.
type Config struct {
	MAC   nic.MAC
	MTU   int // MinMTU to MaxMTU, in bytes of payload
	Pairs int // of queues, 1 to MaxPairs
	// Send takes what the guest sends. It runs on goroutines of the queues, of several at
	// a time, and does not block; frames and bytes are the device's again when it returns.
	// The first piece of a frame has HeadLen bytes, or all.
	Send func(frames []nic.Frame)
}

// Device is a device. Its methods are safe for concurrent use.
type Device struct {
	Config
	features uint64 // that are offered
	receive  []receiver
	send     []sender
	flows    flows
	counters counters
	down     atomic.Bool   // there is no link
	taken    atomic.Uint64 // the offloads that the driver wants now

	// mu guards what follows. It is the last lock: of vpci's, none is taken under it.
	mu       sync.Mutex
	serving  bool   // since the first queue of the driver was served
	accepted uint64 // features, while serving
	pairs    int    // that the driver receives on
	announce bool   // it is asked to tell the network where it is
	filter   filter
}

// New returns a device with its link up.
func New(c Config) *Device {
	d := &Device{Config: c, features: offered, receive: make([]receiver, c.Pairs), send: make([]sender, c.Pairs)}
	if c.Pairs > 1 {
		d.features |= featQueues
	}
	for i := range c.Pairs {
		d.receive[i].init(d, i)
		d.send[i].init(d, i)
	}
	return d
}

// Kind is what vpci makes the device of.
func (d *Device) Kind() vpci.Kind {
	k := vpci.Kind{ID: id, Class: classEthernet, Features: d.features, Open: d.open, Config: d.config, Reset: d.reset}
	for range d.Pairs {
		k.Queues = append(k.Queues, receiveSize, sendSize)
	}
	k.Queues = append(k.Queues, controlSize)
	return k
}

// open begins to serve a queue. Which one the control queue is depends on whether
// the driver knows of several pairs ("Virtqueues" of the network device).
func (d *Device) open(q *vpci.Queue) vpci.Server {
	d.begin(q.Features)
	pairs := 1
	if q.Features&featQueues != 0 {
		pairs = d.Pairs
	}
	switch i := q.Index; {
	case i == 2*pairs && q.Features&featControl != 0:
		return &control{d, q}
	case i >= 2*pairs:
		return nil
	case i%2 == 0:
		return d.receive[i/2].open(q)
	default:
		return d.send[i/2].open(q)
	}
}

// begin is called by each queue of a driver; the first says what was agreed on.
func (d *Device) begin(features uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.serving {
		d.serving, d.accepted, d.pairs = true, features, 1
		d.filter.begin(d.MAC, features)
		d.taken.Store(features & offloads)
	}
}

// reset is called by vpci, with its lock, when no queue is served.
func (d *Device) reset() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.serving {
		d.counters.resets.Add(1)
	}
	d.serving, d.accepted, d.announce = false, 0, false
	d.taken.Store(0)
}

// Accepts reports whether frames for the guest may have Sum, and Segment.
func (d *Device) Accepts() (checksum, segment bool) {
	return accepts(d.taken.Load())
}

func accepts(taken uint64) (checksum, segment bool) {
	return taken&featGuestChecksum != 0, taken&offloads == offloads
}

// SetLink says whether there is a link, and tells the guest. Without one, frames are lost
// both ways.
func (d *Device) SetLink(up bool) {
	if d.down.Swap(!up) == up {
		d.counters.changes.Add(1)
		d.receive[0].change()
	}
}

// Announce asks the guest to tell the network where it is, as after a migration ("Gratuitous
// Packet Sending"), if it can.
func (d *Device) Announce() {
	d.mu.Lock()
	d.announce = d.accepted&featAnnounce != 0
	on := d.announce
	d.mu.Unlock()
	if on {
		d.receive[0].change()
	}
}

// Fields of the configuration ("Device configuration layout" of the network device), and
// bits of its status.
const (
	cfgMAC    = 0
	cfgStatus = 6
	cfgPairs  = 8
	cfgMTU    = 10
	cfgLen    = 12

	statusLink     = 1
	statusAnnounce = 2
)

// config is called by vpci, with its lock.
func (d *Device) config() []byte {
	var b [cfgLen]byte
	copy(b[cfgMAC:], d.MAC[:])
	le.PutUint16(b[cfgPairs:], uint16(d.Pairs))
	le.PutUint16(b[cfgMTU:], uint16(d.MTU))
	if !d.down.Load() {
		b[cfgStatus] = statusLink
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.serving {
		copy(b[cfgMAC:], d.filter.mac[:])
	}
	if d.announce {
		b[cfgStatus] |= statusAnnounce
	}
	return b[:]
}
