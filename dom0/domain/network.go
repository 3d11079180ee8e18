// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package domain

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"ringo/dom0/config"
	"ringo/dom0/network/lan"
	"ringo/dom0/problem"
)

// AttachCard gives a domain another network card, written as in create's nic=. Of one that
// is off the definition has it then. listens says that the guest hears of it.
func (m *Manager) AttachCard(ref, nic string) (listens bool, err error) {
	if off, err := m.isOff(ref); err != nil || off {
		return true, m.redefine(ref, err, func(c *config.Config) error { return settled(c).Set("nic", nic) })
	}
	d, err := m.lock(ref, "given network cards")
	if err != nil {
		return false, err
	}
	defer d.op.Unlock()
	c, err := m.with(d, "nic", nic)
	if err != nil {
		return false, err
	}
	if m.Networks == nil {
		return false, problem.New(problem.Unsupported, "", "nic: there are no networks for domains")
	}
	uuid, err := config.ParseUUID(c.UUID)
	if err != nil {
		return false, err
	}
	x, err := m.Networks.Add(lan.Owner{UUID: uuid, Name: c.Name}, c.NIC)
	if err != nil {
		return false, err
	}
	if listens, err = m.Devices.PlugCard(d.id, x); err != nil {
		return false, err
	}
	return listens, m.configure(d, func(to *config.Config) { to.NIC = c.NIC })
}

// DetachCard takes a network card, named as network-list does, by its number there or by
// its MAC, away from a domain. With force the guest is not asked; else it is, and has a
// sixth of the patience to give it back.
func (m *Manager) DetachCard(ref, card string, force bool) error {
	if off, err := m.isOff(ref); err != nil || off {
		return m.redefine(ref, err, func(c *config.Config) error {
			i, err := findCard(c, card)
			if err == nil {
				c.NIC = slices.Delete(c.SettledNICs(), i, i+1)
			}
			return err
		})
	}
	d, err := m.lock(ref, "deprived of network cards")
	if err != nil {
		return err
	}
	i, err := findCard(d.cfg, card)
	if err != nil {
		d.op.Unlock()
		return err
	}
	return m.takeAway(d, cardThing(d.cfg.Name, &d.cfg.SettledNICs()[i]), force)
}

// findCard returns which network card of a configuration a name, a number or a MAC is.
func findCard(c *config.Config, name string) (int, error) {
	uuid, _ := config.ParseUUID(c.UUID)
	number := strings.TrimPrefix(name, c.Name+".")
	for i, x := range c.SettledNICs() {
		mac := x.Address(uuid)
		if number == strconv.Itoa(x.Number()) || strings.EqualFold(name, strings.ReplaceAll(fmt.Sprintf("% x", mac[:]), " ", ":")) {
			return i, nil
		}
	}
	return 0, problem.New(problem.NotFound, "network-list "+c.Name+" lists those that it has", "domain %q has no network card %s", c.Name, name)
}
