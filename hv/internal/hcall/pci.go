// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package hcall

import (
	"ringo/hv/abi"
	"ringo/hv/internal/pci"
	"ringo/mm"
)

func pciFunction(c *Context) (abi.Status, uint64) {
	n := uint64(len(c.s.PCI.Functions))
	f, ok := c.s.PCI.At(c.arg[0])
	if !ok {
		return abi.NoDevice, n
	}
	*view[abi.PCIFunction](c) = f
	return abi.OK, n
}

func pciRead(c *Context) (abi.Status, uint64) {
	a, ok := c.function()
	if !ok {
		return abi.NoDevice, 0
	}
	v, st := c.s.PCI.Read(a, c.arg[1], c.arg[2])
	return st, uint64(v)
}

// function is the first argument, where it can be one.
func (c *Context) function() (abi.PCIAddr, bool) {
	return abi.PCIAddr(c.arg[0]), c.arg[0] <= 1<<32-1
}

func pciWrite(c *Context) (abi.Status, uint64) {
	a, ok := c.function()
	switch {
	case !ok:
		return abi.NoDevice, 0
	case c.arg[3] > 1<<32-1:
		return abi.BadArg, 0
	}
	return c.s.PCI.Write(a, c.arg[1], c.arg[2], uint32(c.arg[3])), 0
}

func pciAssign(c *Context) (abi.Status, uint64) {
	a, ok := c.function()
	if !ok {
		return abi.NoDevice, 0
	}
	return c.s.PCI.Assign(a), 0
}

func pciMap(c *Context) (abi.Status, uint64) {
	a, ok := c.function()
	if !ok {
		return abi.NoDevice, 0
	}
	d := c.from.Dom
	give := func(p pci.Mapped) abi.Status { return d.MapDevice(mm.HPA(p.Start), p.Size) }
	addr, st := c.s.PCI.Map(a, c.arg[1], give)
	return st, addr
}

// unmap takes a part of a base address away from dom0, which calls.
func (c *Context) unmap(p pci.Mapped) (done bool) {
	return c.from.Dom.UnmapDevice(mm.HPA(p.Start), p.Size)
}

func pciRelease(c *Context) (abi.Status, uint64) {
	a, ok := c.function()
	if !ok {
		return abi.NoDevice, 0
	}
	return c.s.PCI.Release(a, c.unmap), 0
}

func irqBind(c *Context) (abi.Status, uint64) {
	a, ok := c.function()
	if !ok {
		return abi.NoDevice, 0
	}
	handle, st := c.s.PCI.Bind(a, abi.IRQKind(c.arg[1]), c.arg[2], c.arg[3])
	return st, handle
}

func irqMask(c *Context) (abi.Status, uint64)   { return c.s.PCI.Mask(c.arg[0], c.arg[1]), 0 }
func irqDone(c *Context) (abi.Status, uint64)   { return c.s.PCI.Done(c.arg[0]), 0 }
func irqUnbind(c *Context) (abi.Status, uint64) { return c.s.PCI.Unbind(c.arg[0]), 0 }
