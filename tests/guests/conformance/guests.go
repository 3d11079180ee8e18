// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"ringo/boot/kernel"
	"ringo/hv/insn"
	"ringo/hv/vcpu"
	"ringo/hv/vcpu/vcputest"
	"ringo/hv/x86"
)

// conformance is the suite, a row for each case; no case may leak memory.
func conformance(h *harness) {
	for _, c := range vcputest.Cases() {
		h.row(c.Name, func(h *harness) {
			before := h.out
			c.Func(h, h)
			if h.out != before {
				h.Errorf("%d pages leaked", h.out-before)
			}
		})
	}
}

// tormented is a guest that runs tortureCode.
type tormented struct {
	*guest
	x      vcpu.Exit
	rounds uint64 // CPUID exits
	failed bool
}

const dataPage = 0x20000

func (h *harness) torment(seed uint64, avx bool, xcr0 uint64, mxcsr uint32) *tormented {
	g := &tormented{guest: h.private()}
	vcputest.Boot64(g, g.v, h.native(text(codeTorture)))
	d := g.RAM()[dataPage:]
	clear(d) // the memory of an earlier guest
	binary.LittleEndian.PutUint32(d[128:], mxcsr)
	if avx {
		d[136] = 1
	}
	binary.LittleEndian.PutUint64(d[144:], seed)
	g.v.Regs().RSI = dataPage
	for _, s := range []x86.Seg{x86.FS, x86.GS} {
		seg := g.v.Segment(s)
		seg.Base = dataPage + 144
		g.v.SetSegment(s, seg)
	}
	if h.b.Caps().XSAVE {
		g.v.Set(x86.CR4, g.v.Get(x86.CR4)|x86.CR4OSXSAVE)
		g.v.Set(x86.XCR0, xcr0)
	}
	return g
}

// step enters g once and handles the exit.
func (g *tormented) step(cpu int) {
	g.v.Run(cpu, &g.x)
	switch g.x.Reason {
	case vcpu.Interrupted, vcpu.Tick:
	case vcpu.CPUID:
		r := g.v.Regs()
		r.RCX &= 0xffff_ffff
		r.RAX, r.RBX, r.RDX = 0x4000_0001, 0x1122_3344, 0x0abb_ccdd
		vcputest.Skip(g.v, &g.x, vcputest.Length(&g.x))
		g.rounds++
	case vcpu.Hypercall:
		d := g.RAM()[dataPage:]
		le := binary.LittleEndian
		g.fail("check %d failed in round %d: RAX %#x RCX %#x", le.Uint64(d[8:]), le.Uint64(d), le.Uint64(d[16:]), le.Uint64(d[24:]))
	default:
		g.fail("exit %+v on CPU %d: CR0 %#x CR4 %#x XCR0 %#x, %d rounds", g.x, cpu,
			g.v.Get(x86.CR0), g.v.Get(x86.CR4), g.v.Get(x86.XCR0), g.rounds)
	}
}

func (g *tormented) fail(format string, args ...any) {
	g.Errorf(format, args...)
	g.failed = true
}

// isolation lets guests with different state take turns on one CPU.
func isolation(h *harness) {
	mask := h.b.Caps().XCR0Mask
	gs := []*tormented{
		h.torment(0x1000_0000_0000, mask&4 != 0, mask, 0x3f80),
		h.torment(0x2000_0000_0000, false, 3, 0x1f80),
		h.torment(0x3000_0000_0000, mask&4 != 0, mask, 0x7f80),
		h.torment(0x4000_0000_0000, false, 1, 0x9f80),
	}
	for i := range 4000 {
		g := gs[i%len(gs)]
		g.step(0)
		useVectors()
		if i%100 == 0 {
			h.checkHost()
		}
		if g.failed {
			break
		}
	}
	for i, g := range gs {
		if g.rounds < 500 {
			h.Errorf("guest %d made %d rounds", i, g.rounds)
		}
		g.free()
	}
	msrIsolation(h)
}

// useVectors makes Go code use the registers that guests have values in.
func useVectors() {
	var a, b [256]byte
	for i := range a {
		a[i] = byte(i)
	}
	copy(b[:], a[:])
	if strings.Count(string(b[:]), "\x07") != 1 || b != a {
		panic("vector registers of the host are wrong")
	}
}

