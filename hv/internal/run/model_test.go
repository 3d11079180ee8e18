// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package run

import (
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"ringo/hv/abi"
	"ringo/hv/internal/event"
	"ringo/hv/internal/hcall"
	"ringo/hv/internal/part"
	"ringo/hv/internal/pcpu"
	"ringo/hv/internal/policy"
	"ringo/hv/internal/sched"
	"ringo/hv/vcpu"
	"ringo/hv/vcpu/vcputest"
	"ringo/hv/x86"
	"ringo/mm"
	"ringo/mm/frame"
	"ringo/mm/phys/phystest"
	"ringo/mm/pt"
)

// world is a machine whose CPUs are threads of the host and whose guests are
// loops that behave at random: the real run loop, ledger and scheduler under
// real concurrency. What a kick, an interrupt and a timer do is modelled after
// the kernel layer and the entry code.
type world struct {
	t      *testing.T
	m      *part.Machine
	dom0   *part.Domain
	cpus   []*simCPU
	shared abi.SharedInfo
	upcall chan struct{}
	start  time.Time
	stop   atomic.Bool
	quiet  bool          // guests make no accesses and have no timers
	inDom0 bool          // dom0's vCPU 0 answers accesses, not a thread of the host
	done   chan struct{} // a runner has ended

	made []*simVCPU // by NewVCPU since it was last emptied; one maker at a time
}

// simCPU is one CPU of the host.
type simCPU struct {
	kick atomic.Uint32
	irq  chan struct{} // the interrupt of a kick
	arm  atomic.Uint64
	tid  atomic.Int64
	w    *world
}

func (w *world) now() uint64 { return uint64(time.Since(w.start)) }

// kickCPU is kernel.Kick.
func (w *world) kickCPU(n int) {
	c := w.cpus[n]
	if c.kick.Swap(1) == 0 {
		select {
		case c.irq <- struct{}{}:
		default:
		}
	}
}

// wait is kernel.Wait.
func (c *simCPU) wait(deadline uint64) {
	if c.kick.Swap(0) != 0 {
		return
	}
	d := time.Hour
	if at := min(deadline, c.arm.Load()); at != pcpu.Never {
		d = time.Duration(at) - time.Duration(c.w.now())
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-c.irq:
	case <-t.C:
		if c.arm.Load() <= c.w.now() {
			c.arm.Store(pcpu.Never)
		}
	}
	c.kick.Store(0)
}

func (w *world) thisCPU() int {
	tid := int64(syscall.Gettid())
	for i, c := range w.cpus {
		if c.tid.Load() == tid {
			return i
		}
	}
	return -1
}

// simVCPU is a guest's CPU.
type simVCPU struct {
	*vcputest.VCPU // registers; its script is not used
	w              *world
	p              *part.VCPU // once known
	inside         atomic.Int32
	runs, starts   atomic.Uint64
	kicked         atomic.Bool
	entered        atomic.Uint64 // generation of the tables at the entry
	rng            *rand.Rand
	ports          bool

	posted, seen atomic.Uint64 // interrupts testVector
	timers       atomic.Uint64 // interrupts timerVector
	pending      uint8
	window       bool
	timerDue     uint64 // the guest's own timer, 0 = not armed
	want         uint64 // of the port access in progress
	asked        bool
}

const (
	testVector  = 0x50
	timerVector = 0x60
	testPort    = 0x3f8
	late        = 5 * time.Second // under the race detector on a loaded host
)

// answer is what dom0's device model says.
func answer(port uint64, vc int) uint64 { return (port*7 + uint64(vc)*31) & 0xff }

type simBackend struct {
	*vcputest.Backend
	w *world
}

func (b simBackend) NewVCPU(t *pt.Tables) (vcpu.VCPU, error) {
	v := &simVCPU{VCPU: vcputest.NewVCPU(), w: b.w, rng: rand.New(rand.NewPCG(1, uint64(len(b.w.made))))}
	v.VCPU.Tables = t
	b.w.made = append(b.w.made, v)
	return v, nil
}

