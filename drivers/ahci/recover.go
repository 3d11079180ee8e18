// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package ahci

import (
	"fmt"
	"math/bits"
	"time"

	"ringo/drivers/ata"
	"ringo/drivers/block"
	"ringo/drivers/block/queue"
)

// maxStray is how many errors without a cause a device may report in a row.
const maxStray = 8

// recover finds out which command has failed, ends it, and gives the device again what
// it had besides ("Software Error Recovery"). It returns why the port must be reset, ""
// if it need not be.
func (d *Disk) recover() string {
	p := d.p
	d.q.Pause()
	sact, ci, tfd := p.regs.Read32(portSACT), p.regs.Read32(portCI), p.regs.Read32(portTFD)
	switch {
	case !p.linked():
		return "its link is down"
	case !p.started(): // what the port does not have any more has not ended
		return wasReset
	}
	queued, plain := d.queued&^d.fresh, d.plain&^d.fresh
	if queued|plain == 0 {
		if d.stray++; d.stray > maxStray {
			return "it reports errors without a cause"
		}
	}
	if err := p.restart(); err != nil {
		return "it does not recover from an error: " + err.Error()
	}
	p.failed.Store(false)
	d.queued, d.plain, d.fresh, d.done = 0, 0, 0, 0
	for m := queued &^ (sact | ci); m != 0; m &= m - 1 {
		d.q.Finish(queue.Answer{Slot: bits.TrailingZeros32(m)})
	}
	switch left := queued & (sact | ci); {
	case plain != 0:
		a := queue.Answer{Slot: bits.TrailingZeros32(plain)}
		a.Err, a.Again = d.why(tfd)
		d.q.Finish(a)
		d.careful = max(d.careful-1, 0)
	case left != 0:
		d.blame(left)
	}
	d.q.Withdraw(false)
	p.regs.Write32(portIE, irqAll)
	d.q.Open()
	return ""
}

// blame ends the one of the commands left that the device says has failed. If it does
// not say, they are given again one at a time.
func (d *Disk) blame(left uint32) {
	if log, err := d.p.ask(ata.QueuedErrorLog(), 512); err == nil {
		if tag, status, code, ok := ata.QueuedError(log); ok && left&(1<<tag) != 0 {
			a := queue.Answer{Slot: tag}
			a.Err, a.Again = ata.Failure(status, code)
			d.q.Finish(a)
			return
		}
	}
	d.careful = slots
}

// why is the error of a plain command.
func (d *Disk) why(tfd uint32) (err error, again bool) {
	if !d.id.Packet {
		if err, again = ata.Failure(uint8(tfd), uint8(tfd>>8)); err == nil {
			err, again = fmt.Errorf("the link has failed: %w", block.ErrDevice), true
		}
		return err, again
	}
	s, err := d.p.ask(ata.Sense(), ata.SenseSize)
	if err != nil {
		return err, true
	}
	err, again, changed := ata.ParseSense(s)
	if changed {
		d.measure()
	}
	return err, again
}

// restart lets a port go on that has stopped with an error. What it had is forgotten.
func (p *port) restart() error {
	cmd := p.regs.Read32(portCMD)
	p.regs.Write32(portCMD, cmd&^cmdStart)
	if !p.c.await(500*time.Millisecond, func() bool { return p.regs.Read32(portCMD)&cmdRuns == 0 }) {
		return errFailed
	}
	p.regs.Write32(portSERR, ^uint32(0))
	p.regs.Write32(portIS, irqAll&^irqPlug)
	if p.regs.Read32(portTFD)&(ata.StatusBusy|ata.StatusData) != 0 {
		if err := p.comreset(); err != nil {
			return err
		}
	}
	p.run()
	return nil
}
