// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"ringo/boot/acpi"
	"ringo/boot/cmdline"
)

// Ports that are no function's, whatever its base address says: below boardPorts are the
// chips of the board, where no firmware puts PCI functions (PCI configuration, the reset
// control, timers, interrupt controllers, the serial ports of the AT).
const (
	boardPorts   = 0x1000
	consolePorts = 8
	powerPorts   = 128 // a block of ACPI's, with what of it firmware does not name
)

// keptPorts are those, with ACPI's and the console's wherever they are: start, end.
func keptPorts(fw *acpi.Tables, opts cmdline.Options) [][2]uint32 {
	out := [][2]uint32{{0, boardPorts}}
	if s, _ := serialPort(opts, fw); s.Port != 0 {
		out = append(out, [2]uint32{uint32(s.Port), uint32(s.Port) + consolePorts})
	}
	if f := fw.FADT; f != nil {
		for _, r := range []acpi.Register{f.PM1aEvent, f.PM1bEvent, f.PM1aControl, f.PM1bControl, f.PMTimer, f.Reset} {
			if p := uint32(port(r)) &^ (powerPorts - 1); p != 0 {
				out = append(out, [2]uint32{p, p + powerPorts})
			}
		}
	}
	return out
}