func (v *simVCPU) Kick()         { v.kicked.Store(true) }
func (v *simVCPU) Advance(uint8) {}

func (v *simVCPU) Set(r x86.Reg, val uint64) {
	if r == x86.RIP && val == 0 {
		v.starts.Add(1) // a start-up message
	}
	v.VCPU.Set(r, val)
	v.Calls = v.Calls[:0]
}

func (v *simVCPU) Inject(e vcpu.Event) bool {
	if v.pending != 0 {
		v.window = true
		return false
	}
	v.pending = e.Vector
	return true
}

// Run is a short stretch of the guest's life.
func (v *simVCPU) Run(cpu int, x *vcpu.Exit) {
	if v.inside.Add(1) != 1 {
		v.w.t.Error("a vCPU runs on two CPUs")
	}
	v.runs.Add(1)
	v.entered.Store(v.VCPU.Tables.Generation())
	v.result()
	*x = v.guest(v.w.cpus[cpu])
	x.TSC = v.w.now()
	v.inside.Add(-1)
}

// result checks what the last port access brought.
func (v *simVCPU) result() {
	if v.asked {
		v.asked = false
		if got := v.Registers.RAX & 0xff; got != v.want {
			v.w.t.Errorf("a port access returned %#x, want %#x", got, v.want)
		}
	}
}

// guest runs until something exits.
func (v *simVCPU) guest(c *simCPU) vcpu.Exit {
	for n := v.rng.IntN(100); ; n++ {
		if v.interrupted(c) {
			return vcpu.Exit{Reason: vcpu.Interrupted}
		}
		if v.pending != 0 {
			v.handler()
		}
		if v.p == v.w.dom0.VCPUs[0] && v.w.inDom0 && v.answers() {
			return vcpu.Exit{Reason: vcpu.Hypercall, Len: 3}
		}
		switch {
		case v.window && v.pending == 0:
			v.window = false
			return vcpu.Exit{Reason: vcpu.Window}
		case v.timerDue != 0 && v.w.now() > v.timerDue+uint64(late):
			v.w.t.Error("a guest's timer did not come")
			v.timerDue = 0
		case n == 101 && v.ports && v.rng.IntN(2) == 0:
			port := uint16(testPort + v.rng.IntN(8))
			v.want, v.asked = answer(uint64(port), v.p.ID), true
			return vcpu.Exit{Reason: vcpu.IO, Len: 1, IO: vcpu.IOExit{Port: port, Size: 1, In: true}}
		case n == 102 && v.timerDue == 0 && v.ports:
			v.arm()
			v.p.SetAttention() // as the exit of the register write would
			return vcpu.Exit{Reason: vcpu.Cache, Len: 2}
		case n == 103 && v.rng.IntN(3) != 0:
			return vcpu.Exit{Reason: vcpu.HLT, Len: 1}
		case n == 104 && v.rng.IntN(2) == 0:
			return vcpu.Exit{Reason: vcpu.Cache, Len: 2}
		}
		if n > 110 {
			runtime.Gosched() // a loop without an exit: only a kick ends it
		}
	}
}

// answers is dom0 at work: it answers one access, if there is any, and is about
// to hand its CPU to who waits for it.
func (v *simVCPU) answers() bool {
	atomic.StoreUint64(&v.w.shared.Ready, 0)
	for i := range v.w.shared.Pending {
		atomic.StoreUint64(&v.w.shared.Pending[i], 0)
	}
	for d := v.w.m.Next(1); d != nil; d = v.w.m.Next(uint64(d.ID) + 1) {
		for i := range d.VCPUs {
			if fill(d, i) {
				r := &v.Registers
				r.RAX, r.RDI, r.RSI = uint64(abi.CallIOReqDone), uint64(d.ID), uint64(i)
				return true
			}
		}
	}
	return false
}

