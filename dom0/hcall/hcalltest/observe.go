// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package hcalltest

import (
	"math/bits"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"ringo/dom0/hcall"
	"ringo/hv/abi"
)

func text(b []byte) string { return hcall.Text(b) }

// Slice returns physical memory as dom0 sees it: the RAM of a domain that is
// mapped. It panics for all else, as the access would fault.
func (m *Machine) Slice(hpa, size uint64) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range m.doms {
		if !d.mapped {
			continue
		}
		for i := range d.extents {
			if e := &d.extents[i]; hpa-e.HPA < e.Size && size <= e.Size-(hpa-e.HPA) {
				return e.bytes()[hpa-e.HPA:][:size:size]
			}
		}
	}
	panic("hcalltest: access to memory that is not mapped")
}

// IOReqs returns the IOReqPage at a guest physical address of dom0.
func (m *Machine) IOReqs(gpa uint64) *abi.IOReqPage {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, d := range m.doms {
		if id != 0 && d.info.IOReq == gpa {
			return d.page
		}
	}
	panic("hcalltest: no IOReq page there")
}

// Flags returns abi.CreateArgs.Flags with which a domain was created.
func (m *Machine) Flags(id uint32) uint32 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.doms[id].flags
}

// Topology returns abi.CreateArgs.Topology with which a domain was created.
func (m *Machine) Topology(id uint32) abi.Topology {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.doms[id].topology
}

// Pending takes all pending event ports, lowest first.
func (m *Machine) Pending() []uint32 {
	var ports []uint32
	atomic.StoreUint64(&m.Shared.Ready, 0)
	for i := range m.Shared.Pending {
		for w := atomic.SwapUint64(&m.Shared.Pending[i], 0); w != 0; w &= w - 1 {
			ports = append(ports, uint32(i*64+bits.TrailingZeros64(w)))
		}
	}
	return ports
}

// Free returns the free memory in bytes.
func (m *Machine) Free() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.free
}

// Leaks returns the ids of all domains but dom0, ascending, and of those mapped.
func (m *Machine) Leaks() (ids, mapped []uint32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, d := range m.doms {
		if id != 0 {
			ids = append(ids, id)
		}
		if d.mapped {
			mapped = append(mapped, id)
		}
	}
	slices.Sort(ids)
	return ids, mapped
}

// Claimed reports whether a domain's devices own a port.
func (m *Machine) Claimed(id uint32, port uint64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.doms[id]
	return d != nil && slices.ContainsFunc(d.claims, func(c claim) bool {
		return c.space == abi.SpacePort && port-c.start < c.size
	})
}

// Type puts input on the host console.
func (m *Machine) Type(s string) {
	m.mu.Lock()
	if m.lost > 0 {
		m.lost, m.lostLine = m.lost+uint64(len(s)), strings.HasSuffix(s, "\n")
	} else {
		m.in = append(m.in, s...)
	}
	m.mu.Unlock()
	m.raise(abi.PortConsole)
}

// Lose types s while the queue is full.
func (m *Machine) Lose(s string) {
	m.mu.Lock()
	m.lost += uint64(len(s))
	m.lostLine = strings.HasSuffix(s, "\n")
	m.mu.Unlock()
	m.raise(abi.PortConsole)
}

// Output returns what dom0 wrote to the host console.
func (m *Machine) Output() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return string(m.out)
}

// Logf adds to the hypervisor's log.
func (m *Machine) Logf(format string, a ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.logf(format, a...)
}

// Powered returns the power operations asked for.
func (m *Machine) Powered() []abi.Power {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.power)
}

// Wall is what the wall clock was set to.
func (m *Machine) Wall() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.wall
}

// SetTrace sets the records of every CPU's trace ring.
func (m *Machine) SetTrace(r []abi.TraceRecord) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.trace = r
}

// SetExits sets the counter of exit reason i of every domain, and what these exits
// cost in cycles: in all, and 99 in 100 of them at most.
func (m *Machine) SetExits(i int, n, cycles, p99 uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.exits.Count[i], m.exits.Cycles[i], m.exits.P99[i] = n, cycles, p99
	m.exits.Time = 1_000_000
}

// Update changes the record of a domain, for states that no guest function makes.
func (m *Machine) Update(id uint32, f func(*abi.DomainInfo)) {
	m.mu.Lock()
	f(&m.doms[id].info)
	m.cond.Broadcast()
	m.mu.Unlock()
}

// Serve answers the IOReqs of the domain with the given IOReqPage as dom0's event
// loop does: handle reads or writes and returns the data.
func (m *Machine) Serve(dom uint32, p *abi.IOReqPage, handle func(r *abi.IOReq) uint64) {
	for i := range p.Slot {
		r := &p.Slot[i]
		if atomic.LoadUint32(&r.State) == abi.IOReqReady {
			r.Data = handle(r)
			atomic.StoreUint32(&r.State, abi.IOReqDone)
			m.Call(abi.CallIOReqDone, uint64(dom), uint64(i), 0, 0, 0)
		}
	}
}

// StartVCPUs lets a domain start vCPUs, a bit for each, as far as they are there.
func (m *Machine) StartVCPUs(dom, vcpus uint32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if d := m.doms[dom]; d != nil {
		d.info.Started |= vcpus &^ d.info.Absent
	}
}
