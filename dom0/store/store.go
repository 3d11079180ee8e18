// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package store keeps small values under names: what the toolstack has to know
// when no domain is there to hold it, such as definitions of domains. [Memory] is
// a store in dom0's memory, which ends with the machine.
package store

import (
	"slices"
	"sync"

	"ringo/dom0/account"
)

// Store is a set of values, each under a name. Its methods are safe for concurrent
// use; a value that is given away is the receiver's.
type Store interface {
	// Get returns the value of a name, nil if there is none.
	Get(name string) ([]byte, error)
	// Put sets the value of a name, whole or not at all.
	Put(name string, value []byte) error
	// Delete takes a name and its value away; of an unknown name it does nothing.
	Delete(name string) error
	// Names returns all names in order.
	Names() ([]string, error)
	// Lasting says that the store outlives the machine's being switched off.
	Lasting() bool
}

// Memory is a [Store] in memory, which is reserved from an account.
type Memory struct {
	account *account.Account

	mu  sync.Mutex // guards what follows
	all map[string]entry
}

type entry struct {
	value   []byte
	release func()
}

// overhead is what a value costs beside its bytes and those of its name: the entry,
// its share of a table that is at least half full, and what allocation rounds up.
const overhead = 256

// price is the number of bytes that a value is reserved for: allocation may round an
// eighth up.
func price(name string, value []byte) uint64 {
	n := uint64(len(name) + len(value))
	return n + n/8 + overhead
}

// NewMemory returns an empty store; a nil account has no limit.
func NewMemory(a *account.Account) *Memory { return &Memory{account: a, all: map[string]entry{}} }

// Get implements [Store].
func (m *Memory) Get(name string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.all[name].value), nil
}

// Put implements [Store].
func (m *Memory) Put(name string, value []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	release, err := m.account.Reserve(price(name, value))
	if err != nil {
		return err
	}
	if old := m.all[name]; old.release != nil {
		old.release()
	}
	m.all[name] = entry{append([]byte{}, value...), release}
	return nil
}

// Delete implements [Store].
func (m *Memory) Delete(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e, ok := m.all[name]; ok {
		delete(m.all, name)
		e.release()
	}
	return nil
}

// Names implements [Store].
func (m *Memory) Names() ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	names := make([]string, 0, len(m.all))
	for n := range m.all {
		names = append(names, n)
	}
	slices.Sort(names)
	return names, nil
}

// Lasting implements [Store].
func (m *Memory) Lasting() bool { return false }
