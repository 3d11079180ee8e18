// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package virtio is what drivers of virtio devices on PCI have in common (Virtual I/O
// Device (VIRTIO) Version 1.2, "Virtio Over PCI Bus"): finding the registers, the
// handshake, and queues. Legacy devices are refused.
//
// A driver opens a function ([Open]), then negotiates ([Device.Negotiate]), makes its
// queues ([Device.NewQueue]), binds their interrupts ([Queue.Bind]), gives them to the
// device ([Queue.Enable]), and says [Device.Ready]. To reset a device it calls Negotiate
// again, Enable for each queue, and Ready.
//
// Nothing that the device says is used as an index or a size before it is checked. What
// it writes to memory that it was not told of is the IOMMU's business; a device that
// does not offer ACCESS_PLATFORM goes around it.
package virtio

import (
	"errors"
	"fmt"
	"time"

	"ringo/drivers/block"
	"ringo/drivers/dma"
	"ringo/drivers/pci"
	"ringo/drivers/reg"
)

// Function is what a driver needs of its device's function.
type Function struct {
	// Config reads its configuration space.
	Config pci.Config
	// BAR maps base address n, 0 to 5. It is called once for each at most.
	BAR   func(n int) (reg.Window, error)
	Arena dma.Arena
	// Bind lets message n of MSI-X call f, which does not block. It is not called for a
	// device without MSI-X, which must be polled.
	Bind func(n int, f func()) error
	// Present asks the configuration space whether the function is there.
	Present func() bool
	// Master lets the device write memory, and Stop keeps it from it, once it returns.
	Master func() error
	Stop   func()
	// Log takes lines for people.
	Log func(line string)
}

// Features that belong to all devices (VIRTIO 1.2, "Reserved Feature Bits"); those of
// the ring are in package ring.
const (
	version1       = 1 << 32
	accessPlatform = 1 << 33
)

// Registers of the common configuration ("Common configuration structure layout").
const (
	regDeviceSelect = 0x00
	regDevice       = 0x04
	regDriverSelect = 0x08
	regDriver       = 0x0c
	regChangeVector = 0x10
	regQueues       = 0x12
	regStatus       = 0x14
	regGeneration   = 0x15
	regQueue        = 0x16
	regQueueSize    = 0x18
	regQueueVector  = 0x1a
	regQueueEnable  = 0x1c
	regQueueNotify  = 0x1e
	regQueueDesc    = 0x20
	regQueueAvail   = 0x28
	regQueueUsed    = 0x30
	commonSize      = 0x38

	noVector = 0xffff
)

// Bits of the status ("Device Status Field").
const (
	statusAcknowledge = 1
	statusDriver      = 2
	statusReady       = 4
	statusFeatures    = 8
	statusBroken      = 0x40 // DEVICE_NEEDS_RESET
	statusFailed      = 0x80
)

// resetTime is how long a device may take for a reset.
const resetTime = 3 * time.Second

// Errors of a device as a whole.
var (
	errReset = fmt.Errorf("it does not stop: %w", block.ErrDevice)
	errGone  = fmt.Errorf("it does not answer any more: %w", block.ErrGone)
)

// Device is a function whose registers are found.
type Device struct {
	Function
	common, notify reg.Window
	device         reg.Window // nil if there is none
	multiplier     uint32
	messages       int // of MSI-X
	features       uint64
	change         uint16 // message for changes of the settings
}

// Open finds a function's registers, and stops what it does; then it may write memory.
func Open(f Function) (*Device, error) {
	d := &Device{Function: f, change: noVector}
	if err := d.find(); err != nil {
		return nil, err
	}
	if err := d.Reset(); err != nil {
		return nil, err
	}
	return d, f.Master()
}