// interrupted is the check of the entry code, and an interrupt afterwards.
func (v *simVCPU) interrupted(c *simCPU) bool {
	if at := c.arm.Load(); at <= v.w.now() {
		c.arm.Store(pcpu.Never)
		c.kick.Store(1)
	}
	if v.kicked.Load() || c.kick.Load() != 0 {
		v.kicked.Store(false)
		c.kick.Store(0)
		return true
	}
	return false
}

// handler is the guest's interrupt handler.
func (v *simVCPU) handler() {
	switch v.pending {
	case testVector:
		v.seen.Store(v.posted.Load())
	case timerVector:
		v.timerDue = 0
		v.timers.Add(1)
	}
	v.pending = 0
	v.p.APIC.EOI()
	v.p.SetAttention() // as the exit of the EOI would
}

// arm sets the guest's timer.
func (v *simVCPU) arm() {
	ns := 1 + v.rng.Uint64N(300_000)
	v.timerDue = v.w.now() + ns
	v.p.APIC.Write(0x380, 4, ns, v.w.now())
}

func newWorld(t *testing.T, cpus int, tick uint64) *world {
	w := &world{t: t, start: time.Now(), upcall: make(chan struct{}, 1), done: make(chan struct{}, cpus)}
	mem := phystest.New(t)
	mem.Declare(ramBase, ramSize)
	mem.Quiet(true)
	ram := []mm.Range[mm.HPA]{{Start: ramBase, Size: ramSize}}
	size, err := frame.MetaBytes(ram)
	if err != nil {
		t.Fatal(err)
	}
	pool, err := frame.New(mem, ram, make([]uint32, size/4))
	if err != nil {
		t.Fatal(err)
	}
	if err := pool.Add(ram[0]); err != nil {
		t.Fatal(err)
	}
	b := vcputest.NewBackend()
	b.Format = *pt.NPT(true)
	w.m = &part.Machine{
		Backend: simBackend{b, w}, Frames: pool, Phys: mem, TSCHz: 1e9,
		Sched:     sched.New(sched.Config{CPUs: cpus, Tick: tick}),
		HostCPUID: func(leaf, sub uint32) policy.Result { return policy.Result{} },
		TSC:       w.now, ThisCPU: w.thisCPU, Kick: w.kickCPU,
		Dom0Ended: func(r abi.Shutdown, why string) { t.Error("dom0 ended: ", why) },
		IOReqPage: func(mm.HPA) *abi.IOReqPage { return new(abi.IOReqPage) },
	}
	w.m.Events = event.New(&w.shared, func(vector uint8) {
		if v := w.dom0.VCPUs[0]; w.inDom0 {
			if v.APIC.SetIRR(vector, false) {
				v.NotifyHere()
			}
			return
		}
		select {
		case w.upcall <- struct{}{}:
		default:
		}
	})
	for i := range cpus {
		c := &simCPU{irq: make(chan struct{}, 1), w: w}
		c.arm.Store(pcpu.Never)
		w.cpus = append(w.cpus, c)
		w.m.CPUs = append(w.m.CPUs, &pcpu.CPU{ID: i})
	}
	if w.dom0, _, err = w.m.CreateDom0(2, 4*mm.MiB); err != nil {
		t.Fatal(err)
	}
	return w
}

// run starts the CPUs and dom0.
func (w *world) run() {
	for i, c := range w.cpus {
		go func() {
			runtime.LockOSThread()
			c.tid.Store(int64(syscall.Gettid()))
			host := Host{Now: w.now, Wait: c.wait, Arm: func(at uint64) { c.arm.Store(min(at, c.arm.Load())) },
				LostPage: func() (uint64, bool) { return 0, false }, NextIRQ: func() (uint8, bool) { return 0, false }, Raised: new(uint32)}
			r := New(w.m.CPUs[i], w.m, &hcall.Services{}, host)
			for !w.stop.Load() {
				if !r.turn() {
					r.idle()
				}
			}
			w.done <- struct{}{}
		}()
	}
	w.adopt(w.dom0, false)
	w.dom0.Unpause()
	go w.serve()
}

