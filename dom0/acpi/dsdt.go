// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package acpi

import "ringo/hv/abi"

// dsdt returns the definition block: the sleep type of soft off and the devices
// of the guest platform that cannot be found otherwise.
func dsdt() []byte {
	// \_S5: SLP_TYP of PM1a and PM1b control, and two reserved elements.
	s5 := name(`\_S5`, pack(integer(abi.SleepTypeS5), integer(abi.SleepTypeS5), integer(0), integer(0)))

	com1 := device("COM1",
		name("_HID", eisaID("PNP0501")), // 16550A-compatible COM port
		name("_UID", integer(1)),
		name("_STA", integer(0x0f)), // present, enabled, shown, working
		name("_CRS", resources(ioPorts(abi.PortCOM1, 8), irqEdge(abi.IRQCOM1))))

	rtc := device("RTC",
		name("_HID", eisaID("PNP0B00")), // AT real-time clock
		name("_CRS", resources(ioPorts(abi.PortRTC, 2), irqEdge(abi.IRQRTC))))

	return table("DSDT", 2, cat(s5, scope(`\_SB`, com1, rtc)))
}
