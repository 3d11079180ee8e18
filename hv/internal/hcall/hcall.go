// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package hcall answers hypercalls in two phases: decode resolves the domain,
// the vCPU and the operand and may refuse; only then the call's own function
// runs. What decode does for a call is data, a row of the table.
//
// What a hostile caller can do here:
//
//	any number, any arguments          -> a status; nothing is done
//	an operand outside its own RAM     -> BadAddress
//	change the operand meanwhile       -> nothing: it is copied once
//	privileged calls from a guest      -> Denied, before anything is looked at
//	endless work                       -> long calls return Again in bounded time
package hcall

import (
	"ringo/hv/abi"
	"ringo/hv/internal/part"
	"ringo/hv/internal/pci"
	"ringo/hv/internal/pvclock"
	"ringo/hv/x86"
	"ringo/mm"
)

// Services is what calls need besides domains. All fields are set.
type Services struct {
	Host         func(*abi.HostInfo)
	Power        func(abi.Power)
	Log          func(b []byte, off uint64) (n int, oldest uint64, ok bool)
	ConsoleWrite func(b []byte) int
	ConsoleRead  func(b []byte) abi.ConsoleInput
	DebugKey     func(k byte)
	Trace        func(cpu uint64, out []abi.TraceRecord) (n int, ok bool)
	PCI          *pci.Table
}

// bufSize is the largest operand in bytes.
const bufSize = 4096

// Context is one CPU's workspace. It is large and lives as long as the CPU.
type Context struct {
	buf [bufSize]byte
	_   [0]uint64 // aligns buf for the structures seen in it

	m    *part.Machine
	s    *Services
	from *part.VCPU
	arg  [5]uint64
	dom  *part.Domain
	vcpu *part.VCPU
	data []byte // the operand in buf
	hand bool   // see Do
}

func init() {
	for i := range calls {
		r := &calls[i]
		r.operands = r.dom != 0 || r.gpa != 0 // a vCPU is one of a domain
		if r.run == nil {
			*r = call{any: true, run: func(*Context) (abi.Status, uint64) { return abi.BadCall, 0 }}
		}
		rows[i] = r
	}
}

// rows is calls by pointers, which the path of short calls prefers.
var rows [len(calls)]*call

// New makes a workspace.
func New(m *part.Machine, s *Services) *Context { return &Context{m: m, s: s} }

// call is a row of the table. Argument indices are counted from 1; 0 means that
// the call has none.
type call struct {
	any   bool  // open to every guest, not only to dom0
	dom   uint8 // argument that names a domain
	guest bool  // the domain must not be dom0
	vcpu  uint8 // argument that names a vCPU of it
	gpa   uint8 // argument with the operand's address
	len   uint8 // argument with the operand's length in bytes
	size  int   // length when it is fixed
	in    bool  // the operand is read before the call
	out   bool  // the operand is written back after OK
	run   func(c *Context) (abi.Status, uint64)

	operands bool // there is something to decode
}

// Do answers the hypercall in v's registers. If it returns a vCPU, v has answered
// the access of that one, and hands its CPU over: the caller calls
// [part.VCPU.Answered].
//
// Preconditions: v's last exit is the hypercall instruction, at CPL 0.
func (c *Context) Do(v *part.VCPU) (heir *part.VCPU) {
	r := v.Regs
	n := r.RAX - uint64(abi.CallBase)
	if n >= uint64(len(rows)) {
		c.kvmCall(v)
		return nil
	}
	row := rows[n]
	if !row.any && !v.Dom.Privileged() {
		r.RAX = uint64(abi.Denied)
		return nil
	}
	if c.from != v {
		c.from = v // a write barrier costs more than the comparison
	}
	a := &c.arg
	a[0], a[1], a[2], a[3], a[4] = r.RDI, r.RSI, r.RDX, r.R8, r.R9
	if row.operands {
		return c.withOperands(row)
	}
	st, val := row.run(c)
	r.RAX, r.RDX = uint64(st), val
	return nil
}

