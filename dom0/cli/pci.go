// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package cli

import (
	"fmt"
	"strings"

	"ringo/dom0/api"
)

const pciHelp = `-v shows what they decode, and their capabilities, -x the first 256 bytes of their
configuration space. "stopped at boot" are bus masters that firmware had left working.`

// pciList prints the machine's PCI functions, or one, as lspci does.
func pciList(c *call) error {
	all, err := api.PCIList.Call(c.API, api.None{})
	if err != nil {
		return err
	}
	if len(c.args) > 0 {
		f, err := api.PCIShow.Call(c.API, api.PCIRef{Address: c.args[0]})
		if err != nil {
			return err
		}
		all = []api.PCIFunction{f.PCIFunction}
	}
	for _, f := range all {
		rev := ""
		if f.Revision != 0 {
			rev = fmt.Sprintf(" (rev %02x)", f.Revision)
		}
		c.printf("%s %s [%s]: %s%s\n", f.Address, f.Class, f.ClassCode, f.ID, rev)
		if !c.given('v') && !c.given('x') {
			continue
		}
		d, err := api.PCIShow.Call(c.API, api.PCIRef{Address: f.Address})
		if err != nil {
			return err
		}
		if c.given('v') {
			c.pciDetails(&d)
		}
		if c.given('x') {
			c.hex(d.Config)
		}
	}
	return nil
}

func (c *call) pciDetails(d *api.PCIDetails) {
	if d.Subsystem != "" {
		c.printf("\tsubsystem %s\n", d.Subsystem)
	}
	if d.Buses != nil {
		c.printf("\tbuses behind it: %02x to %02x\n", d.Buses.First, d.Buses.Last)
	}
	c.printf("\tbus master: %s\n", d.Master)
	for _, r := range d.Ranges {
		c.printf("\tBAR %d: %s\n", r.BAR, pciRange(r))
	}
	for _, cap := range d.Capabilities {
		name := cap.Name
		if name == "" {
			name = fmt.Sprintf("unknown, id %#x", cap.ID)
		}
		if cap.Messages > 0 {
			name += fmt.Sprintf(", messages: %d", cap.Messages)
		}
		c.printf("\tcapability at %#x: %s\n", cap.Register, name)
	}
}

// pciRange describes a range in one line.
func pciRange(r api.PCIRange) string {
	var s []string
	kind := "memory"
	if r.Ports {
		kind = "ports"
	}
	if r.Start != 0 {
		s = append(s, fmt.Sprintf("%s at %#x", kind, r.Start))
	} else {
		s = append(s, kind+", not assigned")
	}
	switch {
	case r.Size == 0:
		s = append(s, "size unknown")
	case r.Size < 1<<10:
		s = append(s, fmt.Sprintf("%d bytes", r.Size))
	case r.Size < 1<<20:
		s = append(s, fmt.Sprintf("%d KiB", r.Size>>10))
	default:
		s = append(s, fmt.Sprintf("%d MiB", r.Size>>20))
	}
	if r.Wide {
		s = append(s, "64-bit")
	}
	if r.Prefetchable {
		s = append(s, "prefetchable")
	}
	return strings.Join(s, ", ")
}

// hex prints bytes, 16 a line.
func (c *call) hex(b []byte) {
	for i := 0; i < len(b); i += 16 {
		c.printf("%02x: % x\n", i, b[i:min(i+16, len(b))])
	}
}
