// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package vtd is Intel's IOMMUs (VT-d Architecture Specification 3.3, legacy mode).
//
// All units of a segment walk the same root table: a unit only sees the requests of
// its own devices. So nothing here depends on which unit a device is behind, and a
// change is followed by an invalidation in all of them.
//
//	root table       bus -> context table       one page a segment; entries that are zero refuse
//	context table    device, function -> tables and tag of a space
//	IRT              index, which is the vector -> vector and CPU, for one source
package vtd

import (
	"errors"
	"strconv"

	"ringo/hv/abi"
	"ringo/hv/internal/iommu"
	"ringo/mm"
	"ringo/mm/phys"
	"ringo/mm/pt"
)

// Unit is a unit as firmware's tables have it.
type Unit struct {
	Segment uint16
	Base    mm.HPA // for messages
	Regs    iommu.Registers
}

// Source is the identity that an I/O APIC's interrupts carry.
type Source struct {
	Chip uint8 // its ID in the MADT
	ID   uint16
}

// Config is what firmware's tables say.
type Config struct {
	Units []Unit
	// Remap: interrupts can be remapped. X2APIC: the CPUs' APICs are in that mode,
	// and firmware has nothing against it.
	Remap, X2APIC bool
	Chips         []Source
	// FaultAddress and FaultData are the message that a unit sends when it has
	// recorded a fault; FaultData 0: none.
	FaultAddress, FaultData uint32
}

// Units implements iommu.Hardware.
type Units struct {
	host   *iommu.Host
	conf   Config
	mem    phys.Memory // as the units see it
	units  []*unit
	roots  map[uint16]mm.HPA // by segment
	format *pt.Format
	levels int
	remap  bool
	irt    mm.HPA // by vector
	mark   uint32
}

var _ iommu.Hardware = (*Units)(nil)

// Open looks at the units, and takes what memory they need. A unit that cannot be used
// makes all of them useless, since its devices would not be confined.
func Open(h *iommu.Host, conf Config) (*Units, error) {
	o := &Units{host: h, conf: conf, roots: map[uint16]mm.HPA{}, remap: conf.Remap, mem: h.Memory}
	if len(conf.Units) == 0 {
		return nil, errors.New("VT-d: firmware names no unit")
	}
	leaf, levels, snoop := uint64(cap1G|cap2M), uint64(cap48|cap39), true
	for _, c := range conf.Units {
		u := &unit{regs: c.Regs, base: c.Base, segment: c.Segment}
		if err := u.probe(); err != nil {
			return nil, o.failed(u, err.Error())
		}
		leaf, levels, snoop = leaf&u.cap, levels&u.cap, snoop && u.ecap&ecapSnoop != 0
		o.remap = o.remap && u.ecap&ecapRemap != 0
		o.conf.X2APIC = o.conf.X2APIC && u.ecap&ecapX2APIC != 0
		if u.ecap&ecapCoherent == 0 {
			o.mem = iommu.WrittenBack(h)
		}
		o.units = append(o.units, u)
	}
	o.levels = 4
	if levels&cap48 == 0 {
		o.levels = 3
	}
	if levels == 0 {
		return nil, errors.New("VT-d: the units walk tables of different depths")
	}
	size := uint64(mm.PageSize)
	if leaf&cap2M != 0 {
		size = mm.Page2M
		if leaf&cap1G != 0 {
			size = mm.Page1G
		}
	}
	o.format = pt.VTD(o.levels, size, snoop)
	return o, o.allocate()
}

// allocate takes the pages of tables and queues, and shows them to units that do not
// snoop.
func (o *Units) allocate() error {
	page := func() (a mm.HPA, err error) {
		if a, err = o.host.Pages(1); err == nil {
			o.mem.Zero(a, mm.PageSize)
		}
		return a, err
	}
	var err error
	if o.irt, err = page(); err != nil {
		return err
	}
	for _, u := range o.units {
		if o.roots[u.segment] == 0 {
			if o.roots[u.segment], err = page(); err != nil {
				return err
			}
		}
		if u.queue, err = page(); err != nil {
			return err
		}
		if u.status, err = page(); err != nil {
			return err
		}
	}
	return nil
}

func (o *Units) failed(u *unit, what string) error {
	return errors.New("VT-d unit at 0x" + strconv.FormatUint(uint64(u.base), 16) + " " + what)
}

// Enable implements iommu.Hardware, in the order of "Enabling" of "Software
// Considerations": tables, caches, queue, interrupts, faults, translation.
func (o *Units) Enable() error {
	for _, u := range o.units {
		if !u.stop(o.host) || !u.setRoot(o.roots[u.segment], o.host) || !u.openQueue(o.host) {
			return o.failed(u, "does not do what it is told")
		}
		u.submit(invContext|1<<invScope, 0, o)
		u.submit(invTLB|1<<invScope|invDrain, 0, o)
		u.submit(invIRT, 0, o)
	}
	if m := o.Mark(); !o.host.Within(func() bool { return o.Done(m) }) {
		return errors.New("VT-d: a unit does not invalidate")
	}
	for _, u := range o.units {
		if o.remap && !o.enableRemap(u) {
			return o.failed(u, "does not remap interrupts")
		}
		if o.conf.FaultData != 0 {
			u.regs.Store32(regFEData, o.conf.FaultData)
			u.regs.Store32(regFEAddr, o.conf.FaultAddress)
			u.regs.Store32(regFEUAddr, 0)
			u.regs.Store32(regFECtl, 0)
		}
		if !u.command(gTranslate, true, o.host) {
			return o.failed(u, "does not translate")
		}
		// What was protected until there was translation ("Protected Memory Enable
		// Register"); units without it read as 0.
		if u.regs.Load32(regPMEn) != 0 {
			u.regs.Store32(regPMEn, 0)
		}
	}
	return nil
}

// Format implements iommu.Hardware.
func (o *Units) Format() *pt.Format { return o.format }

// Memory implements iommu.Hardware.
func (o *Units) Memory() phys.Memory { return o.mem }

// Tags implements iommu.Hardware (CAP.ND).
func (o *Units) Tags() int {
	n := 1 << 16
	for _, u := range o.units {
		n = min(n, 1<<(4+2*(u.cap&7)))
	}
	return n - 1
}

// Remaps implements iommu.Hardware.
func (o *Units) Remaps() bool { return o.remap }

// String implements iommu.Hardware.
func (o *Units) String() string {
	s := "VT-d, " + strconv.Itoa(len(o.units)) + " unit"
	if len(o.units) > 1 {
		s += "s"
	}
	s += ", " + strconv.Itoa(12+9*o.levels) + " bits"
	if !o.remap {
		s += ", interrupts not remapped"
	}
	return s
}

// entry returns the context entry of a requester. With make it makes the table that
// the entry is in; 0: there is none.
func (o *Units) entry(a abi.PCIAddr, make bool) (mm.HPA, error) {
	root := o.roots[a.Segment()]
	if root == 0 {
		return 0, errors.New("VT-d: no unit has the segment")
	}
	at := root + mm.HPA(a.Bus())*16
	table := mm.HPA(o.mem.Load64(at) &^ 0xfff)
	if table == 0 {
		if !make {
			return 0, nil
		}
		var err error
		if table, err = o.host.Pages(1); err != nil {
			return 0, err
		}
		o.mem.Zero(table, mm.PageSize)
		o.mem.Store64(at, uint64(table)|1)
	}
	return table + mm.HPA(a&0xff)*16, nil
}
