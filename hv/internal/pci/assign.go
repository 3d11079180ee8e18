// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package pci

import "ringo/hv/abi"

// state is where a function is in its life.
//
//	free --Assign--> waking --> assigned --Release--> leaving, resetting --> free | broken
type state uint8

// The states. What is not assigned neither writes memory nor interrupts.
const (
	free     state = iota
	waking         // on its way to dom0: it comes to full power
	assigned       // dom0 has it
	leaving        // what it has begun is waited for
	resetting
	broken // nobody gets it
)

// device is what the table knows of a function beside its description.
type device struct {
	state   state
	told    bool      // that it interrupts too fast
	mapped  uint8     // base addresses that dom0 has, a bit for each
	upto    [6]uint64 // of those in memory: the end of the pages that dom0 has, 0: none
	until   uint64    // waking, leaving, resetting: when to look, or to give up, in ns
	command uint16    // at boot, without bus mastering

	express, advanced, msi, msix uint16 // registers of capabilities, 0: none

	messages int      // of MSI-X
	table    []uint32 // its messages, nil: not looked at yet
}

// Host is what the table needs of the machine, when functions are to be given away.
type Host struct {
	// Registers returns device registers, as doublewords; ok is false where they cannot
	// be reached.
	Registers func(at, size uint64) (words []uint32, ok bool)
	// Now is the time in nanoseconds.
	Now func() uint64
	// Vector reserves an interrupt vector, 0 if there is none left, whose interrupts
	// come to Table.Deliver, and GiveVector gives it back.
	Vector     func() uint8
	GiveVector func(v uint8)
	// Target is the local APIC to which an interrupt for dom0 goes best.
	Target func() (apic uint32)
	// Attach lets a function reach dom0's RAM, and Detach ends that: false until nobody
	// remembers it. An IOMMU is behind both, or nothing.
	Attach func(a abi.PCIAddr) abi.Status
	Detach func(a abi.PCIAddr) (done bool)
	// Message is what a function must write to make a local APIC interrupt; ok is false
	// if it cannot. Silence ends that, for a function whose message is off.
	Message func(a abi.PCIAddr, vector uint8, apic uint32) (addr, data uint32, ok bool)
	Silence func(a abi.PCIAddr, vector uint8)
	// Lines are the global system interrupts that the command line gives functions, and
	// ISA returns that of an ISA interrupt.
	Lines map[uint32]uint32
	ISA   func(irq uint8) (gsi uint32)
	// Pin has the pin of a global system interrupt raise a vector. A level-triggered one is
	// masked whenever it has. False: there is none, or it is not to be had.
	// MaskPin, UnmaskPin and DropPin, which masks it for good, are by vector.
	Pin                         func(gsi uint32, edge bool, vector uint8, apic uint32) bool
	MaskPin, UnmaskPin, DropPin func(vector uint8)
	// Storm says that a function's interrupts come too fast, once for each.
	Storm func(a abi.PCIAddr)
	// Raise raises an event port of dom0.
	Raise func(port uint32)
	// Kept are physical addresses that are no device's to decode: start, end. KeptPorts are
	// such ports.
	Kept      [][2]uint64
	KeptPorts [][2]uint32
	// In and Out access ports, with 1, 2 or 4 bytes.
	In  func(port uint16, size uint8) uint32
	Out func(port uint16, size uint8, v uint32)
}

// Connect lets functions be given away.
//
// Preconditions: it is called once, before the first hypercall.
func (t *Table) Connect(h Host) { t.host, t.storm = h, make(chan struct{}, 1) }

// find returns the index of the function with an address, -1 if there is none.
func (t *Table) find(a abi.PCIAddr) int {
	for i := range t.Functions {
		if t.Functions[i].Addr == a {
			return i
		}
	}
	return -1
}

// own returns the index of a function that dom0 has.
//
// Preconditions: t.mu is held, as in all that follows.
func (t *Table) own(a abi.PCIAddr) (int, abi.Status) {
	i := t.find(a)
	switch {
	case i < 0:
		return 0, abi.NoDevice
	case t.devices[i].state != assigned:
		return 0, abi.Denied
	}
	return i, abi.OK
}

// Assign gives a function to dom0, quiet and with full power, which it may have to be Again
// for. Denied are those that the hypervisor uses, or that others work through.
func (t *Table) Assign(a abi.PCIAddr) abi.Status {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := t.find(a)
	if i < 0 {
		return abi.NoDevice
	}
	f, d := &t.Functions[i], &t.devices[i]
	switch {
	case !givable(f), d.state == broken:
		return abi.Denied
	case d.state == assigned:
		return abi.Exists
	case d.state != free && d.state != waking:
		return abi.Busy
	case d.state == waking && t.host.Now() < d.until:
		return abi.Again
	case uint16(t.space.Load(a, regID)) != f.Vendor:
		return abi.NoDevice // it was taken out
	}
	if !t.powerUp(i) {
		return abi.Again
	}
	d.express, d.advanced = t.capability(a, capExpress), t.capability(a, capAdvanced)
	d.msi, d.msix = t.capability(a, capMSI), t.capability(a, capMSIX)
	t.quiet(i)
	// The one place where a function becomes able to reach memory, if dom0 makes it a bus
	// master, which only an assigned one can be; Release has the one where that ends.
	if st := t.host.Attach(a); st != abi.OK {
		return st
	}
	d.state = assigned
	f.Flags |= abi.PCIAssigned
	return abi.OK
}

