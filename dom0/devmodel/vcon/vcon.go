// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package vcon is the virtio console device (VIRTIO 1.2, "Console Device") with several
// ports: a console, and streams of bytes by name, which Linux has as /dev/hvc0 and
// /dev/virtio-ports/NAME.
//
// A port has two queues. What the guest sends goes to the port's [Sink], as far as that has
// room: the rest stays in the guest, which waits. What is for the guest is kept in a buffer
// of [InputSize] bytes until the guest has opened the port and has room.
//
// Drivers without the feature for several ports have the console only.
//
// # Threats
//
//	guest does                            model does
//	------------------------------------  ---------------------------------------
//	breaks the rules of rings             DEVICE_NEEDS_RESET, by vpci
//	gives buffers of the wrong direction  the same
//	gives no room for a message of the    the same
//	 control queue
//	sends without end, or gigabytes in    a piece of it, then others run; what
//	 one request                          is kept is the sink's, which is bounded
//	sends where nobody listens            it is dropped
//	does not read                         [InputSize] bytes wait
//	opens and closes in a loop            one bit; what waits for it is dropped
//	says that it is ready, in a loop      each message waits once: a bit of the
//	                                      port says that it is due
//	names ports that there are not        nothing
package vcon

import (
	"encoding/binary"
	"sync"

	"ringo/dom0/devmodel/vpci"
)

// Device ID, PCI class and features (VIRTIO 1.2, "Device Types" and, of the console
// device, "Feature bits"). The size of the terminal is not told: nobody here knows it.
const (
	id                 = 3
	classCommunication = 0x078000

	featPorts = 1 << 1
)

// Queues (VIRTIO 1.2, "Virtqueues" of the console device): the first port's, those of
// messages, the others'. Each pair begins with what the device sends.
const (
	queueControl = 2
	queueSize    = 16
)

// Bounds on what a guest gets.
const (
	// InputSize is how many bytes of a port wait for the guest.
	InputSize = 4096
	// MaxPorts is how many ports there may be besides the console.
	MaxPorts = 4
	// PortBytes is what a port keeps on the heap at most, DeviceBytes the rest.
	PortBytes   = InputSize + 2*queueBytes
	DeviceBytes = 2 * queueBytes
	queueBytes  = 16 << 10

	piece = 16 << 10 // bytes of a queue before others run
	batch = 64       // requests, likewise
)

// Sink takes what the guest sends by a port.
type Sink interface {
	// Write takes bytes and returns how many it had room for: [Port.Resume] says that
	// there is room again. It does not block.
	Write(p []byte) int
}

// Config is what a device is made of.
type Config struct {
	Console Sink   // where the console's output goes; nil: there is no console
	Ports   []Sink // and that of the others
	Names   []string
}

// Device is a console device. Its methods, and those of its ports, are safe for
// concurrent use.
type Device struct {
	ports []*Port // the first is the console, or nil
	news  waker   // of the queue of messages for the driver

	// mu guards the states of ports. It comes before no other lock.
	mu sync.Mutex
}

// New makes a device.
func New(c Config) *Device {
	d := &Device{ports: []*Port{nil}}
	if c.Console != nil {
		d.ports[0] = newPort(d, c.Console, "")
		d.ports[0].attended = true
	}
	for i, s := range c.Ports {
		d.ports = append(d.ports, newPort(d, s, c.Names[i]))
	}
	return d
}

// Console returns the console, nil if there is none.
func (d *Device) Console() *Port { return d.ports[0] }

// Port returns port i, from 0 on, besides the console.
func (d *Device) Port(i int) *Port { return d.ports[1+i] }

// Kind returns the device as others know it.
func (d *Device) Kind() vpci.Kind {
	k := vpci.Kind{ID: id, Class: classCommunication, Features: featPorts, Open: d.open, Config: d.config, Reset: d.reset}
	for range 2 * (1 + len(d.ports)) {
		k.Queues = append(k.Queues, queueSize)
	}
	return k
}

// config is the device configuration: columns, rows, the number of ports, and a register
// that there is not.
func (d *Device) config() []byte {
	var b [12]byte
	binary.LittleEndian.PutUint32(b[4:], uint32(len(d.ports)))
	return b[:]
}

// reset forgets what the driver has said.
func (d *Device) reset() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range d.ports {
		if p != nil {
			p.reset()
		}
	}
}

// find returns the port of a number, nil if there is none.
func (d *Device) find(n uint32) *Port {
	if n < uint32(len(d.ports)) {
		return d.ports[n]
	}
	return nil
}

// of returns the port that a queue belongs to, nil if it is none's, and whether the queue
// is for what the device sends.
func (d *Device) of(queue int) (p *Port, receive bool) {
	receive = queue%2 == 0
	switch {
	case queue < queueControl:
		return d.ports[0], receive
	case queue < queueControl+2:
		return nil, receive
	}
	return d.ports[queue/2-1], receive
}
