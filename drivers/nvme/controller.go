// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package nvme drives NVM Express controllers (NVM Express 1.4; what later versions
// add is not used). Namespaces are disks of package block.
//
// A controller has an I/O queue pair per queue of the disk, with an interrupt each. What
// becomes of requests, of a device that does not answer and of one that lies is package
// queue's.
package nvme

import (
	"errors"
	"fmt"
	"time"

	"ringo/drivers/block"
	"ringo/drivers/block/queue"
	"ringo/drivers/dma"
	"ringo/drivers/reg"
)

// Timeout is how long a command may take before it is aborted, and again before the
// device is reset.
const Timeout = 5 * time.Second

// Bounds of what is asked of a device.
const (
	maxNamespaces = 16
	maxQueues     = 16
	slots         = 127 // commands of a queue, one less than its entries
)

// Config is what a driver needs of its device's function. All functions but Bind are
// called from one goroutine at a time.
type Config struct {
	Regs  reg.Window // BAR 0
	Arena dma.Arena
	// Queues is how many I/O queues are wanted, at least 1.
	Queues int
	// Bind lets interrupt message n call f; it fails if there are not so many messages.
	// f does not block.
	Bind func(n int, f func()) error
	// Present asks the function's configuration space whether it is there.
	Present func() bool
	// Stop turns bus mastering off: after it returns the device writes no memory.
	Stop func()
	// Log takes lines for people.
	Log func(line string)
}

// Controller is a working device.
type Controller struct {
	Config
	stride  uint32 // between doorbells, in bytes
	ready   time.Duration
	entries int    // of an I/O queue
	mdts    uint64 // most bytes of a command
	info    block.Info
	can     uint16 // optional commands

	admin   admin
	pairs   []*pair
	disks   []*Disk
	polling bool // there are no interrupts
	keeper  *queue.Keeper
}

// Disk is a namespace.
type Disk struct {
	*queue.Disk
	info      block.Info
	namespace namespace
}

// ID is the namespace's number, from 1 on.
func (n *Disk) ID() uint32 { return n.namespace.id }

// Errors of a device as a whole.
var (
	errDisable = errors.New("it does not stop")
	errEnable  = errors.New("it does not become ready")
	errGone    = fmt.Errorf("it does not answer any more: %w", block.ErrGone)
)

// Disable asks a device that somebody else has used to stop, before it may write memory
// again.
func Disable(regs reg.Window) {
	if cc := regs.Read32(regCC); cc != ^uint32(0) {
		regs.Write32(regCC, cc&^(ccEnable|ccShutdownAny))
	}
}

// Start brings a device up, whatever state it is in.
func Start(c Config) (*Controller, error) {
	d := &Controller{Config: c}
	if err := d.capabilities(); err != nil {
		return nil, err
	}
	if err := d.start(); err != nil {
		if d.Disable() != nil {
			d.Stop()
		}
		return nil, err
	}
	var queues []*queue.Queue
	for _, p := range d.pairs {
		queues = append(queues, p.q)
	}
	for _, n := range d.disks {
		n.Disk = queue.NewDisk(n.info, &n.namespace, queues)
	}
	d.keeper = queue.Keep(d, queue.Config{
		Timeout: Timeout, Polling: d.polling, Present: d.Present, Stop: d.Stop, Log: d.Log,
	}, queues)
	return d, nil
}

