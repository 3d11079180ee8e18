// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package acpi

import (
	"strconv"

	"ringo/mm"
)

// MaxRemapping bounds what is believed of a DMAR or an IVRS: units, regions, and
// entries of each.
const MaxRemapping = 256

// DMAR describes Intel's IOMMUs (VT-d Architecture Specification 3.3, "DMA Remapping
// Reporting Structure").
type DMAR struct {
	// Width is how many bits physical addresses have that devices use.
	Width uint8
	// Interrupts: the platform supports remapping of interrupts. NoX2APIC: firmware
	// asks not to use extended destinations.
	Interrupts, NoX2APIC bool
	Units                []DRHD
	Regions              []RMRR
}

// DRHD is one unit ("DMA Remapping Hardware Unit Definition Structure").
type DRHD struct {
	Segment uint16
	Base    mm.HPA
	// All: it also has every function of the segment that no other unit names.
	All    bool
	Scopes []Scope
}

// RMRR is memory that firmware lets functions use, bytes First to Last ("Reserved
// Memory Region Reporting Structure").
type RMRR struct {
	Segment     uint16
	First, Last mm.HPA
	Scopes      []Scope
}

// Scope names a function, or what it stands for ("Device Scope Structure").
type Scope struct {
	Kind uint8
	// ID is that of the MADT, for ScopeIOAPIC.
	ID uint8
	// Bus is where Path begins; each element is device<<3 | function, on the bus
	// behind the one before.
	Bus  uint8
	Path []uint8
}

// Kinds of a [Scope].
const (
	ScopeEndpoint = 1
	ScopeBridge   = 2 // with all behind it
	ScopeIOAPIC   = 3
	ScopeHPET     = 4
)

func (t *Tables) parseDMAR(b []byte) *DMAR {
	if len(b) < 48 {
		t.warn("ACPI table DMAR: too short")
		return nil
	}
	d := &DMAR{Width: uint8(min(int(b[36])+1, 64)), Interrupts: b[37]&1 != 0, NoX2APIC: b[37]&2 != 0}
	for b = b[48:]; len(b) >= 4; {
		size := int(le.Uint16(b[2:]))
		if size < 4 || size > len(b) {
			t.warn("ACPI table DMAR: a broken structure, the rest is ignored")
			break
		}
		t.dmarEntry(d, b[:size])
		b = b[size:]
	}
	return d
}

func (t *Tables) dmarEntry(d *DMAR, e []byte) {
	const drhd, rmrr = 0, 1
	switch kind := le.Uint16(e); {
	case kind > rmrr: // address translation services, affinity and names are not used
	case kind == drhd && len(e) < 16, kind == rmrr && len(e) < 24:
		t.warn("ACPI table DMAR: structure of type " + strconv.Itoa(int(kind)) + " is too short, ignored")
	case kind == drhd && len(d.Units) < MaxRemapping:
		d.Units = append(d.Units, DRHD{le.Uint16(e[6:]), mm.HPA(le.Uint64(e[8:])), e[4]&1 != 0, t.scopes(e[16:])})
	case kind == rmrr && len(d.Regions) < MaxRemapping:
		r := RMRR{le.Uint16(e[6:]), mm.HPA(le.Uint64(e[8:])), mm.HPA(le.Uint64(e[16:])), t.scopes(e[24:])}
		if r.First > r.Last || r.Last >= mm.MaxHPA {
			t.warn("ACPI table DMAR: a memory region at " + hexa(uint64(r.First)) + " that ends before it begins, or nowhere, ignored")
			return
		}
		d.Regions = append(d.Regions, r)
	}
}

func (t *Tables) scopes(b []byte) (all []Scope) {
	for len(b) > 0 && len(all) < MaxRemapping {
		if len(b) < 8 || b[1] < 8 || b[1]%2 != 0 || int(b[1]) > len(b) {
			t.warn("ACPI table DMAR: a broken device scope, the rest of them is ignored")
			break
		}
		s := Scope{Kind: b[0], ID: b[4], Bus: b[5]}
		for hop := b[6:b[1]]; len(hop) > 0; hop = hop[2:] {
			s.Path = append(s.Path, hop[0]<<3|hop[1]&7)
		}
		all = append(all, s)
		b = b[b[1]:]
	}
	return all
}
