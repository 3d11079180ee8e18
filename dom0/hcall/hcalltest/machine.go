// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package hcalltest is a hypervisor in memory, behind the interface of package
// hv/abi: domains with states and memory accounting, mappings, IOReq pages,
// events, interrupt lines, host console and log. The toolstack and the device
// models are tested on it. Guests are Go functions that run on a [CPU].
//
// It is strict: what the interface forbids is refused, memory that is not mapped
// cannot be reached, and every call can be made to fail ([Machine.Fail]).
package hcalltest

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	"ringo/dom0/hcall"
	"ringo/hv/abi"
)

// Limits and costs of the machine. A test may change them before the first call.
const (
	bounceGPA  = 0x9000      // dom0's bounce page
	ioreqGPA   = 0x10_0000   // IOReq page of slot 0
	domainHPA  = 0x1000_0000 // RAM for domains starts here
	maxExtent  = 6 << 20     // an extent is no larger: lists have several
	maxDomains = 16
	baseCost   = 64 << 10 // hypervisor memory for a domain, and
	costPer2M  = 4 << 10  // for each begun 2 MiB of its RAM
	maxGSI     = 24
)

// Machine is the hypervisor. It implements [hcall.Caller].
type Machine struct {
	// Fail is called before each call with its number and how often that number
	// was called before; a status other than OK makes the call fail with it.
	Fail func(nr abi.Call, n int) abi.Status
	// Guest runs as vCPU 0 of every domain when that first runs.
	Guest func(*CPU)
	// Upcall stands for the interrupts abi.UpcallVector and, of devices,
	// abi.DeviceVector. It must not block.
	Upcall func()
	// Host is the template of the answer to CallHost.
	Host abi.HostInfo
	// PCI are the functions of the machine, and Config the doublewords of their
	// configuration space that are not 0.
	PCI    []abi.PCIFunction
	Config map[abi.PCIAddr]map[uint16]uint32
	// Reserved are CPUs that run no vCPUs.
	Reserved uint64
	// Shared is the page of event bits.
	Shared *abi.SharedInfo
	// Step is the number of bytes that one populate or destroy call handles.
	Step uint64
	// LogSize is the size of the log ring in bytes.
	LogSize int

	page [hcall.PageSize]byte

	mu       sync.Mutex // guards what follows; a leaf
	cond     *sync.Cond // any change of a domain
	calls    [abi.NumCalls]int
	doms     map[uint32]*dom
	lastID   uint32
	nextHPA  uint64
	free     uint64
	log      []byte
	logStart uint64 // offset of log[0]
	in       []byte
	lost     uint64 // bytes of input behind in
	lostLine bool
	out      []byte
	power    []abi.Power
	wall     time.Time
	keys     []byte
	trace    []abi.TraceRecord
	exits    abi.ExitCounts
	slice    uint64
}

// New returns a machine with the given free memory in bytes and CPUs.
func New(free uint64, cpus uint32) *Machine {
	m := &Machine{
		Shared: new(abi.SharedInfo), Step: 4 << 20, LogSize: 64 << 10,
		doms: map[uint32]*dom{}, nextHPA: domainHPA, free: free, slice: 3333,
	}
	m.cond = sync.NewCond(&m.mu)
	m.Host = abi.HostInfo{
		NumCPUs: cpus, TSCHz: 2_000_000_000, TotalBytes: free + 144<<20,
		HVBytes: 16 << 20, Dom0Bytes: 128 << 20, CPUIDLeaf1ECX: 0x80202001, CPUIDLeaf1EDX: 0x078bfbff,
	}
	h := &m.Host
	hcall.SetText(h.CPUVendor[:], "AuthenticAMD")
	hcall.SetText(h.CPUModel[:], "Fake CPU")
	hcall.SetText(h.VirtCaps[:], "hvm hap svm")
	hcall.SetText(h.Speculation[:], "IBPB, RSB")
	hcall.SetText(h.IOMMU[:], "VT-d, 1 unit, 39 bits")
	hcall.SetText(h.Version[:], "0.0-test")
	hcall.SetText(h.Scheduler[:], "credit")
	hcall.SetText(h.CmdLine[:], "console=com1")
	hcall.SetText(m.exits.Name[0][:], "cpuid")
	hcall.SetText(m.exits.Name[1][:], "io")
	d0 := &dom{info: abi.DomainInfo{
		VCPUs: 1, Bytes: h.Dom0Bytes, MaxBytes: h.Dom0Bytes, State: abi.StateRunning, Weight: 512,
	}}
	hcall.SetText(d0.info.Name[:], "Domain-0")
	m.doms[0] = d0
	return m
}

