// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package ether drives virtio network devices (VIRTIO 1.2, "Network Device"), with one
// queue each way. The device is not trusted: see package card for what becomes of one
// that lies or does not answer, and virtio for its registers.
//
// A frame to send is one descriptor: its header and its bytes lie together. A frame that
// comes may be in several buffers, where the device merges them. That the device has
// looked at a checksum is believed; frames that it has joined from segments are handed on
// as they are.
package ether

import (
	"encoding/binary"
	"errors"

	"ringo/drivers/dma"
	"ringo/drivers/nic"
	"ringo/drivers/nic/card"
	"ringo/drivers/virtio"
	"ringo/drivers/virtio/ring"
)

var le = binary.LittleEndian

// Sizes of queues and of memory.
const (
	entries   = 256
	bufferLen = 2048 // of received frames, or of a part of one
	spaceLen  = 512 << 10
	// Memory is what Start takes of the arena at most, in bytes.
	Memory = entries*bufferLen + spaceLen + 8*dma.Page
)

// Features ("Feature bits").
const (
	featureChecksum      = 1 << 0
	featureGuestChecksum = 1 << 1
	featureMTU           = 1 << 3
	featureMAC           = 1 << 5
	featureGuestTSO4     = 1 << 7
	featureGuestTSO6     = 1 << 8
	featureTSO4          = 1 << 11
	featureTSO6          = 1 << 12
	featureMerge         = 1 << 15
	featureStatus        = 1 << 16

	guestTSO = featureGuestTSO4 | featureGuestTSO6
	wanted   = featureChecksum | featureGuestChecksum | featureMTU | featureMAC | guestTSO | featureTSO4 | featureTSO6 |
		featureMerge | featureStatus | ring.FeatureEventIndex
)

// The header of each frame ("Device Operation").
const (
	headerLen    = 12
	needsSum     = 1
	sumValid     = 2
	gsoTCP4      = 1
	gsoTCP6      = 4
	maxSegmented = 60 << 10
)

// Queues and messages.
const (
	receiveQueue, sendQueue = 0, 1
	receiveMessage          = 1
	sendMessage             = 2
)

// device is a device. It is the card.Hardware.
type device struct {
	d        *virtio.Device
	card     *card.Card
	features uint64
	want     uint64
	info     nic.Info
	rx       receiver
	tx       sender
}

var errMAC = errors.New("it has no address of its own")

// Start brings a device up, whatever state it is in.
func Start(f virtio.Function) (*card.Card, error) {
	v, err := virtio.Open(f)
	if err != nil {
		return nil, err
	}
	d := &device{d: v, want: wanted}
	if err := d.first(f); err != nil {
		if v.Reset() != nil {
			f.Stop()
		}
		return nil, err
	}
	return d.card, nil
}

// first learns what the device is, makes its queues, and lets it work.
func (d *device) first(f virtio.Function) error {
	if err := d.negotiate(); err != nil {
		return err
	}
	if err := d.identify(); err != nil {
		return err
	}
	if err := d.memory(f.Arena); err != nil {
		return err
	}
	d.card = card.New(card.Config{Info: d.info, Present: f.Present, Stop: f.Stop, Log: f.Log}, d)
	if err := d.rx.q.Bind(receiveMessage, d.card.Wake); err != nil {
		f.Log("it is asked every millisecond: " + err.Error())
		d.card.Polling = true
	} else {
		// Without these two a change is seen a second later, and room a millisecond.
		_ = d.tx.q.Bind(sendMessage, d.card.Wake)
		_ = d.d.Listen(func() { d.card.Relink.Store(true); d.card.Wake() })
	}
	return d.enable()
}

// negotiate agrees on features. Segments that are joined need buffers that are merged.
func (d *device) negotiate() (err error) {
	if d.features, err = d.d.Negotiate(d.want); err != nil {
		return err
	}
	if d.features&guestTSO != 0 && d.features&featureMerge == 0 {
		d.want &^= guestTSO
		d.features, err = d.d.Negotiate(d.want)
	}
	return err
}

func (d *device) has(f uint64) bool { return d.features&f == f }

// identify reads the settings ("Device configuration layout").
func (d *device) identify() error {
	d.info = nic.Info{Model: "virtio", MTU: nic.MTU, Verifies: d.has(featureGuestChecksum)}
	d.info.Checksum = d.has(featureChecksum)
	d.info.Segment = d.has(featureChecksum | featureTSO4 | featureTSO6)
	d.info.MaxSegmented = maxSegmented
	if !d.has(featureMAC) {
		return errMAC
	}
	if err := d.d.Settings(0, d.info.MAC[:]); err != nil {
		return err
	}
	if !d.info.MAC.Valid() {
		return errMAC
	}
	if d.has(featureMTU) {
		var b [2]byte
		if err := d.d.Settings(10, b[:]); err != nil {
			return err
		}
		if v := int(le.Uint16(b[:])); v >= 576 && v < nic.MTU {
			d.info.MTU = v
		}
	}
	return nil
}

// memory makes the queues, and gets what frames lie in.
func (d *device) memory(a dma.Arena) (err error) {
	if d.rx.q, err = d.d.NewQueue(receiveQueue, entries, 1); err != nil {
		return err
	}
	if d.tx.q, err = d.d.NewQueue(sendQueue, entries, 1); err != nil {
		return err
	}
	if err := d.rx.memory(a); err != nil {
		return err
	}
	return d.tx.memory(a)
}

// enable gives the queues to the device, the one with all its buffers.
//
// Preconditions: negotiate has returned.
func (d *device) enable() error {
	for _, q := range []*virtio.Queue{d.rx.q, d.tx.q} {
		if err := q.Enable(); err != nil {
			return err
		}
	}
	d.rx.fill()
	d.tx.clear()
	d.d.Ready()
	d.rx.q.Kick()
	return nil
}

// Halt implements card.Hardware.
func (d *device) Halt() error { return d.d.Reset() }

// Start implements card.Hardware.
func (d *device) Start() error {
	if err := d.negotiate(); err != nil {
		return err
	}
	return d.enable()
}

// Promiscuous implements card.Hardware: without a control queue, which the driver does not
// ask for, the device has nobody who would tell it what to leave out ("Packet Receive
// Filtering").
func (d *device) Promiscuous(bool) {}

// Link implements card.Hardware.
func (d *device) Link() nic.Link {
	if !d.has(featureStatus) {
		return nic.Link{Up: true}
	}
	var b [2]byte
	if d.d.Settings(6, b[:]) != nil {
		return nic.Link{}
	}
	return nic.Link{Up: le.Uint16(b[:])&1 != 0}
}

// Check implements card.Hardware.
func (d *device) Check(well bool) string {
	if d.rx.wrong != "" {
		return d.rx.wrong
	}
	for _, q := range []*virtio.Queue{d.rx.q, d.tx.q} {
		if err := q.Broken(); err != nil {
			return err.Error()
		}
	}
	if well {
		return d.d.Health()
	}
	return ""
}

// Sleep implements card.Hardware.
func (d *device) Sleep(room bool) bool {
	ok := d.rx.q.Sleep() || d.rx.wrong != ""
	if room && !d.tx.q.Sleep() {
		ok = false
	}
	return ok
}