// msrIsolation: what a guest writes to MSRs that do not exit stays its own.
func msrIsolation(h *harness) {
	msrs := []uint32{x86.MSRSTAR, x86.MSRLSTAR, x86.MSRCSTAR, x86.MSRSFMASK, x86.MSRKernelGSBase,
		x86.MSRSysenterESP, x86.MSRSysenterEIP, x86.MSRFSBase, x86.MSRGSBase}
	for _, msr := range msrs {
		// mov ecx, msr; wrmsr; hlt; rdmsr; hlt
		code := append([]byte{0xb9, byte(msr), byte(msr >> 8), byte(msr >> 16), byte(msr >> 24)},
			0x0f, 0x30, 0xf4, 0x0f, 0x32, 0xf4)
		var gs [2]*guest
		var x vcpu.Exit
		for i := range gs {
			gs[i] = h.private()
			vcputest.Boot64(gs[i], gs[i].v, code)
			gs[i].v.Regs().RAX = uint64(0x1234_5000 + i)
			vcputest.Expect(h, h, gs[i].v, &x, vcpu.HLT, 7)
			vcputest.Skip(gs[i].v, &x, 1)
			h.checkHost()
		}
		for i := range gs {
			if vcputest.Expect(h, h, gs[i].v, &x, vcpu.HLT, 10) && uint32(gs[i].v.Regs().RAX) != uint32(0x1234_5000+i) {
				h.Errorf("MSR %#x of guest %d reads %#x", msr, i, gs[i].v.Regs().RAX)
			}
			gs[i].free()
		}
	}
}

// torture runs checking guests on this CPU while the Go heap churns.
func torture(h *harness) {
	mask := h.b.Caps().XCR0Mask
	gs := []*tormented{
		h.torment(0x5000_0000_0000, mask&4 != 0, mask, 0x3f80),
		h.torment(0x6000_0000_0000, mask&4 != 0, mask, 0x1f80),
	}
	stop := churn()
	exits, end := 0, time.Now().Add(time.Duration(h.secs)*time.Second)
	// Of a busy machine the guests may get little in that time.
	most := end.Add(5 * time.Minute)
	idle := func(g *tormented) bool { return g.rounds == 0 }
	for ; time.Now().Before(end) || slices.ContainsFunc(gs, idle) && time.Now().Before(most); exits++ {
		g := gs[exits/64%len(gs)]
		g.step(0)
		if exits%16 == 0 {
			canary(h)
			h.checkHost()
		}
		if g.failed {
			break
		}
	}
	gcs, heap := stop()
	h.Logf("torture: %d exits, %d collections, churned %d MiB", exits, gcs, heap>>20)
	for _, g := range gs {
		if g.rounds == 0 {
			h.Errorf("a guest made no progress")
		}
		g.free()
	}
}

type node struct{ l, r *node }

func build(n int) *node {
	if n == 0 {
		return &node{}
	}
	return &node{build(n - 1), build(n - 1)}
}

func (n *node) count() int {
	if n == nil {
		return 0
	}
	return 1 + n.l.count() + n.r.count()
}

// churn keeps the collector busy until stop is called.
func churn() (stop func() (gcs uint32, heap uint64)) {
	var over atomic.Bool
	done := make(chan bool)
	go func() {
		for !over.Load() {
			if build(10).count() != 2047 {
				panic("the heap is corrupt")
			}
			runtime.GC()
		}
		done <- true
	}()
	return func() (uint32, uint64) {
		over.Store(true)
		<-done
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.NumGC, m.TotalAlloc
	}
}

// canary is a value that only this stack reaches, while the stack grows.
func canary(h *harness) {
	p := build(4)
	if deep(20+rand.IntN(40)) != 0 || p.count() != 31 {
		h.Errorf("the stack or the heap is corrupt")
	}
}

//go:noinline
func deep(n int) int {
	var a [128]byte
	a[n&127] = byte(n)
	if n == 0 {
		return 0
	}
	return deep(n-1) + int(a[n&127]) - int(byte(n))
}

// preempt: a guest that turned its interrupts off is still interrupted.
func preempt(h *harness) {
	g := h.private()
	vcputest.Boot64(g, g.v, []byte{0xfa, 0xeb, 0xfe}) // cli; jmp .
	var x vcpu.Exit
	tick := kernel.TSCHz() / 1000
	for range 20 {
		t := insn.RDTSC()
		kernel.Arm(t + tick)
		for x.Reason = vcpu.Tick; x.Reason == vcpu.Tick && insn.RDTSC()-t <= 1000*tick; {
			g.v.Run(0, &x)
		}
		if d := insn.RDTSC() - t; x.Reason != vcpu.Interrupted || d > 1000*tick {
			h.Errorf("reason %d after %d us", x.Reason, d*1000/tick)
		}
	}
	stop := churn()
	n := 0
	for end := time.Now().Add(time.Second); time.Now().Before(end); n++ {
		g.v.Run(0, &x)
	}
	gcs, _ := stop()
	if gcs < 1 {
		h.Errorf("%d collections in a second", gcs)
	}
	h.Logf("preempt: %d runs and %d collections in a second", n, gcs)
	g.free()
}
