// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package hcalltest

import (
	"runtime"
	"sync/atomic"

	"ringo/hv/abi"
)

// CPU is what a guest function runs on. Its methods do not return when the
// domain is destroyed, and wait while it is paused.
type CPU struct {
	m *Machine
	d *dom
	n uint32
}

func (m *Machine) run(d *dom) {
	defer func() {
		m.mu.Lock()
		d.running = false
		m.cond.Broadcast()
		m.mu.Unlock()
	}()
	m.Guest(&CPU{m: m, d: d})
}

// stop ends the guest goroutine when its domain is dead or has shut down, and
// waits while it is paused.
//
// Preconditions: m.mu is held; it is released when stop does not return.
func (c *CPU) stop() {
	for {
		st := c.d.info.State
		if st&(abi.StateDying|abi.StateShutdown|abi.StateCrashed) != 0 {
			c.m.mu.Unlock()
			runtime.Goexit()
		}
		if st&abi.StatePaused == 0 {
			return
		}
		c.m.cond.Wait()
	}
}

// access makes a forwarded access, or answers as an empty bus.
func (c *CPU) access(s abi.Space, addr, data uint64, size uint8, read bool) uint64 {
	c.m.mu.Lock()
	c.stop()
	c.d.info.Exits++
	hit := false
	for _, r := range c.d.claims {
		if r.space != s || addr-r.start >= r.size || r.size-(addr-r.start) < uint64(size) {
			continue
		}
		hit = true
		if r.cell != 0 && size == 1 {
			if v, ok := c.useCell(r.cell-1+addr-r.start, uint16(addr), byte(data), read); ok {
				c.m.mu.Unlock()
				return v
			}
		}
	}
	if !hit {
		c.m.mu.Unlock()
		return ^uint64(0) >> (64 - 8*uint(size))
	}
	for n, b := range c.d.bells {
		if !read && b.space == s && addr-b.start < b.size && b.size-(addr-b.start) >= uint64(size) {
			old := atomic.OrUint64(&c.d.page.Bell[n/64], 1<<(n%64))
			c.m.mu.Unlock()
			if old>>(n%64)&1 == 0 {
				c.m.raise(c.d.info.Port)
			}
			return 0
		}
	}
	c.d.info.Forwards++
	slot := &c.d.page.Slot[c.n]
	slot.Space, slot.Size, slot.Addr, slot.Data, slot.Read = uint8(s), size, addr, data, 0
	if read {
		slot.Read = 1
	}
	c.d.done[c.n] = false
	atomic.StoreUint32(&slot.State, abi.IOReqReady)
	port := c.d.info.Port
	c.m.mu.Unlock()
	c.m.raise(port)
	c.m.mu.Lock()
	for !c.d.done[c.n] && c.d.info.State&abi.StateDying == 0 {
		c.m.cond.Wait()
	}
	c.stop()
	v := slot.Data
	atomic.StoreUint32(&slot.State, abi.IOReqFree)
	c.m.mu.Unlock()
	return v
}

// useCell does what dom0 allows with accesses to the port of cell n. Unlike the
// hypervisor it announces each posted write at once.
//
// Preconditions: c.m.mu is held.
func (c *CPU) useCell(n uint64, port uint16, data byte, read bool) (v uint64, ok bool) {
	p := c.d.page
	w, in := atomic.LoadUint32(&p.Cell[n]), p.PostIn
	switch {
	case read && w&abi.CellRead != 0:
		return uint64(w & 0xff), true
	case read, w&abi.CellPost == 0, in-atomic.LoadUint32(&p.PostOut) == abi.MaxPosts:
		return 0, false
	}
	p.Post[in%abi.MaxPosts] = abi.Posted{Port: port, Value: data}
	atomic.StoreUint32(&p.PostIn, in+1)
	go c.m.raise(c.d.info.Port)
	return 0, true
}

