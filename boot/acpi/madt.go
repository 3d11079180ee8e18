// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package acpi

import (
	"strconv"

	"ringo/mm"
)

// MADT describes processors and interrupt controllers ("Multiple APIC
// Description Table").
type MADT struct {
	LAPIC mm.HPA // of every processor's own view
	// PIC8259: the machine has two 8259s, which must be masked.
	PIC8259   bool
	CPUs      []CPU // in the firmware's order, each APIC ID once
	IOAPICs   []IOAPIC
	Overrides []Override
	NMIs      []NMI
}

// CPU is one processor.
type CPU struct {
	UID    uint32 // ACPI processor UID
	APICID uint32
	// Enabled processors can be started. The others may be plugged in later if
	// OnlineCapable, and are absent otherwise.
	Enabled, OnlineCapable bool
}

// IOAPIC is one I/O APIC, which serves global system interrupts from GSIBase.
type IOAPIC struct {
	ID      uint8
	Addr    mm.HPA
	GSIBase uint32
}

// Override says that ISA interrupt IRQ arrives as global system interrupt GSI.
type Override struct {
	IRQ uint8
	GSI uint32
	Mode
}

// NMI is an input that delivers non-maskable interrupts: a local one (LINT 0
// or 1 of processor UID, all processors if UID is AllCPUs), or a global system
// interrupt.
type NMI struct {
	Global bool
	GSI    uint32 // if Global
	UID    uint32
	LINT   uint8
	Mode
}

// AllCPUs is the UID that means every processor.
const AllCPUs = 0xffffffff

// Mode is polarity and trigger of an interrupt ("MPS INTI Flags"). Conforming
// means what the bus has: for ISA active high, edge.
type Mode struct{ Polarity, Trigger uint8 }

// Values of [Mode].
const (
	Conforming = 0
	ActiveHigh = 1
	ActiveLow  = 3
	Edge       = 1
	Level      = 3
)

// Types of the MADT's entries, and the smallest length that each must have.
const (
	madtLAPIC         = 0
	madtIOAPIC        = 1
	madtOverride      = 2
	madtNMISource     = 3
	madtLAPICNMI      = 4
	madtLAPICOverride = 5
	madtX2APIC        = 9
	madtX2APICNMI     = 10
)

var madtLength = [...]int{
	madtLAPIC: 8, madtIOAPIC: 12, madtOverride: 10, madtNMISource: 8,
	madtLAPICNMI: 6, madtLAPICOverride: 12, madtX2APIC: 16, madtX2APICNMI: 12,
}

func (t *Tables) parseMADT(b []byte) *MADT {
	if len(b) < header+8 {
		t.warn("ACPI table APIC: too short")
		return nil
	}
	m := &MADT{LAPIC: mm.HPA(le.Uint32(b[36:])), PIC8259: le.Uint32(b[40:])&1 != 0}
	for b = b[header+8:]; len(b) > 0; {
		if len(b) < 2 || b[1] < 2 || int(b[1]) > len(b) {
			t.warn("ACPI table APIC: a broken entry, the rest is ignored")
			break
		}
		e := b[:b[1]]
		b = b[b[1]:]
		if int(e[0]) < len(madtLength) && len(e) < madtLength[e[0]] {
			t.warn("ACPI table APIC: entry of type " + strconv.Itoa(int(e[0])) + " is too short, ignored")
			continue
		}
		t.madtEntry(m, e)
	}
	return m
}

func (t *Tables) madtEntry(m *MADT, e []byte) {
	switch e[0] {
	case madtLAPIC:
		// 0xff is the broadcast address of an xAPIC: not a processor.
		if e[3] != 0xff {
			t.addCPU(m, uint32(e[2]), uint32(e[3]), le.Uint32(e[4:]))
		}
	case madtX2APIC:
		if id := le.Uint32(e[4:]); id != 0xffffffff {
			t.addCPU(m, le.Uint32(e[12:]), id, le.Uint32(e[8:]))
		}
	case madtIOAPIC:
		m.IOAPICs = append(m.IOAPICs, IOAPIC{e[2], mm.HPA(le.Uint32(e[4:])), le.Uint32(e[8:])})
	case madtOverride:
		if e[2] != 0 {
			t.warn("ACPI table APIC: interrupt override for bus " + strconv.Itoa(int(e[2])) + ", ignored")
			return
		}
		m.Overrides = append(m.Overrides, Override{e[3], le.Uint32(e[4:]), mode(e[8:])})
	case madtNMISource:
		m.NMIs = append(m.NMIs, NMI{Global: true, GSI: le.Uint32(e[4:]), Mode: mode(e[2:])})
	case madtLAPICNMI:
		uid := uint32(e[2])
		if uid == 0xff {
			uid = AllCPUs
		}
		m.NMIs = append(m.NMIs, NMI{UID: uid, LINT: e[5], Mode: mode(e[3:])})
	case madtX2APICNMI:
		m.NMIs = append(m.NMIs, NMI{UID: le.Uint32(e[4:]), LINT: e[8], Mode: mode(e[2:])})
	case madtLAPICOverride:
		m.LAPIC = mm.HPA(le.Uint64(e[4:]))
	}
}

// addCPU adds a processor, once: firmware lists some both as local APIC and as
// x2APIC.
func (t *Tables) addCPU(m *MADT, uid, id, flags uint32) {
	c := CPU{UID: uid, APICID: id, Enabled: flags&1 != 0, OnlineCapable: flags&2 != 0}
	for n := range m.CPUs {
		if m.CPUs[n].APICID == id {
			if !m.CPUs[n].Enabled && c.Enabled {
				m.CPUs[n] = c
			}
			return
		}
	}
	if len(m.CPUs) == MaxCPUs {
		return
	}
	m.CPUs = append(m.CPUs, c)
}

// Others returns the processors that can be started beside that with APIC ID boot, and
// how many may be plugged in later.
func (m *MADT) Others(boot uint32) (ready []CPU, later int) {
	for _, c := range m.CPUs {
		switch {
		case c.APICID == boot:
		case c.Enabled:
			ready = append(ready, c)
		case c.OnlineCapable:
			later++
		}
	}
	return ready, later
}

func mode(b []byte) Mode {
	f := le.Uint16(b)
	return Mode{Polarity: uint8(f & 3), Trigger: uint8(f >> 2 & 3)}
}

// GSI returns the global system interrupt of ISA interrupt irq, and how it is
// triggered (never Conforming).
func (m *MADT) GSI(irq uint8) (uint32, Mode) {
	gsi, how := uint32(irq), Mode{ActiveHigh, Edge}
	for _, o := range m.Overrides {
		if o.IRQ == irq {
			gsi = o.GSI
			if o.Polarity != Conforming {
				how.Polarity = o.Polarity
			}
			if o.Trigger != Conforming {
				how.Trigger = o.Trigger
			}
		}
	}
	return gsi, how
}

// Polarity returns what firmware says of the line of a global system interrupt, which is
// Conforming unless an ISA interrupt arrives there.
func (m *MADT) Polarity(gsi uint32) uint8 {
	for _, o := range m.Overrides {
		if o.GSI == gsi {
			return o.Polarity
		}
	}
	return Conforming
}