// kvmCall answers the hypercalls of KVM that its guests use (Linux,
// Documentation/virt/kvm/x86/hypercalls.rst): KVM_HC_KICK_CPU, of which they are told by
// the feature "PV unhalt", with an APIC ID as second argument, and KVM_HC_CLOCK_PAIRING,
// which they try, with an address and a kind of clock; and all others as KVM does those
// that it does not know.
func (c *Context) kvmCall(v *part.VCPU) {
	const (
		kickCPU      = 5
		clockPairing = 9
		wallClock    = 0
		efault       = 14
		eopnotsupp   = 95
		enosys       = 1000
	)
	r := v.Regs
	switch {
	case v.Dom.Privileged():
		r.RAX = ^uint64(enosys - 1)
	case r.RAX == kickCPU:
		v.Dom.KickCPU(uint32(r.RCX))
		r.RAX = 0
	case r.RAX == clockPairing && r.RCX != wallClock:
		r.RAX = ^uint64(eopnotsupp - 1)
	case r.RAX == clockPairing:
		b := c.buf[:pvclock.PairingLen]
		v.PairClock(b)
		if r.RAX = 0; !v.Dom.Write(mm.GPA(r.RBX), b) {
			r.RAX = ^uint64(efault - 1)
		}
	default:
		r.RAX = ^uint64(enosys - 1)
	}
}

// Heir returns the vCPU that the call in g hands the CPU of its caller, of domain from,
// to: that whose access dom0 has answered. nil is for all other calls, and for those
// that are refused: Do answers them.
func (c *Context) Heir(from *part.Domain, g *x86.Regs) *part.VCPU {
	if g.RAX != uint64(abi.CallIOReqDone) || !from.Privileged() {
		return nil
	}
	if d := c.m.Find(g.RDI); d != nil && g.RSI < uint64(len(d.VCPUs)) {
		return d.VCPUs[g.RSI]
	}
	return nil
}

// withOperands is the rest of Do for calls that name a domain or memory.
func (c *Context) withOperands(row *call) (heir *part.VCPU) {
	c.dom, c.vcpu, c.data, c.hand = nil, nil, nil, false
	st := c.decode(row)
	var val uint64
	if st == abi.OK {
		st, val = row.run(c)
	}
	if row.out && (st == abi.OK || st == abi.Again) && !c.from.Dom.Write(mm.GPA(c.arg[row.gpa-1]), c.data) {
		st = abi.BadAddress
	}
	r := c.from.Regs
	r.RAX, r.RDX = uint64(st), val
	if c.hand {
		return c.vcpu
	}
	return nil
}

// decode fills dom, vcpu and data as the row says.
func (c *Context) decode(row *call) abi.Status {
	if row.dom != 0 {
		if c.dom = c.m.Find(c.arg[row.dom-1]); c.dom == nil {
			return abi.NoDomain
		}
		if row.guest && c.dom.Privileged() {
			return abi.Denied
		}
	}
	if row.vcpu != 0 {
		n := c.arg[row.vcpu-1]
		if n >= uint64(len(c.dom.VCPUs)) {
			return abi.NoVCPU
		}
		c.vcpu = c.dom.VCPUs[n]
	}
	if row.gpa == 0 {
		return abi.OK
	}
	size := uint64(row.size)
	if row.len != 0 {
		if size = c.arg[row.len-1]; size > bufSize {
			return abi.BadArg
		}
	}
	c.data = c.buf[:size]
	gpa := mm.GPA(c.arg[row.gpa-1])
	if row.in {
		if !c.from.Dom.Read(gpa, c.data) {
			return abi.BadAddress
		}
	} else {
		clear(c.data)
	}
	return abi.OK
}

// startRegs are the registers that CallVCPUStart copies from the calling vCPU: the
// new one starts in the same address space.
var startRegs = [...]x86.Reg{x86.CR0, x86.CR3, x86.CR4, x86.EFER, x86.PAT, x86.GDTRBase, x86.GDTRLimit, x86.IDTRBase, x86.IDTRLimit}
