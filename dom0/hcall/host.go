// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package hcall

import (
	"encoding/binary"
	"time"

	"ringo/hv/abi"
)

// Host returns the description of the machine and the hypervisor.
func (c *Client) Host() (abi.HostInfo, error) {
	var h abi.HostInfo
	c.mu.Lock()
	defer c.mu.Unlock()
	st, _ := c.call(abi.CallHost, c.gpa, 0, 0, 0, 0)
	if st == abi.OK {
		get(c.buf, &h)
	}
	return h, fail(abi.CallHost, st, "describe the host")
}

// Version returns the version of the hypervisor's side of the interface.
func (c *Client) Version() (uint64, error) {
	st, v := c.call(abi.CallNop, 0, 0, 0, 0, 0)
	return v, fail(abi.CallNop, st, "ask for the version")
}

// Power turns the machine off or restarts it. It returns only when that failed.
func (c *Client) Power(op abi.Power) error {
	st, _ := c.call(abi.CallPower, uint64(op), 0, 0, 0, 0)
	return fail(abi.CallPower, st, "change power state")
}

// SetWall has the hypervisor tell guests that it is t now.
func (c *Client) SetWall(t time.Time) error {
	st, _ := c.call(abi.CallSetWall, uint64(t.UnixNano()), 0, 0, 0, 0)
	return fail(abi.CallSetWall, st, "set the wall clock to %v", t)
}

// maxLog bounds Log: a ring cannot be larger, whatever the hypervisor answers.
const maxLog = 4 << 20

// Log returns the hypervisor's log from a running offset (bytes since power-on)
// to its end, and the offset of that end. What the ring has lost since is
// skipped.
func (c *Client) Log(offset uint64) (text []byte, end uint64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(text) < maxLog {
		st, v := c.call(abi.CallLog, c.gpa, PageSize, offset, 0, 0)
		if st == abi.BadArg && v > offset {
			offset = v // the oldest byte still there
			continue
		}
		if st != abi.OK {
			return text, offset, fail(abi.CallLog, st, "read the log")
		}
		if v == 0 {
			break
		}
		v = min(v, PageSize)
		text = append(text, c.buf[:v]...)
		offset += v
	}
	return text, offset, nil
}

// ConsoleWrite writes to the host console and returns how many bytes it took,
// which may be less than len(p).
func (c *Client) ConsoleWrite(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := copy(c.buf, p)
	st, v := c.call(abi.CallConsoleWrite, c.gpa, uint64(n), 0, 0, 0)
	if st != abi.OK {
		return 0, fail(abi.CallConsoleWrite, st, "write to the console")
	}
	return int(min(v, uint64(n))), nil
}

// ConsoleRead reads what was typed on the host console: 0 bytes when nothing was.
// in says what was lost behind the bytes read.
func (c *Client) ConsoleRead(p []byte) (in abi.ConsoleInput, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := min(len(p), PageSize)
	st, v := c.call(abi.CallConsoleRead, c.gpa, uint64(n), 0, 0, 0)
	if st != abi.OK {
		return 0, fail(abi.CallConsoleRead, st, "read from the console")
	}
	in = abi.ConsoleInput(v)
	copy(p[:n], c.buf[:min(in.Bytes(), n)])
	return in, nil
}

// DebugKey presses a debug key; the hypervisor answers in its log.
func (c *Client) DebugKey(key byte) error {
	st, _ := c.call(abi.CallDebugKey, uint64(key), 0, 0, 0, 0)
	return fail(abi.CallDebugKey, st, "press debug key %q", key)
}

// EventSend raises an event port of dom0 itself. It does not allocate.
func (c *Client) EventSend(port uint32) error {
	st, _ := c.call(abi.CallEventSend, uint64(port), 0, 0, 0, 0)
	if st == abi.OK {
		return nil
	}
	return fail(abi.CallEventSend, st, "raise event port %d", port)
}

// StartVCPU starts another vCPU of dom0 at entry with the given stack pointer
// and argument (in RDI), all guest virtual addresses.
func (c *Client) StartVCPU(vcpu uint32, entry, stack, arg uint64) error {
	st, _ := c.call(abi.CallVCPUStart, uint64(vcpu), entry, stack, arg, 0)
	return fail(abi.CallVCPUStart, st, "start vCPU %d of dom0", vcpu)
}

// ExitCounts returns the exits by reason of a domain, or of abi.AllDomains.
func (c *Client) ExitCounts(dom uint64) (abi.ExitCounts, error) {
	var e abi.ExitCounts
	c.mu.Lock()
	defer c.mu.Unlock()
	st, _ := c.call(abi.CallExitCounts, dom, c.gpa, 0, 0, 0)
	if st == abi.OK {
		get(c.buf, &e)
	}
	return e, fail(abi.CallExitCounts, st, "read exit counters")
}

const traceLen = 32 // bytes of an abi.TraceRecord

