// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package hardware

import (
	"errors"
	"fmt"
	"sync/atomic"

	"ringo/dom0/hcall"
	"ringo/drivers/dma"
	"ringo/drivers/pci"
	"ringo/drivers/reg"
	"ringo/hv/abi"
)

// Function is a PCI function that dom0 has, as its driver sees it. Its methods but Bind
// and BindLine may be called from any goroutine.
type Function struct {
	abi.PCIFunction
	Name  string
	h     *Hardware
	bound []bound
	ports bool         // it decodes some
	rest  func() error // nil: there is nothing to be done
}

// bound is an interrupt.
type bound struct{ port, handle uint32 }

// anyKind are the kinds of interrupts that a message can be, the best first.
var anyKind = []abi.IRQKind{abi.IRQMSIX, abi.IRQMSI}

// Bits of the command register ("Device Control").
const (
	regCommand    = 4
	commandPorts  = 1 << 0
	commandMemory = 1 << 1
	commandMaster = 1 << 2
)

// Window maps what a base address decodes, memory or ports. The part with the interrupt
// messages of MSI-X, which are hv's, reads as all ones.
func (f *Function) Window(bar int) (reg.Window, error) {
	b := &f.BAR[bar]
	if b.Flags&abi.BARPresent == 0 || b.Size == 0 || b.Size > 1<<32-1 {
		return nil, fmt.Errorf("it has no registers at base address %d", bar)
	}
	if b.Addr == 0 {
		return nil, fmt.Errorf("firmware has left its base address %d empty", bar)
	}
	if err := f.h.o.HV.PCIMap(f.Addr, bar); err != nil {
		return nil, err
	}
	if b.Flags&abi.BARPort != 0 {
		f.ports = true
		return f.h.o.Ports.Window(uint16(b.Addr), uint32(b.Size)), nil
	}
	first, end := b.Addr&^(hcall.PageSize-1), (b.Addr+b.Size+hcall.PageSize-1)&^(hcall.PageSize-1)
	if !f.h.o.Map(first, end-first) {
		return nil, fmt.Errorf("no page tables for its registers at %#x", b.Addr)
	}
	return f.h.o.Registers(b.Addr, b.Size), nil
}

// Arena is the memory for the device.
func (f *Function) Arena() dma.Arena { return f.h.arena }

// CPUs is how many CPUs dom0 has: more queues are of no use.
func (f *Function) CPUs() int { return f.h.o.CPUs }

// Config reads a doubleword of configuration space: all ones if the function is gone.
func (f *Function) Config(register uint16) uint32 {
	v, err := f.h.o.HV.PCIRead(f.Addr, register, 4)
	if err != nil {
		return ^uint32(0)
	}
	return v
}

// SetConfig writes size bytes of configuration space, of what hv leaves to drivers.
func (f *Function) SetConfig(register, size uint16, v uint32) error {
	return f.h.o.HV.PCIWrite(f.Addr, register, size, v)
}

// Capabilities returns the entries of the function's lists.
func (f *Function) Capabilities() []pci.Capability { return pci.Capabilities(f.Config) }

// Master lets the device write memory.
func (f *Function) Master() error { return f.command(commandMemory | commandMaster) }

// Stop keeps the device from writing memory. It may be called for one that is gone.
func (f *Function) Stop() { _ = f.command(commandMemory) }

func (f *Function) command(v uint32) error {
	if f.ports {
		v |= commandPorts
	}
	return f.SetConfig(regCommand, 2, v)
}

// Present asks the function whether it is there: registers of one that is gone read as
// ones or as zeros.
func (f *Function) Present() bool {
	id := f.Config(0)
	return id == uint32(f.Device)<<16|uint32(f.Vendor)
}

// Log shows a line about the device to people.
func (f *Function) Log(line string) { f.h.o.Log(f.Name + ": " + line) }

// Bind lets interrupt message n call f, where interrupts of devices are handled
// ([event.Server.Devices]). It fails if the function
// has not so many.
func (f *Function) Bind(n int, call func()) error { return f.bind(n, call, anyKind...) }

// BindLine lets the function's line n, which is 0 unless it is an IDE controller's, call f,
// where Bind does; when f returns, the device does not assert the line any more. It
// fails where nobody knows where the line leads to.
func (f *Function) BindLine(n int, call func()) error { return f.bind(n, call, abi.IRQLine) }

// bind lets an interrupt of the first kind that the function has call f.
func (f *Function) bind(n int, call func(), kinds ...abi.IRQKind) error {
	port, ok := f.h.takePort()
	if !ok {
		return errors.New("all event ports of devices are in use")
	}
	var handle atomic.Uint32 // the interrupt may be faster
	if kinds[0] == abi.IRQLine {
		see := call
		call = func() {
			see()
			_ = f.h.o.HV.IRQDone(handle.Load())
		}
	}
	f.h.o.Events.Handle(port, call, func(v any) {
		f.h.o.Events.Handle(port, nil, nil)
		_ = f.h.o.HV.IRQMask(handle.Load(), true)
		f.Stop()
		f.Log(fmt.Sprintf("its driver has failed: %v", v))
	})
	h, err := f.first(n, port, kinds)
	if err != nil {
		f.h.o.Events.Handle(port, nil, nil)
		f.h.givePort(port)
		return err
	}
	handle.Store(h)
	if kinds[0] == abi.IRQLine {
		_ = f.h.o.HV.IRQDone(h) // what came before was not known by name
	}
	f.bound = append(f.bound, bound{port, h})
	return nil
}

// first takes the first kind of interrupt that the function has.
func (f *Function) first(n int, port uint32, kinds []abi.IRQKind) (handle uint32, err error) {
	for _, kind := range kinds {
		handle, err = f.h.o.HV.IRQBind(f.Addr, kind, uint32(n), port)
		if !errors.Is(err, abi.NoDevice) {
			return handle, err
		}
	}
	return handle, err
}

// release gives the function back, with all that was taken for it.
func (f *Function) release() {
	for _, b := range f.bound {
		_ = f.h.o.HV.IRQUnbind(b.handle) // else the release does it
	}
	if err := f.h.o.HV.PCIRelease(f.Addr); err != nil {
		f.Log(err.Error())
	}
	for _, b := range f.bound {
		f.h.o.Events.Handle(b.port, nil, nil)
		f.h.givePort(b.port)
	}
	f.bound = nil
}

func (h *Hardware) takePort() (uint32, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range h.ports {
		if !h.ports[i] {
			h.ports[i] = true
			return abi.PortDevice + uint32(i), true
		}
	}
	return 0, false
}

func (h *Hardware) givePort(port uint32) {
	h.mu.Lock()
	h.ports[port-abi.PortDevice] = false
	h.mu.Unlock()
}
