// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package acpi

import (
	"strconv"

	"ringo/mm"
)

// IVRS describes AMD's IOMMUs (AMD I/O Virtualization Technology Specification 3.08,
// "I/O Virtualization Reporting Structure").
type IVRS struct {
	Units   []IVHD
	Regions []IVMD
}

// IVHD is one unit ("I/O Virtualization Hardware Definition Block").
type IVHD struct {
	// Type is that of the block: of several about one unit the highest counts.
	Type    uint8
	Flags   uint8
	ID      uint16 // the unit's own function: bus<<8 | device<<3 | function
	Cap     uint16 // where its capability is in configuration space
	Segment uint16
	Base    mm.HPA
	// Aliases are functions whose accesses carry another one's identity, Special
	// what is no PCI function.
	Aliases []IVAlias
	Special []IVSpecial
}

// IVAlias says that functions First to Last appear as Source.
type IVAlias struct{ First, Last, Source uint16 }

// IVSpecial is an I/O APIC, by its ID in the MADT, or an HPET, and the identity that
// its interrupts carry.
type IVSpecial struct {
	Kind   uint8 // IVIOAPIC, IVHPET
	Handle uint8
	Source uint16
}

// Kinds of an [IVSpecial].
const (
	IVIOAPIC = 1
	IVHPET   = 2
)

// IVMD is memory that functions First to Last use ("I/O Virtualization Memory
// Definition Block").
type IVMD struct {
	First, Last uint16
	Start       mm.HPA
	Size        uint64
	// Read and Write are what they do there.
	Read, Write bool
}

// Types of blocks.
const (
	ivhd10 = 0x10
	ivhd11 = 0x11
	ivhd40 = 0x40
	ivmd   = 0x20 // all functions; 0x21: one, 0x22: a range
)

func (t *Tables) parseIVRS(b []byte) *IVRS {
	if len(b) < 48 {
		t.warn("ACPI table IVRS: too short")
		return nil
	}
	r := &IVRS{}
	for b = b[48:]; len(b) >= 4; {
		size := int(le.Uint16(b[2:]))
		if size < 4 || size > len(b) {
			t.warn("ACPI table IVRS: a broken block, the rest is ignored")
			break
		}
		t.ivrsBlock(r, b[:size])
		b = b[size:]
	}
	return r
}

func (t *Tables) ivrsBlock(r *IVRS, e []byte) {
	start := 0
	switch e[0] {
	case ivhd10:
		start = 24
	case ivhd11, ivhd40:
		start = 40
	case ivmd, ivmd + 1, ivmd + 2:
		start = 32
	default:
		return
	}
	switch {
	case len(e) < start:
		t.warn("ACPI table IVRS: block of type " + strconv.Itoa(int(e[0])) + " is too short, ignored")
	case e[0] >= ivmd && e[0] <= ivmd+2:
		t.ivmdBlock(r, e)
	default:
		u := IVHD{Type: e[0], Flags: e[1], ID: le.Uint16(e[4:]), Cap: le.Uint16(e[6:]), Base: mm.HPA(le.Uint64(e[8:])), Segment: le.Uint16(e[16:])}
		t.ivDevices(&u, e[start:])
		for i := range r.Units {
			if o := &r.Units[i]; o.ID == u.ID && o.Segment == u.Segment {
				if u.Type > o.Type {
					*o = u
				}
				return
			}
		}
		if len(r.Units) < MaxRemapping {
			r.Units = append(r.Units, u)
		}
	}
}

// ivDevices reads the entries of a unit ("IVHD Device Entries").
func (t *Tables) ivDevices(u *IVHD, b []byte) {
	const (
		rangeEnd   = 4
		alias      = 0x42
		aliasStart = 0x43
		special    = 0x48
		acpiHID    = 0xf0
	)
	var open *IVAlias
	for len(b) > 0 {
		size := 4 << (b[0] >> 6)
		if b[0] >= acpiHID {
			size = 22
			if len(b) >= size {
				size += int(b[21])
			}
		}
		if len(b) < size {
			t.warn("ACPI table IVRS: a broken device entry, the rest of them is ignored")
			return
		}
		e := b[:size]
		b = b[size:]
		switch id := le.Uint16(e[1:]); {
		case e[0] == rangeEnd && open != nil:
			open.Last = max(id, open.First)
			open = nil
		case (e[0] == alias || e[0] == aliasStart) && len(u.Aliases) < MaxRemapping:
			u.Aliases = append(u.Aliases, IVAlias{id, id, le.Uint16(e[5:])})
			open = nil
			if e[0] == aliasStart {
				open = &u.Aliases[len(u.Aliases)-1]
			}
		case e[0] == special && len(u.Special) < MaxRemapping:
			u.Special = append(u.Special, IVSpecial{Kind: e[7], Handle: e[4], Source: le.Uint16(e[5:])})
		}
	}
}

func (t *Tables) ivmdBlock(r *IVRS, e []byte) {
	const unity, readable, writable, excluded = 1, 2, 4, 8
	m := IVMD{First: le.Uint16(e[4:]), Last: le.Uint16(e[4:]), Start: mm.HPA(le.Uint64(e[16:])), Size: le.Uint64(e[24:])}
	switch e[0] {
	case ivmd:
		m.First, m.Last = 0, 0xffff
	case ivmd + 2:
		m.Last = le.Uint16(e[6:])
	}
	m.Read, m.Write = e[1]&readable != 0, e[1]&writable != 0
	if e[1]&excluded != 0 { // must not be translated: what an identity map comes to
		m.Read, m.Write = true, true
	}
	if !mm.Within(m.Start, m.Size, uint64(mm.MaxHPA)) || m.Size == 0 || m.First > m.Last || e[1]&(unity|excluded) == 0 {
		t.warn("ACPI table IVRS: a memory region at " + hexa(uint64(m.Start)) + " that says nothing, ignored")
		return
	}
	if len(r.Regions) < MaxRemapping {
		r.Regions = append(r.Regions, m)
	}
}
