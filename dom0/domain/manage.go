// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package domain

import (
	"errors"
	"fmt"
	"strconv"

	"ringo/dom0/config"
	"ringo/dom0/hcall"
	"ringo/dom0/problem"
	"ringo/hv/abi"
)

// Find returns the domain with a name, or with an id: names of digits only, which
// [config.CheckName] refuses, hide no id.
func (m *Manager) Find(ref string) (Info, error) {
	all, err := m.HV.Domains()
	if err != nil {
		return Info{}, err
	}
	id, err := strconv.ParseUint(ref, 10, 32)
	for i := range all {
		if err == nil && uint64(all[i].ID) == id {
			return m.info(&all[i]), nil
		}
	}
	for i := range all {
		if hcall.Text(all[i].Name[:]) == ref {
			return m.info(&all[i]), nil
		}
	}
	return Info{}, m.notFound(ref, all)
}

// Log returns what a domain wrote to its debug ports.
func (m *Manager) Log(ref string) ([]byte, error) {
	in, err := m.Find(ref)
	if err != nil {
		return nil, err
	}
	return m.Devices.Log(in.ID), nil
}

// lock finds a domain other than dom0 and takes the right to change it.
func (m *Manager) lock(ref, verb string) (*dom, error) {
	in, err := m.Find(ref)
	if err != nil {
		return nil, err
	}
	if in.ID == abi.Dom0 {
		return nil, problem.New(problem.Refused, "", "%q is the control domain: it cannot be %s", in.Name, verb)
	}
	d := m.take(in.ID, in.Name)
	if d == nil {
		return nil, problem.New(problem.NotFound, "", "domain %q does not exist any more", ref)
	}
	return d, nil
}

// Destroy ends a domain at once. It returns when its memory is scrubbed and free.
func (m *Manager) Destroy(ref string) error {
	d, err := m.lock(ref, "destroyed (poweroff turns the machine off)")
	if err != nil {
		return err
	}
	defer d.op.Unlock()
	return m.end(d, false)
}

// end removes a domain and its entry; again says that it will be made anew.
//
// Preconditions: d.op is held.
func (m *Manager) end(d *dom, again bool) error {
	if err := m.remove(d.id, again); err != nil {
		return fmt.Errorf("cannot destroy %q: %w", d.cfg.Name, err)
	}
	d.gone = true
	m.forget(d.id)
	return nil
}

// Pause stops a domain's vCPUs until Unpause.
func (m *Manager) Pause(ref string) error {
	d, err := m.lock(ref, "paused")
	if err != nil {
		return err
	}
	defer d.op.Unlock()
	return m.HV.Pause(d.id)
}

// Unpause lets a paused domain go on, and has disks tried again that have failed.
func (m *Manager) Unpause(ref string) error {
	d, err := m.lock(ref, "unpaused")
	if err != nil {
		return err
	}
	defer d.op.Unlock()
	m.retry(d.cfg)
	return m.HV.Unpause(d.id)
}

// Rename gives a domain another name.
func (m *Manager) Rename(ref, name string) error {
	if err := config.CheckName(name); err != nil {
		return invalid(err)
	}
	if err := m.undefined(name); err != nil {
		return err
	}
	if off, err := m.isOff(ref); err != nil || off {
		if err := errors.Join(err, m.unique(name, [16]byte{})); err != nil {
			return err
		}
		return m.renameDefinition(ref, name)
	}
	d, err := m.lock(ref, "renamed")
	if err != nil {
		return err
	}
	defer d.op.Unlock()
	old := d.cfg.Name
	if err := m.rename(d, name); err != nil {
		return err
	}
	return m.renameDefinition(old, name)
}

// rename gives a domain another name.
//
// Preconditions: d.op is held.
func (m *Manager) rename(d *dom, name string) error {
	if err := m.unique(name, [16]byte{}); err != nil {
		return err
	}
	m.mu.Lock()
	_, making := m.making[name]
	m.mu.Unlock()
	if making {
		return problem.New(problem.Busy, "choose another name", "domain %q is being created", name)
	}
	c := *d.cfg
	c.Name = name
	if err := d.fits(&c); err != nil {
		return err
	}
	if err := m.HV.Rename(d.id, name); err != nil {
		return err
	}
	m.renameCards(d, name)
	return m.configure(d, func(c *config.Config) { c.Name = name })
}

// SetSched changes a domain's weight (0 keeps it) and cap (negative keeps it).
func (m *Manager) SetSched(ref string, weight, cap int) error {
	in, err := m.Find(ref)
	if err != nil {
		return err
	}
	if weight == 0 {
		weight = int(in.Weight)
	}
	if cap < 0 {
		cap = int(in.Cap)
	}
	if weight < 1 || weight > 65535 {
		return problem.New(problem.Invalid, "use 1 to 65535", "weight %d is out of range", weight)
	}
	if most := 100 * int(in.MaxVCPUs); cap > most {
		return problem.New(problem.Invalid, fmt.Sprintf("use 0 to %d for %d vCPUs (0 = none)", most, in.MaxVCPUs), "cap %d is out of range", cap)
	}
	if in.ID == abi.Dom0 {
		return m.HV.SetSched(in.ID, uint32(weight), uint32(cap))
	}
	d, err := m.lock(ref, "changed")
	if err != nil {
		return err
	}
	defer d.op.Unlock()
	if err := m.HV.SetSched(d.id, uint32(weight), uint32(cap)); err != nil {
		return err
	}
	return m.configure(d, func(c *config.Config) { c.CPUWeight, c.Cap = weight, cap })
}
