// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vtd

import (
	"ringo/hv/abi"
	"ringo/hv/internal/iommu"
	"ringo/mm"
)

// Descriptors of the invalidation queue ("Queued Invalidation Descriptors").
const (
	invContext = 1
	invTLB     = 2
	invIRT     = 4 // of everything; with irtIndex of one entry
	invWait    = 5

	invScope  = 4 // bits 5:4: 1 everything, 2 a tag, 3 a requester or page
	invDrain  = 3 << 6
	invTag    = 16
	invSource = 32

	irtIndex  = 1 << 4
	waitWrite = 1 << 5
)

// Context entries ("Context Entry").
const (
	ctxPresent = 1 << 0
	ctxSilent  = 1 << 1 // no faults are recorded
	ctxTag     = 8
)

// Attach implements iommu.Hardware.
func (o *Units) Attach(a abi.PCIAddr, root mm.HPA, tag uint16) error {
	at, err := o.entry(a, true)
	if err != nil {
		return err
	}
	o.mem.Store64(at+8, uint64(o.levels-2)|uint64(tag)<<ctxTag)
	o.mem.Store64(at, uint64(root)|ctxPresent)
	for _, u := range o.of(a) {
		if u.cap&capRWBF != 0 {
			u.command(gWriteBack, true, o.host)
		}
		if u.cap&capCaching != 0 { // the absent entry may be remembered, under tag 0
			u.submit(invContext|3<<invScope|uint64(a&0xffff)<<invSource, 0, o)
			u.submit(invTLB|2<<invScope|invDrain, 0, o)
		}
	}
	return nil
}

// Deny implements iommu.Hardware. Further faults of the requester are not recorded,
// so that one that does not stop takes nobody's time.
func (o *Units) Deny(a abi.PCIAddr) {
	at, err := o.entry(a, true)
	if err != nil {
		return // no memory for silence: it is denied all the same
	}
	tag := uint16(o.mem.Load64(at+8) >> ctxTag)
	o.mem.Store64(at, ctxSilent)
	for _, u := range o.of(a) {
		if u.cap&capRWBF != 0 {
			u.command(gWriteBack, true, o.host)
		}
		u.submit(invContext|3<<invScope|uint64(tag)<<invTag|uint64(a&0xffff)<<invSource, 0, o)
	}
	o.Flush(tag)
}

// of is the units of a requester's segment.
func (o *Units) of(a abi.PCIAddr) (out []*unit) {
	for _, u := range o.units {
		if u.segment == a.Segment() {
			out = append(out, u)
		}
	}
	return out
}

// Flush implements iommu.Hardware.
func (o *Units) Flush(tag uint16) {
	for _, u := range o.units {
		u.submit(invTLB|2<<invScope|invDrain|uint64(tag)<<invTag, 0, o)
	}
}

// Mark implements iommu.Hardware: each unit writes the mark behind what it was told
// before.
func (o *Units) Mark() uint32 {
	o.mark++
	for _, u := range o.units {
		u.submit(invWait|waitWrite|uint64(o.mark)<<32, uint64(u.status), o)
	}
	return o.mark
}

// Done implements iommu.Hardware.
func (o *Units) Done(mark uint32) bool {
	for _, u := range o.units {
		if u.dead || int32(uint32(o.mem.Load64(u.status))-mark) < 0 {
			return false
		}
	}
	return true
}

// Faults implements iommu.Hardware.
func (o *Units) Faults(f func(iommu.Fault)) {
	for _, u := range o.units {
		u.faults(f)
	}
}

// The interrupt remapping table ("Interrupt Remapping Table"): one page.
const (
	irtaSize   = 7       // 2^(7+1) entries
	irtaX2APIC = 1 << 11 // destinations have 32 bits

	irtePresent = 1 << 0
	irteLevel   = 1 << 4
	irteVector  = 16
	irteDest    = 32
	irteVerify  = 1 << 18 // of the high half: the source must be the one there
)

// enableRemap lets messages through that have an entry, and no others.
func (o *Units) enableRemap(u *unit) bool {
	v := uint64(o.irt) | irtaSize
	if o.conf.X2APIC {
		v |= irtaX2APIC
	}
	u.regs.Store64(regIRTA, v)
	if !u.command(gSetIRTA, true, o.host) {
		return false
	}
	u.submit(invIRT, 0, o)
	if m := o.Mark(); !o.host.Within(func() bool { return o.Done(m) }) {
		return false
	}
	return u.command(gCompatible, false, o.host) && u.command(gRemap, true, o.host)
}

// Pin implements iommu.Hardware. The entry of an I/O APIC then has an index in place of
// a destination ("I/OxAPIC Programming").
func (o *Units) Pin(chip, vector uint8, apic uint32, level bool) (low, high uint32, ok bool) {
	source := uint64(0) // anybody's, where firmware does not say
	for _, c := range o.conf.Chips {
		if c.Chip == chip {
			source = uint64(c.ID) | irteVerify
		}
	}
	low, mode := uint32(vector), uint64(0)
	if level {
		low, mode = low|iommu.PinLevel, irteLevel
	}
	return low, uint32(vector)<<17 | 1<<16, o.route(source, mode, vector, apic)
}

// Message implements iommu.Hardware ("MSI and MSI-X Register Programming").
func (o *Units) Message(a abi.PCIAddr, vector uint8, apic uint32) (addr, data uint32, ok bool) {
	const indexed = 1 << 4
	return 0xfee00000 | uint32(vector)<<5 | indexed, 0, o.route(uint64(a&0xffff)|irteVerify, 0, vector, apic)
}

// route makes the entry of a vector, and reports whether the units know it.
func (o *Units) route(source, mode uint64, vector uint8, apic uint32) bool {
	dest := uint64(apic)
	if !o.conf.X2APIC {
		dest <<= 8
	}
	if !o.remap || !o.conf.X2APIC && apic > 0xff {
		return false
	}
	at := o.irt + mm.HPA(vector)*16
	o.mem.Store64(at+8, source)
	o.mem.Store64(at, irtePresent|mode|uint64(vector)<<irteVector|dest<<irteDest)
	o.forget(vector)
	m := o.Mark()
	return o.host.Within(func() bool { return o.Done(m) })
}

// Silence implements iommu.Hardware.
func (o *Units) Silence(_ abi.PCIAddr, vector uint8) {
	o.mem.Store64(o.irt+mm.HPA(vector)*16, 0)
	o.forget(vector)
}

// forget makes the units forget the entry of a vector.
func (o *Units) forget(vector uint8) {
	for _, u := range o.units {
		u.submit(invIRT|irtIndex|uint64(vector)<<invSource, 0, o)
	}
}
