// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package hardware

import (
	"errors"
	"slices"

	"ringo/drivers/e1000"
	"ringo/drivers/nic"
	"ringo/drivers/pci"
	"ringo/drivers/virtio/ether"
	"ringo/hv/abi"
)

// AddCard takes up a network card that the function is.
func (f *Function) AddCard(d nic.Device) {
	if f.h.o.Card != nil {
		f.h.o.Card(f.Name, d)
	}
}

// cardName is what all network cards are called, before their numbers.
const cardName = "net"

// e1000Models are the controllers by their device numbers, of Intel.
var e1000Models = map[uint16]e1000.Model{0x10d3: e1000.I82574L, 0x100e: e1000.I82540EM}

// e1000Driver has Intel's gigabit controllers.
var e1000Driver = Driver{
	Name: cardName, Memory: e1000.Memory,
	Match: func(f *abi.PCIFunction) bool {
		_, ok := e1000Models[f.Device]
		return f.Vendor == 0x8086 && ok
	},
	Start: func(f *Function) (rest func() error, err error) {
		regs, err := f.Window(0)
		if err != nil {
			return nil, err
		}
		messages := slices.ContainsFunc(f.Capabilities(), func(c pci.Capability) bool { return !c.Extended && c.ID == pci.CapMSIX })
		c, err := e1000.Start(e1000.Config{
			Model: e1000Models[f.Device], Regs: regs, Arena: f.Arena(), Messages: messages,
			Bind: func(call func()) error {
				err := f.Bind(0, call)
				if errors.Is(err, abi.NoDevice) {
					err = f.BindLine(0, call)
				}
				return err
			},
			Present: f.Present, Master: f.Master, Stop: f.Stop, Log: f.Log,
		})
		if err != nil {
			return nil, err
		}
		f.AddCard(c)
		return nil, nil
	},
}

// etherDriver has virtio network devices, those that can be used as legacy devices too.
var etherDriver = Driver{
	Name: cardName, Memory: ether.Memory,
	Match: func(f *abi.PCIFunction) bool {
		return f.Vendor == 0x1af4 && (f.Device == 0x1041 || f.Device == 0x1000)
	},
	Start: func(f *Function) (rest func() error, err error) {
		c, err := ether.Start(f.virtio())
		if err != nil {
			return nil, err
		}
		f.AddCard(c)
		return nil, nil
	},
}
