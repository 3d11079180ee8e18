// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package domain

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"ringo/dom0/config"
	"ringo/dom0/problem"
	"ringo/dom0/storage"
	"ringo/hv/abi"
)

// AttachDisk gives a domain another disk, written as in create's disk=. Of one that is off
// the definition has it then. listens says that the guest hears of it.
func (m *Manager) AttachDisk(ref, disk string) (listens bool, err error) {
	if off, err := m.isOff(ref); err != nil || off {
		return true, m.redefine(ref, err, func(c *config.Config) error { return settled(c).Set("disk", disk) })
	}
	d, err := m.lock(ref, "given disks")
	if err != nil {
		return false, err
	}
	defer d.op.Unlock()
	c, err := m.with(d, "disk", disk)
	if err != nil {
		return false, err
	}
	if m.Storage == nil {
		return false, problem.New(problem.Unsupported, "", "disk: there are no disks for domains")
	}
	uuid, err := config.ParseUUID(c.UUID)
	if err != nil {
		return false, err
	}
	x, err := m.Storage.Take(storage.Owner{UUID: uuid, Name: c.Name}, &c.Disk[len(c.Disk)-1])
	if err != nil {
		return false, fmt.Errorf("disk: %w", err)
	}
	m.watch(d.id, c, x)
	if listens, err = m.Devices.PlugDisk(d.id, x); err != nil {
		return false, err
	}
	return listens, m.configure(d, func(to *config.Config) { to.Disk = c.Disk })
}

// DetachDisk takes a disk, named as in the configuration or by its slot, away from a
// domain. With force the guest is not asked; else it is, and has a sixth of the patience
// to give it back.
func (m *Manager) DetachDisk(ref, disk string, force bool) error {
	if off, err := m.isOff(ref); err != nil || off {
		return m.redefine(ref, err, func(c *config.Config) error {
			i, err := find(c, disk)
			if err == nil {
				c.Disk = slices.Delete(c.Settled(), i, i+1)
			}
			return err
		})
	}
	d, err := m.lock(ref, "deprived of disks")
	if err != nil {
		return err
	}
	i, err := find(d.cfg, disk)
	if err != nil {
		d.op.Unlock()
		return err
	}
	return m.takeAway(d, diskThing(&d.cfg.Settled()[i]), force)
}

// redefine changes the definition of a domain that is off, unless err is one already.
func (m *Manager) redefine(name string, err error, change func(*config.Config) error) error {
	if err != nil {
		return err
	}
	def, err := m.Definition(name)
	if err != nil {
		return err
	}
	c := *def.Config
	if err := change(&c); err != nil {
		return invalid(err)
	}
	_, err = m.Define(&c)
	return err
}

// alive returns why nothing can be plugged into a domain, or nil.
//
// Preconditions: d.op is held.
func (m *Manager) alive(d *dom) error {
	in, err := m.HV.Info(d.id)
	if err != nil {
		return err
	}
	if in.State&(abi.StateShutdown|abi.StateCrashed) != 0 {
		return problem.New(problem.Refused, "destroy "+d.cfg.Name+" frees it", "domain %q has stopped", d.cfg.Name)
	}
	return nil
}

// called is what a user calls a disk of a configuration.
func called(x *config.Disk) string {
	if x.Image != "" {
		return x.Image
	}
	return strings.TrimPrefix(x.Device, "disk:")
}

// find returns which disk of a configuration a name, or the number of a slot, is.
func find(c *config.Config, name string) (int, error) {
	n, notNumber := strconv.Atoi(name)
	found := -1
	for i, x := range c.Settled() {
		switch {
		case called(&x) == name && found >= 0:
			return 0, problem.New(problem.Invalid, "give its slot, see block-list "+c.Name, "domain %q has %s more than once", c.Name, name)
		case called(&x) == name, notNumber == nil && x.Slot == n:
			found = i
		}
	}
	if found < 0 {
		return 0, problem.New(problem.NotFound, "block-list "+c.Name+" lists those that it has", "domain %q has no disk %s", c.Name, name)
	}
	return found, nil
}
