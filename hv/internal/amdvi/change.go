// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package amdvi

import (
	"errors"

	"ringo/hv/abi"
	"ringo/hv/internal/iommu"
	"ringo/mm"
)

// Device table entries ("Device Table Entry Format"): of the first quadword, of the
// second, and of the third.
const (
	dteValid  = 3      // V and TV
	dteMode   = 4 << 9 // four levels
	dteAccess = 3 << 61

	dteSilent = 1 << 34 // SA: page faults are not logged

	// IV: interrupts are remapped, or refused while IntCtl is 0; dteRemap is a table
	// of 256 of them.
	dteInterrupts = 1
	dteRemap      = dteInterrupts | 8<<1 | 2<<60

	// absent is an entry of page tables that holds nothing, see [pt.AMDVi].
	absent = 1 << 9
)

// Commands ("Commands").
const (
	cmdWait       = 1<<60 | 1 // and store
	cmdDevice     = 2 << 60
	cmdPages      = 3 << 60
	cmdInterrupts = 5 << 60
	cmdAll        = 8 << 60

	cmdTag = 32
	// wholeTag is the address and size that mean all of a tag, tables included.
	wholeTag = 0x7fff_ffff_ffff_f000 | 3
)

// refuse writes an entry that lets nothing pass. Its tables are not needed for that,
// but QEMU's unit notes a refused access only with them.
func (o *Units) refuse(at mm.HPA) {
	m := o.host.Memory
	m.Store64(at, uint64(o.nothing)|dteMode|dteValid)
	m.Store64(at+8, 0)
	m.Store64(at+16, dteInterrupts)
}

// Attach implements iommu.Hardware. The one store that lets accesses pass is the last.
func (o *Units) Attach(a abi.PCIAddr, root mm.HPA, tag uint16) error {
	at := o.entry(a)
	if at == 0 {
		return errors.New("AMD-Vi: no unit has the segment")
	}
	o.host.Memory.Store64(at+8, uint64(tag))
	o.host.Memory.Store64(at, uint64(root)|dteMode|dteValid|dteAccess)
	o.tell(cmdDevice|uint64(a&0xffff), 0)
	return nil
}

// Deny implements iommu.Hardware. Further page faults of the requester are not logged,
// so that one that does not stop takes nobody's time.
func (o *Units) Deny(a abi.PCIAddr) {
	at := o.entry(a)
	if at == 0 {
		return
	}
	m := o.host.Memory
	tag := uint16(m.Load64(at + 8))
	m.Store64(at, uint64(o.nothing)|dteMode|dteValid)
	m.Store64(at+8, dteSilent)
	o.tell(cmdDevice|uint64(a&0xffff), 0)
	o.Flush(tag)
}

// tell gives a command to all units.
func (o *Units) tell(lo, hi uint64) {
	for _, u := range o.units {
		u.submit(lo, hi, o)
	}
}

// Flush implements iommu.Hardware.
func (o *Units) Flush(tag uint16) { o.tell(cmdPages|uint64(tag)<<cmdTag, wholeTag) }

// Mark implements iommu.Hardware.
func (o *Units) Mark() uint32 {
	o.mark++
	for _, u := range o.units {
		u.submit(cmdWait|uint64(u.status), uint64(o.mark), o)
	}
	return o.mark
}

// Done implements iommu.Hardware.
func (o *Units) Done(mark uint32) bool {
	for _, u := range o.units {
		if u.dead || int32(uint32(o.host.Memory.Load64(u.status))-mark) < 0 {
			return false
		}
	}
	return true
}

// Faults implements iommu.Hardware.
func (o *Units) Faults(f func(iommu.Fault)) {
	for _, u := range o.units {
		u.faults(o, f)
	}
}

// Interrupt remapping table entries ("Interrupt Remapping Tables").
const (
	irtePresent = 1
	irteDest    = 8
	irteVector  = 16
)

// Pin implements iommu.Hardware. The entry of an I/O APIC looks as it does without
// remapping, but its vector is an index; we give the interrupt the same.
func (o *Units) Pin(chip, vector uint8, apic uint32, level bool) (low, high uint32, ok bool) {
	low = uint32(vector)
	if level {
		low |= iommu.PinLevel
	}
	for _, c := range o.conf.Chips {
		if c.Chip == chip {
			return low, apic << 24, o.route(c.From, vector, apic)
		}
	}
	return 0, 0, false
}

// Message implements iommu.Hardware: the data is the index.
func (o *Units) Message(a abi.PCIAddr, vector uint8, apic uint32) (addr, data uint32, ok bool) {
	return 0xfee00000, uint32(vector), o.route(a, vector, apic)
}

// route makes the entry of a requester's vector, and reports whether the units know it.
func (o *Units) route(a abi.PCIAddr, vector uint8, apic uint32) bool {
	at := o.entry(a)
	if at == 0 || apic > 0xff {
		return false
	}
	if o.irts[a] == 0 {
		page, err := o.host.Pages(1)
		if err != nil {
			return false
		}
		o.irts[a] = page
	}
	if entry := dteRemap | uint64(o.irts[a]); o.host.Memory.Load64(at+16) != entry {
		o.host.Memory.Store64(at+16, entry)
		o.tell(cmdDevice|uint64(a&0xffff), 0)
	}
	o.setIRTE(a, vector, irtePresent|apic<<irteDest|uint32(vector)<<irteVector)
	m := o.Mark()
	return o.host.Within(func() bool { return o.Done(m) })
}

// setIRTE writes the entry of a vector, of 32 bits.
func (o *Units) setIRTE(a abi.PCIAddr, vector uint8, v uint32) {
	at := o.irts[a] + mm.HPA(vector)*4
	shift := uint64(at) % 8 * 8
	at = mm.AlignDown(at, 8)
	o.host.Memory.Store64(at, o.host.Memory.Load64(at)&^(0xffffffff<<shift)|uint64(v)<<shift)
	o.tell(cmdInterrupts|uint64(a&0xffff), 0)
}

// Silence implements iommu.Hardware.
func (o *Units) Silence(a abi.PCIAddr, vector uint8) {
	if o.irts[a] != 0 {
		o.setIRTE(a, vector, 0)
	}
}
