// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vmx

import (
	"errors"
	"testing"

	"ringo/hv/vcpu"
	"ringo/hv/vcpu/hosttest"
	"ringo/mm"
	"ringo/mm/pt"
)

// vmcs is a VMCS in a test.
type vmcs struct {
	fields map[uint32]uint64
	on     *testCPU // where it is active, nil when it is clear
	// launched, until it is cleared.
	launched bool
}

// world is what the CPUs of a test share.
type world struct {
	t    *testing.T
	vmcs map[mm.HPA]*vmcs
}

// testCPU is a processor that keeps the rules of the manual: a VMCS is active on
// one CPU at most, only that one reads and writes it, and writes go to fields
// that can be written.
type testCPU struct {
	w       *world
	current *vmcs
	msrs    map[uint32]uint64
	dr      [5]uint64
	flushes []flush
	reads   int
	writes  int
}

type flush struct {
	vpid      bool
	kind, tag uint64
}

func (p *testCPU) read(f uint32) uint64 {
	p.reads++
	if p.current == nil {
		p.w.t.Fatalf("VMREAD %#x without a VMCS", f)
	}
	return p.current.fields[f]
}

func (p *testCPU) readSlots(val *[numSlots]uint64, mask uint64) {
	for s, f := range fieldOf {
		if mask>>s&1 != 0 {
			val[s] = p.read(f)
		}
	}
}

func (p *testCPU) write(f uint32, val uint64) {
	p.writes++
	if p.current == nil || f>>10&3 == 1 {
		p.w.t.Fatalf("VMWRITE %#x: not possible", f)
	}
	p.current.fields[f] = val
}

func (p *testCPU) readViolation(val *[numSlots]uint64, f *frame) {
	p.readSlots(val, fetching)
	f.gpa, f.vectoring = p.read(uint32(exitGPA)), p.read(uint32(exitVectoring))
	f.ssAccess = p.read(uint32(guestSSAccess))
}

func (p *testCPU) writeSlots(val *[numSlots]uint64, mask uint64) {
	for s, f := range fieldOf {
		if mask>>s&1 != 0 {
			p.write(f, val[s])
		}
	}
}

func (p *testCPU) at(a mm.HPA) *vmcs {
	if p.w.vmcs[a] == nil {
		p.w.vmcs[a] = &vmcs{fields: map[uint32]uint64{}}
	}
	v := p.w.vmcs[a]
	if v.on != nil && v.on != p {
		p.w.t.Fatalf("the VMCS at %#x is active on another CPU", a)
	}
	return v
}

func (p *testCPU) clear(a mm.HPA) {
	v := p.at(a)
	v.on, v.launched = nil, false
	if p.current == v {
		p.current = nil
	}
}

func (p *testCPU) load(a mm.HPA) {
	p.current = p.at(a)
	p.current.on = p
}

func (p *testCPU) invept(kind, eptp uint64)  { p.flushes = append(p.flushes, flush{false, kind, eptp}) }
func (p *testCPU) invvpid(kind, vpid uint64) { p.flushes = append(p.flushes, flush{true, kind, vpid}) }

func (p *testCPU) leave(val *[numSlots]uint64, live *[numLive]uint64, a mm.HPA) {
	p.readSlots(val, fetching)
	for i, msr := range liveMSRs {
		live[i] = p.rdmsr(msr)
	}
	p.clear(a)
}

func (p *testCPU) peek(val *[numSlots]uint64, mask uint64, a mm.HPA) {
	if v := p.w.vmcs[a]; v == nil || v.on != nil {
		p.w.t.Fatalf("the VMCS at %#x was not left", a)
	}
	was := p.current
	p.load(a)
	p.readSlots(val, mask)
	p.clear(a)
	p.current = was
}

func (p *testCPU) enter(a mm.HPA, live *[numLive]uint64) {
	for i, msr := range liveMSRs {
		p.wrmsr(msr, live[i])
	}
	p.load(a)
}

func (p *testCPU) rdmsr(msr uint32) uint64      { return p.msrs[msr] }
func (p *testCPU) wrmsr(msr uint32, val uint64) { p.msrs[msr] = val }

func (p *testCPU) breakpoints() (a, b, c, d, dr6 uint64) {
	return p.dr[0], p.dr[1], p.dr[2], p.dr[3], p.dr[4]
}
func (p *testCPU) setBreakpoints(a, b, c, d, dr6 uint64) { p.dr = [5]uint64{a, b, c, d, dr6} }