// capabilities reads what does not change, and gets the memory for it.
func (d *Controller) capabilities() (err error) {
	low, high := d.Regs.Read32(regCAP), d.Regs.Read32(regCAP+4)
	switch {
	case low == ^uint32(0):
		return errGone
	case high>>5&1 == 0:
		return errors.New("it has no NVM command set")
	case high>>16&15 != 0:
		return errors.New("its pages are larger than 4 KiB")
	}
	d.entries = min(int(low&0xffff)+1, slots+1)
	if d.entries < 2 {
		return errors.New("its queues have no room")
	}
	d.stride = 4 << (high & 15)
	d.ready = time.Duration(max(low>>24, 6)) * 500 * time.Millisecond
	if uint64(regBell)+uint64(2*maxQueues+2)*uint64(d.stride) > uint64(d.Regs.Size()) {
		d.Queues = min(d.Queues, int(d.Regs.Size()-regBell)/int(2*d.stride)-1)
	}
	if d.Queues = min(d.Queues, maxQueues); d.Queues < 1 {
		return errors.New("its registers have no room for a queue's doorbells")
	}
	return d.admin.init(d.Arena, d.Regs, d.stride)
}

// start takes a device from any state to one that serves requests: at first, and after
// a reset.
func (d *Controller) start() error {
	if err := d.enable(); err != nil {
		return err
	}
	if d.disks == nil {
		if err := d.identify(); err != nil {
			return err
		}
	}
	return d.startQueues()
}

// Disable implements [queue.Device].
func (d *Controller) Disable() error {
	cc := d.Regs.Read32(regCC)
	if cc == ^uint32(0) {
		return errGone
	}
	if cc&ccEnable != 0 {
		d.Regs.Write32(regCC, cc&^(ccEnable|ccShutdownAny))
	}
	if !d.await(cstsReady, 0, d.ready) {
		return errDisable
	}
	return nil
}

// enable resets the device and gives it the admin queue ("Controller Initialization").
// A device that is enabled ignores the registers written here, so it is disabled first.
func (d *Controller) enable() error {
	if err := d.Disable(); err != nil {
		return err
	}
	d.admin.reset()
	r := &d.admin.ring
	d.Regs.Write32(regAQA, uint32(r.entries-1)<<16|uint32(r.entries-1))
	d.Regs.Write64(regASQ, r.sq.Addr)
	d.Regs.Write64(regACQ, r.cq.Addr)
	d.Regs.Write32(regCC, ccEnable|ccEntries)
	if !d.await(cstsReady, cstsReady, d.ready) {
		return errEnable
	}
	return nil
}

// await waits until bits of the status have a value.
func (d *Controller) await(mask, want uint32, most time.Duration) bool {
	for end := time.Now().Add(most); ; time.Sleep(time.Millisecond) {
		s := d.Regs.Read32(regCSTS)
		switch {
		case s == ^uint32(0):
			return false
		case s&mask == want:
			return true
		case want == cstsReady && s&cstsFatal != 0, time.Now().After(end):
			return false
		}
	}
}

// Enable implements [queue.Device].
func (d *Controller) Enable() error { return d.start() }

// Check implements [queue.Device]: the device says whether it works.
func (d *Controller) Check() string {
	if s := d.Regs.Read32(regCSTS); s&cstsFatal != 0 || s&cstsReady == 0 {
		return "it says that it has failed"
	}
	return ""
}

// Abort implements [queue.Aborter].
func (d *Controller) Abort(q, slot int) error {
	_, err := d.do(command{op: adminAbort, d10: uint32(slot)<<16 | uint32(d.pairs[q].id)})
	return err
}

// Disks returns the namespaces.
func (d *Controller) Disks() []*Disk { return d.disks }

// Dead returns why the device does nothing any more, or nil.
func (d *Controller) Dead() error { return d.keeper.Dead() }

// Close takes no more requests, waits for those that the device has, and shuts the
// device down, with all that it holds on the medium ("Controller Shutdown").
func (d *Controller) Close() error {
	return d.keeper.Close(func() error {
		cc := d.Regs.Read32(regCC)
		d.Regs.Write32(regCC, cc&^ccShutdownAny|ccShutdown)
		if !d.await(cstsShut, cstsShutReady, max(d.ready, Timeout)) {
			return fmt.Errorf("its shutdown was not confirmed: %w", block.ErrTimeout)
		}
		return nil
	})
}
