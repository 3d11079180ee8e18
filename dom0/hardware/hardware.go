// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package hardware gives the machine's PCI functions to their drivers, and keeps what
// these make of them.
//
// # How a driver joins
//
// A driver is a package below drivers/ that knows nothing of this one. What it needs of
// its function is a Config of its own in the shape of drivers/nvme: registers, memory,
// and some functions. Here it has a file with a row of [Drivers], as nvme.go:
//
//	var card = Driver{
//		Name:   "nic",                              // the first is nic0
//		Memory: 2 << 20,                            // what Start takes of the arena, in bytes
//		Match:  func(f *abi.PCIFunction) bool { return f.Vendor == 0x8086 && f.Device == 0x10d3 },
//		Start: func(f *Function) (func() error, error) {
//			regs, err := f.Window(0)            // base address 0, mapped by hv
//			if err != nil {
//				return nil, err
//			}
//			regs.Write32(0xd8, ^uint32(0))      // quiet, whatever firmware has left
//			if err := f.Master(); err != nil {  // from here on it may write memory
//				return nil, err
//			}
//			c, err := card.Start(card.Config{
//				Regs: regs, Arena: f.Arena(), Bind: f.Bind, Present: f.Present, Stop: f.Stop, Log: f.Log,
//			})
//			if err != nil {
//				return nil, err
//			}
//			f.AddDisk("", c.Disk(), c.Dead)
//			return c.Close, nil
//		},
//	}
//
// Bind takes MSI-X where the function has it, else MSI; whoever binds message 0 only need
// not know which. BindLine takes its line, for drivers whose handlers see to it that the
// device does not assert it any more. What Start has bound and mapped is given back when
// it fails, and the function is reset.
package hardware

import (
	"fmt"
	"sync"
	"time"

	"ringo/dom0/event"
	"ringo/dom0/hcall"
	"ringo/drivers/block"
	"ringo/drivers/dma"
	"ringo/drivers/nic"
	"ringo/drivers/pci"
	"ringo/drivers/reg"
	"ringo/hv/abi"
)

// Driver knows some of the machine's functions.
type Driver struct {
	Name   string // of its devices, before their numbers
	Memory int    // what Start takes of the arena at most, in bytes
	Match  func(f *abi.PCIFunction) bool
	// Start makes the function work, and says what it offers by f.Add... What it returns
	// brings the device to rest before the machine goes off; nil: nothing would be lost.
	Start func(f *Function) (rest func() error, err error)
}

// Drivers are all there are. The first that matches a function has it.
var Drivers = []Driver{nvmeDriver, virtioDiskDriver, ahciDriver, ideDriver, e1000Driver, etherDriver}

// Options is what hardware is made of.
type Options struct {
	HV     *hcall.Client
	Events *event.Server
	// Map makes pages of registers, which hv has mapped, accessible to dom0; false: there
	// is no memory for page tables. Registers shows them, as Direct does.
	Map       func(addr, size uint64) bool
	Registers func(addr, size uint64) reg.Window
	Ports     PortIO
	// Memory takes whole pages for devices, for good: contiguous, and zero.
	Memory func(size int) (addr uint64, b []byte, ok bool)
	CPUs   int
	// Card takes each network card up, when its driver has started.
	Card func(name string, d nic.Device)
	Log  func(line string)
}

// Hardware is the functions that dom0 has, and what they offer.
type Hardware struct {
	o     Options
	found []match
	arena *arena
	cache *block.Cache  // nil without devices
	ready chan struct{} // closed when all drivers have started, or failed

	mu    sync.Mutex  // guards what follows
	going []*Function // their drivers have started
	disks []*Disk
	ports [abi.NumDevicePorts]bool // in use

	buffer sync.Mutex // guards data
	data   dma.Segment
}

// match is a function with its driver.
type match struct {
	f *abi.PCIFunction
	d *Driver
}

// New looks for functions that there are drivers for, and takes the memory that they
// need. Nothing is started yet.
func New(o Options) *Hardware {
	h := &Hardware{o: o, ready: make(chan struct{}), arena: new(arena)}
	all, err := o.HV.PCIFunctions()
	if err != nil {
		o.Log("error: " + err.Error())
	}
	size := bufferSize + block.CacheMemory
	for i := range all {
		if d := driverOf(&all[i]); d != nil {
			h.found = append(h.found, match{&all[i], d})
			size += d.Memory
		} else if line := unknown(&all[i]); line != "" {
			o.Log(line)
		}
	}
	if len(h.found) == 0 {
		return h
	}
	addr, b, ok := o.Memory(size)
	if !ok {
		o.Log(fmt.Sprintf("error: %d devices are not used: dom0's RAM has no %d MiB for them, raise dom0_mem=", len(h.found), size>>20))
		h.found = nil
		return h
	}
	h.arena.free = dma.Segment{Addr: addr, Bytes: b}
	h.data, _ = h.arena.Alloc(bufferSize, dma.Page)
	h.cache, _ = block.NewCache(h.arena)
	return h
}

// unknown is a line about a controller of disks or a network card without a driver: who
// misses it reads why. What else there is, `pci` shows.
func unknown(f *abi.PCIFunction) string {
	if base := f.Class >> 16; base != 1 && base != 2 {
		return ""
	}
	return fmt.Sprintf("%v, %s %04x:%04x, is not used: there is no driver for it", pci.Addr(f.Addr), pci.Class(f.Class), f.Vendor, f.Device)
}

func driverOf(f *abi.PCIFunction) *Driver {
	for i := range Drivers {
		if Drivers[i].Match(f) {
			return &Drivers[i]
		}
	}
	return nil
}

// Start starts all drivers. It returns when they have started.
func (h *Hardware) Start() {
	defer close(h.ready)
	number := map[string]int{}
	for _, m := range h.found {
		f := &Function{PCIFunction: *m.f, h: h, Name: fmt.Sprintf("%s%d", m.d.Name, number[m.d.Name])}
		number[m.d.Name]++
		if err := f.start(m.d); err != nil {
			h.o.Log(fmt.Sprintf("%s at %v is not used: %v", f.Name, pci.Addr(f.Addr), err))
			continue
		}
		h.mu.Lock()
		h.going = append(h.going, f)
		h.mu.Unlock()
	}
}

// start takes the function and starts its driver; one that panics has failed.
func (f *Function) start(d *Driver) (err error) {
	if err := f.h.o.HV.PCIAssign(f.Addr); err != nil {
		return err
	}
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("its driver has failed: %v", v)
		}
		if err != nil {
			f.release()
		}
	}()
	f.rest, err = d.Start(f)
	return err
}

// Wait returns when all drivers have started, or after a moment.
func (h *Hardware) Wait() {
	select {
	case <-h.ready:
	case <-time.After(startTime):
	}
}

// Close brings all devices to rest: what was acknowledged is on the media. It may be
// called once, and takes closeTime at most.
func (h *Hardware) Close() {
	h.mu.Lock()
	all := h.going
	h.going = nil
	h.mu.Unlock()
	var wait sync.WaitGroup
	for _, f := range all {
		if f.rest != nil {
			wait.Go(func() {
				if err := f.rest(); err != nil {
					f.Log(err.Error())
				}
			})
		}
	}
	done := make(chan struct{})
	go func() {
		wait.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(closeTime):
		h.o.Log("error: some disks are not at rest: what they had cached may be lost")
	}
}

// closeTime is longer than a disk takes that works.
const closeTime = 15 * time.Second

// startTime is longer than a driver takes whose device does not answer.
const startTime = 20 * time.Second
