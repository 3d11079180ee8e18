// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package domain

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"ringo/dom0/config"
	"ringo/dom0/problem"
	"ringo/dom0/storage"
	"ringo/hv/abi"
)

// AttachDisk gives a domain another disk, written as in create's disk=. Of one that is off
// the definition has it then. listens says that the guest hears of it.
func (m *Manager) AttachDisk(ref, disk string) (listens bool, err error) {
	if off, err := m.isOff(ref); err != nil || off {
		return true, m.redefine(ref, err, func(c *config.Config) error { return c.Set("disk", disk) })
	}
	d, err := m.lock(ref, "given disks")
	if err != nil {
		return false, err
	}
	defer d.op.Unlock()
	if err := m.alive(d); err != nil {
		return false, err
	}
	c := *d.cfg
	c.Disk = c.Settled()
	if err := c.Set("disk", disk); err != nil {
		return false, invalid(err)
	}
	if err := c.Validate(); err != nil {
		return false, invalid(err)
	}
	if s := c.Unsupported(); s != "" {
		return false, problem.New(problem.Unsupported, "", "%s", s)
	}
	if m.Storage == nil {
		return false, problem.New(problem.Unsupported, "", "disk: there are no disks for domains")
	}
	c.Disk = c.Settled()
	if _, err := encode(&dom{started: d.started, cfg: &c}); err != nil {
		return false, err
	}
	uuid, err := config.ParseUUID(c.UUID)
	if err != nil {
		return false, err
	}
	x, err := m.Storage.Take(storage.Owner{UUID: uuid, Name: c.Name}, &c.Disk[len(c.Disk)-1])
	if err != nil {
		return false, fmt.Errorf("disk: %w", err)
	}
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
	x := d.cfg.Settled()[i]
	if force {
		defer d.op.Unlock()
		m.Devices.Pull(d.id, x.Slot)
		return m.drop(d, x.Slot)
	}
	err = m.askBack(d, &x)
	d.op.Unlock()
	if err != nil {
		return err
	}
	return m.givenBack(d, &x)
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

// askBack asks a guest for a disk.
//
// Preconditions: d.op is held.
func (m *Manager) askBack(d *dom, x *config.Disk) error {
	name := d.cfg.Name
	if err := m.alive(d); err != nil {
		return err
	}
	in, err := m.HV.Info(d.id)
	switch {
	case err != nil:
		return err
	case in.State&abi.StatePaused != 0:
		return problem.New(problem.Refused, "unpause "+name+" first, or -F takes it away unasked", "domain %q is paused", name)
	case !m.Devices.AskBack(d.id, x.Slot):
		return problem.New(problem.Refused, "wait until it is up, or -F takes it away unasked", "domain %q does not listen to ACPI's event for PCI slots", name)
	}
	d.asked |= 1 << x.Slot
	return nil
}

// givenBack waits until a guest has given back a disk.
func (m *Manager) givenBack(d *dom, x *config.Disk) error {
	limit := m.Patience / 6
	late := time.After(limit)
	t := time.NewTicker(look)
	defer t.Stop()
	for {
		m.mu.Lock()
		c, there := d.cfg, m.doms[d.id] == d
		m.mu.Unlock()
		switch {
		case !slices.ContainsFunc(c.Settled(), func(y config.Disk) bool { return y.Slot == x.Slot && called(&y) == called(x) }):
			return nil
		case !there:
			return problem.New(problem.Busy, "block-list "+c.Name+" shows what it has, if it restarts", "domain %q has ended before it gave back %s", c.Name, called(x))
		}
		select {
		case <-t.C:
		case <-late:
			d.op.Lock()
			d.asked &^= 1 << x.Slot // from now on it is told
			d.op.Unlock()
			return problem.New(problem.Busy, "look at its kernel's log; block-detach -F takes it away unasked",
				"domain %q was asked, but has not given back %s (slot %d) in %v", c.Name, called(x), x.Slot, limit)
		}
	}
}

// drop takes the disk in a slot out of a domain's configuration.
//
// Preconditions: d.op is held.
func (m *Manager) drop(d *dom, slot int) error {
	d.asked &^= 1 << slot
	all := d.cfg.Settled()
	all = slices.DeleteFunc(all, func(x config.Disk) bool { return x.Slot == slot })
	return m.configure(d, func(c *config.Config) { c.Disk = all })
}

// emptied learns that the guest of a domain has given back what was in a slot. It does
// not block.
func (m *Manager) emptied(id uint32, slot int) {
	m.mu.Lock()
	d := m.doms[id]
	m.mu.Unlock()
	if d == nil {
		return
	}
	go m.guard("", func() {
		d.op.Lock()
		defer d.op.Unlock()
		i := slices.IndexFunc(d.cfg.Settled(), func(x config.Disk) bool { return x.Slot == slot })
		if d.gone || i < 0 {
			return
		}
		if m.opened(d.cfg, slot) != nil {
			return // it was pulled meanwhile, and this is the next one
		}
		if d.asked>>slot&1 == 0 {
			m.Notify(fmt.Sprintf("domain %q has given back disk %s", d.cfg.Name, called(&d.cfg.Disk[i])))
		}
		if err := m.drop(d, slot); err != nil {
			m.Notify(fmt.Sprintf("error: domain %q: %v", d.cfg.Name, err))
		}
	})
}
