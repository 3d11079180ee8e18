// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package vpci is what all virtio devices have in common: the PCI function with
// its register structures, feature negotiation, queues and interrupts (VIRTIO 1.2,
// "Virtio Over PCI Bus"; a modern device, without the legacy interface). What a
// device does with requests is its [Server].
//
// A [Queue] has a goroutine of its own. The guest
// notifies a queue through I/O ports that the hypervisor answers as doorbells;
// register accesses are those of dom0's thread and do not block: a reset takes
// effect in the background, and the status register reads 0 when nobody
// touches the queues any more, for which drivers wait.
//
// # Threats
//
//	guest does                            model does
//	------------------------------------  ---------------------------------------
//	puts a ring where there is no RAM,    DEVICE_NEEDS_RESET; nothing is served
//	or breaks the rules of rings          until it resets the device
//	writes registers out of order         what is not allowed now is ignored
//	enables features not offered          FEATURES_OK stays clear
//	notifies without end                  one wake-up of the queue's goroutine
//	asks without end                      a server does a bounded amount, then
//	                                      others run
//	resets while requests are served      the reset ends when they have ended
//	resets in a loop                      one reset at a time
//	goes away                             Stop ends the goroutines; RAM is pinned
//	                                      from DRIVER_OK to the next reset
//	finds a mistake in a back end         the panic ends one queue: the device
//	                                      needs a reset, and a line says why
package vpci

import (
	"sync"
	"sync/atomic"

	"ringo/dom0/devmodel/pcihost"
	"ringo/drivers/virtio/ring"
	"ringo/hv/bus"
)

// Memory is the guest's RAM; guestmem.Memory is one.
type Memory interface {
	ring.Memory
	Pin() bool
	Unpin()
}

// Kind is what a device is.
type Kind struct {
	ID       uint16 // of the device type (VIRTIO 1.2, "Device Types")
	Class    uint32 // PCI class
	Features uint64 // of the device type
	Queues   []int  // their largest sizes, powers of two
	// Prompt says that the servers are fast enough for the thread of events, and do not
	// wait for who wakes them: who calls [Queue.Wake] may call them, and the doorbell does.
	Prompt bool
	// Open begins to serve a queue, in turn and with the guest's RAM pinned; nil: the
	// device does not serve it. The server is called at once, since requests may be there.
	Open func(q *Queue) Server
	// Config returns the device configuration (VIRTIO 1.2, "Device Configuration
	// Space"), SetConfig takes a write of it, and Reset is told of resets. They are
	// called with the device locked, and may be nil.
	Config    func() []byte
	SetConfig func(off uint64, size uint8, val uint64)
	Reset     func()
}

// Bells takes the doorbell of a queue to a port, or with ok false away. It must
// not block for long.
type Bells func(q int, port uint64, ok bool)

// Feature bits that every device has (VIRTIO 1.2, "Reserved Feature Bits").
const (
	featureVersion1 = 1 << 32
	features        = featureVersion1 | ring.FeatureIndirect | ring.FeatureEventIndex
)

// Bits of the device status (VIRTIO 1.2, "Device Status Field").
const (
	statusDriverOK   = 4
	statusFeaturesOK = 8
	statusNeedsReset = 64
)

// Bits of the ISR status.
const (
	isrQueue  = 1
	isrConfig = 2
)

const noVector = 0xffff

// Device is a virtio device.
type Device struct {
	*pcihost.Function
	kind  Kind
	mem   Memory
	msix  *pcihost.MSIX
	bells Bells
	// failed is told that a queue's server has panicked, and ended: the device needs a
	// reset.
	failed func(v any)
	work   sync.WaitGroup          // goroutines
	live   []atomic.Pointer[Queue] // those that are served

	// mu guards what follows. It comes before the locks of package pcihost, so that
	// the pin follows the ISR status.
	mu        sync.Mutex
	status    uint8
	resetting bool
	featSel   uint32
	drvSel    uint32
	drvFeat   uint64
	configVec uint16
	// generation counts changes of the device configuration (VIRTIO 1.2, "Common
	// configuration structure layout", config_generation).
	generation uint8
	queueSel   uint16
	isr        uint8
	queues     []queue
	run        *run // while DRIVER_OK
	stopped    bool
}

// queue is what the driver sets for a queue.
type queue struct {
	size              int
	vector            uint16
	enabled           bool
	desc, avail, used uint64
}

// New makes a device of a kind whose requests are in mem, to be put into a slot of
// a pcihost.Host. failed is called, with the value and before its stack is left, when a
// server has panicked: its queue is served no more until the driver resets the device.
func New(k Kind, mem Memory, bells Bells, failed func(v any)) *Device {
	d := &Device{kind: k, mem: mem, bells: bells, failed: failed}
	d.queues = make([]queue, len(k.Queues))
	d.live = make([]atomic.Pointer[Queue], len(k.Queues))
	d.build()
	d.clear()
	return d
}

// clear puts the registers into the state after a reset.
func (d *Device) clear() {
	d.status, d.featSel, d.drvSel, d.drvFeat, d.queueSel, d.isr = 0, 0, 0, 0, 0, 0
	d.configVec = noVector
	d.SetINTx(false)
	if d.kind.Reset != nil {
		d.kind.Reset()
	}
	for i := range d.queues {
		d.queues[i] = queue{size: d.kind.Queues[i], vector: noVector}
	}
}

// Stop ends the device for good: when it returns, nothing touches the guest's RAM.
func (d *Device) Stop() {
	d.mu.Lock()
	d.stopped = true
	d.run.end()
	d.mu.Unlock()
	d.work.Wait()
}

// Kick notifies queue q; it is what its doorbell does.
func (d *Device) Kick(q int) {
	if q := d.live[q].Load(); q != nil {
		q.Wake()
	}
}

// interrupt tells the driver of the causes, by the message of a vector or by the
// pin.
func (d *Device) interrupt(cause uint8, vector uint16) {
	if d.Enabled() {
		d.msix.Raise(vector)
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.isr |= cause
	d.SetINTx(true)
}

// needsReset says that the driver has broken the rules.
func (d *Device) needsReset() {
	d.mu.Lock()
	ok := d.status&statusDriverOK != 0
	d.status |= statusNeedsReset
	vector := d.configVec
	d.mu.Unlock()
	if ok {
		d.interrupt(isrConfig, vector)
	}
}

// takeISR reads and clears the ISR status, which ends the interrupt of the pin.
func (d *Device) takeISR() uint8 {
	d.mu.Lock()
	defer d.mu.Unlock()
	v := d.isr
	d.isr = 0
	d.SetINTx(false)
	return v
}

var _ bus.Device = (*registers)(nil)