type bounce struct{ m *Machine }

func (b bounce) GPA() uint64   { return bounceGPA }
func (b bounce) Bytes() []byte { return b.m.page[:] }

// Client returns a client of the machine.
func (m *Machine) Client() *hcall.Client { return hcall.New(m, bounce{m}) }

// Call implements [hcall.Caller].
func (m *Machine) Call(nr abi.Call, a0, a1, a2, a3, a4 uint64) (abi.Status, uint64) {
	i := nr - abi.CallBase
	if i >= abi.Call(abi.NumCalls) {
		return abi.BadCall, 0
	}
	m.mu.Lock()
	n := m.calls[i]
	m.calls[i]++
	m.mu.Unlock()
	if m.Fail != nil {
		if st := m.Fail(nr, n); st != abi.OK {
			return st, 0
		}
	}
	var ports []uint32
	m.mu.Lock()
	st, v := m.invoke(nr, [5]uint64{a0, a1, a2, a3, a4}, &ports)
	m.mu.Unlock()
	for _, p := range ports {
		m.raise(p)
	}
	return st, v
}

// Calls returns how often a call was made.
func (m *Machine) Calls(nr abi.Call) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls[nr-abi.CallBase]
}

// raise sets the pending bit of a port as the hypervisor does.
func (m *Machine) raise(port uint32) {
	if port >= abi.MaxPorts {
		return
	}
	if n := port - abi.PortDevice; n < abi.NumDevicePorts {
		if atomic.OrUint64(&m.Shared.Devices, 1<<n) == 0 && m.Upcall != nil {
			m.Upcall()
		}
		return
	}
	bit := uint64(1) << (port % 64)
	if atomic.OrUint64(&m.Shared.Pending[port/64], bit)&bit != 0 {
		return
	}
	ready := atomic.OrUint64(&m.Shared.Ready, 1<<(port/64))
	if ready == 0 && atomic.LoadUint64(&m.Shared.Masked) == 0 && m.Upcall != nil {
		m.Upcall()
	}
}

// operand returns size bytes at a guest physical address of dom0: the bounce
// page is all the memory that calls may name.
func (m *Machine) operand(gpa, size uint64) []byte {
	if gpa < bounceGPA || gpa >= bounceGPA+hcall.PageSize || size > bounceGPA+hcall.PageSize-gpa {
		return nil
	}
	return m.page[gpa-bounceGPA:][:size:size]
}

// answer stores a structure at gpa.
func (m *Machine) answer(gpa uint64, v any) (abi.Status, uint64) {
	b := m.operand(gpa, uint64(binary.Size(v)))
	if b == nil {
		return abi.BadAddress, 0
	}
	if _, err := binary.Encode(b, binary.LittleEndian, v); err != nil {
		panic(err)
	}
	return abi.OK, 0
}

// ask loads a structure from gpa.
func (m *Machine) ask(gpa uint64, v any) abi.Status {
	b := m.operand(gpa, uint64(binary.Size(v)))
	if b == nil {
		return abi.BadAddress
	}
	if _, err := binary.Decode(b, binary.LittleEndian, v); err != nil {
		panic(err)
	}
	return abi.OK
}
