// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vmx

import (
	"sync"

	"ringo/hv/vcpu"
	"ringo/mm"
	"ringo/mm/pt"
)

// MaxCPUs is the number of CPUs a backend can serve.
const MaxCPUs = 256

// Spin-loop filter: an exit after PAUSEs that are at most gap ticks of the TSC
// apart have gone on for window ticks (SDM Vol. 3, "Controls for PAUSE-Loop
// Exiting").
const (
	pauseGap    = 128
	pauseWindow = 4096
	// notifyWindow is for how long a guest may keep the CPU from taking events, beside
	// what the CPU grants by itself (SDM Vol. 3, "Notify VM Exits"): some 50 µs.
	notifyWindow = 128 << 10
)

// Backend implements vcpu.Backend.
type Backend struct {
	env    *vcpu.Env
	f      features
	caps   *vcpu.Caps
	format *pt.Format
	maps   mm.HPA // I/O bitmaps A and B, MSR bitmap, MSR bitmap of x2APIC mode
	cpus   [MaxCPUs]*cpu
	mu     sync.Mutex
	vpids  vpids
	// pretend stands for the entry code in tests.
	pretend func(*VCPU)
}

var _ vcpu.Backend = (*Backend)(nil)

// New returns the backend for the machine whose CPUs all say r. It takes four
// pages of env for the bitmaps.
func New(env *vcpu.Env, r Registers) (*Backend, error) {
	f, err := probe(&r)
	if err != nil {
		return nil, err
	}
	caps, err := Probe(r)
	if err != nil {
		return nil, err
	}
	b := &Backend{env: env, f: f, caps: caps, format: pt.EPT(f.huge1G)}
	if b.maps, err = env.Pages(ioPages + 2*msrPages); err != nil {
		return nil, err
	}
	writeIO(env.Phys, b.maps)
	writeMSR(env.Phys, b.msrMap(false))
	writeMSR(env.Phys, b.msrMap(true))
	openX2APIC(env.Phys, b.msrMap(true))
	return b, nil
}

// msrMap is the MSR bitmap of guests whose x2APIC the CPU virtualizes, or of the
// others.
func (b *Backend) msrMap(x2 bool) mm.HPA {
	a := b.maps + ioPages*mm.PageSize
	if x2 {
		a += msrPages * mm.PageSize
	}
	return a
}

// Caps implements vcpu.Backend.
func (b *Backend) Caps() *vcpu.Caps { return b.caps }

// TableFormat implements vcpu.Backend.
func (b *Backend) TableFormat() *pt.Format { return b.format }

// Offsets of a vCPU's pages.
const (
	apicPage  = mm.PageSize
	framePage = 2 * mm.PageSize
)

// NewVCPU implements vcpu.Backend.
func (b *Backend) NewVCPU(t *pt.Tables) (vcpu.VCPU, error) {
	n := 3 + (frameHead+b.f.fpuSize+mm.PageSize-1)/mm.PageSize
	costs := mm.HPA(n-1) * mm.PageSize
	pages, err := b.env.Pages(n)
	if err != nil {
		return nil, err
	}
	v := &VCPU{
		b:      b,
		frame:  frameAt(b.env, pages+framePage),
		apic:   virtualAPICAt(b.env, pages+apicPage),
		tables: t, generation: t.Generations(),
		pages:  pages,
		npages: n,
		costs:  costsAt(b.env, pages+costs),
		cost:   uint64(b.env.Virt(pages + costs)),
		at:     -1,
		fpu:    vcpu.EntryKind(b.f.fpu, b.f.xcr0, &b.env.Spec),
		eptp:   uint64(t.Root()) | eptpWriteBack | eptpWalk4,
	}
	if b.f.accessedDirty {
		v.eptp |= eptpAccessedDirty
	}
	if b.f.vpid {
		b.mu.Lock()
		v.vpid = b.vpids.take()
		b.mu.Unlock()
		if v.vpid == 0 {
			b.env.Release(pages, n)
			return nil, vcpu.ErrTooMany
		}
	}
	b.env.Phys.Store64(pages, uint64(b.f.revision))
	v.frame.fpu.Reset()
	v.costIO = v.cost + uint64(vcpu.IO)<<vcpu.CostShift
	v.frame.meter.Start(v.cost)
	v.frame.secure = vcpu.Secure(b.f.fpu, &b.env.Spec)
	v.valid = stable | volatile
	v.put(sProc, uint64(b.f.proc))
	v.put(sProc2, uint64(b.f.proc2))
	v.put(sMSRBitmap, uint64(b.msrMap(false)))
	v.put(sEntry, uint64(b.f.entry))
	v.put(sEntryEvent, 0)
	v.put(sInterrupt, 0)
	v.put(sPendingDebug, 0)
	v.put(sTSCOffset, 0)
	v.tablesGen = t.Generation()
	vcpu.Reset(v)
	return v, nil
}

