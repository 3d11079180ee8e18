// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package svm

import (
	"testing"

	"ringo/hv/vcpu"
	"ringo/hv/vcpu/hosttest"
	"ringo/mm/pt"
)

// qemuMax is what -cpu max of QEMU 7.2 TCG says, with the host's XCR0 as the
// kernel layer sets it (x87, SSE, AVX).
var qemuMax = Registers{
	Leaf1C: 0xfffa_3203 | leaf1OSXSAVE, Leaf1D: 0x178b_fbff,
	LeafDB: 0x340, LeafD1A: 1,
	MaxExt: 0x8000_000a, Ext1C: 0x75, Ext1D: 0x2fd3_fbff | ext1Page1G,
	ExtAB: 0x10, ExtAD: 0x1001_0001,
	XCR0: 7,
}

// full is a CPU with everything that the package knows.
var full = func() Registers {
	r := qemuMax
	r.ExtAB = 0x8000
	r.ExtAD |= extANRIPS | extAClean | extAFlushASID | extADecode | extAPause | extAPauseThr | extABusLock
	return r
}()

// machine is a backend whose CPUs were never really enabled: everything but the
// entry code and the privileged instructions works.
type machine struct {
	*Backend
	env *hosttest.Env
}

func newMachine(t *testing.T, r Registers, cpus int) *machine {
	env := hosttest.NewEnv(t)
	b, err := New(&env.Env, r)
	if err != nil {
		t.Fatal(err)
	}
	for i := range cpus {
		b.cpus[i] = &cpu{
			host: uint64(i+1) << 40, index: i, asids: newASIDs(b.f.asids), kick: b.env.Kick(i), xcr0: uint32(b.f.xcr0),
			oracle: newOracle(b.f.asids),
		}
	}
	return &machine{b, env}
}

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

// fakeExit is what a CPU does between VMRUN and the exit.
type fakeExit struct {
	code, info1, info2, intInfo uint64
	guest                       func(b *vmcb) // what the guest changed
}

// run is Run with the entry code replaced by exit: at most max rounds, as Run
// would make them, one fakeExit each. It returns the number of entries.
func run(v *VCPU, n int, x *vcpu.Exit, exits ...fakeExit) int {
	c := v.b.cpus[n]
	for i, e := range exits {
		seen := v.seen()
		if v.at != n && v.at >= 0 {
			v.Leave()
		}
		if v.at != n || v.todo != 0 || v.tables.Generation() != v.tablesGen {
			if !v.prepare(c.index, x) {
				return i
			}
		}
		b := v.vmcb
		if why := refusal(b); why != "" && e.code != exitInvalid {
			panic("a CPU would refuse this entry: " + why)
		}
		if e.guest != nil {
			e.guest(b)
		}
		b.exitCode, b.exitInfo1, b.exitInfo2, b.exitIntInfo = e.code, e.info1, e.info2, e.intInfo
		v.entered(seen)
		if v.finish(x) {
			return i + 1
		}
	}
	return len(exits)
}
