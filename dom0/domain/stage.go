// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package domain

import (
	"fmt"
	"time"

	"ringo/dom0/hcall"
	"ringo/hv/abi"
)

// Stage says how far a domain that runs has come, as far as can be seen from outside;
// "" of one that has stopped, and of dom0.
func (m *Manager) Stage(in *Info) string {
	out := m.Devices.Output(in.ID)
	switch {
	case in.Control(), in.Is(Shutdown, Crashed, Dying):
		return ""
	case out > 0:
		return fmt.Sprintf("has printed %d bytes on its console", out)
	case in.CPUTime == 0 && in.Exits == 0:
		return "has not run yet"
	case in.Exits == 0 && in.Is(Running): // the last exit counts at the next entry
		return "has printed nothing and touched no device yet: it computes, as a kernel does that unpacks itself"
	}
	return "has printed nothing on its console (COM1) yet; " + m.where(in)
}

// interrupts is the flag of RFLAGS.
const interrupts = 1 << 9

// where says what the first vCPU of a domain does.
func (m *Manager) where(in *Info) string {
	x, err := m.HV.GetVCPU(in.ID, 0)
	switch {
	case err != nil: // it runs
		return m.lastExit(in.ID)
	case !in.Is(Blocked):
		return fmt.Sprintf("at %#x", x.RIP)
	case x.RFLAGS&interrupts == 0:
		return fmt.Sprintf("halted with interrupts off at %#x: it has given up", x.RIP)
	}
	return fmt.Sprintf("waits for an interrupt at %#x", x.RIP)
}

// lastExit says why a domain's first vCPU left the processor the last time.
func (m *Manager) lastExit(id uint32) string {
	host, err1 := m.HV.Host()
	names, err2 := m.HV.ExitCounts(abi.AllDomains)
	if err1 != nil || err2 != nil {
		return "it runs"
	}
	var last abi.TraceRecord
	for cpu := range host.NumCPUs {
		recs, err := m.HV.Trace(cpu)
		if err != nil {
			continue // one without guests
		}
		for _, r := range recs {
			if uint32(r.Domain) == id && r.VCPU == 0 && r.TSC >= last.TSC {
				last = r
			}
		}
	}
	if last.TSC == 0 {
		return "it runs, without exits of late"
	}
	why := fmt.Sprint(last.Reason)
	if int(last.Reason) < len(names.Name) {
		why = hcall.Text(names.Name[last.Reason][:])
	}
	if why == "io" { // both vendors have the port in these bits
		why = fmt.Sprintf("port %#x", last.Info>>16&0xffff)
	}
	return fmt.Sprintf("last exit: %s at %#x", why, last.RIP)
}

// Watch says how far a domain has come if it has printed nothing after a while.
func (m *Manager) Watch(id uint32) {
	m.workers.Go(func() {
		time.Sleep(m.Silence)
		d, err := m.HV.Info(id)
		if err == nil && d.ID == id && m.Devices.Output(id) == 0 {
			in := m.info(&d)
			if s := m.Stage(&in); s != "" {
				m.Tell(in.Name, fmt.Sprintf("domain %q %s", in.Name, s))
			}
		}
	})
}
