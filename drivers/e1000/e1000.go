// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package e1000 drives Intel's gigabit Ethernet controllers 82574L (QEMU's e1000e) and
// 82540EM (QEMU's e1000, Bochs' as well). Package card has what is the same for all
// cards; there stands also what becomes of a device that lies.
//
// One ring of descriptors each way, one interrupt for all causes. The legacy form of
// receive descriptors and the extended form of transmit descriptors are the same on both
// controllers. The 82574L computes checksums and cuts TCP segments; the 82540EM, which
// has errata there, only looks at the checksums of what comes.
//
// Frames that come lie in memory of the driver until they are handed on; frames to send
// are copied to it. Of what the device writes, only the status, the length and the error
// bits of descriptors are used, each bounded.
package e1000

import (
	"errors"
	"fmt"

	"ringo/drivers/dma"
	"ringo/drivers/nic"
	"ringo/drivers/nic/card"
	"ringo/drivers/reg"
)

// Sizes of rings and of memory.
const (
	entries   = 256  // of each ring
	bufferLen = 2048 // of a received frame; RCTL's default
	spaceLen  = 512 << 10
	pieceMost = 4096 // bytes of a descriptor to send
	maxTSO    = 60 << 10
	// Memory is what Start takes of the arena, in bytes.
	Memory = entries*(2*descLen+bufferLen) + spaceLen + 4*dma.Page
)

// Model says which controller a device is.
type Model uint8

// Models.
const (
	I82540EM Model = iota
	I82574L
)

var names = [...]string{"Intel 82540EM", "Intel 82574L"}

// Config is what a driver needs of its device's function.
type Config struct {
	Model Model
	Regs  reg.Window // BAR 0
	Arena dma.Arena
	// Bind lets interrupt message 0, or the line, call f, which does not block.
	Bind func(f func()) error
	// Messages: the interrupt is one of MSI-X, which the 82574L routes itself.
	Messages bool
	// Present asks the function's configuration space whether it is there.
	Present func() bool
	// Master lets the device write memory, and Stop keeps it from it, once it returns.
	Master func() error
	Stop   func()
	// Log takes lines for people.
	Log func(line string)
}

// chip is a controller. It is the card.Hardware.
type chip struct {
	Config
	card    *card.Card
	mac     nic.MAC
	enabled uint32 // causes of interrupts
	rx      receiver
	tx      sender
	// promiscuous: frames for all addresses come.
	promiscuous bool
}

var (
	errReset = errors.New("its reset does not end")
	errGone  = fmt.Errorf("it does not answer: %w", nic.ErrGone)
	errMAC   = errors.New("it has no address of its own")
)

// Start brings a device up, whatever state it is in.
func Start(c Config) (*card.Card, error) {
	d := &chip{Config: c}
	if c.Regs.Size() < regSize {
		return nil, fmt.Errorf("its registers have %d bytes", c.Regs.Size())
	}
	err := d.Halt()
	if err == nil {
		err = c.Master()
	}
	if err == nil {
		err = d.address()
	}
	if err == nil {
		err = d.memory()
	}
	if err == nil {
		d.card = card.New(card.Config{Info: d.info(), Present: c.Present, Stop: c.Stop, Log: c.Log}, d)
		if e := c.Bind(d.interrupt); e != nil {
			c.Log("it is asked every millisecond: " + e.Error())
			d.card.Polling = true
		}
		err = d.Start()
	}
	if err != nil {
		if d.Halt() != nil {
			c.Stop()
		}
		return nil, err
	}
	return d.card, nil
}

// info is what the card is.
func (d *chip) info() nic.Info {
	i := nic.Info{Model: names[d.Model], MAC: d.mac, MTU: nic.MTU, Verifies: true}
	if d.Model == I82574L {
		i.Checksum, i.Segment, i.MaxSegmented = true, true, maxTSO
	}
	return i
}

// memory gets all that the device will ever use.
func (d *chip) memory() (err error) {
	if d.rx.ring, err = d.Arena.Alloc(entries*descLen, dma.Page); err != nil {
		return err
	}
	if d.tx.ring, err = d.Arena.Alloc(entries*descLen, dma.Page); err != nil {
		return err
	}
	if d.rx.buffers, err = d.Arena.Alloc(entries*bufferLen, dma.Page); err != nil {
		return err
	}
	space, err := d.Arena.Alloc(spaceLen, dma.Page)
	if err != nil {
		return err
	}
	d.tx.space = nic.NewSpace(space, entries)
	return nil
}

// interrupt is what the interrupt calls. It takes the request back, which for a line is
// due before it returns, and nothing interrupts until Sleep.
func (d *chip) interrupt() {
	d.Regs.Write32(regIMC, ^uint32(0))
	if d.Regs.Read32(regICR)&icrLink != 0 {
		d.card.Relink.Store(true)
	}
	d.card.Wake()
}
