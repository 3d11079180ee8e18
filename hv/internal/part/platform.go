// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package part

import (
	"errors"

	"ringo/hv/abi"
	"ringo/hv/bus"
	"ringo/hv/internal/pcpu"
	"ringo/hv/internal/policy"
	"ringo/hv/internal/vhpet"
	"ringo/hv/internal/vioapic"
	"ringo/hv/internal/vpic"
	"ringo/hv/internal/vpit"
	"ringo/hv/internal/vpm"
	"ringo/hv/vcpu"
	"ringo/hv/x86"
	"ringo/mm"
)

// Platform is the chips of a PC that the hypervisor itself emulates: those that
// deliver interrupts and tell the time. dom0 has local APICs only.
type Platform struct {
	CPUID  *policy.CPUID
	MSRs   *policy.MSRs
	Page1G bool // the guest's own page tables may have 1 GiB pages
	ioapic *vioapic.IOAPIC
	pic    *vpic.PIC
	pit    *vpit.PIT
	pm     *vpm.PM
	hpet   *vhpet.HPET
	lines  [abi.IOAPICPins]bus.Line // by GSI
}

// isaLines is the number of inputs that the 8259As and the I/O APIC share.
const isaLines = 16

// newPlatform makes the chips of a guest and puts them on its buses. kvm makes KVM's
// CPUID leaves the first.
func newPlatform(d *Domain, kvm bool) (*Platform, error) {
	p, err := newPrivilegedPlatform(d, kvm)
	if err != nil {
		return nil, err
	}
	boot := d.VCPUs[0]
	p.ioapic = vioapic.New(d.APICs)
	d.APICs.OnEOI(p.ioapic)
	p.pic = vpic.New(boot.APIC.LINT(0))
	for gsi := range uint32(abi.IOAPICPins) {
		p.lines[gsi] = p.ioapic.Line(gsi)
		if gsi < isaLines {
			p.lines[gsi] = bus.Both(p.pic.Line(gsi), p.lines[gsi])
		}
	}
	w := new(wires)
	timer := w.legacy[0].or(bus.Both(p.pic.Line(0), p.ioapic.Line(abi.GSIPIT)))
	p.pit = vpit.New(d.machine.TSCHz, timer, rearm{boot})
	p.pm = vpm.New(d.machine.TSCHz, d.machine.Now(), p.lines[abi.IRQSCI], d)
	p.lines[abi.IRQSCI] = p.pm.SCI()
	p.lines[abi.IRQRTC] = bus.Both(w.legacy[1].or(p.lines[abi.IRQRTC]), p.pm.RTC())
	for i := range w.shared {
		p.lines[firstShared+i] = w.shared[i].or(p.lines[firstShared+i])
	}
	p.hpet = vhpet.New(d.machine.TSCHz, w, rearm{boot})
	return p, p.attach(d)
}

// newPrivilegedPlatform makes what dom0 has.
func newPrivilegedPlatform(d *Domain, kvm bool) (*Platform, error) {
	m := d.machine
	c := policy.NewCPUID(&policy.Config{
		Host: m.HostCPUID, Topology: d.topology, TSCHz: m.TSCHz, XCR0: m.Backend.Caps().XCR0Mask,
		PVClock: !d.Privileged(), PVEOI: !d.Privileged() && !m.Backend.Caps().VirtualAPIC, KVMFirst: kvm, Spec: m.Spec,
	})
	ext := c.Get(&policy.View{}, 0x8000_0001, 0)
	p := &Platform{CPUID: c, MSRs: policy.NewMSRs(c), Page1G: ext.EDX&x86.ExtDPage1G != 0}
	for _, v := range d.VCPUs {
		v.View.ID = v.APIC.ID()
		p.MSRs.Reset(&v.Stored)
	}
	return p, nil
}

// attach registers the chips on d's buses.
func (p *Platform) attach(d *Domain) error {
	for _, r := range []struct {
		port uint16
		size uint64
		dev  bus.Device
	}{
		{abi.PortPIC1, 2, p.pic.Ports(0)},
		{abi.PortPIC2, 2, p.pic.Ports(1)},
		{abi.PortELCR, 2, p.pic.ELCR()},
		{abi.PortPIT, 4, p.pit.Ports()},
		{abi.PortSpeaker, 1, p.pit.Speaker()},
		{abi.PortPM1aEvt, vpm.Size, p.pm.Ports()},
		{abi.PortPMTimer, abi.PMTimerLen, p.pm.Timer()},
		{abi.PortControlA, 1, p.pm.ControlA()},
	} {
		if err := d.Ports.Add(r.port, r.size, r.dev); err != nil {
			return err
		}
	}
	return errors.Join(d.Mem.Add(mm.GPA(abi.IOAPICBase), abi.IOAPICSize, p.ioapic),
		d.Mem.Add(mm.GPA(abi.HPETBase), abi.HPETSize, p.hpet),
		d.Mem.Add(mm.GPA(abi.LAPICBase), mm.PageSize, noAPIC{}))
}

// noAPIC is on the bus where each vCPU sees its own local APIC, so that neither
// RAM nor a device can come there. It answers vCPUs whose APIC is not mapped.
type noAPIC struct{}

