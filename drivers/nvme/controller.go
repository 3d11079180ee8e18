// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package nvme drives NVM Express controllers (NVM Express 1.4; what later versions
// add is not used). Namespaces are disks of package block.
//
// A controller has an I/O queue pair per queue of the disk, with an interrupt each. All
// commands of a queue are its slots; a request that finds none waits in the queue. The
// function that the interrupt calls takes completions, starts what waits, and calls
// Done: nothing of it blocks or allocates.
//
// A goroutine per controller looks after commands that take too long ([Timeout]): it
// looks for their completions (the interrupt may be lost), asks the device to abort them,
// and then resets it. After a reset, commands that were with the device are given to it
// again: none of them was acknowledged. What was acknowledged is the device's to keep.
//
// # Threats
//
//	the device does                          the driver does
//	---------------------------------------  ---------------------------------------
//	completes what it was not given, or      reset; after three in ten minutes it is
//	 twice, or for another queue              left alone, and requests fail
//	says nothing                             timeout, abort, reset, as above
//	is not there any more                    bus mastering off, requests fail: ErrGone
//	lies about sizes                         bounds on everything that is computed with
//	writes memory that it was not told       nothing: that is the IOMMU's business
package nvme

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"ringo/drivers/block"
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
	retries       = 3   // how often a command is given to the device again

	// A device that had maxResets resets within resetWindow is left alone.
	maxResets   = 3
	resetWindow = 10 * time.Minute
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
	onlyN   uint32
	can     uint16 // optional commands

	admin   admin
	queues  []*queue
	disks   []*Disk
	polling bool // there are no interrupts

	mu     sync.Mutex // guards what follows
	dead   error      // why requests fail, nil while it works
	resets []time.Time
	quit   chan struct{}
	ended  chan struct{}
}

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
	d := &Controller{Config: c, quit: make(chan struct{}), ended: make(chan struct{})}
	if err := d.capabilities(); err != nil {
		return nil, err
	}
	if err := d.start(); err != nil {
		d.halt()
		return nil, err
	}
	go d.watch()
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

// disable ends all that the device does, and keeps it from writing memory.
func (d *Controller) disable() error {
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
	if err := d.disable(); err != nil {
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

// halt ends a device that does not work: it writes no memory from now on.
func (d *Controller) halt() {
	if d.disable() != nil {
		d.Stop()
	}
}

// Disks returns the namespaces.
func (d *Controller) Disks() []*Disk { return d.disks }

// Close takes no more requests, waits for those that the device has, and shuts the
// device down, with all that it holds on the medium ("Controller Shutdown").
func (d *Controller) Close() error {
	close(d.quit)
	<-d.ended
	for _, q := range d.queues {
		q.drain(Timeout)
	}
	d.fail(errClosed)
	cc := d.Regs.Read32(regCC)
	d.Regs.Write32(regCC, cc&^ccShutdownAny|ccShutdown)
	defer d.halt()
	if !d.await(cstsShut, cstsShutReady, max(d.ready, Timeout)) {
		return fmt.Errorf("its shutdown was not confirmed: %w", block.ErrTimeout)
	}
	return nil
}

var errClosed = fmt.Errorf("it is shut down: %w", block.ErrGone)
