// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package ide

import (
	"encoding/binary"
	"fmt"

	"ringo/drivers/ata"
	"ringo/drivers/block"
	"ringo/drivers/block/queue"
	"ringo/drivers/dma"
)

var le = binary.LittleEndian

// sector is how much a drive moves word by word before it asks again, in bytes.
const sector = 512

// Fits implements [queue.Commands], as do the methods below. The bus master's pieces are
// even, and do not cross 64 KiB: those that do are two.
func (c *Channel) Fits(data []dma.Segment) bool {
	pieces := 0
	for _, s := range data {
		n := uint64(len(s.Bytes))
		if n == 0 || n%2 != 0 || c.Master != nil && (s.Addr%2 != 0 || (s.Addr+n)>>32 != 0) {
			return false
		}
		pieces += int((s.Addr+n-1)>>16 - s.Addr>>16 + 1)
	}
	return pieces <= dma.Page/8
}

// Give gives a drive a command.
func (c *Channel) Give(_ int, r *block.Request, data []dma.Segment) bool {
	if c.now.busy {
		return false
	}
	d := r.Driver.(*Disk)
	cmd := d.id.Command(r, false, 0)
	if r.Op == block.Discard {
		b := c.table.Slice(dma.Page-ata.TrimSize, dma.Page)
		ata.Trim(r, b.Bytes)
		data = []dma.Segment{b}
	}
	c.now = command{busy: true, d: d, read: r.Op == block.Read}
	if c.now.dma = len(data) > 0 && d.id.DMA; c.now.dma {
		c.master(data, c.now.read)
	} else if len(data) > 0 {
		c.now.data, c.now.left = data, size(data)
		cmd.Op = byWord(cmd.Op)
		if cmd.Op == ata.OpPacket {
			cmd.Feature, cmd.LBA = 0, sector<<8 // at a time
		}
	}
	if err := c.give(d.drive, cmd, false); err != nil {
		c.wrong = err.Error()
		c.keeper.Wake()
		return true // the keeper resets the channel, and gives it again
	}
	if c.now.dma {
		c.Master.Write8(masterCommand, c.Master.Read8(masterCommand)|masterStart)
	} else if len(data) > 0 && !c.now.read {
		c.move() // the first sector is not asked for by an interrupt
	}
	return true
}

func size(data []dma.Segment) (n int) {
	for _, s := range data {
		n += len(s.Bytes)
	}
	return n
}

// byWord is the command that does the same without DMA.
func byWord(op uint8) uint8 {
	switch op {
	case 0x25:
		return 0x24
	case 0x35, 0x3d:
		return 0x34
	case 0xc8:
		return 0x20
	case 0xca:
		return 0x30
	}
	return op
}

// master prepares the bus master.
func (c *Channel) master(data []dma.Segment, read bool) {
	n := 0
	for _, s := range data {
		for a, left := s.Addr, uint64(len(s.Bytes)); left > 0; n += 8 {
			k := min(left, 1<<16-a&0xffff)
			le.PutUint32(c.table.Bytes[n:], uint32(a))
			le.PutUint32(c.table.Bytes[n+4:], uint32(k)&0xffff)
			a, left = a+k, left-k
		}
	}
	c.table.Bytes[n-1] |= 0x80 // the last one
	c.Master.Write8(masterCommand, 0)
	c.Master.Write32(masterTable, uint32(c.table.Addr))
	c.Master.Write8(masterStatus, c.Master.Read8(masterStatus)|masterError|masterIRQ)
	direction := uint8(0)
	if read {
		direction = masterRead
	}
	c.Master.Write8(masterCommand, direction)
}

