// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package ide drives the channels of IDE controllers (ATA/ATAPI-7, volume 2, "Parallel
// interface"; Programming Interface for Bus Master IDE Controller, revision 1.0): up to
// two disks or ATAPI drives each, which share one command at a time. Data moves by bus
// master DMA, or word by word where drive or controller can do no better.
package ide

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"ringo/drivers/ata"
	"ringo/drivers/block"
	"ringo/drivers/block/queue"
	"ringo/drivers/dma"
	"ringo/drivers/reg"
)

// Timeout is how long a command may take before the channel is reset.
const Timeout = 30 * time.Second

// maxTransfer is the most that a request moves, in bytes.
const maxTransfer = 128 << 10

// Config is what a driver needs of a channel.
type Config struct {
	Command reg.Window // eight ports, 0x1f0 of the first channel
	Control reg.Window // one, 0x3f6
	Master  reg.Window // eight of base address 4; nil if there is no bus master
	Arena   dma.Arena
	// Bind lets the channel's interrupt call f, which does not block.
	Bind func(f func()) error
	// Present asks the function's configuration space whether it is there.
	Present func() bool
	// Stop turns bus mastering off: after it returns the device writes no memory.
	Stop func()
	// Log takes lines for people.
	Log func(line string)
}

// Registers of the command window, and of the bus master.
const (
	regData    = 0
	regError   = 1 // read; the feature when written
	regCount   = 2
	regLBA     = 3 // three registers
	regDevice  = 6
	regStatus  = 7 // read, which ends the interrupt; the command when written
	deviceBits = 0xa0

	controlQuiet = 1 << 1 // nIEN
	controlReset = 1 << 2 // SRST

	masterCommand = 0
	masterStatus  = 2
	masterTable   = 4

	masterStart  = 1 << 0
	masterRead   = 1 << 3 // from the device
	masterActive = 1 << 0 // of the status
	masterError  = 1 << 1
	masterIRQ    = 1 << 2
)

// Channel is a channel that works.
type Channel struct {
	Config
	q       *queue.Queue
	keeper  *queue.Keeper
	disks   []*Disk
	table   dma.Segment // of the bus master
	polling bool

	// What follows belongs to whoever has the queue's lock, or has paused it.
	now    command
	wrong  string      // what a drive did that it must not
	failed atomic.Bool // an ATAPI drive wants to be asked why
}

// Disk is a disk, or an ATAPI drive.
type Disk struct {
	*queue.Disk
	c     *Channel
	drive uint8 // 0 or 1
	id    ata.Identity
}

// command is what a drive works on.
type command struct {
	busy bool
	d    *Disk
	dma  bool
	read bool
	data []dma.Segment // what is left to move word by word, from byte at of the first
	at   int
	left int // bytes
}

// ErrEmpty is of a channel without drives.
var ErrEmpty = errors.New("there are no drives")

var (
	errStuck = fmt.Errorf("its bus master does not stop: %w", block.ErrDevice)
	errBusy  = fmt.Errorf("a drive is busy: %w", block.ErrTimeout)
)

// Start brings a channel up. One without drives is closed at once.
func Start(cfg Config) (*Channel, error) {
	c := &Channel{Config: cfg}
	if c.Command.Read8(regStatus) == 0xff {
		return nil, ErrEmpty
	}
	if err := c.Disable(); err != nil {
		c.Stop()
		return nil, err
	}
	c.release()
	var err error
	if c.table, err = c.Arena.Alloc(dma.Page, dma.Page); err != nil {
		return nil, err
	}
	bounce, err := c.Arena.Alloc(maxTransfer, dma.Page)
	if err != nil {
		return nil, err
	}
	if c.Master != nil && (c.table.Addr|bounce.Addr+maxTransfer)>>32 != 0 {
		c.Log("its bus master reaches memory below 4 GiB only: its drives are slow")
		c.Master = nil
	}
	c.q = queue.New("channel", c, 1, bounce)
	c.find()
	if len(c.disks) == 0 {
		return nil, ErrEmpty
	}
	if err := c.Bind(c.q.Service); err != nil {
		c.Log("it is asked every millisecond: " + err.Error())
		c.polling = true
	}
	for _, d := range c.disks {
		c.q.FlushAfter = c.q.FlushAfter || d.id.Volatile
	}
	c.keeper = queue.Keep(c, queue.Config{
		Timeout: Timeout, Polling: c.polling, Present: c.Present, Stop: c.Stop, Log: c.Log,
	}, []*queue.Queue{c.q})
	c.Control.Write8(0, 0)
	return c, nil
}

// find makes disks of the drives that there are. All signatures come first: a command to
// one drive changes the registers of both.
func (c *Channel) find() {
	var packet, ok [2]bool
	for i := range uint8(2) {
		packet[i], ok[i] = c.signature(i)
	}
	for i := range uint8(2) {
		if !ok[i] {
			continue
		}
		d := &Disk{c: c, drive: i}
		if err := d.identify(packet[i]); err != nil {
			if packet[i] || c.Command.Read8(regStatus) != 0 { // some channels answer for a drive that is not there
				c.Log(fmt.Sprintf("drive %d is left out: %v", i, err))
			}
			continue
		}
		if packet[i] {
			d.measure()
		}
		d.Disk = queue.NewDisk(d.id.Info(maxTransfer), d, []*queue.Queue{c.q})
		c.disks = append(c.disks, d)
	}
}

