// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package amdvi is AMD's IOMMUs (AMD I/O Virtualization Technology Specification 3.08).
//
// All units of a segment share one device table: a unit only sees the requests of its
// own devices. So nothing here depends on which unit a device is behind, and a change
// is followed by an invalidation in all of them.
//
//	device table    requester -> tables and tag of a space, interrupts; 2 MiB a segment,
//	                each entry of which refuses (an entry of zeros lets everything pass)
//	IRT             index, which is the vector -> vector and CPU; a page for each function
//	                that interrupts
package amdvi

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
	Flags   uint8  // of the IVHD
	Regs    iommu.Registers
	// Aborted reports whether the unit's function has noted that it refused an
	// access, and makes it forget; nil: unknown. QEMU's unit tells nothing else.
	Aborted func() bool
}

// Source is the identity that an I/O APIC's interrupts carry.
type Source struct {
	Chip uint8 // its ID in the MADT
	From abi.PCIAddr
}

// Config is what firmware's tables say.
type Config struct {
	Units []Unit
	Chips []Source
}

// Units implements iommu.Hardware.
type Units struct {
	host    *iommu.Host
	conf    Config
	units   []*unit
	devices map[uint16]mm.HPA      // device tables by segment
	nothing mm.HPA                 // a table of no entries
	irts    map[abi.PCIAddr]mm.HPA // interrupts by requester; by vector
	mark    uint32
}

var _ iommu.Hardware = (*Units)(nil)

// A device table has 65536 entries of 32 bytes.
const (
	devicePages = 512
	entrySize   = 32
)

// Open looks at the units, and takes what memory they need. A unit that cannot be used
// makes all of them useless, since its devices would not be confined.
func Open(h *iommu.Host, conf Config) (*Units, error) {
	o := &Units{host: h, conf: conf, devices: map[uint16]mm.HPA{}, irts: map[abi.PCIAddr]mm.HPA{}}
	if len(conf.Units) == 0 {
		return nil, errors.New("AMD-Vi: firmware names no unit")
	}
	var err error
	page := func(n int) (a mm.HPA) {
		if err == nil {
			a, err = h.Pages(n)
		}
		return a
	}
	o.nothing = page(1)
	for _, c := range conf.Units {
		u := &unit{regs: c.Regs, conf: c, commands: page(1), events: page(1), status: page(1)}
		u.features = c.Regs.Load64(regFeatures)
		if u.features == ^uint64(0) {
			return nil, o.failed(u, "does not answer")
		}
		if o.devices[c.Segment] == 0 {
			o.devices[c.Segment] = page(devicePages)
		}
		if err != nil {
			return nil, err
		}
		o.units = append(o.units, u)
	}
	for i := range mm.HPA(mm.PageSize / 8) {
		h.Memory.Store64(o.nothing+i*8, absent)
	}
	for _, table := range o.devices {
		for id := range mm.HPA(1 << 16) {
			o.refuse(table + id*entrySize)
		}
	}
	return o, nil
}

func (o *Units) failed(u *unit, what string) error {
	return errors.New("AMD-Vi unit at 0x" + strconv.FormatUint(uint64(u.conf.Base), 16) + " " + what)
}

// Enable implements iommu.Hardware.
func (o *Units) Enable() error {
	for _, u := range o.units {
		if !u.stop(o.host) || !u.start(o.devices[u.conf.Segment], o) {
			return o.failed(u, "does not do what it is told")
		}
	}
	if m := o.Mark(); !o.host.Within(func() bool { return o.Done(m) }) {
		return errors.New("AMD-Vi: a unit does not invalidate")
	}
	return nil
}

// Format implements iommu.Hardware.
func (o *Units) Format() *pt.Format { return pt.AMDVi() }

// Memory implements iommu.Hardware: the units snoop.
func (o *Units) Memory() phys.Memory { return o.host.Memory }

// Tags implements iommu.Hardware.
func (o *Units) Tags() int { return 1<<16 - 1 }

// Remaps implements iommu.Hardware.
func (o *Units) Remaps() bool { return true }

// String implements iommu.Hardware.
func (o *Units) String() string {
	s := "AMD-Vi, " + strconv.Itoa(len(o.units)) + " unit"
	if len(o.units) > 1 {
		s += "s"
	}
	return s + ", 48 bits"
}

// entry returns the device table entry of a requester, 0: no unit has its segment.
func (o *Units) entry(a abi.PCIAddr) mm.HPA {
	table := o.devices[a.Segment()]
	if table == 0 {
		return 0
	}
	return table + mm.HPA(a&0xffff)*entrySize
}
