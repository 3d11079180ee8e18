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
// is masked when it has interrupted, until every user has seen to its device.
//
// What dom0 does with it costs dom0: who never says that it is done keeps the line, and
// those who share it, quiet; who says so at once is interrupted again, once for each
// call.
type line struct {
	gsi    uint32
	vector uint8 // 0: the entry is free
	// state has three sets of users: who there are, from bit 0 on; who has been told of an
	// interrupt and is not done, from owed on; and who does not want any, from quiet on.
	state atomic.Uint64
	ports [maxUsers]atomic.Uint32
}

const (
	users = 1<<maxUsers - 1
	owed  = maxUsers
	quiet = 2 * maxUsers
)

// isLine marks the index of a line among what vectors lead to.
const isLine = 1 << 31

// deliver tells all users of an interrupt. The pin is masked.
func (l *line) deliver(raise func(port uint32)) {
	var told uint64
	for {
		old := l.state.Load()
		told = old & users
		if l.state.CompareAndSwap(old, old|told<<owed) {
			break
		}
	}
	for ; told != 0; told &= told - 1 {
		if p := l.ports[bits.TrailingZeros64(told)].Load(); p != 0 {
			raise(p)
		}
	}
}

// change clears and sets bits. It reports whether there are users, and nobody holds the
// line back any more, which somebody did before.
func (l *line) change(off, on uint64) (free bool) {
	for {
		old := l.state.Load()
		v := old&^off | on
		if l.state.CompareAndSwap(old, v) {
			return v>>owed == 0 && old>>owed != 0 && v != 0
		}
	}
}

// join makes a user of a line, and returns its number; false if there are too many.
func (l *line) join(port uint32) (user int, ok bool) {
	user = bits.TrailingZeros64(^l.state.Load())
	if user >= maxUsers {
		return 0, false
	}
	l.ports[user].Store(port)
	l.change(0, 1<<user)
	return user, true
}

// all is the bits of a user in all sets.
func all(user int) uint64 { return (1 | 1<<owed | 1<<quiet) << user }

// openLine returns the line that a function interrupts by, and its number among all.
func (t *Table) openLine(i int) (n int, st abi.Status) {
	gsi, ok := t.route(i)
	if !ok {
		return 0, abi.NoDevice
	}
	n = -1
	for m := range t.lines {
		switch l := &t.lines[m]; {
		case l.vector != 0 && l.gsi == gsi:
			return m, abi.OK
		case l.vector == 0 && n < 0:
			n = m
		}
	}
	if n < 0 {
		return 0, abi.NoSlot
	}
	v := t.host.Vector()
	if v == 0 {
		return 0, abi.NoSlot
	}
	l := &t.lines[n]
	l.state.Store(0)
	l.gsi, l.vector = gsi, v
	t.ports[v].Store(isLine | uint32(n))
	if !t.host.Pin(gsi, v, t.host.Target()) {
		t.closeLine(l)
		return 0, abi.NoDevice
	}
	return n, abi.OK
}

// closeLine gives up a line without users.
func (t *Table) closeLine(l *line) {
	t.host.MaskPin(l.vector)
	t.ports[l.vector].Store(0)
	t.host.GiveVector(l.vector)
	l.vector = 0
}

// bindLine has the line of a function raise a port as well, for interrupt q.
func (t *Table) bindLine(i int, q *irq, port uint32) abi.Status {
	n, st := t.openLine(i)
	if st != abi.OK {
		return st
	}
	l := &t.lines[n]
	user, ok := l.join(port)
	if !ok {
		return abi.NoSlot
	}
	*q = irq{function: i, kind: abi.IRQLine, port: port, vector: l.vector, line: n, user: user}
	t.command(t.Functions[i].Addr, commandNoLine, 0)
	return abi.OK
}

// maskLine keeps a function from interrupting by its line, or lets it. Others wait for it
// no more, unless it is one that cannot be told: that keeps the line quiet.
func (t *Table) maskLine(q *irq, on bool) {
	a, l := t.Functions[q.function].Addr, &t.lines[q.line]
	bit := uint64(1) << quiet << q.user
	if !on {
		t.command(a, commandNoLine, 0)
		t.free(l, bit, 0)
		return
	}
	t.command(a, 0, commandNoLine)
	if t.space.Load(a, regCommand)&commandNoLine != 0 {
		t.free(l, 1<<owed<<q.user, 0)
		return
	}
	l.change(0, bit)
	t.host.MaskPin(l.vector)
}

// free changes the state of a line, and unmasks its pin where nobody holds it back.
func (t *Table) free(l *line, off, on uint64) {
	if l.change(off, on) {
		t.host.UnmaskPin(l.vector)
	}
}

// unbindLine takes a user of a line away.
func (t *Table) unbindLine(q *irq) {
	t.command(t.Functions[q.function].Addr, 0, commandNoLine)
	l := &t.lines[q.line]
	l.ports[q.user].Store(0)
	t.free(l, all(q.user), 0)
	if l.state.Load()&users == 0 {
		t.closeLine(l)
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
		t.free(&t.lines[q.line], 1<<owed<<q.user, 0)
	}
	return abi.OK
}
