// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package pt

import (
	"errors"

	"ringo/mm"
)

// Errors of [Tables.Check].
var (
	ErrEntry = errors.New("pt: entry is not one that this package writes")
	ErrEmpty = errors.New("pt: table without an entry")
	ErrCount = errors.New("pt: number of tables differs from the accounts")
)

// Check verifies the whole tree: every entry is one that this package writes,
// no table but the root is empty, the accounts are right. It is for tests and
// for builds with -tags invariants; it needs the lock of the tree's owner.
func (t *Tables) Check() error {
	n, err := t.check(t.root, t.f.levels)
	if err != nil {
		return err
	}
	for a := t.retired; a != 0; a = mm.HPA(t.m.Load64(a)) {
		n++
	}
	if n != t.frames.Load() {
		return ErrCount
	}
	return nil
}

// check returns the number of tables from this one down.
func (t *Tables) check(table mm.HPA, level int) (n int64, err error) {
	used := 0
	n = 1
	for i := range uint64(entries) {
		e := t.m.Load64(slot(table, i))
		switch {
		case t.f.isTable(e, level):
			used++
			child := target(e, 1)
			if e&^t.f.noted != (uint64(child)|t.f.table[level])&^t.f.noted {
				return 0, ErrEntry
			}
			more, err := t.check(child, level-1)
			if err != nil {
				return 0, err
			}
			n += more
		case t.f.isLeaf(e, level):
			used++
			bits, ok := t.f.leaf(t.f.attr(e))
			if !ok || !t.f.leafAllowed(level) || e != t.f.makeLeaf(target(e, level), bits, level) {
				return 0, ErrEntry
			}
		case e != t.f.empty:
			return 0, ErrEntry
		}
	}
	if used == 0 && level != t.f.levels {
		return 0, ErrEmpty
	}
	return n, nil
}
