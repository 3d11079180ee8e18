// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package run

import (
	"sync/atomic"
	"testing"

	"ringo/hv/abi"
	"ringo/hv/vcpu"
	"ringo/hv/vcpu/vcputest"
	"ringo/hv/x86"
)

// forever makes v do f and exit for it, again and again.
func forever(v *vcputest.VCPU, f func(r *x86.Regs) vcpu.Exit) {
	v.Steps = []vcputest.Step{{Guest: func(v *vcputest.VCPU) {
		v.Calls = v.Calls[:0]
		v.Next--
		v.Steps[v.Next].Exit = f(&v.Registers)
	}}}
}

// serve makes dom0's vCPU answer every access in cost ns, and sleep when there is
// none.
func (g *rig) serve(cost uint64) {
	dom0 := g.dom0.VCPUs[0]
	dom0.APIC.Write(0xf0, 4, 0x1ff, g.now)
	forever(dom0.HW.(*vcputest.VCPU), func(r *x86.Regs) vcpu.Exit {
		g.now += cost
		g.shared = abi.SharedInfo{}
		for d := g.m.Next(1); d != nil; d = g.m.Next(uint64(d.ID) + 1) {
			if q := &d.IOReq.Slot[0]; atomic.LoadUint32(&q.State) == abi.IOReqReady {
				q.State = abi.IOReqDone
				r.RAX, r.RDI, r.RSI = uint64(abi.CallIOReqDone), uint64(d.ID), 0
				return vcpu.Exit{Reason: vcpu.Hypercall, Len: 3, TSC: g.now}
			}
		}
		return vcpu.Exit{Reason: vcpu.HLT, Len: 1, TSC: g.now}
	})
	dom0.SetContext(&abi.VCPUContext{RIP: 0x1000, RFLAGS: 2 | x86.FlagIF, Online: 1})
	g.dom0.Unpause()
}

// A guest that computes and then reads a port of dom0's has no more of the CPU than
// one that only computes, and pays for dom0's time.
func TestAccessesDoNotStarve(t *testing.T) {
	for _, burst := range []uint64{1_000, 100_000, 1_000_000, 3_200_000} { // ns
		g := newRig(t)
		const access = 5_000
		var foe, victim, last, wait uint64
		a, va := g.guest("a")
		if st := a.Claim(abi.SpacePort, 0x3f8, 8, 0); st != abi.OK {
			t.Fatal(st)
		}
		forever(va, func(*x86.Regs) vcpu.Exit {
			g.now, foe = g.now+burst, foe+burst
			return vcpu.Exit{Reason: vcpu.IO, Len: 1, TSC: g.now, IO: vcpu.IOExit{Port: 0x3fd, Size: 1, In: true}}
		})
		b, vb := g.guest("b")
		forever(vb, func(*x86.Regs) vcpu.Exit {
			if last != 0 {
				wait = max(wait, g.now-last)
			}
			g.now, victim = g.now+100_000, victim+100_000
			last = g.now
			return vcpu.Exit{Reason: vcpu.Interrupted, TSC: g.now}
		})
		g.serve(access)
		a.Unpause()
		b.Unpause()
		for start := g.now; g.now-start < 3e9; {
			if !g.r.turn() {
				g.r.idle()
			}
		}
		if part := float64(victim) / 3e9; part < .47 || part > .53 || wait > 1e7 {
			t.Errorf("burst %d us: the one that computes had %.3f of the CPU, the other %.3f; waited %d us", burst/1000, part, float64(foe)/3e9, wait/1000)
		}
	}
}

// A vCPU that spins, locks the bus or keeps its CPU from events leaves its CPU to one that has work; alone it goes on.
func TestSpinnersYield(t *testing.T) {
	for _, why := range []vcpu.Reason{vcpu.Pause, vcpu.BusLock, vcpu.Notify} {
		t.Run(why.String(), func(t *testing.T) { testYields(t, why) })
	}
}

func testYields(t *testing.T, why vcpu.Reason) {
	g := newRig(t)
	var spun, worked uint64
	a, va := g.guest("a")
	forever(va, func(*x86.Regs) vcpu.Exit {
		g.now, spun = g.now+20_000, spun+20_000
		return vcpu.Exit{Reason: why, Len: 2, TSC: g.now}
	})
	b, vb := g.guest("b")
	forever(vb, func(*x86.Regs) vcpu.Exit {
		g.now, worked = g.now+100_000, worked+100_000
		return vcpu.Exit{Reason: vcpu.Interrupted, TSC: g.now}
	})
	spell := func() (uint64, uint64) {
		spun, worked = 0, 0
		for end := g.now + 1e9; g.now < end && g.r.turn(); {
		}
		return spun, worked
	}
	a.Unpause()
	b.Unpause()
	if s, w := spell(); w < 10*s || s < 5e6 {
		t.Errorf("spun %d us, worked %d us", s/1000, w/1000)
	}
}
