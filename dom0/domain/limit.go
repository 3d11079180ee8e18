// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package domain

import (
	"slices"

	"ringo/dom0/config"
	"ringo/dom0/storage"
)

// LimitDisk changes how much of a disk, named as in the configuration or by its slot, a
// domain may use: words are those of [config.Disk.SetLimit]. What waits does so by the new
// limits. Of a domain that is off the definition is changed.
func (m *Manager) LimitDisk(ref, disk string, words []string) error {
	return m.changeDisk(ref, disk, func(x *config.Disk) error {
		for _, w := range words {
			if err := x.SetLimit(w); err != nil {
				return err
			}
		}
		return nil
	}, func(_ *dom, open *storage.Disk, to *config.Disk) error {
		open.Limit(to)
		return nil
	})
}

// changeDisk changes the configuration of a disk, and with apply the disk that the domain
// has open, if it exists.
func (m *Manager) changeDisk(ref, disk string, change func(*config.Disk) error, apply func(d *dom, open *storage.Disk, to *config.Disk) error) error {
	edit := func(c *config.Config) (*config.Disk, error) {
		i, err := find(c, disk)
		if err != nil {
			return nil, err
		}
		c.Disk = c.Settled()
		if err := change(&c.Disk[i]); err != nil {
			return nil, invalid(err)
		}
		return &c.Disk[i], nil
	}
	if off, err := m.isOff(ref); err != nil || off {
		return m.redefine(ref, err, func(c *config.Config) error {
			_, err := edit(c)
			return err
		})
	}
	d, err := m.lock(ref, "told of its disks")
	if err != nil {
		return err
	}
	defer d.op.Unlock()
	c := *d.cfg
	x, err := edit(&c)
	if err != nil {
		return err
	}
	if err := c.Validate(); err != nil {
		return invalid(err)
	}
	if err := d.fits(&c); err != nil {
		return err
	}
	if open := m.opened(&c, x.Slot); open != nil {
		if err := apply(d, open, x); err != nil {
			return err
		}
	}
	return m.configure(d, func(to *config.Config) { to.Disk = c.Disk })
}

// opened is the disk that a domain has open in a slot, nil if there is none.
func (m *Manager) opened(c *config.Config, slot int) *storage.Disk {
	all := m.all(c)
	if i := slices.IndexFunc(all, func(x *storage.Disk) bool { return x.Slot == slot }); i >= 0 {
		return all[i]
	}
	return nil
}
