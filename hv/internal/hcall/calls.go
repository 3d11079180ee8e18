// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package hcall

import (
	"ringo/hv/abi"
	"ringo/hv/vcpu"
	"ringo/hv/x86"
	"ringo/mm"
)

func nop(*Context) (abi.Status, uint64) { return Nop() }

// Nop is the answer to abi.CallNop, which is open to everybody.
func Nop() (abi.Status, uint64) { return abi.OK, abi.Version }

func host(c *Context) (abi.Status, uint64) {
	c.s.Host(view[abi.HostInfo](c))
	return abi.OK, 0
}

func power(c *Context) (abi.Status, uint64) {
	if c.arg[0] > uint64(abi.PowerCrash) {
		return abi.BadArg, 0
	}
	c.s.Power(abi.Power(c.arg[0]))
	return abi.OK, 0
}

func readLog(c *Context) (abi.Status, uint64) {
	n, oldest, ok := c.s.Log(c.data, c.arg[2])
	if !ok {
		return abi.BadArg, oldest
	}
	c.data = c.data[:n]
	return abi.OK, uint64(n)
}

func consoleWrite(c *Context) (abi.Status, uint64) {
	return abi.OK, uint64(c.s.ConsoleWrite(c.data))
}

func consoleRead(c *Context) (abi.Status, uint64) {
	in := c.s.ConsoleRead(c.data)
	c.data = c.data[:in.Bytes()]
	return abi.OK, uint64(in)
}

func debugKey(c *Context) (abi.Status, uint64) {
	if c.arg[0] > 127 {
		return abi.BadArg, 0
	}
	c.s.DebugKey(byte(c.arg[0]))
	return abi.OK, 0
}

func setWall(c *Context) (abi.Status, uint64) {
	if !c.m.SetWall(c.arg[0]) {
		return abi.BadArg, 0
	}
	return abi.OK, 0
}

func domCreate(c *Context) (abi.Status, uint64) {
	a := view[abi.CreateArgs](c)
	d, st := c.m.Create(a)
	if st != abi.OK {
		return st, 0
	}
	return abi.OK, uint64(d.ID)
}

func domPopulate(c *Context) (abi.Status, uint64) {
	return c.dom.Populate(mm.GPA(c.arg[1]), c.arg[2], abi.RAMKind(c.arg[3])), 0
}

func domMap(c *Context) (abi.Status, uint64) {
	return c.dom.MapInto(view[abi.ExtentList](c)), 0
}

func domSetVCPU(c *Context) (abi.Status, uint64) {
	return c.vcpu.SetContext(view[abi.VCPUContext](c)), 0
}

func domGetVCPU(c *Context) (abi.Status, uint64) {
	return c.vcpu.Context(view[abi.VCPUContext](c)), 0
}

func domClaim(c *Context) (abi.Status, uint64) {
	return c.dom.Claim(abi.Space(c.arg[1]), c.arg[2], c.arg[3], c.arg[4]), 0
}

func domPause(c *Context) (abi.Status, uint64)   { return c.dom.Pause(), 0 }
func domUnpause(c *Context) (abi.Status, uint64) { return c.dom.Unpause(), 0 }
func domDestroy(c *Context) (abi.Status, uint64) { return c.dom.Destroy(), 0 }

func domInfo(c *Context) (abi.Status, uint64) {
	d := c.m.Next(c.arg[0])
	if d == nil {
		return abi.NoDomain, 0
	}
	d.Info(view[abi.DomainInfo](c))
	return abi.OK, uint64(d.ID)
}

func domRename(c *Context) (abi.Status, uint64) {
	return c.m.Rename(c.dom, (*[abi.NameLen]byte)(c.data)), 0
}

func domSetRecord(c *Context) (abi.Status, uint64) {
	c.dom.SetRecord(c.data)
	return abi.OK, 0
}

func domGetRecord(c *Context) (abi.Status, uint64) {
	n, st := c.dom.Record(c.data)
	c.data = c.data[:n]
	return st, uint64(n)
}

func domIRQ(c *Context) (abi.Status, uint64) {
	if c.arg[1] >= abi.IOAPICPins || c.arg[2] > 1 {
		return abi.BadArg, 0
	}
	c.dom.SetLine(uint32(c.arg[1]), c.arg[2] == 1)
	return abi.OK, 0
}

