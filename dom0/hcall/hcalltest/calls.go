// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package hcalltest

import (
	"encoding/binary"
	"fmt"
	"time"

	"ringo/hv/abi"
)

// invoke dispatches a call. Event ports to raise afterwards are added to ports.
//
// Preconditions: m.mu is held.
func (m *Machine) invoke(nr abi.Call, a [5]uint64, ports *[]uint32) (abi.Status, uint64) {
	switch nr {
	case abi.CallNop:
		return abi.OK, abi.Version
	case abi.CallHost:
		h := m.Host
		h.FreeBytes, h.NumDomains = m.free, max(h.NumDomains, uint32(len(m.doms)))
		return m.answer(a[0], &h)
	case abi.CallPower:
		if a[0] > uint64(abi.PowerCrash) {
			return abi.BadArg, 0
		}
		m.power = append(m.power, abi.Power(a[0]))
		return abi.OK, 0
	case abi.CallSetWall:
		m.wall = time.Unix(0, int64(a[0]))
		return abi.OK, 0
	case abi.CallLog:
		return m.readLog(a[0], a[1], a[2])
	case abi.CallConsoleWrite:
		b := m.operand(a[0], a[1])
		if b == nil {
			return abi.BadAddress, 0
		}
		b = b[:min(len(b), 100)] // a device takes what it can
		m.out = append(m.out, b...)
		return abi.OK, uint64(len(b))
	case abi.CallConsoleRead:
		b := m.operand(a[0], a[1])
		if b == nil {
			return abi.BadAddress, 0
		}
		n := copy(b, m.in)
		m.in = m.in[n:]
		in := abi.NewConsoleInput(n, 0, false)
		if len(m.in) == 0 {
			in = abi.NewConsoleInput(n, m.lost, m.lostLine)
			m.lost = 0
		}
		return abi.OK, uint64(in)
	case abi.CallDebugKey:
		m.keys = append(m.keys, byte(a[0]))
		m.logf("debug key '%c'\n", rune(a[0]))
		return abi.OK, 0
	case abi.CallEventSend:
		if a[0] >= abi.MaxPorts {
			return abi.BadArg, 0
		}
		*ports = append(*ports, uint32(a[0]))
		return abi.OK, 0
	case abi.CallDomCreate:
		return m.create(a[0])
	case abi.CallDomInfo:
		return m.info(a[0], a[1])
	case abi.CallExitCounts:
		if a[0] != abi.AllDomains && m.doms[uint32(a[0])] == nil {
			return abi.NoDomain, 0
		}
		return m.answer(a[1], &m.exits)
	case abi.CallTrace:
		return m.readTrace(a[0], a[1], a[2])
	case abi.CallSchedSlice, abi.CallPCIFunction, abi.CallPCIRead:
		return m.invokeMachine(nr, a)
	case abi.CallDomShutdown, abi.CallVCPUStart:
		return abi.Busy, 0 // dom0 runs on one vCPU and does not stop
	}
	if a[0] > 0xffff_ffff {
		return abi.NoDomain, 0
	}
	d := m.doms[uint32(a[0])]
	if d == nil {
		return abi.NoDomain, 0
	}
	return m.invokeDomain(nr, d, a, ports)
}

// invokeDomain dispatches a call whose first argument is domain d.
func (m *Machine) invokeDomain(nr abi.Call, d *dom, a [5]uint64, ports *[]uint32) (abi.Status, uint64) {
	if d.info.ID == abi.Dom0 && nr != abi.CallDomSetRecord && nr != abi.CallDomGetRecord && nr != abi.CallDomSched && nr != abi.CallDomAffinity {
		return abi.Denied, 0
	}
	if d.info.State&abi.StateDying != 0 && nr != abi.CallDomDestroy {
		return abi.Busy, 0
	}
	switch nr {
	case abi.CallDomPopulate:
		if a[3] > uint64(abi.RAMReadOnly) {
			return abi.BadArg, 0
		}
		return m.populate(d, a[1], a[2])
	case abi.CallDomMap:
		return m.mapAll(d, a[1])
	case abi.CallDomSetVCPU:
		return m.setVCPU(d, a[1], a[2])
	case abi.CallDomGetVCPU:
		if a[1] >= uint64(d.info.VCPUs) {
			return abi.NoVCPU, 0
		}
		return m.answer(a[2], &d.vcpu[a[1]])
	case abi.CallDomClaim:
		return m.claim(d, abi.Space(a[1]), a[2], a[3], a[4])
	case abi.CallDomPause:
		d.info.State = d.info.State&^abi.StateBlocked | abi.StatePaused
		m.cond.Broadcast()
		return abi.OK, 0
	case abi.CallDomUnpause:
		return m.unpause(d)
	case abi.CallDomDestroy:
		return m.destroy(d, ports)
	case abi.CallDomRename:
		return m.rename(d, a[1])
	case abi.CallDomSetRecord:
		b := m.operand(a[1], a[2])
		if b == nil {
			return abi.BadAddress, 0
		}
		d.record = append([]byte(nil), b...)
		d.info.RecordLen = uint32(len(b))
		return abi.OK, 0
	case abi.CallDomGetRecord:
		b := m.operand(a[1], a[2])
		if b == nil {
			return abi.BadAddress, 0
		}
		if len(d.record) > len(b) {
			return abi.TooBig, uint64(len(d.record))
		}
		return abi.OK, uint64(copy(b, d.record))
	case abi.CallDomIRQ:
		if a[1] >= maxGSI || a[2] > 1 {
			return abi.BadArg, 0
		}
		d.line[a[1]] = a[2] == 1
		m.cond.Broadcast()
		return abi.OK, 0
	case abi.CallDomSched:
		if a[1] < 1 || a[1] > 65535 || a[2] > 100*abi.MaxVCPUs {
			return abi.BadArg, 0
		}
		d.info.Weight, d.info.Cap = uint32(a[1]), uint32(a[2])
		return abi.OK, 0
	case abi.CallDomAffinity:
		return m.affinity(d, a[1], a[2])
	case abi.CallIOReqDone:
		return m.ioreqDone(d, a[1])
	}
	return m.invokeDevice(nr, d, a, ports)
}

