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
	if len(c.args) > 0 {
		return c.pciShow(c.args[0])
	}
	all, err := api.PCIList.Call(c.API, api.None{})
	if err != nil {
		return err
	}
	for i := range all {
		if !c.given('v') && !c.given('x') {
			c.pciLine(&all[i])
		} else if err := c.pciShow(all[i].Address); err != nil {
			return err
		}
	}
	return nil
}

// pciShow prints one function, with what was asked for.
func (c *call) pciShow(address string) error {
	d, err := api.PCIShow.Call(c.API, api.PCIRef{Address: address})
	if err != nil {
		return err
	}
	c.pciLine(&d.PCIFunction)
	if c.given('v') {
		c.pciDetails(&d)
	}
	if c.given('x') {
		c.hex(d.Config)
	}
	return nil
}

func (c *call) pciLine(f *api.PCIFunction) {
	rev := ""
	if f.Revision != 0 {
		rev = fmt.Sprintf(" (rev %02x)", f.Revision)
	}
	c.printf("%s %s [%s]: %s%s\n", f.Address, f.Class, f.ClassCode, f.ID, rev)
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
	for _, e := range d.Capabilities {
		name := e.Name
		if name == "" {
			name = fmt.Sprintf("unknown, id %#x", e.ID)
		}
		if e.Messages > 0 {
			name += fmt.Sprintf(", messages: %d", e.Messages)
		}
		c.printf("\tcapability at %#x: %s\n", e.Register, name)
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
