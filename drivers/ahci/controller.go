// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package ahci drives SATA controllers of the AHCI kind (Serial ATA Advanced Host
// Controller Interface 1.3.1): disks, with queues of commands where both sides have them,
// and ATAPI drives, which are read only.
//
// Each port with a device has a queue and a keeper of package queue, which says what
// becomes of devices that do not answer or lie. A command that fails stops its port: the
// keeper's goroutine finds out which one it was, by the device's log or by giving what
// is left one at a time, and starts the port again ([port.recover]).
//
// A goroutine per controller looks after what is plugged in and taken out.
package ahci

import (
	"errors"
	"fmt"
	"time"

	"ringo/drivers/block"
	"ringo/drivers/dma"
	"ringo/drivers/reg"
)

// Config is what a driver needs of its device's function.
type Config struct {
	Regs  reg.Window // BAR 5
	Arena dma.Arena
	// Bind lets interrupt message n, which is 0, call f; it fails if there is none. f does
	// not block.
	Bind func(n int, f func()) error
	// Present asks the function's configuration space whether it is there.
	Present func() bool
	// Stop turns bus mastering off: after it returns the device writes no memory.
	Stop func()
	// Log takes lines for people.
	Log func(line string)
	// Attach takes a disk: those that there are before Start returns, others later. One
	// that is taken out is dead.
	Attach func(d *Disk)
}

// Controller is a working device.
type Controller struct {
	Config
	cap     uint32
	ports   []*port
	byBit   [32]*port
	polling bool
	plug    chan *port
	quit    chan struct{}
	ended   chan struct{}
}

var (
	errGone   = fmt.Errorf("it does not answer any more: %w", block.ErrGone)
	errFailed = fmt.Errorf("the port does not stop: %w", block.ErrDevice)
)

// Disable keeps a device that somebody else has used from writing memory, before it may
// again: all its ports stop, soon.
func Disable(r reg.Window) {
	if r.Size() < regPort || r.Read32(regCAP) == ^uint32(0) {
		return
	}
	for i := range uint32(32) {
		at := regPort + i*portSize
		if r.Read32(regPI)&(1<<i) == 0 || at+portSize > r.Size() {
			continue
		}
		cmd := r.Read32(at + portCMD)
		r.Write32(at+portCMD, cmd&^(cmdStart|cmdReceive))
	}
}

// Start brings a device up, whatever state it is in.
func Start(c Config) (*Controller, error) {
	d := &Controller{Config: c, plug: make(chan *port, 64), quit: make(chan struct{}), ended: make(chan struct{})}
	if d.Regs.Size() < regPort+portSize {
		return nil, errors.New("its registers are too few")
	}
	if err := d.reset(); err != nil {
		return nil, err
	}
	if err := d.findPorts(); err != nil {
		d.halt()
		return nil, err
	}
	if err := d.Bind(0, d.interrupt); err != nil {
		d.Log("it is asked every millisecond: " + err.Error())
		d.polling = true
	}
	d.Regs.Write32(regIS, ^uint32(0))
	d.Regs.Write32(regGHC, ghcEnable|ghcIRQ)
	d.settle()
	for _, p := range d.ports {
		p.plugged()
	}
	go d.watch()
	return d, nil
}

// reset takes the device from firmware and resets it ("HBA Reset").
func (d *Controller) reset() error {
	if d.Regs.Read32(regCAP) == ^uint32(0) {
		return errGone
	}
	d.Regs.Write32(regGHC, ghcEnable)
	if d.Regs.Read32(regCAP2)&handOff != 0 && d.Regs.Read32(regBOHC)&biosOwned != 0 {
		d.Regs.Write32(regBOHC, d.Regs.Read32(regBOHC)|osOwned)
		d.await(2*time.Second, func() bool { return d.Regs.Read32(regBOHC)&(biosOwned|biosIsBusy) == 0 })
	}
	d.Regs.Write32(regGHC, ghcEnable|ghcReset)
	if !d.await(time.Second, func() bool { return d.Regs.Read32(regGHC)&ghcReset == 0 }) {
		return errors.New("it cannot be reset")
	}
	d.Regs.Write32(regGHC, ghcEnable)
	if d.Regs.Read32(regGHC)&ghcEnable == 0 {
		return errors.New("it is no AHCI controller")
	}
	d.cap = d.Regs.Read32(regCAP)
	return nil
}

