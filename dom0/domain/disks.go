// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package domain

import (
	"ringo/dom0/config"
	"ringo/dom0/problem"
	"ringo/dom0/storage"
)

// checkDisks returns why the domain of a plan cannot have its disks, or nil. Those that it
// has already, it can.
func (m *Manager) checkDisks(p *plan) error {
	if len(p.cfg.Disk) == 0 {
		return nil
	}
	if m.Storage == nil {
		return problem.New(problem.Unsupported, "remove [[disk]]", "disk: there are no disks for domains")
	}
	return m.Storage.Check(storage.Owner{UUID: p.uuid, Name: p.cfg.Name}, p.cfg.Disk)
}

// disks takes the disks of a configuration for a domain.
func (m *Manager) disks(uuid [16]byte, c *config.Config) ([]*storage.Disk, error) {
	if len(c.Disk) == 0 || m.Storage == nil {
		return nil, nil
	}
	return m.Storage.Open(storage.Owner{UUID: uuid, Name: c.Name}, c.Settled())
}
