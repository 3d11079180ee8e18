// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vioapic_test

import (
	"errors"
	"testing"

	"ringo/hv/abi"
	"ringo/hv/bus"
	"ringo/hv/internal/vioapic"
	"ringo/hv/internal/vlapic"
	"ringo/hv/internal/vpic"
	"ringo/hv/internal/vpit"
	"ringo/hv/internal/vpm"
	"ringo/mm"
)

// vcpu counts what it is asked for; it is also the partition's power supply.
type vcpu struct{ kicks, off, resets int }

func (v *vcpu) Kick()         { v.kicks++ }
func (v *vcpu) NMI()          {}
func (v *vcpu) Init()         {}
func (v *vcpu) Startup(uint8) {}
func (v *vcpu) Reset()        { v.resets++ }
func (v *vcpu) PowerOff()     { v.off++ }

// platform is the wiring of a partition with two vCPUs, as hv does it.
type platform struct {
	now   uint64 // host's TSC
	cpu   [2]vcpu
	apics *vlapic.Set
	pic   *vpic.PIC
	pit   *vpit.PIT
	pm    *vpm.PM
	irq   [16]bus.Line
	ports bus.Bus[uint16]
	mem   bus.Bus[mm.GPA]
}

const hz = 2_000_000_000

func newPlatform(t *testing.T) *platform {
	p := new(platform)
	p.apics = vlapic.NewSet(hz, []vlapic.Sink{&p.cpu[0], &p.cpu[1]})
	ioapic := vioapic.New(p.apics)
	p.apics.OnEOI(ioapic)
	p.pic = vpic.New(p.apics.CPU(0).LINT(0))
	for i := range p.irq {
		gsi := uint32(i)
		if i == abi.IRQPIT {
			gsi = abi.GSIPIT
		}
		p.irq[i] = bus.Both(p.pic.Line(uint32(i)), ioapic.Line(gsi))
	}
	p.pit = vpit.New(hz, p.irq[abi.IRQPIT], &p.cpu[0])
	p.pm = vpm.New(hz, p.now, p.irq[abi.IRQSCI], &p.cpu[0])
	if err := errors.Join(
		p.ports.Add(abi.PortPIC1, 2, p.pic.Ports(0)),
		p.ports.Add(abi.PortPIC2, 2, p.pic.Ports(1)),
		p.ports.Add(abi.PortELCR, 2, p.pic.ELCR()),
		p.ports.Add(abi.PortPIT, 4, p.pit.Ports()),
		p.ports.Add(abi.PortSpeaker, 1, p.pit.Speaker()),
		p.ports.Add(abi.PortPM1aEvt, vpm.Size, p.pm.Ports()),
		p.ports.Add(abi.PortPMTimer, abi.PMTimerLen, p.pm.Timer()),
		p.mem.Add(abi.IOAPICBase, abi.IOAPICSize, ioapic),
	); err != nil {
		t.Fatal(err)
	}
	p.ports.Freeze()
	p.mem.Freeze()
	return p
}

func (p *platform) out(t *testing.T, port uint16, vs ...uint64) {
	t.Helper()
	for _, v := range vs {
		d, off, ok := p.ports.Find(port, 1)
		if !ok {
			t.Fatalf("nobody at port %#x", port)
		}
		d.Write(off, 1, v, p.now)
	}
}

func (p *platform) rte(t *testing.T, pin, val uint64) {
	t.Helper()
	d, _, ok := p.mem.Find(abi.IOAPICBase, 4)
	if !ok {
		t.Fatal("nobody at the I/O APIC")
	}
	for i, v := range []uint64{val & 0xffff_ffff, val >> 32} {
		d.Write(0x00, 4, 0x10+2*pin+uint64(i), p.now)
		d.Write(0x10, 4, v, p.now)
	}
}

// enter is what the run loop does before it enters CPU i: the vector to inject.
func (p *platform) enter(i int) (vector uint8, ok bool) {
	l, now := p.apics.CPU(i), p.now
	if i == 0 {
		if d, ok := p.pit.Deadline(); ok && now >= d {
			p.pit.Tick(now)
		}
		if p.pic.Pending() && l.TakesExtINT() {
			return p.pic.Ack(), true
		}
	}
	if d, ok := l.Deadline(); ok && now >= d {
		l.Tick(now)
	}
	if vector, ok = l.Pending(); ok {
		l.Ack(vector)
	}
	return vector, ok
}

// TestPlatform follows a timer interrupt through both controllers and an ACPI
// interrupt through the I/O APIC and back.
func TestPlatform(t *testing.T) {
	p := newPlatform(t)
	l0, l1 := p.apics.CPU(0), p.apics.CPU(1)
	if got := uint64(abi.LAPICBase); got != vlapic.BasePage {
		t.Errorf("the ABI's local APIC is at %#x", got)
	}
	// Virtual wire: 8259A through LINT0.
	p.out(t, 0x20, 0x11)
	p.out(t, 0x21, 0x30, 4, 1, 0xfe)
	l0.Write(0xf0, 4, 0x1ff, p.now)
	l0.Write(0x350, 4, 0x700, p.now)
	p.out(t, 0x43, 0x34)
	p.out(t, 0x40, 0x9c, 0x2e) // 100 Hz
	if p.cpu[0].kicks == 0 {
		t.Error("nobody told CPU 0 of the timer")
	}
	if _, ok := p.enter(0); ok {
		t.Error("an interrupt before its time")
	}
	p.now += hz / 99
	if v, ok := p.enter(0); !ok || v != 0x30 {
		t.Fatalf("8259A: %#x %v", v, ok)
	}
	p.out(t, 0x20, 0x20)
	// Symmetric: the same timer at pin 2, to CPU 1.
	p.out(t, 0x21, 0xff)
	l1.Write(0xf0, 4, 0x1ff, p.now)
	p.rte(t, abi.GSIPIT, 1<<56|0x31)
	p.now += hz / 99
	if v, ok := p.enter(0); ok {
		t.Errorf("CPU 0 got %#x", v)
	}
	if v, ok := p.enter(1); !ok || v != 0x31 || p.cpu[1].kicks != 1 {
		t.Fatalf("I/O APIC: %#x %v", v, ok)
	}
	l1.Write(0xb0, 4, 0, p.now)
	// The power button: level-triggered, until the guest clears the status.
	p.rte(t, abi.IRQSCI, 1<<56|1<<15|0x59)
	p.out(t, abi.PortPM1aEvt+3, 1)
	p.pm.PressPower(p.now)
	for round := range 3 {
		if v, ok := p.enter(1); !ok || v != 0x59 {
			t.Fatalf("SCI, round %d: %#x %v", round, v, ok)
		}
		if round == 2 {
			p.out(t, abi.PortPM1aEvt+1, 1)
		}
		l1.Write(0xb0, 4, 0, p.now)
	}
	if v, ok := p.enter(1); ok {
		t.Errorf("SCI stays: %#x", v)
	}
	// Then the guest switches off.
	p.out(t, abi.PortPM1aCnt+1, (abi.SleepTypeS5<<10|1<<13)>>8)
	if p.cpu[0].off != 1 {
		t.Errorf("power: %+v", p.cpu[0])
	}
}
