// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package ahci

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"ringo/drivers/ata"
	"ringo/drivers/block"
	"ringo/drivers/block/queue"
	"ringo/drivers/dma"
)

// Timeout is how long a command may take before the port is reset. Disks that try to
// read a bad block, or flush a large cache, take long.
const Timeout = 30 * time.Second

// maxTransfer is the most that a request moves, in bytes.
const maxTransfer = 128 << 10

// Disk is a disk, or an ATAPI drive, at a port.
type Disk struct {
	*queue.Disk
	p      *port
	id     ata.Identity
	q      *queue.Queue
	keeper *queue.Keeper
	replug atomic.Bool // it may be another one

	// What follows belongs to whoever has the queue's lock, or has paused it.
	queued, plain uint32 // commands that the port has, by slot: of NCQ and others
	fresh         uint32 // those that it was not told of
	done          uint32 // answers that are not taken yet
	careful       int    // so many commands are given one at a time
	want          uint32 // bytes that the plain command reads

	stray int // errors without a cause
}

// bring makes a disk of a device that is linked.
func (p *port) bring() (*Disk, error) {
	if err := p.comreset(); err != nil {
		return nil, err
	}
	switch s := p.regs.Read32(portSIG); s {
	case sigDisk:
		p.packet = false
	case sigPacket:
		p.packet = true
	default:
		return nil, fmt.Errorf("its signature is %#x", s)
	}
	p.run()
	if p.tables.Bytes == nil {
		var err error
		if p.tables, err = p.c.Arena.Alloc(slots*tableSize, 128); err == nil {
			p.bounce, err = p.c.Arena.Alloc(maxTransfer, dma.Page)
		}
		if err != nil {
			return nil, err
		}
	}
	id, err := p.identify()
	if err != nil {
		return nil, err
	}
	d := &Disk{p: p, id: id}
	n := 2 // one that works, and one that waits
	if p.c.cap&capNCQ == 0 {
		d.id.Depth = 0
	}
	if d.id.Depth > 0 {
		n = min(d.id.Depth, int(p.c.cap>>8&31)+1)
	}
	if d.id.Packet {
		d.measure()
	}
	d.q = queue.New(fmt.Sprintf("port %d", p.n), d, n, p.bounce)
	d.q.FlushAfter = d.id.Volatile && !d.id.Through
	d.Disk = queue.NewDisk(d.id.Info(maxTransfer), nil, []*queue.Queue{d.q})
	return d, nil
}

// open lets requests through to the device.
func (d *Disk) open() {
	c := d.p.c
	d.p.failed.Store(false)
	d.keeper = queue.Keep(d, queue.Config{
		Timeout: Timeout, Polling: c.polling, Log: func(s string) { c.Log(fmt.Sprintf("port %d: %s", d.p.n, s)) },
		Present: func() bool { return d.p.linked() && c.Present() },
		Stop: func() {
			if d.p.stop() != nil {
				c.Stop()
				return
			}
			d.p.regs.Write32(portIE, irqPlug) // to see when another one comes
		},
	}, []*queue.Queue{d.q})
}

// Port is the number of the device's port, from 0 on.
func (d *Disk) Port() int { return d.p.n }

// Dead returns why the device does nothing any more, or nil.
func (d *Disk) Dead() error { return d.keeper.Dead() }

// close has what the disk holds put on the medium, and ends it.
func (d *Disk) close() error { return d.keeper.Close(nil, d.Disk) }

// Disable implements [queue.Device], as do Enable and Check.
func (d *Disk) Disable() error { return d.p.stop() }

// Enable resets the device. If it is another one now, this disk is dead.
func (d *Disk) Enable() error {
	d.queued, d.plain, d.fresh, d.done = 0, 0, 0, 0
	d.p.failed.Store(false)
	d.p.c.revive()
	if err := d.p.comreset(); err != nil {
		return err
	}
	d.p.run()
	id, err := d.p.identify()
	if err != nil {
		return err
	}
	if id.Serial != d.id.Serial || id.Model != d.id.Model || !id.Packet && id.Blocks != d.id.Blocks {
		select {
		case d.p.c.plug <- d.p:
		default:
		}
		return errors.New("it is another disk")
	}
	d.p.regs.Write32(portIE, irqAll)
	return nil
}

// wasReset is why a port must be reset that has stopped by itself.
const wasReset = "it was reset, and not by its driver"

// Check looks for errors and another medium.
func (d *Disk) Check() string {
	p := d.p
	if p.c.polling {
		p.interrupt()
	}
	switch {
	case !p.linked():
		return "its link is down"
	case !p.started():
		return wasReset
	case d.replug.Swap(false):
		return "it was plugged in again"
	case p.failed.Load() || p.regs.Read32(portIS)&irqErrors != 0:
		return d.recover()
	case d.id.Packet && d.id.Blocks == 0:
		d.q.Pause()
		d.measure()
		p.regs.Write32(portIE, irqAll)
		d.q.Open()
	}
	return ""
}

// identify asks a device that has no commands what it is.
func (p *port) identify() (ata.Identity, error) {
	c := ata.Command{Op: ata.OpIdentify}
	if p.packet {
		c.Op = ata.OpIdentifyPacket
	}
	b, err := p.ask(c, 512)
	if err != nil {
		return ata.Identity{}, fmt.Errorf("it does not say what it is: %w", err)
	}
	return ata.ParseIdentity(b, p.packet)
}

// measure asks an ATAPI drive for its medium. What it says first is often that it has a
// new one.
func (d *Disk) measure() {
	blocks := uint64(0)
	for range 3 {
		b, err := d.p.ask(ata.Capacity(), ata.CapacitySize)
		if err == nil {
			blocks, _ = ata.ParseCapacity(b)
			break
		}
		if s, err := d.p.ask(ata.Sense(), ata.SenseSize); err != nil || s[2]&15 != 6 {
			break
		}
	}
	if blocks == d.id.Blocks {
		return
	}
	d.id.Blocks = blocks
	if d.Disk != nil {
		d.SetInfo(d.id.Info(maxTransfer))
		d.p.c.Log(fmt.Sprintf("port %d: a medium of %d blocks", d.p.n, blocks))
	}
}

// askTime is how long a device may take for an answer to the driver's own questions.
const askTime = 10 * time.Second

// ask makes a command of its own and returns n bytes of its data.
//
// Preconditions: the device has no commands, and nobody gives it any.
func (p *port) ask(c ata.Command, n int) ([]byte, error) {
	data := p.mem.Slice(bufferAt, bufferAt+n)
	clear(data.Bytes)
	p.regs.Write32(portIE, irqPlug)
	p.put(0, c, []dma.Segment{data})
	p.regs.Write32(portIS, irqAll&^irqPlug)
	p.regs.Write32(portCI, 1)
	ended := false
	ok := p.c.await(askTime, func() bool {
		ended = p.regs.Read32(portCI)&1 == 0
		return ended || p.regs.Read32(portIS)&irqErrors != 0 || !p.linked()
	})
	tfd := p.regs.Read32(portTFD)
	// The status is this command's once it has ended.
	failed := p.regs.Read32(portIS)&irqErrors != 0 || ended && tfd&ata.StatusError != 0
	switch {
	case !p.linked():
		return nil, errGone
	case ok && !failed:
		// The device could write it again: it is read once.
		return append([]byte(nil), data.Bytes...), nil
	}
	if err := p.restart(); err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf("command %#x: %w", c.Op, block.ErrTimeout)
	}
	err, _ := ata.Failure(uint8(tfd)|ata.StatusError, uint8(tfd>>8))
	return nil, err
}
