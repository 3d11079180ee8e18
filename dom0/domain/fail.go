// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package domain

import (
	"fmt"

	"ringo/dom0/config"
	"ringo/dom0/hcall"
	"ringo/dom0/storage"
	"ringo/hv/abi"
)

// watch has the domain paused when a disk fails whose configuration says so.
//
// Preconditions: no guest has the disk.
func (m *Manager) watch(id uint32, c *config.Config, x *storage.Disk) {
	for _, y := range c.Settled() {
		if y.Slot == x.Slot && y.OnError == config.Stop {
			x.OnError(func(error) { m.failed(id, x) })
		}
	}
}

// failed pauses a domain one of whose disks has failed. It does not block.
func (m *Manager) failed(id uint32, x *storage.Disk) {
	go m.guard("", func() {
		m.mu.Lock()
		d := m.doms[id]
		m.mu.Unlock()
		if d == nil {
			return
		}
		d.op.Lock()
		defer d.op.Unlock()
		why := x.Failure()
		if d.gone || why == nil || m.opened(d.cfg, x.Slot) != x {
			return
		}
		name := d.cfg.Name
		if err := m.HV.Pause(d.id); err != nil {
			m.Notify(fmt.Sprintf("error: domain %q cannot be paused: %v", name, err))
			return
		}
		m.Notify(fmt.Sprintf("domain %q is paused: disk %s has failed: %v (unpause %s tries again; destroy, or block-detach -F %s %d, gives it up)",
			name, x.Name, why, name, name, x.Slot))
	})
}

// retry has the disks of a domain tried again that have failed.
func (m *Manager) retry(c *config.Config) {
	for _, x := range m.all(c) {
		x.Retry()
	}
}

// all is the disks that a domain has open.
func (m *Manager) all(c *config.Config) []*storage.Disk {
	uuid, err := config.ParseUUID(c.UUID)
	if err != nil || m.Storage == nil {
		return nil
	}
	return m.Storage.Of(uuid)
}

// why says why a domain stands still, as far as it is for a disk.
func (m *Manager) why(d *abi.DomainInfo) string {
	if why := hcall.Text(d.Why[:]); why != "" || d.State&abi.StatePaused == 0 || m.Storage == nil {
		return why
	}
	for _, x := range m.Storage.Of(d.UUID) {
		if err := x.Failure(); err != nil {
			return fmt.Sprintf("disk %s has failed: %v", x.Name, err)
		}
	}
	return ""
}