// give writes a command to a drive that has none, and the packet of one.
func (c *Channel) give(drive uint8, cmd ata.Command, quiet bool) error {
	w := c.Command
	c.choose(drive, cmd.Device)
	if !c.spin(ata.StatusBusy|ata.StatusData, 0) {
		return errBusy
	}
	control := uint8(0)
	if quiet {
		control = controlQuiet
	}
	c.Control.Write8(0, control)
	if cmd.LBA>>28 != 0 || isLong(cmd.Op) {
		w.Write8(regError, uint8(cmd.Feature>>8))
		w.Write8(regCount, uint8(cmd.Count>>8))
		for i := range uint32(3) {
			w.Write8(regLBA+i, uint8(cmd.LBA>>(24+8*i)))
		}
	}
	w.Write8(regError, uint8(cmd.Feature))
	w.Write8(regCount, uint8(cmd.Count))
	for i := range uint32(3) {
		w.Write8(regLBA+i, uint8(cmd.LBA>>(8*i)))
	}
	w.Write8(regStatus, cmd.Op)
	c.pause()
	if cmd.Op != ata.OpPacket {
		return nil
	}
	if !c.spin(ata.StatusBusy|ata.StatusData, ata.StatusData) {
		return fmt.Errorf("it does not take packets: %w", block.ErrDevice)
	}
	for i := 0; i < len(cmd.Packet); i += 2 {
		w.Write16(regData, le.Uint16(cmd.Packet[i:]))
	}
	c.pause()
	return nil
}

// isLong reports whether a command has registers of two bytes.
func isLong(op uint8) bool {
	switch op {
	case 0x06, 0x24, 0x25, 0x34, 0x35, 0x3d, 0xea:
		return true
	}
	return false
}

// spin waits for what takes a drive microseconds, a millisecond at most.
func (c *Channel) spin(mask, want uint8) bool {
	for range 1000 {
		if c.Control.Read8(0)&mask == want {
			return true
		}
	}
	return false
}

// move moves the next piece of data that the drive asks for, word by word.
func (c *Channel) move() {
	if !c.spin(ata.StatusBusy, 0) || c.Control.Read8(0)&ata.StatusData == 0 {
		return
	}
	most := sector
	if c.now.d.id.Packet {
		most = c.count()
	}
	for n := min(most, c.now.left); n > 0; n -= 2 {
		b := c.now.data[0].Bytes[c.now.at:]
		if c.now.read {
			le.PutUint16(b, c.Command.Read16(regData))
		} else {
			c.Command.Write16(regData, le.Uint16(b))
		}
		c.now.left -= 2
		if c.now.at += 2; len(b) == 2 {
			c.now.data, c.now.at = c.now.data[1:], 0
		}
	}
	c.pause()
}

// count is how many bytes an ATAPI drive has now ("Byte Count").
func (c *Channel) count() int {
	return int(c.Command.Read8(regLBA+1)) | int(c.Command.Read8(regLBA+2))<<8
}

// Ring does nothing: Give has told the drive.
func (c *Channel) Ring() {}

// Next looks whether the command has ended.
func (c *Channel) Next() (a queue.Answer, ok bool) {
	n := &c.now
	switch {
	case !n.busy || c.failed.Load() || c.wrong != "":
		return a, false
	case c.Control.Read8(0)&ata.StatusBusy != 0, n.dma && c.Master.Read8(masterStatus)&masterIRQ == 0:
		return a, false
	}
	fault := false
	if n.dma {
		c.Master.Write8(masterCommand, 0)
		s := c.Master.Read8(masterStatus)
		if s&masterActive != 0 { // it may still write memory, which is not given back before it cannot
			c.wrong = errStuck.Error()
			return a, false
		}
		fault = s&masterError != 0
	}
	status := c.Command.Read8(regStatus) // this ends the interrupt
	if n.dma {
		c.Master.Write8(masterStatus, masterError|masterIRQ)
	}
	switch {
	case status&(ata.StatusError|ata.StatusFault) != 0:
		if n.d.id.Packet {
			c.failed.Store(true)
			c.keeper.Wake()
			return a, false
		}
		a.Err, a.Again = ata.Failure(status, c.Command.Read8(regError))
	case n.left > 0:
		c.move()
		if n.left > 0 || !n.read {
			return a, false
		}
	case fault:
		a.Err, a.Again = fmt.Errorf("the bus master has failed: %w", block.ErrDevice), true
	}
	c.now = command{}
	return a, true
}

// Broken implements [queue.Commands].
func (c *Channel) Broken() string { return c.wrong }
