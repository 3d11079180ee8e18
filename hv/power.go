// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"strings"

	"ringo/boot/acpi"
	"ringo/boot/kernel"
	"ringo/hv/abi"
	"ringo/hv/internal/dbg"
)

// fatal ends the boot with one line that says what is wrong and what to do.
func fatal(parts ...string) {
	kernel.Quit("ringo: " + strings.Join(parts, ""))
}

// setPower tells the kernel layer how firmware wants the machine switched off
// and reset.
func setPower(fw *acpi.Tables) {
	var p kernel.Power
	if f := fw.FADT; f != nil {
		if fw.S5 != nil {
			p.PM1a, p.SleepA = port(f.PM1aControl), fw.S5.TypeA
			p.PM1b, p.SleepB = port(f.PM1bControl), fw.S5.TypeB
		}
		p.ResetPort, p.ResetValue = port(f.Reset), f.ResetValue
	}
	kernel.SetPower(p)
}

// port is the address of a register in port space, 0 for others.
func port(r acpi.Register) uint16 {
	if r.Space != acpi.SpaceIO {
		return 0
	}
	return uint16(r.Addr)
}

// power does what dom0 asks for.
func power(op abi.Power) {
	switch op {
	case abi.PowerCrash:
		panic("crash requested by dom0")
	case abi.PowerReboot:
		dbg.At(dbg.Info).S("restarting").End()
		con.flush()
		kernel.Reboot()
	}
	dbg.At(dbg.Info).S("powering off").End()
	con.flush()
	kernel.PowerOff()
}
