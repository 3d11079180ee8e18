// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package ide

import (
	"fmt"
	"time"

	"ringo/drivers/ata"
	"ringo/drivers/block"
)

// askTime is how long a drive may take for an answer to the driver's own questions.
const askTime = 10 * time.Second

// ask gives a drive a command of the driver's own and returns the n bytes that it
// answers, word by word.
//
// Preconditions: the channel has no command, and nobody gives it any.
func (d *Disk) ask(cmd ata.Command, n int) ([]byte, error) {
	c := d.c
	cmd.Feature = 0 // no DMA
	if err := c.give(d.drive, cmd, true); err != nil {
		return nil, err
	}
	b := make([]byte, n)
	for at, rounds := 0, 0; ; rounds++ {
		if rounds > maxRounds || !c.await(ata.StatusBusy, 0, askTime) {
			return nil, errBusy
		}
		s := c.Command.Read8(regStatus)
		if err, _ := ata.Failure(s, c.Command.Read8(regError)); err != nil {
			return nil, err
		}
		if s&ata.StatusData == 0 {
			if at == 0 && n > 0 {
				return nil, fmt.Errorf("it has no answer: %w", block.ErrDevice)
			}
			return b, nil
		}
		most := sector
		if cmd.Op == ata.OpPacket {
			most = c.count()
		}
		for i := 0; i < most; i += 2 { // all that it has, or it waits for ever
			if w := c.Command.Read16(regData); at+2 <= n {
				le.PutUint16(b[at:], w)
				at += 2
			}
		}
		c.pause()
	}
}

// maxRounds bounds how often a drive has data for one answer.
const maxRounds = 16

// identify asks the drive what it is.
func (d *Disk) identify(packet bool) error {
	cmd := ata.Command{Op: ata.OpIdentify}
	if packet {
		cmd.Op = ata.OpIdentifyPacket
	}
	b, err := d.ask(cmd, sector)
	if err != nil {
		return fmt.Errorf("it does not say what it is: %w", err)
	}
	d.id, err = ata.ParseIdentity(b, packet)
	d.id.DMA = d.id.DMA && d.c.Master != nil
	d.id.Trim = d.id.Trim && d.id.DMA // there is no such command without
	return err
}

// measure asks an ATAPI drive for its medium. What it says first is often that it has a
// new one.
func (d *Disk) measure() {
	blocks := uint64(0)
	for range 3 {
		b, err := d.ask(ata.Capacity(), ata.CapacitySize)
		if err == nil {
			blocks, _ = ata.ParseCapacity(b)
			break
		}
		if s, err := d.ask(ata.Sense(), ata.SenseSize); err != nil || s[2]&15 != 6 {
			break
		}
	}
	if blocks == d.id.Blocks {
		return
	}
	d.id.Blocks = blocks
	if d.Disk != nil {
		d.SetInfo(d.id.Info(maxTransfer))
		d.c.Log(fmt.Sprintf("drive %d: a medium of %d blocks", d.drive, blocks))
	}
}

// why is the error of an ATAPI drive's last command.
func (d *Disk) why() (err error, again bool) {
	s, err := d.ask(ata.Sense(), ata.SenseSize)
	if err != nil {
		return err, true
	}
	err, again, changed := ata.ParseSense(s)
	if changed {
		d.measure()
	}
	return err, again
}