// signature says what a drive is after a reset ("Signature and persistence").
func (c *Channel) signature(drive uint8) (packet, ok bool) {
	c.choose(drive, 0)
	if s := c.Command.Read8(regStatus); s == 0xff || s == 0x7f {
		return false, false
	}
	if !c.await(ata.StatusBusy, 0, readyTime) {
		c.Log(fmt.Sprintf("drive %d is left out: %v", drive, errBusy))
		return false, false
	}
	s := uint16(c.Command.Read8(regLBA+1)) | uint16(c.Command.Read8(regLBA+2))<<8
	return s == 0xeb14, s == 0xeb14 || s == 0 && c.Command.Read8(regStatus) != 0
}

// readyTime is how long a drive may be busy after a reset.
const readyTime = 31 * time.Second

// choose selects a drive, and waits 400 ns.
func (c *Channel) choose(drive, bits uint8) {
	c.Command.Write8(regDevice, deviceBits|drive<<4|bits)
	c.pause()
}

// pause lets 400 ns pass: four readings of the other status.
func (c *Channel) pause() {
	for range 4 {
		c.Control.Read8(0)
	}
}

// await waits until bits of the status have a value.
func (c *Channel) await(mask, want uint8, most time.Duration) bool {
	for end := time.Now().Add(most); ; time.Sleep(100 * time.Microsecond) {
		if c.Control.Read8(0)&mask == want {
			return true
		}
		if time.Now().After(end) {
			return false
		}
	}
}

// Disable implements [queue.Device], as do Enable and Check: the channel is held in reset.
func (c *Channel) Disable() error {
	if c.q != nil {
		c.q.Pause() // or an interrupt looks at a command that is gone
	}
	if c.Master != nil {
		c.Master.Write8(masterCommand, 0)
	}
	c.Control.Write8(0, controlQuiet|controlReset)
	c.now = command{}
	if c.Master != nil && c.Master.Read8(masterStatus)&masterActive != 0 {
		return errStuck
	}
	return nil
}

// release ends a reset.
func (c *Channel) release() {
	time.Sleep(5 * time.Millisecond)
	c.Control.Write8(0, controlQuiet)
	time.Sleep(5 * time.Millisecond)
}

// Enable finds the drives again. One that it does not find is lost, with its requests; the
// channel goes on as long as there is another one.
func (c *Channel) Enable() (err error) {
	c.failed.Store(false)
	c.wrong = ""
	c.release()
	var lost [2]error
	left := 0
	for _, d := range c.disks {
		if d.Lost() != nil {
			continue
		}
		if lost[d.drive] = d.again(); lost[d.drive] != nil {
			err = lost[d.drive]
			continue
		}
		left++
	}
	if left == 0 {
		return err
	}
	for _, d := range c.disks {
		if err := lost[d.drive]; err != nil {
			c.Log(fmt.Sprintf("drive %d is lost: %v", d.drive, err))
			d.Lose(fmt.Errorf("it was lost by a reset, %v: %w", err, block.ErrDevice))
		}
	}
	c.Control.Write8(0, 0)
	return nil
}

// again looks whether a drive that was reset is the one that it was.
func (d *Disk) again() error {
	d.c.choose(d.drive, 0)
	if !d.c.await(ata.StatusBusy, 0, readyTime) {
		return errBusy
	}
	was := d.id
	err := d.identify(was.Packet)
	if was.Packet {
		d.id.Blocks = was.Blocks
	}
	if err == nil && (d.id.Model != was.Model || d.id.Serial != was.Serial || d.id.Blocks != was.Blocks) {
		err = errors.New("it is another drive")
	}
	if err != nil {
		d.id = was
	}
	return err
}

// Check asks ATAPI drives why a command has failed, and for a medium.
func (c *Channel) Check() string {
	if c.Control.Read8(0) == 0xff && !c.Present() {
		return "it is gone"
	}
	if c.failed.Load() {
		c.q.Pause()
		a := queue.Answer{}
		a.Err, a.Again = c.now.d.why()
		c.now = command{}
		c.failed.Store(false)
		c.q.Finish(a)
		c.Control.Write8(0, 0)
		c.q.Open()
	}
	for _, d := range c.disks {
		if d.id.Packet && d.id.Blocks == 0 && d.Lost() == nil {
			c.look(d)
		}
	}
	return ""
}

// look asks a drive for a medium, if nothing else is going on.
func (c *Channel) look(d *Disk) {
	c.q.Pause()
	if !c.now.busy {
		d.measure()
		c.Control.Write8(0, 0)
	}
	c.q.Open()
}

// Disks returns the drives.
func (c *Channel) Disks() []*Disk { return c.disks }

// Drive is the drive's number on its channel, 0 or 1.
func (d *Disk) Drive() int { return int(d.drive) }

// Dead returns why the drive does nothing any more, or nil.
func (d *Disk) Dead() error {
	if err := d.Lost(); err != nil {
		return err
	}
	return d.c.keeper.Dead()
}

// Close has what the drives hold put on the medium, and ends the channel.
func (c *Channel) Close() error {
	var all []*queue.Disk
	for _, d := range c.disks {
		if d.Lost() == nil {
			all = append(all, d.Disk)
		}
	}
	return c.keeper.Close(nil, all...)
}
