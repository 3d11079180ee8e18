// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package vpm is the ACPI fixed hardware of a partition (ACPI 6.5, "ACPI
// Hardware Specification"): the power-management timer, the PM1a registers with
// soft-off, the power and sleep buttons and the clock's alarm, and one of the ways in which
// PCs are reset, port 0x92. Port numbers are those of hv/abi, which dom0's ACPI
// tables use as well.
//
// The partition is always in ACPI mode: SCI_EN reads as one and the FADT names
// no SMI command port. There is no sleep state but S5.
//
// What a hostile guest can do here:
//
//	switch itself off or reset itself  -> that is what the ports are for; only
//	                                      its own partition hears of it
//	any width, any value               -> reserved bits stay zero
//	leave the SCI asserted             -> its own interrupt storm, one per EOI
package vpm

import (
	"errors"
	"sync"

	"ringo/hv/abi"
	"ringo/hv/bus"
)

// Host hears of what the guest asks of its power supply. Methods are called on
// the exit path of the vCPU that wrote the port, without a lock held; they
// neither block nor allocate.
type Host interface {
	PowerOff() // ACPI S5
	Reset()    // by port 0x92
}

// Bits of PM1a status and enable (ACPI 6.5, Tables "PM1 Status Registers Fixed
// Hardware Feature Status Bits" and "... Enable Bits").
const (
	stsTimer = 1 << 0
	stsPower = 1 << 8
	stsSleep = 1 << 9
	stsRTC   = 1 << 10
	stsWake  = 1 << 15

	stsAll = stsTimer | stsPower | stsSleep | stsRTC | stsWake
	// The timer's enable bit is not implemented: with a counter of 32 bits no
	// operating system extends it by interrupt.
	enAll = 1<<5 | stsPower | stsSleep | stsRTC
)

// Bits of PM1a control.
const (
	cntSCIEnable = 1 << 0
	cntBusMaster = 1 << 1
	cntTypeShift = 10
	cntType      = 7 << cntTypeShift
	cntEnable    = 1 << 13 // SLP_EN, write-only
)

// Offsets in the range of [PM.Ports].
const (
	offStatus  = 0
	offEnable  = offStatus + 2
	offControl = abi.PortPM1aCnt - abi.PortPM1aEvt

	// Size is the number of ports of [PM.Ports].
	Size = offControl + 4
)

// sleepS5 is soft off for a sleep control register (ACPI 6.5, "Sleep Control and Status
// Registers"): SLP_EN and SLP_TYP.
const sleepS5 = 1<<5 | abi.SleepTypeS5<<2

// PM is the power-management block. Methods may be called from any CPU.
type PM struct {
	rate bus.Rate // of the timer
	sci  bus.Line
	host Host

	// mu comes before the locks of the interrupt controllers behind sci.
	mu sync.Mutex
	// zero is added to the counts since TSC 0 to get the timer. It changes only
	// while the partition does not run, so that reading the timer needs no lock.
	zero    uint32
	status  uint16
	enable  uint16
	control uint16
	seen    uint64 // when the timer's top bit was last looked at
	last    uint32 // the timer then
	portA   uint8  // port 0x92
	rtc     bool   // the clock's interrupt line
	general bool   // the line of SCI
}

// New makes the block. hz is the rate of the host's TSC, more than
// abi.PMTimerHz, and the timer is 0 at now; sci is interrupt line abi.IRQSCI.
func New(hz, now uint64, sci bus.Line, host Host) *PM {
	hz = max(hz, abi.PMTimerHz+1)
	p := &PM{rate: bus.NewRate(abi.PMTimerHz, hz), sci: sci, host: host}
	p.set(0, now)
	return p
}

// Reset clears the registers; the timer runs on.
func (p *PM) Reset(now uint64) {
	p.mu.Lock()
	p.status, p.enable, p.control, p.portA = 0, 0, 0, 0
	p.update(now)
	p.mu.Unlock()
}

// rtc is the clock's interrupt line as a bus.Line.
type rtc struct{ p *PM }

// RTC returns the input for the interrupt line of the CMOS clock, whose rising
// edge is an event as well (ACPI 6.5, "Real Time Clock Alarm"). It allocates: for
// construction only.
func (p *PM) RTC() bus.Line { return rtc{p} }

func (l rtc) Set(level bool) {
	p := l.p
	p.mu.Lock()
	if level && !p.rtc {
		p.status |= stsRTC
	}
	p.rtc = level
	p.update(p.seen)
	p.mu.Unlock()
}

// sci is the interrupt of events whose registers are elsewhere, as a bus.Line.
type sci struct{ p *PM }

// SCI returns an input that raises the SCI as well: that of general-purpose events (ACPI
// 6.5, "General-Purpose Event Register Blocks"). It allocates: for construction only.
func (p *PM) SCI() bus.Line { return sci{p} }

func (l sci) Set(level bool) {
	l.p.mu.Lock()
	l.p.general = level
	l.p.update(l.p.seen)
	l.p.mu.Unlock()
}

// PressPower is a short push of the power button: operating systems shut down.
// It reports false when the guest does not listen. PressSleep is the other button.
func (p *PM) PressPower(now uint64) bool { return p.press(stsPower, now) }

// PressSleep is described with [PM.PressPower].
func (p *PM) PressSleep(now uint64) bool { return p.press(stsSleep, now) }

func (p *PM) press(button uint16, now uint64) bool {
	p.mu.Lock()
	p.status |= button
	p.update(now)
	listens := p.enable&button != 0
	p.mu.Unlock()
	return listens
}