// invokeDevice is the calls of device models.
func (m *Machine) invokeDevice(nr abi.Call, d *dom, a [5]uint64, ports *[]uint32) (abi.Status, uint64) {
	switch nr {
	case abi.CallDomMSI:
		if a[1]>>20 != 0xfee || a[2] > 1<<32-1 {
			return abi.BadArg, 0
		}
		d.messages = append(d.messages, uint32(a[2]))
		m.cond.Broadcast()
		return abi.OK, 0
	case abi.CallDomBell:
		return m.setBell(d, a[1], abi.Space(a[2]), a[3], a[4]), 0
	case abi.CallDomTrigger:
		switch t := abi.Trigger(a[1]); {
		case a[2] >= uint64(d.info.VCPUs):
			return abi.NoVCPU, 0
		case t > abi.TriggerPlug, t >= abi.TriggerUnplug && a[2] == 0:
			return abi.BadArg, 0
		case t == abi.TriggerUnplug:
			d.info.Absent |= 1 << a[2]
			d.info.Started &^= 1 << a[2]
			return abi.OK, 0
		case t == abi.TriggerPlug:
			d.info.Absent &^= 1 << a[2]
			return abi.OK, 0
		}
		d.triggers = append(d.triggers, abi.Trigger(a[1]))
		m.cond.Broadcast()
		if d.listens {
			return abi.OK, 1
		}
		return abi.OK, 0
	case abi.CallDomEnd:
		if a[1] == 0 || a[1] > uint64(abi.ShutdownCrash) {
			return abi.BadArg, 0
		}
		d.info.State, d.info.Shutdown = abi.StateShutdown, abi.Shutdown(a[1])
		m.cond.Broadcast()
		*ports = append(*ports, abi.PortDomainState)
		return abi.OK, 0
	}
	return abi.BadCall, 0
}

// logf adds to the log ring.
func (m *Machine) logf(format string, a ...any) {
	m.log = fmt.Appendf(m.log, format, a...)
	if n := len(m.log) - m.LogSize; n > 0 {
		m.log = m.log[n:]
		m.logStart += uint64(n)
	}
}

func (m *Machine) readLog(gpa, size, offset uint64) (abi.Status, uint64) {
	b := m.operand(gpa, size)
	if b == nil {
		return abi.BadAddress, 0
	}
	if offset < m.logStart {
		return abi.BadArg, m.logStart
	}
	if offset -= m.logStart; offset > uint64(len(m.log)) {
		return abi.BadArg, 0
	}
	return abi.OK, uint64(copy(b, m.log[offset:]))
}

func (m *Machine) readTrace(cpu, gpa, size uint64) (abi.Status, uint64) {
	b := m.operand(gpa, size)
	if b == nil {
		return abi.BadAddress, 0
	}
	if cpu >= uint64(m.Host.NumCPUs) {
		return abi.BadArg, 0
	}
	var r []abi.TraceRecord
	for _, t := range m.trace {
		if uint64(binary.Size(append(r, t))) <= size {
			r = append(r, t)
		}
	}
	if _, err := binary.Encode(b, binary.LittleEndian, r); err != nil {
		panic(err)
	}
	return abi.OK, uint64(len(r))
}

// invokeMachine is the calls about the machine.
func (m *Machine) invokeMachine(nr abi.Call, a [5]uint64) (abi.Status, uint64) {
	switch nr {
	case abi.CallSchedSlice:
		if a[0] != 0 {
			if a[0] < abi.MinSlice || a[0] > abi.MaxSlice {
				return abi.BadArg, 0
			}
			m.slice = a[0]
		}
		return abi.OK, m.slice
	case abi.CallPCIFunction:
		if a[0] >= uint64(len(m.PCI)) {
			return abi.NoDevice, uint64(len(m.PCI))
		}
		return m.answer(a[1], &m.PCI[a[0]])
	}
	return m.readPCI(a[0], a[1], a[2])
}

func (m *Machine) readPCI(a, reg, size uint64) (abi.Status, uint64) {
	if size != 1 && size != 2 && size != 4 || reg%size != 0 || reg > 4096-size {
		return abi.BadArg, 0
	}
	for _, f := range m.PCI {
		if uint64(f.Addr) != a {
			continue
		}
		v := ^uint32(0)
		if reg < 256 || f.Flags&abi.PCIExtended != 0 {
			v = m.Config[f.Addr][uint16(reg)&^3] >> (reg & 3 * 8)
		}
		return abi.OK, uint64(v & uint32(1<<(size*8)-1))
	}
	return abi.NoDevice, 0
}
