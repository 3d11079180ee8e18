// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package config

import (
	"fmt"
	"strings"
)

// Port is a stream of bytes between the guest, which has it as /dev/virtio-ports/NAME, and
// dom0.
type Port struct {
	Name string `toml:"name" json:"name"`
}

// Names of consoles, which ports cannot have.
const (
	Serial = "serial"
	HVC    = "hvc"
)

// MaxPorts is how many ports a domain can have.
const MaxPorts = 4

// maxPortName is as long as the names of Linux' devices may be, and what beginning they have
// leaves.
const maxPortName = 63

// checkPorts checks the ports of a domain.
func checkPorts(all []Port) error {
	if len(all) > MaxPorts {
		return fmt.Errorf("port: %d are too many: at most %d", len(all), MaxPorts)
	}
	seen := map[string]bool{Serial: true, HVC: true}
	for i, p := range all {
		ok := len(p.Name) <= maxPortName && strings.Trim(p.Name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") == ""
		switch {
		case p.Name == "":
			return fmt.Errorf("port %d: name: missing: give name = \"org.qemu.guest_agent.0\" or another one", i+1)
		case !ok || p.Name[0] == '.' || p.Name[0] == '-':
			return fmt.Errorf("port %d: name: %q is not a name: use 1 to %d of a-z, A-Z, 0-9, -, _ and ., and begin with a letter", i+1, short(p.Name), maxPortName)
		case seen[p.Name]:
			return fmt.Errorf("port %d: name: %q is taken: use another one", i+1, p.Name)
		}
		seen[p.Name] = true
	}
	return nil
}

// Consoles returns the names of a domain's consoles and ports, as the verb console has
// them.
func (c *Config) Consoles() []string {
	all := []string{Serial}
	if c.HVC {
		all = append(all, HVC)
	}
	for _, p := range c.Port {
		all = append(all, p.Name)
	}
	return all
}
