// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package pci

import "ringo/hv/abi"

// irq is an interrupt of a function that raises an event port. Its handle is its index.
type irq struct {
	function int // index
	kind     abi.IRQKind
	entry    int
	port     uint32
	vector   uint8 // 0: the entry is free
	masked   bool  // dom0 does not want it
	resting  bool  // a message that has come too fast
	line     int   // of IRQLine: its index, and who of its users this is
	user     int
}

// Bind makes an interrupt of a function raise a port, and returns its handle.
func (t *Table) Bind(a abi.PCIAddr, kind abi.IRQKind, entry, port uint64) (handle uint64, st abi.Status) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i, st := t.own(a)
	switch {
	case st != abi.OK:
		return 0, st
	case port < abi.PortDevice || port >= abi.PortDevice+abi.NumDevicePorts, kind > abi.IRQLine:
		return 0, abi.BadArg
	case !t.has(i, kind, entry):
		return 0, abi.NoDevice
	}
	n := -1
	for h := range t.irqs {
		switch q := &t.irqs[h]; {
		case q.vector == 0:
			if n < 0 {
				n = h
			}
		case q.port == uint32(port), q.function == i && (q.kind != kind || q.entry == int(entry)):
			return 0, abi.Exists
		}
	}
	if n < 0 {
		return 0, abi.NoSlot
	}
	if kind == abi.IRQLine {
		return uint64(n), t.bindLine(i, int(entry), &t.irqs[n], uint32(port))
	}
	v := t.host.Vector()
	if v == 0 {
		return 0, abi.NoSlot
	}
	addr, data, ok := t.host.Message(a, v, t.host.Target())
	if !ok {
		t.host.GiveVector(v)
		return 0, abi.NoSlot
	}
	t.irqs[n] = irq{function: i, kind: kind, entry: int(entry), port: uint32(port), vector: v}
	t.ports[v].Store(uint32(port))
	if kind == abi.IRQMSI {
		t.setMSI(i, addr, data)
	} else {
		t.devices[i].setEntry(int(entry), addr, data)
	}
	return uint64(n), abi.OK
}

// has reports whether a function has an interrupt, and makes it ready.
func (t *Table) has(i int, kind abi.IRQKind, entry uint64) bool {
	switch kind {
	case abi.IRQMSI:
		return t.devices[i].msi != 0 && entry == 0
	case abi.IRQLine:
		return entry == 0 || compatible(&t.Functions[i], entry)
	}
	return t.openTable(i) && entry < uint64(t.devices[i].messages)
}

// Deliver raises the port of a vector's interrupt, or those of all that share its line.
// It may be called on any CPU; nothing of it allocates, or locks for long.
func (t *Table) Deliver(vector uint8) {
	switch p := t.ports[vector].Load(); {
	case p&isLine != 0:
		l := &t.lines[p&^isLine]
		if t.paces[vector].fast(stormLine, t.host.Now) {
			if !l.edge {
				l.change(0, rest)
			}
			t.keepAway(vector)
		}
		l.deliver(t.host.Raise)
	case p != 0:
		if t.paces[vector].fast(stormMessage, t.host.Now) {
			t.keepAway(vector)
		}
		t.host.Raise(p)
	}
}

// bound returns the interrupt of a handle.
func (t *Table) bound(handle uint64) *irq {
	if handle >= uint64(len(t.irqs)) || t.irqs[handle].vector == 0 {
		return nil
	}
	return &t.irqs[handle]
}

// Mask keeps an interrupt from coming, or lets it.
func (t *Table) Mask(handle, on uint64) abi.Status {
	t.mu.Lock()
	defer t.mu.Unlock()
	q := t.bound(handle)
	if q == nil || on > 1 {
		return abi.BadArg
	}
	q.masked = on == 1
	t.mask(q, q.masked || q.resting)
	return abi.OK
}

func (t *Table) mask(q *irq, on bool) {
	switch q.kind {
	case abi.IRQLine:
		t.maskLine(q, on)
	case abi.IRQMSI:
		t.enableMSI(q.function, !on)
	default:
		t.devices[q.function].maskEntry(q.entry, on)
	}
}

// Unbind takes an interrupt back.
func (t *Table) Unbind(handle uint64) abi.Status {
	t.mu.Lock()
	defer t.mu.Unlock()
	q := t.bound(handle)
	if q == nil {
		return abi.BadArg
	}
	t.unbind(q)
	return abi.OK
}

// unbind is Unbind. A message that is on its way finds no port, or that of who has the
// vector next, whom it does no harm.
func (t *Table) unbind(q *irq) {
	if q.kind == abi.IRQLine {
		t.unbindLine(q)
		return
	}
	t.mask(q, true)
	t.host.Silence(t.Functions[q.function].Addr, q.vector)
	t.ports[q.vector].Store(0)
	t.host.GiveVector(q.vector)
	*q = irq{}
}

// unbindAll takes back all interrupts of a function.
func (t *Table) unbindAll(i int) {
	for h := range t.irqs {
		if q := &t.irqs[h]; q.vector != 0 && q.function == i {
			t.unbind(q)
		}
	}
}