// machine is a backend with CPUs of the test: everything but the entry code and
// Enable works.
type machine struct {
	*Backend
	env  *hosttest.Env
	cpus []*testCPU
}

func newMachine(t *testing.T, r Registers, cpus int) *machine {
	env := hosttest.NewEnv(t)
	b, err := New(&env.Env, r)
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{Backend: b, env: env}
	w := &world{t: t, vmcs: map[mm.HPA]*vmcs{}}
	for i := range cpus {
		p := &testCPU{w: w, msrs: map[uint32]uint64{}}
		m.cpus = append(m.cpus, p)
		b.cpus[i] = &cpu{p: p, n: i, kick: b.env.Kick(i), xcr0: uint32(b.f.xcr0), host: hostState{tr: 0x18, fsBase: uint64(i + 1)}}
		b.flush(b.cpus[i], invAll, 0, 0)
		p.flushes = nil
	}
	return m
}

// broadwell and sandyBridge are recorded CPUs.
func broadwell(t *testing.T) Registers   { return dumps(t)["i7_5600u.json"].registers(t) }
func sandyBridge(t *testing.T) Registers { return dumps(t)["i7_2635qm.json"].registers(t) }

func (m *machine) tables() *pt.Tables {
	t, err := pt.New(m.format, m.env.Phys, m.env)
	if err != nil {
		m.env.T.Fatal(err)
	}
	return t
}

func (m *machine) vcpu(t *pt.Tables) *VCPU {
	v, err := m.NewVCPU(t)
	if err != nil {
		m.env.T.Fatal(err)
	}
	return v.(*VCPU)
}

// fakeExit is what a CPU does between VMRESUME and the exit.
type fakeExit struct {
	reason, length, qualification, gpa uint64
	vectoring, vectErr, intInfo        uint64
	failed                             uint32
	cut                                bool                                       // the delivery of the entry's event, if any, ends in this exit
	guest                              func(p *testCPU, fields map[uint32]uint64) // what the guest changed
}

// errOver ends a Run that wants more exits than its test has.
var errOver = errors.New("no more exits")

// run is Run with the entry code replaced by exits: as many rounds as Run makes,
// one fakeExit each. It returns the number of entries.
func run(v *VCPU, n int, x *vcpu.Exit, exits ...fakeExit) (entries int) {
	v.fpu = fpuPretend
	v.b.pretend = func(v *VCPU) {
		if entries == len(exits) {
			panic(errOver)
		}
		exits[entries].happen(v, v.on.p.(*testCPU))
		entries++
	}
	defer func() {
		if e := recover(); e != nil && e != errOver {
			panic(e)
		}
	}()
	v.Run(n, x)
	return entries
}

func (e *fakeExit) happen(v *VCPU, p *testCPU) {
	f, fields := v.frame, p.current.fields
	fields[uint32(guestRIP)] = f.rip
	if (f.launched != 0) != p.current.launched {
		p.w.t.Error("VMRESUME of a VMCS that was not launched, or VMLAUNCH of one that was")
	}
	f.launched = 1
	if why := refusal(fields); why != "" && e.reason&reasonEntryFailed == 0 {
		p.w.t.Errorf("a CPU would refuse this entry: %s", why)
	}
	if e.cut {
		e.vectoring, e.vectErr = fields[uint32(ctlEntryEvent)], fields[uint32(ctlEntryError)]
	}
	if e.guest != nil {
		e.guest(p, fields)
	}
	if e.reason&reasonEntryFailed == 0 {
		fields[uint32(ctlEntryEvent)] &^= evValid
		p.current.launched = true
	}
	fields[uint32(exitQualification)], fields[uint32(exitGPA)] = e.qualification, e.gpa
	fields[uint32(exitVectError)] = e.vectErr
	fields[uint32(exitVectoring)] = e.vectoring
	f.reason, f.length, f.intInfo, f.failed = e.reason, e.length, e.intInfo, e.failed
	f.rip, f.interrupt = fields[uint32(guestRIP)], fields[uint32(guestInterruptState)]
	if e.reason < reasonCR {
		f.ssAccess = fields[uint32(guestSSAccess)]
	} else {
		for i := range f.qualified {
			f.qualified[i] = uint16(e.qualification >> (16 * i))
		}
	}
}