// How a function has its power ("Power Management Capability Structure"; "PCI Function
// Power States" for the time).
const (
	powerControl = 4
	powerState   = 3
	powerEvent   = 1 << 15 // forgotten when it is written
	wakeTime     = 10e6    // from D3hot to D0 before it may be touched, in ns
)

// powerUp begins to bring a function to power state D0, and reports whether it is there. It
// may have lost what firmware has written.
func (t *Table) powerUp(i int) bool {
	a, d := t.Functions[i].Addr, &t.devices[i]
	if d.state == waking {
		t.restore(i)
		d.state = free
		return true
	}
	d.command = uint16(t.space.Load(a, regCommand)) &^ commandMaster
	at := t.capability(a, capPower)
	if at == 0 || t.space.Load(a, at+powerControl)&powerState == 0 {
		return true
	}
	v := t.space.Load(a, at+powerControl)
	t.space.Store(a, at+powerControl, v&^(powerState|powerEvent))
	d.state, d.until = waking, t.host.Now()+wakeTime
	return false
}

// givable reports whether dom0 can have a function.
func givable(f *abi.PCIFunction) bool {
	return f.Header == 0 && baseClass(f) != classBridge && baseClass(f) != classSystem && baseClass(f) != classDisplay
}

// quiet takes a function the bus and all its interrupts.
func (t *Table) quiet(i int) {
	a, d := t.Functions[i].Addr, &t.devices[i]
	t.unbindAll(i)
	if d.msix != 0 {
		v := t.space.Load(a, d.msix)
		t.space.Store(a, d.msix, v&^msixEnable|msixMask)
	}
	if d.msi != 0 {
		t.space.Store(a, d.msi, t.space.Load(a, d.msi)&^msiEnable)
	}
	t.command(a, commandMaster, commandNoLine)
}

// command clears and sets bits of a function's command; status bits stay.
func (t *Table) command(a abi.PCIAddr, off, on uint32) {
	t.space.Store(a, regCommand, t.space.Load(a, regCommand)&0xffff&^off|on)
}

// Mapped is a part of a base address, of which dom0 gets the pages.
type Mapped struct{ Start, Size uint64 }

// Map has give map the pages of a base address that hold no interrupt messages into dom0,
// and lets the function decode it; ports it opens. It is Again while there is more than
// mapStep to do. Exists is a base address that shares a page with one of a function that is
// not dom0's. What give refuses is the result; what it had mapped before stays dom0's, as the
// function does, until Release.
func (t *Table) Map(a abi.PCIAddr, bar uint64, give func(Mapped) abi.Status) (addr uint64, st abi.Status) {
	t.mu.Lock() // so that the function is dom0's until it is noted what dom0 has of it
	defer t.mu.Unlock()
	i, st := t.own(a)
	if st != abi.OK {
		return 0, st
	}
	f, d := &t.Functions[i], &t.devices[i]
	if bar >= uint64(len(f.BAR)) {
		return 0, abi.BadArg
	}
	b := &f.BAR[bar]
	if b.Flags&abi.BARPort != 0 {
		return b.Addr, t.openPorts(i, bar)
	}
	if b.Flags&abi.BARPresent == 0 || b.Addr == 0 || b.Size == 0 || b.Size > maxWindow {
		return 0, abi.BadArg
	}
	if d.mapped&(1<<bar) != 0 {
		return b.Addr, abi.OK
	}
	start, end := pagesOf(b)
	if st := t.mayMap(i, start, end); st != abi.OK {
		return 0, st
	}
	at := max(d.upto[bar], start)
	for stop := min(end, at+mapStep); at < stop; d.upto[bar] = at {
		p := t.withoutMessages(i, int(bar), Mapped{at, stop - at})
		if p.Size > 0 {
			if st := give(p); st != abi.OK {
				return 0, st
			}
		}
		at = p.Start + p.Size
	}
	if at < end {
		return 0, abi.Again
	}
	d.mapped |= 1 << bar
	t.command(a, 0, commandMemory)
	return b.Addr, abi.OK
}

// pagesOf are the pages that hold a base address.
func pagesOf(b *abi.PCIBAR) (start, end uint64) {
	return b.Addr &^ (pageSize - 1), (b.Addr + b.Size + pageSize - 1) &^ (pageSize - 1)
}

// withoutMessages returns the first part of p that holds no interrupt messages, which is
// empty, at p's end, if there is none.
func (t *Table) withoutMessages(i, bar int, p Mapped) Mapped {
	end := p.Start + p.Size
	if from, to, ok := t.messagePages(i, bar); ok && from < end && p.Start < to {
		if p.Start < from {
			return Mapped{p.Start, from - p.Start}
		}
		p.Start = min(to, end)
	}
	return Mapped{p.Start, end - p.Start}
}

// Bounds of what is mapped.
const (
	pageSize  = 4096
	maxWindow = 1 << 38 // bytes of a base address
	mapStep   = 1 << 30 // of those in one call
)

// mayMap reports whether nobody else has anything in a range.
func (t *Table) mayMap(i int, start, end uint64) abi.Status {
	if end < start || end > 1<<46 {
		return abi.BadArg
	}
	for _, k := range t.host.Kept {
		if start < k[1] && k[0] < end {
			return abi.Denied
		}
	}
	for n := range t.Functions {
		if n == i || t.devices[n].state == assigned {
			continue
		}
		for _, b := range t.Functions[n].BAR {
			memory := b.Flags&abi.BARPresent != 0 && b.Flags&abi.BARPort == 0 && b.Addr != 0
			if memory && start < b.Addr+max(b.Size, 1) && b.Addr < end {
				return abi.Exists
			}
		}
	}
	return abi.OK
}