// adopt makes the new simVCPUs those of d and starts their local APICs.
func (w *world) adopt(d *part.Domain, ports bool) (vs []*simVCPU) {
	vs, w.made = w.made, nil
	for i, v := range vs {
		v.p, v.ports = d.VCPUs[i], ports
		v.p.APIC.Write(0xf0, 4, 0x1ff, w.now())        // software enable
		v.p.APIC.Write(0x3e0, 4, 0xb, w.now())         // count by 1
		v.p.APIC.Write(0x320, 4, timerVector, w.now()) // one-shot
		v.p.SetContext(&abi.VCPUContext{RFLAGS: 2 | x86.FlagIF, Online: 1})
		v.Calls = v.Calls[:0]
	}
	return vs
}

// serve is dom0's device model.
func (w *world) serve() {
	for !w.stop.Load() {
		<-w.upcall
		atomic.StoreUint64(&w.shared.Ready, 0)
		for i := range w.shared.Pending {
			for bits := atomic.SwapUint64(&w.shared.Pending[i], 0); bits != 0; bits &= bits - 1 {
				w.answerAll(uint64(i*64) + uint64(trailing(bits)))
			}
		}
	}
}

func trailing(b uint64) (n int) {
	for ; b&1 == 0; b >>= 1 {
		n++
	}
	return n
}

// answerAll serves the domain whose port is p.
func (w *world) answerAll(p uint64) {
	d := w.m.Next(1)
	for d != nil && uint64(d.Port) != p {
		d = w.m.Next(uint64(d.ID) + 1)
	}
	if d == nil {
		return
	}
	for i, v := range d.VCPUs {
		if fill(d, i) && v.Answered() {
			v.WakeHere(sched.NoCPU, w.m.Now()) // no CPU of w's is about to wait
		}
	}
}

// fill answers the access of d's vCPU i, if it makes one.
func fill(d *part.Domain, i int) bool {
	q := &d.IOReq.Slot[i]
	if atomic.LoadUint32(&q.State) != abi.IOReqReady {
		return false
	}
	atomic.StoreUint64(&q.Data, answer(q.Addr, i))
	atomic.StoreUint32(&q.State, abi.IOReqDone)
	return true
}

// create makes and starts a guest.
func (w *world) create(name byte, vcpus uint32) (*part.Domain, []*simVCPU) {
	a := &abi.CreateArgs{VCPUs: vcpus, MaxBytes: 2 * mm.MiB}
	a.Name[0] = name
	d, st := w.m.Create(a)
	if st != abi.OK {
		w.t.Fatalf("create: %v", st)
	}
	for st = abi.Again; st == abi.Again; {
		st = d.Populate(0, 2*mm.MiB, abi.RAMWritable)
	}
	if st != abi.OK || d.Claim(abi.SpacePort, testPort, 8, 0) != abi.OK {
		w.t.Fatalf("populate: %v", st)
	}
	vs := w.adopt(d, !w.quiet)
	d.Unpause()
	return d, vs
}

// post sends an interrupt and waits until the guest has handled it.
func (w *world) post(v *simVCPU) bool {
	n := v.posted.Add(1)
	if v.p.APIC.SetIRR(testVector, false) {
		v.p.Notify()
	}
	return w.until(func() bool { return v.seen.Load() >= n })
}

// until waits for f.
func (w *world) until(f func() bool) bool {
	for end := time.Now().Add(late); !f(); {
		if time.Now().After(end) {
			return false
		}
		time.Sleep(5 * time.Microsecond)
	}
	return true
}

// end stops the CPUs.
func (w *world) end() {
	w.stop.Store(true)
	for n := 0; n < len(w.cpus); {
		for i := range w.cpus {
			w.kickCPU(i)
		}
		select {
		case <-w.done:
			n++
		case <-time.After(time.Millisecond):
		}
	}
	select {
	case w.upcall <- struct{}{}:
	default:
	}
}