// counter is the timer at now.
func (p *PM) counter(now uint64) uint32 { return uint32(p.rate.Counts(now)) + p.zero }

// set makes t the timer at now.
func (p *PM) set(t uint32, now uint64) {
	p.zero = t - uint32(p.rate.Counts(now))
	p.seen, p.last = now, t
}

// update notes a change of the timer's top bit and drives the SCI. The caller
// holds mu.
func (p *PM) update(now uint64) {
	if now > p.seen { // another CPU may have been here with a later time
		t := p.counter(now)
		if (t^p.last)>>31 != 0 {
			p.status |= stsTimer
		}
		p.seen, p.last = now, t
	}
	p.sci.Set(p.status&p.enable != 0 || p.general)
}

// timer is the counter as a bus.Device.
type timer struct{ p *PM }

// Timer returns the device for the abi.PMTimerLen ports from abi.PortPMTimer. It
// allocates: for construction only.
func (p *PM) Timer() bus.Device { return timer{p} }

// Read is the hot path of guests whose clock it is: it takes no lock.
func (d timer) Read(off uint64, _ uint8, now uint64) uint64 {
	return uint64(d.p.counter(now)) >> (8 * off & 63)
}

// Write does nothing: the timer is read-only.
func (timer) Write(uint64, uint8, uint64, uint64) {}

// ports is status, enable and control as a bus.Device.
type ports struct{ p *PM }

// Ports returns the device for [Size] ports from abi.PortPM1aEvt. It allocates:
// for construction only.
func (p *PM) Ports() bus.Device { return ports{p} }

// Read reads the registers as if they were bytes in a row.
func (d ports) Read(off uint64, _ uint8, now uint64) uint64 {
	p := d.p
	p.mu.Lock()
	p.update(now)
	v := uint64(p.status) | uint64(p.enable)<<16 | uint64(p.control|cntSCIEnable)<<32
	p.mu.Unlock()
	return v >> (8 * off & 63)
}

// Write writes one register, or a byte of it. A 32-bit write to the event block
// is one to status and enable. [sleepS5] as 8 or 32 bits at the beginning switches off:
// programs without ACPI, such as TamaGo's for Cloud Hypervisor, take it for a sleep
// control register. For the status it would mean nothing: none of its bits is there.
func (d ports) Write(off uint64, size uint8, val, now uint64) {
	p := d.p
	if off == offStatus && size != 2 && val == sleepS5 {
		p.host.PowerOff()
		return
	}
	if size == 4 && off == offStatus {
		d.Write(offStatus, 2, val, now)
		d.Write(offEnable, 2, val>>16, now)
		return
	}
	v, mask := uint16(val), uint16(0xffff)
	if size == 1 {
		shift := 8 * (off & 1)
		v, mask = uint16(uint8(val))<<shift, 0xff<<shift
	}
	off &^= 1
	p.mu.Lock()
	p.update(now)
	soft := false
	switch off {
	case offStatus:
		p.status &^= v & stsAll // write one to clear
	case offEnable:
		p.enable = (p.enable&^mask | v) & enAll
	case offControl:
		p.control = (p.control&^mask | v) & (cntBusMaster | cntType)
		soft = v&cntEnable != 0 && p.control>>cntTypeShift == abi.SleepTypeS5
	}
	p.update(now)
	p.mu.Unlock()
	if soft {
		p.host.PowerOff()
	}
}

// Bits of port 0x92 (ICH9 data sheet, "PORT92—INIT Register").
const (
	portAInit = 1 << 0
	portAGate = 1 << 1 // A20, which is always open
)

// controlA is system control port A as a bus.Device.
type controlA struct{ p *PM }

// ControlA returns the device for port abi.PortControlA. It allocates: for
// construction only.
func (p *PM) ControlA() bus.Device { return controlA{p} }

// Read returns what was written.
func (d controlA) Read(_ uint64, _ uint8, _ uint64) uint64 {
	d.p.mu.Lock()
	v := d.p.portA
	d.p.mu.Unlock()
	return uint64(v) | ^uint64(0xff)
}

// Write resets when bit 0 goes from 0 to 1: INIT for all processors, which is how
// systems for the 80286 left protected mode and how some still restart.
func (d controlA) Write(_ uint64, _ uint8, val, _ uint64) {
	d.p.mu.Lock()
	old := d.p.portA
	d.p.portA = uint8(val) & (portAInit | portAGate)
	d.p.mu.Unlock()
	if val&^uint64(old)&portAInit != 0 {
		d.p.host.Reset()
	}
}

// State is everything a guest can notice: for save, restore and migration.
type State struct {
	Timer                   uint32
	Status, Enable, Control uint16
	PortA                   uint8
}

// ErrState says that a State is not one that Export made.
var ErrState = errors.New("vpm: impossible saved state")

// Export returns the state of p at now, the host's TSC.
func (p *PM) Export(now uint64) State {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.update(now)
	return State{Timer: p.last, Status: p.status, Enable: p.enable, Control: p.control, PortA: p.portA}
}

// Import puts p into state s at now, the host's TSC. s is checked as if a guest
// had made it up; on error p is unchanged.
//
// Preconditions: the partition does not run.
func (p *PM) Import(s *State, now uint64) error {
	if s.Status&^stsAll != 0 || s.Enable&^enAll != 0 || s.Control&^(cntBusMaster|cntType) != 0 ||
		s.PortA&^(portAInit|portAGate) != 0 {
		return ErrState
	}
	p.mu.Lock()
	p.set(s.Timer, now)
	p.status, p.enable, p.control, p.portA = s.Status, s.Enable, s.Control, s.PortA
	p.update(now)
	p.mu.Unlock()
	return nil
}
