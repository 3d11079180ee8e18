// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package pci

import (
	"math/bits"
	"sync/atomic"

	"ringo/hv/abi"
)

// Bounds of lines and of who shares one.
const (
	maxLines = 32
	maxUsers = 16
)

// line is an interrupt line (INTx) that functions share. It is level-triggered: its pin
// is masked when it has interrupted, until every user has seen to its device. That of an
// IDE channel in compatibility mode is an edge, whose pin is masked for nobody.
//
// What dom0 does with it costs dom0: who never says that it is done keeps the line, and
// those who share it, quiet; who says so at once is interrupted again, once for each
// call.
type line struct {
	gsi    uint32
	edge   bool
	vector uint8 // 0: the entry is free
	// state has three sets of users: whom to tell of an interrupt, from bit 0 on; who has
	// been told and is not done, from owed on; and who holds the line back because its
	// device cannot be masked, from quiet on. The bit rest holds it back as well: it has
	// come too fast.
	state atomic.Uint64
	ports [maxUsers]atomic.Uint32 // 0: there is no such user
}

const (
	users = 1<<maxUsers - 1
	owed  = maxUsers
	quiet = 2 * maxUsers
	rest  = 1 << (3 * maxUsers)
)

// isLine marks the index of a line among what vectors lead to.
const isLine = 1 << 31

// deliver tells all users of an interrupt. The pin is masked, unless it is an edge's. If
// there is nobody to tell, it stays so until there is.
func (l *line) deliver(raise func(port uint32)) {
	var told uint64
	for {
		old := l.state.Load()
		told = old & users
		if l.edge || l.state.CompareAndSwap(old, old|told<<owed) {
			break
		}
	}
	for ; told != 0; told &= told - 1 {
		if p := l.ports[bits.TrailingZeros64(told)].Load(); p != 0 {
			raise(p)
		}
	}
}

// change clears and sets bits, and returns what was there and what is.
func (l *line) change(off, on uint64) (old, now uint64) {
	for {
		old = l.state.Load()
		now = old&^off | on
		if l.state.CompareAndSwap(old, now) {
			return old, now
		}
	}
}

// idle reports whether a line has somebody to tell, and nobody who holds it back.
func idle(state uint64) bool { return state>>owed == 0 && state != 0 }

// join makes a user of a line, and returns its number; false if there are too many.
func (l *line) join(port uint32) (user int, ok bool) {
	for user = range l.ports {
		if l.ports[user].Load() == 0 {
			l.ports[user].Store(port)
			return user, true
		}
	}
	return 0, false
}

// leave takes a user away, and reports whether it was the last one.
func (l *line) leave(user int) (last bool) {
	l.ports[user].Store(0)
	for i := range l.ports {
		if l.ports[i].Load() != 0 {
			return false
		}
	}
	return true
}

// The bits of a user: in all sets, and as one who waits for an interrupt.
func all(user int) uint64  { return (1 | 1<<owed | 1<<quiet) << user }
func tell(user int) uint64 { return 1 << user }

// bindLine has a line of a function raise a port as well, for interrupt q. Whoever is
// told of interrupts is in the set before they can come: a pin that has interrupted for
// nobody stays masked.
func (t *Table) bindLine(i, entry int, q *irq, port uint32) abi.Status {
	n, st := t.openLine(i, entry)
	if st != abi.OK {
		return st
	}
	l := &t.lines[n]
	user, ok := l.join(port)
	if !ok {
		return abi.NoSlot
	}
	_, now := l.change(0, tell(user))
	switch {
	case l.vector == 0:
		if st := t.startLine(n); st != abi.OK {
			l.leave(user)
			return st
		}
	case idle(now):
		t.host.UnmaskPin(l.vector) // it has come while all were masked
	}
	*q = irq{function: i, kind: abi.IRQLine, entry: entry, port: port, vector: l.vector, line: n, user: user}
	t.command(t.Functions[i].Addr, commandNoLine, 0)
	return abi.OK
}

// openLine returns the number among all of a line that a function interrupts by. If nobody
// has it yet, it has no vector.
func (t *Table) openLine(i, entry int) (n int, st abi.Status) {
	gsi, edge := t.host.ISA(uint8(atIRQ+entry&1)), compatible(&t.Functions[i], uint64(entry))
	if !edge {
		var ok bool
		if gsi, ok = t.route(i); !ok {
			return 0, abi.NoDevice
		}
	}
	n = -1
	for m := range t.lines {
		switch l := &t.lines[m]; {
		case l.vector != 0 && l.gsi == gsi && l.edge != edge:
			return 0, abi.NoDevice
		case l.vector != 0 && l.gsi == gsi:
			return m, abi.OK
		case l.vector == 0 && n < 0:
			n = m
		}
	}
	if n < 0 {
		return 0, abi.NoSlot
	}
	t.lines[n].gsi, t.lines[n].edge = gsi, edge
	t.lines[n].state.Store(0)
	return n, abi.OK
}

// startLine lets a line interrupt.
func (t *Table) startLine(n int) abi.Status {
	l, v := &t.lines[n], t.host.Vector()
	if v == 0 {
		return abi.NoSlot
	}
	l.vector = v
	t.ports[v].Store(isLine | uint32(n))
	if !t.host.Pin(l.gsi, l.edge, v, t.host.Target()) {
		t.closeLine(l)
		return abi.NoDevice
	}
	return abi.OK
}

// closeLine gives up a line without users.
func (t *Table) closeLine(l *line) {
	t.host.DropPin(l.vector)
	t.ports[l.vector].Store(0)
	t.host.GiveVector(l.vector)
	l.vector = 0
}

// maskLine keeps a function from interrupting by its line, or lets it. Others wait for it
// no more, unless it is one that cannot be told: that keeps the line quiet.
func (t *Table) maskLine(q *irq, on bool) {
	a, l := t.Functions[q.function].Addr, &t.lines[q.line]
	bit := uint64(1) << quiet << q.user
	if !on {
		t.command(a, commandNoLine, 0)
		if _, now := l.change(bit, tell(q.user)); idle(now) {
			t.host.UnmaskPin(l.vector) // also if it has come while all were masked
		}
		return
	}
	t.command(a, 0, commandNoLine)
	if t.space.Load(a, regCommand)&commandNoLine != 0 {
		t.free(l, all(q.user))
		return
	}
	l.change(all(q.user), bit)
	t.host.MaskPin(l.vector)
}

// free clears bits of a line, and unmasks its pin if nobody holds it back any more.
func (t *Table) free(l *line, off uint64) {
	if old, now := l.change(off, 0); old>>owed != 0 && idle(now) {
		t.host.UnmaskPin(l.vector)
	}
}

// unbindLine takes a user of a line away.
func (t *Table) unbindLine(q *irq) {
	t.command(t.Functions[q.function].Addr, 0, commandNoLine)
	l := &t.lines[q.line]
	if last := l.leave(q.user); last {
		l.state.Store(0)
		t.closeLine(l)
	} else {
		t.free(l, all(q.user))
	}
	*q = irq{}
}

// Done says that dom0 has seen to the device of an interrupt: a line may interrupt again,
// once all have. Of other interrupts it says nothing.
func (t *Table) Done(handle uint64) abi.Status {
	t.mu.Lock()
	defer t.mu.Unlock()
	q := t.bound(handle)
	if q == nil {
		return abi.BadArg
	}
	if q.kind == abi.IRQLine {
		t.free(&t.lines[q.line], 1<<owed<<q.user)
	}
	return abi.OK
}