// Trace returns the newest records, oldest first, of a CPU's trace ring: at
// most a page of them.
func (c *Client) Trace(cpu uint32) ([]abi.TraceRecord, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	st, v := c.call(abi.CallTrace, uint64(cpu), c.gpa, PageSize, 0, 0)
	if st != abi.OK {
		return nil, fail(abi.CallTrace, st, "read the trace of CPU %d", cpu)
	}
	r := make([]abi.TraceRecord, min(v, PageSize/traceLen))
	if _, err := binary.Decode(c.buf, binary.LittleEndian, r); err != nil {
		panic("hcall: trace does not fit a page")
	}
	return r, nil
}

// PCIFunctions returns the PCI functions of the machine, by address.
func (c *Client) PCIFunctions() ([]abi.PCIFunction, error) {
	var all []abi.PCIFunction
	for {
		f, st := c.pciFunction(uint64(len(all)))
		if st == abi.NoDevice {
			return all, nil
		}
		if st != abi.OK {
			return nil, fail(abi.CallPCIFunction, st, "list PCI functions")
		}
		all = append(all, f)
	}
}

func (c *Client) pciFunction(n uint64) (f abi.PCIFunction, st abi.Status) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if st, _ = c.call(abi.CallPCIFunction, n, c.gpa, 0, 0, 0); st == abi.OK {
		get(c.buf, &f)
	}
	return f, st
}

// PCIAssign makes a function dom0's.
func (c *Client) PCIAssign(a abi.PCIAddr) error {
	st, _ := c.finish(abi.CallPCIAssign, [5]uint64{uint64(a)}, func(uint64) { time.Sleep(time.Millisecond) })
	return fail(abi.CallPCIAssign, st, "take PCI function %#x", uint32(a))
}

// PCIMap maps a base address of a function at GPA == HPA.
func (c *Client) PCIMap(a abi.PCIAddr, bar int) error {
	st, _ := c.finish(abi.CallPCIMap, [5]uint64{uint64(a), uint64(bar)}, nil)
	return fail(abi.CallPCIMap, st, "map base address %d of PCI function %#x", bar, uint32(a))
}

// PCIRelease gives a function back.
func (c *Client) PCIRelease(a abi.PCIAddr) error {
	st, _ := c.finish(abi.CallPCIRelease, [5]uint64{uint64(a)}, func(uint64) { time.Sleep(time.Millisecond) })
	return fail(abi.CallPCIRelease, st, "give PCI function %#x back", uint32(a))
}

// PCIWrite writes a register of size bytes of a function's configuration space.
func (c *Client) PCIWrite(a abi.PCIAddr, reg, size uint16, v uint32) error {
	st, _ := c.call(abi.CallPCIWrite, uint64(a), uint64(reg), uint64(size), uint64(v), 0)
	return fail(abi.CallPCIWrite, st, "write register %#x of PCI function %#x", reg, uint32(a))
}

// IRQBind makes an interrupt of a function raise an event port.
func (c *Client) IRQBind(a abi.PCIAddr, kind abi.IRQKind, message, port uint32) (handle uint32, err error) {
	st, v := c.call(abi.CallIRQBind, uint64(a), uint64(kind), uint64(message), uint64(port), 0)
	return uint32(v), fail(abi.CallIRQBind, st, "have interrupt %d of PCI function %#x", message, uint32(a))
}

// IRQMask keeps an interrupt from coming, or lets it.
func (c *Client) IRQMask(handle uint32, on bool) error {
	v := uint64(0)
	if on {
		v = 1
	}
	st, _ := c.call(abi.CallIRQMask, uint64(handle), v, 0, 0, 0)
	return fail(abi.CallIRQMask, st, "mask interrupt %d", handle)
}

// IRQDone says that the interrupt of a line has been seen to. It does not allocate unless
// it fails.
func (c *Client) IRQDone(handle uint32) error {
	st, _ := c.call(abi.CallIRQDone, uint64(handle), 0, 0, 0, 0)
	if st == abi.OK {
		return nil
	}
	return fail(abi.CallIRQDone, st, "go on with interrupt %d", handle)
}

// IRQUnbind takes an interrupt back.
func (c *Client) IRQUnbind(handle uint32) error {
	st, _ := c.call(abi.CallIRQUnbind, uint64(handle), 0, 0, 0, 0)
	return fail(abi.CallIRQUnbind, st, "give interrupt %d back", handle)
}

// PCIRead reads a register of size bytes of a function's configuration space: all ones
// if the function has no such register.
func (c *Client) PCIRead(a abi.PCIAddr, reg, size uint16) (uint32, error) {
	st, v := c.call(abi.CallPCIRead, uint64(a), uint64(reg), uint64(size), 0, 0)
	return uint32(v), fail(abi.CallPCIRead, st, "read register %#x of PCI function %#x", reg, uint32(a))
}
