// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package acpi

import (
	"encoding/binary"

	"ringo/hv/abi"
)

// Types of interrupt controller structures (ACPI 6.5, "Interrupt Controller
// Structure Types").
const (
	madtLAPIC    = 0
	madtIOAPIC   = 1
	madtOverride = 2
	madtNMI      = 4
	madtX2APIC   = 9
	madtX2NMI    = 10
)

// MPS INTI flags (ACPI 6.5, "MPS INTI Flags").
const (
	intiConform   = 0
	intiHighLevel = 1 | 3<<2
)

// Local APIC flags (ACPI 6.5, "Local APIC Flags").
const (
	madtEnabled = 1 << 0
	madtCapable = 1 << 1 // not enabled, but may come
)

// madt returns the multiple APIC description table: the processors with the APIC
// IDs of t, of which those beyond 254 have x2APIC entries.
func madt(c *Config, t abi.Topology) []byte {
	le := binary.LittleEndian
	b := le.AppendUint32(nil, abi.LAPICBase)
	b = le.AppendUint32(b, 1) // PCAT_COMPAT: there are two 8259s as well
	for uid := range c.CPUs {
		id := t.APICID(uint32(uid))
		if id < 255 && uid < 255 {
			flags := byte(madtEnabled)
			if h := c.Hotplug; h != nil && h.Present>>uid&1 == 0 {
				flags = madtCapable
			}
			b = append(b, madtLAPIC, 8, byte(uid), byte(id), flags, 0, 0, 0)
			continue
		}
		b = append(b, madtX2APIC, 16, 0, 0)
		b = le.AppendUint32(b, id)
		b = le.AppendUint32(b, madtEnabled)
		b = le.AppendUint32(b, uint32(uid))
	}
	b = append(b, madtIOAPIC, 12, abi.IOAPICID, 0)
	b = le.AppendUint32(b, abi.IOAPICBase)
	b = le.AppendUint32(b, 0) // first GSI
	b = override(b, abi.IRQPIT, abi.GSIPIT, intiConform)
	b = override(b, abi.IRQSCI, abi.IRQSCI, intiHighLevel)
	// LINT1 is NMI on every processor.
	b = append(b, madtNMI, 6, 0xff, 0, 0, 1)
	if c.CPUs > 255 {
		b = append(b, madtX2NMI, 12, 0, 0, 0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0)
	}
	return table("APIC", 5, b)
}

// override appends an interrupt source override of the ISA bus.
func override(b []byte, irq uint8, gsi uint32, flags uint16) []byte {
	b = append(b, madtOverride, 10, 0, irq)
	b = binary.LittleEndian.AppendUint32(b, gsi)
	return binary.LittleEndian.AppendUint16(b, flags)
}
