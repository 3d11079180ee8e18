// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package domain

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	"ringo/dom0/config"
	"ringo/dom0/network/lan"
	"ringo/dom0/problem"
	"ringo/hv/abi"
)

// thing is what a domain has in a slot of its PCI bus: a disk, or a network card.
type thing struct {
	slot  int
	name  string // for people
	verbs string // what those begin with that are about it
	// in reports whether a configuration has it.
	in func(c *config.Config) bool
}

func diskThing(x *config.Disk) *thing {
	return &thing{x.Slot, called(x), "block", func(c *config.Config) bool {
		return slices.ContainsFunc(c.Settled(), func(y config.Disk) bool { return y.Slot == x.Slot && called(&y) == called(x) })
	}}
}

func cardThing(domain string, x *config.NIC) *thing {
	return &thing{x.Slot, fmt.Sprintf("%s.%d", domain, x.Number()), "network", func(c *config.Config) bool {
		return slices.ContainsFunc(c.SettledNICs(), func(y config.NIC) bool { return reflect.DeepEqual(*x, y) })
	}}
}

// inSlot returns what a configuration has in a slot, nil if nothing.
func inSlot(c *config.Config, slot int) *thing {
	disks, cards := c.Settled(), c.SettledNICs()
	if i := slices.IndexFunc(disks, func(x config.Disk) bool { return x.Slot == slot }); i >= 0 {
		return diskThing(&disks[i])
	}
	if i := slices.IndexFunc(cards, func(x config.NIC) bool { return x.Slot == slot }); i >= 0 {
		return cardThing(c.Name, &cards[i])
	}
	return nil
}

// with is the configuration of a domain that runs with a setting more, if it can have that.
//
// Preconditions: d.op is held.
func (m *Manager) with(d *dom, key, value string) (*config.Config, error) {
	if err := m.alive(d); err != nil {
		return nil, err
	}
	c := *d.cfg
	c.Disk, c.NIC = c.Settled(), c.SettledNICs()
	if err := c.Set(key, value); err != nil {
		return nil, invalid(err)
	}
	if err := c.Validate(); err != nil {
		return nil, invalid(err)
	}
	if s := c.Unsupported(); s != "" {
		return nil, problem.New(problem.Unsupported, "", "%s", s)
	}
	c.Disk, c.NIC = c.Settled(), c.SettledNICs()
	return &c, d.fits(&c)
}

// settled has the disks and cards of a definition stay in their slots when others come.
func settled(c *config.Config) *config.Config {
	c.Disk, c.NIC = c.Settled(), c.SettledNICs()
	return c
}

// takeAway takes a thing away from a domain: with force the guest is not asked; else it
// is, and has a sixth of the patience to give it back.
//
// Preconditions: d.op is held. It is given back.
func (m *Manager) takeAway(d *dom, x *thing, force bool) error {
	if force {
		defer d.op.Unlock()
		m.Devices.Pull(d.id, x.slot)
		return m.drop(d, x.slot)
	}
	err := m.askBack(d, x)
	d.op.Unlock()
	if err != nil {
		return err
	}
	return m.givenBack(d, x)
}

// askBack asks a guest for a thing.
//
// Preconditions: d.op is held.
func (m *Manager) askBack(d *dom, x *thing) error {
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
	case !m.Devices.AskBack(d.id, x.slot):
		return problem.New(problem.Refused, "wait until it is up, or -F takes it away unasked", "domain %q does not listen to ACPI's event for PCI slots", name)
	}
	d.asked |= 1 << x.slot
	return nil
}

// givenBack waits until a guest has given back a thing.
func (m *Manager) givenBack(d *dom, x *thing) error {
	limit := m.Patience / 6
	late := time.After(limit)
	t := time.NewTicker(look)
	defer t.Stop()
	for {
		m.mu.Lock()
		c, there := d.cfg, m.doms[d.id] == d
		m.mu.Unlock()
		switch {
		case !x.in(c):
			return nil
		case !there:
			return problem.New(problem.Busy, fmt.Sprintf("%s-list %s shows what it has, if it restarts", x.verbs, c.Name), "domain %q has ended before it gave back %s", c.Name, x.name)
		}
		select {
		case <-t.C:
		case <-late:
			d.op.Lock()
			d.asked &^= 1 << x.slot // from now on it is told
			d.op.Unlock()
			return problem.New(problem.Busy, "look at its kernel's log; "+x.verbs+"-detach -F takes it away unasked",
				"domain %q was asked, but has not given back %s (slot %d) in %v", c.Name, x.name, x.slot, limit)
		}
	}
}

// drop takes what is in a slot out of a domain's configuration.
//
// Preconditions: d.op is held.
func (m *Manager) drop(d *dom, slot int) error {
	d.asked &^= 1 << slot
	disks := slices.DeleteFunc(d.cfg.Settled(), func(x config.Disk) bool { return x.Slot == slot })
	cards := slices.DeleteFunc(d.cfg.SettledNICs(), func(x config.NIC) bool { return x.Slot == slot })
	return m.configure(d, func(c *config.Config) { c.Disk, c.NIC = disks, cards })
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
		x := inSlot(d.cfg, slot)
		if d.gone || x == nil || m.filled(d, slot) {
			return
		}
		if d.asked>>slot&1 == 0 {
			kind := "disk"
			if x.verbs == "network" {
				kind = "network card"
			}
			m.Notify(fmt.Sprintf("domain %q has given back %s %s", d.cfg.Name, kind, x.name))
		}
		if err := m.drop(d, slot); err != nil {
			m.Notify(fmt.Sprintf("error: domain %q: %v", d.cfg.Name, err))
		}
	})
}

// filled reports whether a domain has something in a slot, whose last thing it has given
// back: that was pulled meanwhile, and this is the next one.
//
// Preconditions: d.op is held.
func (m *Manager) filled(d *dom, slot int) bool {
	uuid, _ := config.ParseUUID(d.cfg.UUID)
	return m.opened(d.cfg, slot) != nil ||
		m.Networks != nil && slices.ContainsFunc(m.Networks.Of(uuid), func(x *lan.Card) bool { return x.Slot == slot })
}