func (m *Machine) ioreqDone(d *dom, n uint64) (abi.Status, uint64) {
	if n >= uint64(d.info.VCPUs) {
		return abi.NoVCPU, 0
	}
	if atomic.LoadUint32(&d.page.Slot[n].State) != abi.IOReqDone {
		return abi.Busy, 0
	}
	d.done[n] = true
	m.cond.Broadcast()
	return abi.OK, 0
}

// Out writes to a port.
func (c *CPU) Out(port uint16, v uint8) {
	c.access(abi.SpacePort, uint64(port), uint64(v), 1, false)
}

// In reads a port.
func (c *CPU) In(port uint16) uint8 {
	return uint8(c.access(abi.SpacePort, uint64(port), 0, 1, true))
}

// WaitMSI waits for an interrupt message and returns its data.
func (c *CPU) WaitMSI() uint32 {
	return first(c, &c.d.messages)
}

// first waits for something in list, which the machine's lock guards, and takes it out.
func first[T any](c *CPU, list *[]T) T {
	c.m.mu.Lock()
	for c.stop(); len(*list) == 0; c.stop() {
		c.m.cond.Wait()
	}
	v := (*list)[0]
	*list = (*list)[1:]
	c.m.mu.Unlock()
	return v
}

// Write writes a little-endian value of size bytes to a port or address.
func (c *CPU) Write(s abi.Space, addr, v uint64, size uint8) { c.access(s, addr, v, size, false) }

// Read reads a little-endian value of size bytes from a port or address.
func (c *CPU) Read(s abi.Space, addr uint64, size uint8) uint64 {
	return c.access(s, addr, 0, size, true)
}

// WaitIRQ blocks until interrupt line gsi is high.
func (c *CPU) WaitIRQ(gsi int) {
	c.m.mu.Lock()
	for c.stop(); !c.d.line[gsi]; c.stop() {
		c.m.cond.Wait()
	}
	c.m.mu.Unlock()
}

// Listen enables the events of the ACPI buttons.
func (c *CPU) Listen() {
	c.m.mu.Lock()
	c.d.listens = true
	c.m.mu.Unlock()
}

// WaitTrigger waits for a trigger and returns it.
func (c *CPU) WaitTrigger() abi.Trigger { return first(c, &c.d.triggers) }

// Name returns the name of the domain.
func (c *CPU) Name() string {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	return text(c.d.info.Name[:])
}

// Context returns the registers that the toolstack gave the vCPU.
func (c *CPU) Context() abi.VCPUContext {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	return c.d.vcpu[c.n]
}

// Memory returns the guest's RAM from gpa to the end of its extent.
func (c *CPU) Memory(gpa uint64) []byte {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	for i := range c.d.extents {
		if e := &c.d.extents[i]; gpa-e.GPA < e.Size {
			return e.bytes()[gpa-e.GPA:]
		}
	}
	return nil
}

// Shutdown stops the domain; it does not return.
func (c *CPU) Shutdown(why abi.Shutdown) { c.end(abi.StateShutdown, why, "") }

// TripleFault is a guest whose CPU shuts down; it does not return.
func (c *CPU) TripleFault() { c.end(abi.StateShutdown, abi.ShutdownReboot, "triple fault") }

// Crash is a guest that the hypervisor kills; it does not return.
func (c *CPU) Crash(why string) { c.end(abi.StateCrashed, abi.ShutdownCrash, why) }

func (c *CPU) end(state uint32, s abi.Shutdown, why string) {
	c.m.mu.Lock()
	c.stop()
	c.d.info.State = state | abi.StateShutdown
	c.d.info.Shutdown = s
	copy(c.d.info.Why[:abi.WhyLen-1], why)
	c.m.mu.Unlock()
	c.m.raise(abi.PortDomainState)
	runtime.Goexit()
}

func (e *extent) bytes() []byte {
	if e.mem == nil {
		e.mem = make([]byte, e.Size)
	}
	return e.mem
}