func domMSI(c *Context) (abi.Status, uint64) {
	if c.arg[2] > 1<<32-1 {
		return abi.BadArg, 0
	}
	return c.dom.MSI(c.arg[1], uint32(c.arg[2])), 0
}

func domBell(c *Context) (abi.Status, uint64) {
	return c.dom.SetBell(c.arg[1], abi.Space(c.arg[2]), c.arg[3], c.arg[4]), 0
}

func domEnd(c *Context) (abi.Status, uint64) {
	r, ok := shutdown(c.arg[1])
	if !ok {
		return abi.BadArg, 0
	}
	c.dom.End(r, "by its device model")
	return abi.OK, 0
}

func domTrigger(c *Context) (abi.Status, uint64) {
	return c.vcpu.Trigger(abi.Trigger(c.arg[1]))
}

func domSched(c *Context) (abi.Status, uint64) {
	if c.arg[1]|c.arg[2] > 1<<32-1 {
		return abi.BadArg, 0
	}
	return c.dom.SetSched(uint32(c.arg[1]), uint32(c.arg[2])), 0
}

func schedSlice(c *Context) (abi.Status, uint64) {
	us, hz := c.arg[0], c.m.TSCHz
	if us != 0 {
		if us < abi.MinSlice || us > abi.MaxSlice {
			return abi.BadArg, 0
		}
		c.m.Sched.SetSlice(us * hz / 1e6)
	}
	return abi.OK, (c.m.Sched.Slice()*1e6 + hz/2) / hz
}

func domAffinity(c *Context) (abi.Status, uint64) { return c.vcpu.SetAffinity(c.arg[2]) }

func domShutdown(c *Context) (abi.Status, uint64) {
	r, ok := shutdown(c.arg[0])
	if !ok {
		return abi.BadArg, 0
	}
	c.from.Dom.End(r, "by its own hypercall")
	return abi.OK, 0
}

// shutdown is an argument that says why a domain ends.
func shutdown(arg uint64) (abi.Shutdown, bool) {
	return abi.Shutdown(arg), arg != 0 && arg <= uint64(abi.ShutdownCrash)
}

func eventSend(c *Context) (abi.Status, uint64) {
	if c.arg[0] >= abi.MaxPorts {
		return abi.BadArg, 0
	}
	c.m.Events.Raise(uint32(c.arg[0]))
	return abi.OK, 0
}

func ioreqDone(c *Context) (abi.Status, uint64) {
	c.hand = true
	return abi.OK, 0
}

// vcpuStart starts another vCPU of dom0 in the caller's address space.
func vcpuStart(c *Context) (abi.Status, uint64) {
	d := c.from.Dom
	if c.arg[0] >= uint64(len(d.VCPUs)) {
		return abi.NoVCPU, 0
	}
	if !d.VCPUs[c.arg[0]].StartDirect(c.startState) {
		return abi.Busy, 0
	}
	return abi.OK, 0
}

// startState gives hw the state in which vcpuStart starts it.
func (c *Context) startState(hw vcpu.VCPU) {
	for _, r := range startRegs {
		hw.Set(r, c.from.HW.Get(r))
	}
	for s := range x86.NumSegs {
		hw.SetSegment(s, c.from.HW.Segment(s))
	}
	hw.Set(x86.RIP, c.arg[1])
	hw.Set(x86.RSP, c.arg[2])
	hw.Set(x86.RFLAGS, x86.FlagReserved)
	hw.Regs().RDI = c.arg[3]
}

func exitCounts(c *Context) (abi.Status, uint64) {
	out := view[abi.ExitCounts](c)
	var sum vcpu.Costs
	if c.arg[0] == abi.AllDomains {
		out.Time = c.m.AddCosts(&sum)
	} else if d := c.m.Find(c.arg[0]); d != nil {
		out.Time = d.AddCosts(&sum)
	} else {
		return abi.NoDomain, 0
	}
	for r := range vcpu.NumReasons {
		n := &sum[r]
		out.Count[r], out.Cycles[r], out.P99[r] = n.Count, n.Cycles, n.Quantile(990)
		copy(out.Name[r][:], r.String())
	}
	return abi.OK, 0
}

func trace(c *Context) (abi.Status, uint64) {
	n, ok := c.s.Trace(c.arg[0], records(c))
	if !ok {
		return abi.BadArg, 0
	}
	c.data = c.data[:uintptr(n)*sizeTrace]
	return abi.OK, uint64(n)
}