// EPTP: memory type of the tables 2:0, walk length minus 1 5:3, use of accessed
// and dirty bits 6 (SDM Vol. 3, "Extended-Page-Table Pointer (EPTP)").
const (
	eptpWriteBack     = 6
	eptpWalk4         = 3 << 3
	eptpAccessedDirty = 1 << 6
)

// configure fills the control and host fields of a fresh VMCS that do not have
// a slot and do not depend on the CPU. Precondition: v is loaded.
func (v *VCPU) configure() {
	b, p := v.b, v.on.p
	for _, w := range [...]struct {
		field uint32
		val   uint64
	}{
		{uint32(ctlPin), uint64(b.f.pin)},
		{uint32(ctlExit), uint64(b.f.exit)},
		{uint32(ctlExceptions), baseExceptions},
		{uint32(ctlPFMask), 0}, {uint32(ctlPFMatch), 0},
		{uint32(ctlCR3Targets), 0}, {uint32(ctlExitStore), 0}, {uint32(ctlExitLoad), 0}, {uint32(ctlEntryLoad), 0},
		{uint32(ctlIOBitmapA), uint64(b.maps)}, {uint32(ctlIOBitmapB), uint64(b.maps) + mm.PageSize},
		{uint32(ctlVirtualAPIC), uint64(v.pages) + apicPage},
		{uint32(ctlEPTP), v.eptp},
		// The other bits of CR0 and CR4 are the hypervisor's: reads get the shadow.
		{uint32(ctlCR0Mask), ^uint64(freeCR0)}, {uint32(ctlCR4Mask), ^uint64(freeCR4)},
		{uint32(guestLink), ^uint64(0)}, {uint32(guestDebugCtl), 0}, {uint32(guestActivity), 0},
		{uint32(hostSysenterCS), 0}, {uint32(hostSysenterESP), 0}, {uint32(hostSysenterEIP), 0},
		{uint32(hostRIP), v.exitsTo()},
	} {
		p.write(w.field, w.val)
	}
	if b.f.vpid {
		p.write(uint32(ctlVPID), uint64(v.vpid))
	}
	if b.f.virtualAPIC {
		p.write(uint32(guestIntStatus), 0)
		for i := range v.eoiExit {
			p.write(uint32(ctlEOIExit)+2*uint32(i), 0)
		}
	}
	if b.f.proc2&proc2PauseLoop != 0 {
		p.write(uint32(ctlPauseGap), pauseGap)
		p.write(uint32(ctlPauseWindow), pauseWindow)
	}
	if b.f.proc2&proc2Notify != 0 {
		p.write(uint32(ctlNotifyWindow), notifyWindow)
	}
	if b.f.pin&pinTimer != 0 {
		p.write(uint32(guestPreemptionTimer), b.netTicks())
	}
}

// exitsTo is HOST_RIP.
func (v *VCPU) exitsTo() uint64 {
	if v.fpu == vcpu.XSAVE {
		return exitSecureAddress()
	}
	return exitAddress()
}

// baseExceptions end the run: #DB and #AC, since an event delivery that raises
// them forever would never end it (XSA-156, CVE-2015-5307); #MC belongs to the
// host.
const baseExceptions = 1<<1 | 1<<17 | 1<<18
