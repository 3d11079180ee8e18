// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package domain

import (
	"ringo/dom0/config"
	"ringo/dom0/problem"
	"ringo/dom0/storage"
)

// ResizeDisk gives a disk of a domain, named as in the configuration or by its slot, the
// size that what it is on has now; a snapshot that of size, unless it is "". It returns the
// sizes before and now, in bytes; of a domain that is off, 0. There the definition is
// changed.
func (m *Manager) ResizeDisk(ref, disk, size string) (before, now uint64, err error) {
	err = m.changeDisk(ref, disk, func(x *config.Disk) error {
		switch {
		case size == "":
			return nil
		case !x.Snapshot:
			return problem.New(problem.Invalid, "make what it is on larger, then leave SIZE out", "%s is no snapshot: it has the size of what it is on", called(x))
		}
		return x.SetSize(size)
	}, func(_ *dom, open *storage.Disk, to *config.Disk) (err error) {
		before, now, err = open.Resize(to)
		return err
	})
	return before, now, err
}
