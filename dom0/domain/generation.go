// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package domain

import (
	"crypto/rand"
	"encoding/hex"

	"ringo/dom0/board"
	"ringo/dom0/problem"
	"ringo/hv/abi"
)

// generation is a domain's generation identifier (acpi.Generation): random, another one
// for each domain that is made, and the same when it restarts.
type generation [board.GenerationSize]byte

// newGeneration makes one.
func newGeneration() (g generation) {
	_, _ = rand.Read(g[:]) // which does not fail
	return g
}

// MarshalText implements encoding.TextMarshaler.
func (g generation) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, g[:]), nil }

// UnmarshalText implements encoding.TextUnmarshaler. A record that is no identifier is
// none: what follows is a domain's restart under another one.
func (g *generation) UnmarshalText(b []byte) error {
	if n, err := hex.Decode(g[:], b[:min(len(b), hex.EncodedLen(len(g)))]); err != nil || n != len(g) {
		*g = newGeneration()
	}
	return nil
}

// Renew gives a domain that runs another generation identifier, as if it had been copied:
// its operating system draws new random numbers. It reports whether that hears of it.
func (m *Manager) Renew(ref string) (listens bool, err error) {
	d, err := m.lock(ref, "renewed")
	if err != nil {
		return false, err
	}
	defer d.op.Unlock()
	in, err := m.HV.Info(d.id)
	if err != nil {
		return false, err
	}
	if in.State&(abi.StateShutdown|abi.StateCrashed) != 0 {
		return false, problem.New(problem.Refused, "destroy "+d.cfg.Name+" frees it", "domain %q has stopped already", d.cfg.Name)
	}
	d.generation = newGeneration()
	b, err := encode(d)
	if err != nil {
		return false, err
	}
	if err := m.HV.SetRecord(d.id, b); err != nil {
		return false, err
	}
	return m.Devices.Renew(d.id, d.generation), nil
}