// findPorts gives each port that there is its registers and memory, and power.
func (d *Controller) findPorts() error {
	have := d.Regs.Read32(regPI)
	for i := range 32 {
		at := uint32(regPort + i*portSize)
		if have&(1<<i) == 0 || at+portSize > d.Regs.Size() {
			continue
		}
		m, err := d.Arena.Alloc(portMemory, dma.Page)
		if err != nil {
			return err
		}
		p := &port{c: d, n: i, regs: reg.Part(d.Regs, at, portSize), mem: m}
		if m.Addr>>32 != 0 && d.cap&cap64 == 0 {
			return errors.New("it reaches memory below 4 GiB only")
		}
		if err := p.start(); err != nil {
			d.Log(fmt.Sprintf("port %d is left out: %v", i, err))
			continue
		}
		d.ports, d.byBit[i] = append(d.ports, p), p
	}
	if len(d.ports) == 0 {
		return errors.New("it has no port that works")
	}
	return nil
}

// settle waits until links that come up are up: all ports at once.
func (d *Controller) settle() {
	begin := time.Now()
	d.await(time.Second, func() bool {
		for _, p := range d.ports {
			l := p.regs.Read32(portSSTS) & linkMask
			if l != 0 && l != linkUp && l != 4 || l == 0 && d.cap&capStagger != 0 && time.Since(begin) < 100*time.Millisecond {
				return false
			}
		}
		return true
	})
}

// await waits until ok says so.
func (d *Controller) await(most time.Duration, ok func() bool) bool {
	for end := time.Now().Add(most); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return ok()
		}
	}
	return true
}

// interrupt is what the device calls.
func (d *Controller) interrupt() {
	is := d.Regs.Read32(regIS)
	if is == 0 || is == ^uint32(0) {
		return // not ours, or gone
	}
	for _, p := range d.ports {
		if is&(1<<p.n) != 0 {
			p.interrupt()
		}
	}
	d.Regs.Write32(regIS, is)
}

// revive is what a controller needs that was reset, and not by us: interrupts, and that
// ports without a device that works see when one comes. The others have keepers.
func (d *Controller) revive() {
	if d.Regs.Read32(regGHC)&ghcIRQ != 0 {
		return
	}
	d.Regs.Write32(regGHC, ghcEnable|ghcIRQ)
	for _, p := range d.ports {
		if p.works() {
			continue
		}
		select {
		case d.plug <- p:
		default:
		}
	}
}

// reviveTime is how often a controller is asked whether it was reset: where no disk is
// left, no keeper notices.
const reviveTime = 10 * time.Second

// watch looks after what is plugged in and taken out.
func (d *Controller) watch() {
	defer close(d.ended)
	t := time.NewTicker(reviveTime)
	defer t.Stop()
	for {
		select {
		case <-d.quit:
			return
		case p := <-d.plug:
			p.plugChange()
		case <-t.C:
			d.revive() // of one that is gone all bits are set
		}
	}
}

// halt ends a device that does not work: it writes no memory from now on.
func (d *Controller) halt() {
	for _, p := range d.ports {
		if p.stop() != nil {
			d.Stop()
		}
	}
}

// Close ends all disks, with what they hold on the medium, and the controller.
func (d *Controller) Close() (err error) {
	close(d.quit)
	<-d.ended
	for _, p := range d.ports {
		if k := p.disk.Load(); k != nil {
			err = errors.Join(err, k.close())
		}
	}
	d.Regs.Write32(regGHC, ghcEnable)
	d.halt()
	return err
}