// Reset ends all that the device does: when it returns nil the device uses no memory.
func (d *Device) Reset() error {
	d.common.Write8(regStatus, 0)
	for end := time.Now().Add(resetTime); ; time.Sleep(time.Millisecond) {
		switch s := d.common.Read8(regStatus); {
		case s == 0:
			if !d.Present() { // of a device that is gone some windows read as zeros
				return errGone
			}
			return nil
		case s == 0xff && !d.Present():
			return errGone
		case time.Now().After(end):
			return errReset
		}
	}
}

// Negotiate resets the device and agrees with it on features: those of want that it
// has, and what every driver must take. It returns what was agreed on.
func (d *Device) Negotiate(want uint64) (uint64, error) {
	if err := d.Reset(); err != nil {
		return 0, err
	}
	d.common.Write8(regStatus, statusAcknowledge)
	d.common.Write8(regStatus, statusAcknowledge|statusDriver)
	var offered uint64
	for i := range uint32(2) {
		d.common.Write32(regDeviceSelect, i)
		offered |= uint64(d.common.Read32(regDevice)) << (32 * i)
	}
	if offered&version1 == 0 {
		return 0, d.failed("it is a legacy device")
	}
	d.features = offered & (want | version1 | accessPlatform)
	for i := range uint32(2) {
		d.common.Write32(regDriverSelect, i)
		d.common.Write32(regDriver, uint32(d.features>>(32*i)))
	}
	d.common.Write8(regStatus, statusAcknowledge|statusDriver|statusFeatures)
	if d.common.Read8(regStatus)&statusFeatures == 0 {
		return 0, d.failed(fmt.Sprintf("it refuses the features %#x of %#x", d.features, offered))
	}
	if d.change != noVector {
		if err := d.setVector(regChangeVector, d.change); err != nil {
			return 0, err
		}
	}
	return d.features, nil
}

func (d *Device) failed(why string) error {
	d.common.Write8(regStatus, statusFailed)
	return errors.New(why)
}

// setVector writes a message's number; a device that has no room for it says so.
func (d *Device) setVector(off uint32, n uint16) error {
	d.common.Write16(off, n)
	if d.common.Read16(off) != n {
		return fmt.Errorf("it refuses interrupt message %d", n)
	}
	return nil
}

// Listen lets message 0 call f when the settings change, or the device breaks.
//
// Preconditions: Negotiate has returned; called once.
func (d *Device) Listen(f func()) error {
	if err := d.bind(0, f); err != nil {
		return err
	}
	if err := d.setVector(regChangeVector, 0); err != nil {
		return err
	}
	d.change = 0
	return nil
}

func (d *Device) bind(n int, f func()) error {
	if n >= d.messages {
		return fmt.Errorf("it has %d interrupt messages", d.messages)
	}
	return d.Bind(n, f)
}

// Ready lets the device serve its queues.
func (d *Device) Ready() {
	d.common.Write8(regStatus, statusAcknowledge|statusDriver|statusFeatures|statusReady)
}

// Health returns why a device that was ready must be reset, "" if it need not be. Of a
// device that is gone it says so, too: who calls asks Present.
func (d *Device) Health() string {
	switch s := d.common.Read8(regStatus); {
	case s&statusBroken != 0 && s != 0xff:
		return "it says that it needs a reset"
	case s&statusReady == 0 || s == 0xff:
		return "it has forgotten its driver"
	}
	return ""
}

// Queues is how many queues the device says it has.
func (d *Device) Queues() int { return int(d.common.Read16(regQueues)) }

// Settings copies the device-specific registers from off on to b, as they are at one
// time. It fails where there are not so many.
func (d *Device) Settings(off uint32, b []byte) error {
	if d.device == nil || uint64(off)+uint64(len(b)) > uint64(d.device.Size()) {
		return fmt.Errorf("it has no settings at %d, %d bytes", off, len(b))
	}
	for range 100 {
		g := d.common.Read8(regGeneration)
		for i := range b {
			b[i] = d.device.Read8(off + uint32(i))
		}
		if d.common.Read8(regGeneration) == g {
			return nil
		}
	}
	return errors.New("its settings change all the time")
}
