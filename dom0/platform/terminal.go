// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package platform

import (
	"ringo/dom0/console"
	"ringo/dom0/problem"
)

// Terminal shows the consoles of domains on a host console.
type Terminal struct {
	Platform *Platform
	Host     *console.Host
}

// Attach shows the console of a domain until the user leaves it; see
// [console.Host.Attach].
func (t Terminal) Attach(id uint32, name string, raw, force bool) error {
	g := t.Platform.Console(id)
	if g == nil {
		return problem.New(problem.NotFound, "", "domain %q has no console (any more)", name)
	}
	t.Host.Attach(name, g, raw, force)
	return nil
}
