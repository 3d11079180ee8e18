// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package platform

import (
	"strings"

	"ringo/dom0/config"
	"ringo/dom0/console"
	"ringo/dom0/problem"
)

// Terminal shows the consoles of domains on a host console.
type Terminal struct {
	Platform *Platform
	Host     *console.Host
}

// Attach shows a console of a domain, "" is the serial one, or a port, until the user leaves
// it; see [console.Host.Attach].
func (t Terminal) Attach(id uint32, name, which string, raw, force bool) error {
	if which == "" {
		which = config.Serial
	}
	g := t.Platform.Console(id, which)
	if g == nil {
		all := t.Platform.names(id)
		if len(all) == 0 {
			return problem.New(problem.NotFound, "", "domain %q has no console (any more)", name)
		}
		return problem.New(problem.NotFound, "it has "+strings.Join(all, ", "), "domain %q has no console or port %q", name, which)
	}
	t.Host.Attach(name, g, raw, force)
	return nil
}