func (noAPIC) Read(uint64, uint8, uint64) uint64   { return ^uint64(0) }
func (noAPIC) Write(uint64, uint8, uint64, uint64) {}

// PowerOff and Reset implement vpm.Sink: the guest asks for them.
func (d *Domain) PowerOff() { d.End(abi.ShutdownPoweroff, "powered off by its guest") }

// Reset is a request of the guest to restart it.
func (d *Domain) Reset() { d.End(abi.ShutdownReboot, "reset by its guest") }

// Trigger does t to v, or with a button to its domain. It answers 1 if the guest
// listens to the button.
//
// Preconditions: v is no vCPU of dom0.
func (v *VCPU) Trigger(t abi.Trigger) (st abi.Status, listens uint64) {
	pm, now := v.Dom.Plat.pm, v.Dom.machine.Now()
	heard := false
	switch {
	case t == abi.TriggerPower:
		heard = pm.PressPower(now)
	case t == abi.TriggerSleep:
		heard = pm.PressSleep(now)
	case t == abi.TriggerNMI:
		v.NMI()
	case t == abi.TriggerInit && v.ID == 0:
		v.Dom.End(abi.ShutdownReboot, "INIT of its boot processor")
	case t == abi.TriggerInit:
		v.Init()
	case t == abi.TriggerUnplug && v.ID != 0:
		v.sipi.Or(sipiDeaf)
		v.Init()
	case t == abi.TriggerPlug && v.ID != 0:
		if v.absent() {
			v.Init() // what has come for it meanwhile is forgotten
			v.sipi.And(^uint32(sipiDeaf))
		}
	default:
		return abi.BadArg, 0
	}
	if heard {
		listens = 1
	}
	return abi.OK, listens
}

// SetLine sets interrupt line gsi of d.
//
// Preconditions: d is not dom0, gsi is below abi.IOAPICPins.
func (d *Domain) SetLine(gsi uint32, level bool) { d.Plat.lines[gsi].Set(level) }

// MSI delivers the interrupt message that a write of data to addr is. It reports
// BadArg when it is none.
//
// Preconditions: d is not dom0.
func (d *Domain) MSI(addr uint64, data uint32) abi.Status {
	m, ok := bus.MSI(addr, data)
	if !ok {
		return abi.BadArg
	}
	d.APICs.Deliver(m)
	return abi.OK
}

// extINT reports whether the 8259As have an interrupt that vCPU 0 takes.
func (d *Domain) extINT() bool {
	p := d.Plat
	return p != nil && p.pic != nil && p.pic.Pending() && d.VCPUs[0].APIC.TakesExtINT()
}

// HasExtINT reports whether the 8259As have an interrupt that vCPU 0 takes;
// AckExtINT acknowledges it.
func (d *Domain) HasExtINT() bool { return d.extINT() }

// AckExtINT returns the vector of the 8259As' interrupt.
func (d *Domain) AckExtINT() (vector uint8) { return d.Plat.pic.Ack() }

// Deadline is when v's timers need attention, in host TSC ticks.
func (v *VCPU) Deadline() uint64 {
	at := uint64(pcpu.Never)
	if t, ok := v.APIC.Deadline(); ok {
		at = t
	}
	if v.ID == 0 && v.Dom.Plat.pit != nil {
		if t, ok := v.Dom.Plat.pit.Deadline(); ok {
			at = min(at, t)
		}
		if t, ok := v.Dom.Plat.hpet.Deadline(); ok {
			at = min(at, t)
		}
	}
	return at
}

// pitUnheard reports whether an interrupt of the timer chip would change nothing:
// the 8259A has latched one, but does not pass it on, and the I/O APIC's pin is
// masked. That can change, so who relies on it looks again.
func (p *Platform) pitUnheard() bool { return p.pic.Latched(0) && p.ioapic.Masked(abi.GSIPIT) }

// rearm is the bus.Kicker of timers that do not belong to one local APIC.
type rearm struct{ v *VCPU }

func (r rearm) Kick() { r.v.Rearm() }

// Tick lets v's timers raise what is due at now, and tells the guest if it has been
// paused. It is for v's runner, before an entry.
func (v *VCPU) Tick(now uint64) {
	v.due.Store(false)
	if v.paused.Load() && v.paused.Swap(false) {
		v.publishTime(true)
	}
	if v.waiting.due {
		v.publishSteal()
	}
	if t, ok := v.APIC.Deadline(); ok && now >= t {
		v.APIC.Tick(now)
	}
	if v.ID != 0 || v.Dom.Plat.pit == nil {
		return
	}
	if t, ok := v.Dom.Plat.pit.Deadline(); ok && now >= t {
		v.Dom.Plat.pit.Tick(now)
	}
	v.Dom.Plat.hpet.Tick(now)
}

// Reset brings v into the state after INIT (SDM Vol. 3, "INIT"): the x87, SSE
// and AVX state stays.
func (v *VCPU) Reset() {
	vcpu.Reset(v.HW)
	v.HW.Set(x86.TSCOffset, v.Time.Offset)
	v.APIC.Init()
	v.eoi = eoiWord{}
	v.clock.Reset()
	v.mu.Lock()
	v.waiting.steal.Reset()
	v.mu.Unlock()
	v.started.Store(false)
	v.kicked.Store(false)
	v.nmi.Store(false)
	v.ExtINT = 0
}
