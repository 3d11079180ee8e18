// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package domain

import (
	"fmt"

	"ringo/dom0/problem"
)

// Resize changes how many vCPUs or how much memory a domain has: key is vcpus or
// memory. Of a domain that is off it changes the definition; one that is there can have
// other vCPUs only.
func (m *Manager) Resize(ref, key, value string) error {
	off, err := m.isOff(ref)
	if err != nil {
		return err
	}
	if off {
		d, err := m.Definition(ref)
		if err != nil {
			return err
		}
		c := *d.Config
		if err := c.Set(key, value); err != nil {
			return invalid(err)
		}
		_, err = m.Define(&c)
		return err
	}
	in, err := m.Find(ref)
	if err != nil {
		return err
	}
	if key == "vcpus" {
		return m.plugVCPUs(&in, value)
	}
	remedy := "shut it down first"
	if in.Config != nil {
		if d, err := m.definition(in.Name); err == nil && d != nil {
			remedy += fmt.Sprintf(", or edit %s %s=%s for its next start", in.Name, key, value)
		}
	}
	return problem.New(problem.Unsupported, remedy, "domain %q keeps the %s that it was made with: to change it takes a balloon in the guest, which this version does not have", in.Name, key)
}
