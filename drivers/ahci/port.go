// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package ahci

import (
	"fmt"
	"sync/atomic"
	"time"

	"ringo/drivers/ata"
	"ringo/drivers/block"
	"ringo/drivers/dma"
	"ringo/drivers/reg"
)

// port is a connector, with a device or without.
type port struct {
	c      *Controller
	n      int
	regs   reg.Window
	mem    dma.Segment
	tables dma.Segment // of commands, once there was a device
	bounce dma.Segment
	disk   atomic.Pointer[Disk] // nil until there was one
	packet bool

	failed atomic.Bool // a command has failed: the keeper recovers
}

// stop ends all that the port does ("Port Control Register", ST and FRE): when it
// returns nil the port uses no memory.
func (p *port) stop() error {
	p.regs.Write32(portIE, 0)
	for _, bit := range []struct{ set, runs uint32 }{{cmdStart, cmdRuns}, {cmdReceive, cmdRxRuns}} {
		cmd := p.regs.Read32(portCMD)
		if cmd == ^uint32(0) {
			return errGone
		}
		p.regs.Write32(portCMD, cmd&^bit.set)
		if !p.c.await(500*time.Millisecond, func() bool { return p.regs.Read32(portCMD)&bit.runs == 0 }) {
			return errFailed
		}
	}
	return nil
}

// start gives a port that may be in any state its memory, and lets it receive.
func (p *port) start() error {
	if err := p.stop(); err != nil {
		return err
	}
	clear(p.mem.Bytes[receiveAt:][:receiveSize])
	p.put64(portCLB, p.mem.Addr)
	p.put64(portFB, p.mem.Addr+receiveAt)
	p.regs.Write32(portSERR, ^uint32(0))
	p.regs.Write32(portIS, ^uint32(0))
	p.regs.Write32(portCMD, cmdReceive|cmdSpinUp|cmdPower|cmdActive)
	p.regs.Write32(portIE, irqPlug)
	return nil
}

// run lets a port with a device that is ready take commands.
func (p *port) run() {
	cmd := uint32(cmdReceive | cmdSpinUp | cmdPower | cmdActive)
	if p.packet {
		cmd |= cmdPacket
	}
	p.regs.Write32(portCMD, cmd)
	p.regs.Write32(portCMD, cmd|cmdStart)
}

// readyTime is how long a device may be busy after a reset: it may have to spin up.
const readyTime = 15 * time.Second

func (p *port) put64(off uint32, v uint64) {
	p.regs.Write32(off, uint32(v))
	if p.c.cap&cap64 != 0 {
		p.regs.Write32(off+4, uint32(v>>32))
	}
}

// started reports whether the port takes commands, as we have left it.
func (p *port) started() bool { return p.regs.Read32(portCMD)&cmdStart != 0 }

// works reports whether the port has a device that somebody looks after.
func (p *port) works() bool {
	d := p.disk.Load()
	return d != nil && d.Dead() == nil
}

// linked reports whether a device is connected, and active.
func (p *port) linked() bool {
	s := p.regs.Read32(portSSTS)
	return s&linkMask == linkUp && s>>8&15 == activeState
}

// comreset resets the link and the device ("Port Reset"), which is ready then.
func (p *port) comreset() error {
	if err := p.start(); err != nil {
		return err
	}
	p.regs.Write32(portIE, 0)
	p.regs.Write32(portSCTL, 0x301) // no power saving, which hides what is plugged
	time.Sleep(time.Millisecond)
	p.regs.Write32(portSCTL, 0x300)
	if !p.c.await(time.Second, p.linked) {
		return errGone
	}
	ready := p.c.await(readyTime, func() bool {
		return p.regs.Read32(portTFD)&(ata.StatusBusy|ata.StatusData) == 0 || !p.linked()
	})
	p.regs.Write32(portSERR, ^uint32(0))
	p.regs.Write32(portIS, ^uint32(0))
	switch {
	case !ready:
		return fmt.Errorf("the device is busy: %w", block.ErrTimeout)
	case !p.linked():
		return errGone
	}
	return nil
}

// interrupt takes what the port has to say, on the controller's interrupt.
func (p *port) interrupt() {
	is := p.regs.Read32(portIS)
	p.regs.Write32(portIS, is)
	if is == ^uint32(0) {
		return
	}
	if is&irqPlug != 0 {
		p.regs.Write32(portSERR, 1<<26|1<<16) // DIAG.X and N, or the interrupt stays
		select {
		case p.c.plug <- p:
		default: // it will be looked at anyway
		}
	}
	if d := p.disk.Load(); d != nil {
		if is&irqErrors != 0 {
			p.failed.Store(true)
			d.keeper.Wake()
		}
		d.q.Service()
	}
}

// plugged makes a disk of a device that is there.
func (p *port) plugged() {
	if !p.linked() {
		return
	}
	d, err := p.bring()
	if err != nil {
		p.c.Log(fmt.Sprintf("the device at port %d is left out: %v", p.n, err))
		_ = p.start() // to see when another one comes
		return
	}
	d.open()
	p.disk.Store(d)
	p.regs.Write32(portIE, irqAll)
	p.c.Attach(d)
}

// plugChange looks at a port where something was plugged in or taken out. Contacts
// bounce: the link has to be the same for a while.
func (p *port) plugChange() {
	time.Sleep(debounce)
	switch d := p.disk.Load(); {
	case !p.works():
		if p.regs.Read32(portCMD)&cmdReceive == 0 {
			_ = p.start() // see Controller.revive
		}
		p.plugged()
	case !p.linked():
		d.keeper.Wake()
	default: // the same one, or another one: what it says about itself must be the same
		d.replug.Store(true)
		d.keeper.Wake()
	}
}

const debounce = 100 * time.Millisecond
