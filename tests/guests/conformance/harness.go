// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"errors"
	"fmt"
	"sync"

	"ringo/boot/kernel"
	"ringo/boot/layout"
	"ringo/hv/insn"
	"ringo/hv/spec"
	"ringo/hv/vcpu"
	"ringo/hv/vcpu/vcputest"
	"ringo/hv/x86"
	"ringo/mm"
	"ringo/mm/phys"
	"ringo/mm/pt"
	"ringo/tests/guests/kerneltest/args"
)

// The physical memory that the tests use: far above the image, its pool and
// the loader's data on every machine that runs this program (512 MiB).
const (
	arenaStart = 128 * mm.MiB
	arenaEnd   = 384 * mm.MiB
	ramSize    = mm.Page2M // of each guest
)

// harness is the machine under test, and the T of the suite.
type harness struct {
	name     string
	failures int
	secs     int
	b        vcpu.Backend
	intel    bool // VT-x: syscall MSRs stay the guest's, VMCALL
	env      vcpu.Env
	mu       sync.Mutex
	next     mm.HPA
	free     map[int][]mm.HPA
	out      int // pages not released
	ram      mm.HPA
	host     hostState
}

var _ vcputest.Machine = (*harness)(nil)

func newHarness(secs int) (*harness, error) {
	for _, r := range append(kernel.Boot().Reserved, kernel.ImageRange(), kernel.PoolRange()) {
		if r.Start < arenaEnd && r.Start+mm.HPA(r.Size) > arenaStart {
			return nil, fmt.Errorf("%+v lies in the arena", r)
		}
	}
	h := &harness{secs: secs, next: arenaStart, free: map[int][]mm.HPA{}}
	h.env = vcpu.Env{
		Phys:     phys.NewDirect(layout.DirectMap, uint64(kernel.DirectTop())),
		Pages:    h.pages,
		Release:  h.release,
		Virt:     kernel.Phys,
		KickWord: kernel.KickWord,
		TSCHz:    kernel.TSCHz(),
	}
	if args.Get("hardened", 0) != 0 {
		h.env.Spec = spec.Plan{RSB: true, VERW: true}
	}
	var err error
	h.intel = isIntel()
	if h.b, err = newBackend(&h.env, h.intel); err != nil {
		return nil, err
	}
	if err := h.b.Enable(0); err != nil {
		return nil, err
	}
	if h.ram, err = h.pages(ramSize / mm.PageSize); err != nil {
		return nil, err
	}
	h.host = h.readHost()
	return h, nil
}

func (h *harness) pages(n int) (mm.HPA, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.out += n
	if l := h.free[n]; len(l) > 0 {
		h.free[n] = l[:len(l)-1]
		return l[len(l)-1], nil
	}
	if n >= ramSize/mm.PageSize {
		h.next = mm.AlignUp(h.next, ramSize)
	}
	a := h.next
	if a+mm.HPA(n*mm.PageSize) > arenaEnd {
		return 0, errors.New("the arena is full")
	}
	h.next += mm.HPA(n * mm.PageSize)
	h.env.Phys.Zero(a, uint64(n)*mm.PageSize)
	return a, nil
}

func (h *harness) release(a mm.HPA, n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.out -= n
	h.free[n] = append(h.free[n], a)
}

// AllocTable and FreeTable make the harness a pt.Allocator.
func (h *harness) AllocTable() (mm.HPA, error) { return h.pages(1) }
func (h *harness) FreeTable(a mm.HPA)          { h.release(a, 1) }

func (h *harness) Errorf(format string, args ...any) {
	h.mu.Lock()
	h.failures++
	h.mu.Unlock()
	fmt.Printf("ERROR %s: %s\n", h.name, fmt.Sprintf(format, args...))
}

func (h *harness) Fatalf(format string, args ...any) {
	h.Errorf(format, args...)
	fmt.Println("FAILURE")
	kernel.PowerOff()
}

