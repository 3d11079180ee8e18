// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package pci

import "ringo/hv/abi"

// How long what is waited for may take, in nanoseconds ("Function-Level Reset",
// "Configuration Request Retry Status").
const (
	drainTime = 100e6 // until what a function has begun is finished
	resetTime = 100e6 // before it may be touched after a reset
	awakeTime = 1e9   // until it answers then
)

// Registers of what is looked at here: of PCI Express, and of the capability that
// conventional functions have for the same ("Advanced Capabilities" ECN).
const (
	expressCaps    = 4
	canReset       = 1 << 28
	startReset     = 1 << 15
	pending        = 1 << 21
	advancedReset  = 1 << 25
	advancedBusy   = 1 << 8
	advancedAction = 4
)

// Release takes a function away from dom0 again, for which the caller unmaps its
// base addresses: unmap reports whether that is done. It is Again while it waits: for
// that, for what the function has begun, and for its reset. A function that cannot be
// reset is free as it is, without the bus.
func (t *Table) Release(a abi.PCIAddr, unmap func(Mapped) (done bool)) abi.Status {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := t.find(a)
	if i < 0 {
		return abi.NoDevice
	}
	f, d := &t.Functions[i], &t.devices[i]
	now := t.host.Now()
	switch d.state {
	case assigned:
		t.quiet(i)
		d.table = nil
		d.state, d.until = leaving, now+drainTime
	case leaving:
		busy := d.express != 0 && t.space.Load(a, d.express+expressControl)&pending != 0 ||
			d.advanced != 0 && t.space.Load(a, d.advanced+advancedAction)&advancedBusy != 0
		if busy && t.present(i) && now < d.until || !t.unmapAll(i, unmap) || !t.host.Detach(a) {
			return abi.Again
		}
		f.Flags &^= abi.PCIAssigned
		d.state, d.until = resetting, now+resetTime
		if !t.reset(i) {
			t.restore(i)
			d.state = free
			return abi.OK
		}
	case resetting:
		switch {
		case now < d.until:
		case t.present(i):
			t.restore(i)
			d.state = free
			return abi.OK
		case now > d.until+awakeTime:
			d.state = broken
			f.Flags |= abi.PCIBroken
			return abi.NoDevice
		}
	default:
		return abi.Denied
	}
	return abi.Again
}

// present reports whether a function answers.
func (t *Table) present(i int) bool {
	f := &t.Functions[i]
	return uint16(t.space.Load(f.Addr, regID)) == f.Vendor
}

// unmapAll takes the base addresses away, from their ends on, a mapStep in one call.
func (t *Table) unmapAll(i int, unmap func(Mapped) bool) bool {
	f, d := &t.Functions[i], &t.devices[i]
	for bar := range f.BAR {
		if p := t.offered[owner{i, uint64(bar)}]; p != nil && d.mapped&(1<<bar) != 0 && !p.close() {
			return false
		}
		d.mapped &^= 1 << bar
		if d.upto[bar] == 0 {
			continue
		}
		start, _ := pagesOf(&f.BAR[bar])
		from := start
		if d.upto[bar]-start > mapStep {
			from = d.upto[bar] - mapStep
		}
		if !unmap(Mapped{from, d.upto[bar] - from}) {
			return false
		}
		if d.upto[bar] = from; from > start {
			return false
		}
		d.upto[bar] = 0
	}
	return true
}

// reset starts a reset of the function alone, if it has one.
func (t *Table) reset(i int) bool {
	a, d := t.Functions[i].Addr, &t.devices[i]
	switch {
	case !t.present(i):
		return false
	case d.express != 0 && t.space.Load(a, d.express+expressCaps)&canReset != 0:
		at := d.express + expressControl
		t.space.Store(a, at, t.space.Load(a, at)&0xffff|startReset)
	case d.advanced != 0 && t.space.Load(a, d.advanced)&advancedReset != 0:
		t.space.Store(a, d.advanced+advancedAction, 1)
	default:
		return false
	}
	return true
}

// restore writes what a reset has cleared: base addresses and the command.
func (t *Table) restore(i int) {
	f := &t.Functions[i]
	for bar := range f.BAR {
		b := &f.BAR[bar]
		if b.Flags&abi.BARPresent == 0 || b.Flags&abi.BARFixed != 0 {
			continue
		}
		reg := regBAR + 4*uint16(bar)
		t.space.Store(f.Addr, reg, uint32(b.Addr))
		if b.Flags&abi.BAR64 != 0 {
			t.space.Store(f.Addr, reg+4, uint32(b.Addr>>32))
		}
	}
	t.space.Store(f.Addr, regCommand, uint32(t.devices[i].command)|commandNoLine)
}

// Stop takes all of dom0's functions the bus and their interrupts, at dom0's end.
func (t *Table) Stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.devices {
		if t.devices[i].state == assigned {
			t.quiet(i)
		}
	}
}
