// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package domain

import (
	"ringo/dom0/config"
	"ringo/dom0/network/lan"
	"ringo/dom0/problem"
)

// checkCards returns why the domain of a plan cannot have its network cards, or nil. What
// it has already, it can.
func (m *Manager) checkCards(p *plan) error {
	if len(p.cfg.NIC) == 0 {
		return nil
	}
	if m.Networks == nil {
		return problem.New(problem.Unsupported, "remove [[nic]]", "nic: there are no networks for domains")
	}
	return m.Networks.Check(lan.Owner{UUID: p.uuid, Name: p.cfg.Name}, p.cfg.NIC)
}

// cards takes the network cards of a configuration for a domain.
func (m *Manager) cards(uuid [16]byte, c *config.Config) ([]*lan.Card, error) {
	if len(c.NIC) == 0 || m.Networks == nil {
		return nil, nil
	}
	return m.Networks.Open(lan.Owner{UUID: uuid, Name: c.Name}, c.NIC)
}

// renameCards follows a domain that is called otherwise now.
//
// Preconditions: d.op is held.
func (m *Manager) renameCards(d *dom, name string) {
	if uuid, err := config.ParseUUID(d.cfg.UUID); err == nil && m.Networks != nil {
		m.Networks.Rename(uuid, name)
	}
}

// equip takes the disks and network cards of a domain's configuration, for its devices.
func (m *Manager) equip(a *Attachment, c *config.Config) (err error) {
	a.HVC = c.HVC
	for _, p := range c.Port {
		a.Ports = append(a.Ports, p.Name)
	}
	if a.Disks, err = m.disks(a.UUID, c); err != nil {
		return err
	}
	for _, x := range a.Disks {
		m.watch(a.ID, c, x)
	}
	if a.Cards, err = m.cards(a.UUID, c); err != nil {
		for _, d := range a.Disks {
			d.Close()
		}
	}
	return err
}