func (h *harness) Logf(format string, args ...any) { fmt.Printf(format+"\n", args...) }

func (h *harness) Backend() vcpu.Backend { return h.b }
func (h *harness) CPU() int              { return 0 }
func (h *harness) Runs() bool            { return true }
func (h *harness) RAM() []byte           { return h.bytes(h.ram) }

// owner is a vCPU that takes its tables along when it is freed.
type owner struct {
	vcpu.VCPU
	tables *pt.Tables
}

// Unwrap returns the backend's own vCPU.
func (o owner) Unwrap() vcpu.VCPU { return o.VCPU }

func (o owner) Free() {
	o.VCPU.Free()
	o.tables.Free()
}

func (h *harness) NewVCPU(vcputest.T) vcpu.VCPU { return h.over(h.ram) }

// over makes a vCPU whose memory is the ramSize bytes at ram.
func (h *harness) over(ram mm.HPA) owner {
	t, err := pt.New(h.b.TableFormat(), h.env.Phys, h)
	if err != nil {
		h.Fatalf("%v", err)
	}
	if err := t.Map(0, ram, ramSize, pt.RWX); err != nil {
		h.Fatalf("%v", err)
	}
	v, err := h.b.NewVCPU(t)
	if err != nil {
		h.Fatalf("%v", err)
	}
	return owner{v, t}
}

// private makes a vCPU with memory of its own, as a Machine of its own.
func (h *harness) private() *guest {
	ram, err := h.pages(ramSize / mm.PageSize)
	if err != nil {
		h.Fatalf("%v", err)
	}
	return &guest{harness: h, mem: ram, v: h.over(ram)}
}

// guest is a machine with one vCPU and its memory.
type guest struct {
	*harness
	mem mm.HPA
	v   owner
}

func (g *guest) RAM() []byte { return g.bytes(g.mem) }

func (g *guest) free() {
	g.v.Free()
	g.harness.release(g.mem, ramSize/mm.PageSize)
}

// hostState is what no guest may change, as far as Go or the kernel layer
// depends on it.
type hostState struct {
	mxcsr                                uint32
	flags, xcr0, cr0, cr3, cr4, dr7      uint64
	efer, star, lstar, sfmask, fs, gs    uint64
	kernelGS, sysCS, sysSP, sysIP, cstar uint64
}

func (h *harness) readHost() hostState {
	s := hostState{
		mxcsr: insn.MXCSR() &^ 0x3f, flags: insn.Flags() & (x86.FlagDF | x86.FlagIF | x86.FlagTF | x86.FlagAC),
		cr0: insn.CR0(), cr3: insn.CR3(), cr4: insn.CR4(), dr7: insn.DR7(),
		efer: insn.RDMSR(x86.MSREFER), star: insn.RDMSR(x86.MSRSTAR), lstar: insn.RDMSR(x86.MSRLSTAR),
		sfmask: insn.RDMSR(x86.MSRSFMASK), fs: insn.RDMSR(x86.MSRFSBase), gs: insn.RDMSR(x86.MSRGSBase),
		kernelGS: insn.RDMSR(x86.MSRKernelGSBase), sysCS: insn.RDMSR(x86.MSRSysenterCS),
		sysSP: insn.RDMSR(x86.MSRSysenterESP), sysIP: insn.RDMSR(x86.MSRSysenterEIP),
		cstar: insn.RDMSR(x86.MSRCSTAR),
	}
	if s.cr4&x86.CR4OSXSAVE != 0 {
		s.xcr0 = insn.XGETBV(0)
	}
	if h.intel { // the last guest's, without effect: SCE is clear
		s.star, s.lstar, s.cstar, s.sfmask, s.kernelGS = 0, 0, 0, 0, 0
	}
	return s
}

// checkHost compares the host's state with the one at the start.
func (h *harness) checkHost() {
	if now := h.readHost(); now != h.host {
		h.Errorf("host state changed:\n was %+v\n now %+v", h.host, now)
	}
}
