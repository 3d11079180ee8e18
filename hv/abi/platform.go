// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package abi

// The guest platform: where the devices of every guest stand. hv implements
// those marked hv, dom0 the others; dom0's ACPI tables tell the guest the same
// numbers. Ports are numbers of the I/O space, bases are guest physical
// addresses.
const (
	// Power management (ACPI 6.5, "ACPI Hardware Specification"): hv.
	PortPM1aEvt = 0x600 // PM1a status and enable, 2 bytes each
	PortPM1aCnt = 0x604 // PM1a control, 2 bytes
	PortPMTimer = 0x608 // 32-bit counter at 3.579545 MHz

	// PortControlA is system control port A of the PC/AT, whose bit 0 resets the
	// machine as well. hv.
	PortControlA = 0x92

	// SleepTypeS5 is the SLP_TYP value, in PM1a control, of soft off.
	SleepTypeS5 = 5

	// Interrupt controllers: hv.
	IOAPICBase = 0xfec0_0000
	IOAPICID   = 0
	IOAPICPins = 24
	LAPICBase  = 0xfee0_0000

	// IRQSCI is the interrupt of ACPI events: level, active high.
	IRQSCI = 9
	// IRQPIT and GSIPIT: the timer's PIC line, and the IOAPIC pin it is wired to.
	IRQPIT = 0
	GSIPIT = 2

	// Lengths in bytes for the FADT: PM1_EVT_LEN, PM1_CNT_LEN, PM_TMR_LEN. The
	// timer has 32 bits (flag TMR_VAL_EXT) and runs at PMTimerHz.
	PM1EvtLen  = 4
	PM1CntLen  = 2
	PMTimerLen = 4
	PMTimerHz  = 3_579_545

	// IOAPICSize is what the I/O APIC's registers take of the address space.
	IOAPICSize = 0x1000

	// Interrupt controllers and timer of the PC/AT: hv.
	PortPIC1    = 0x20 // and 0x21
	PortPIC2    = 0xa0 // and 0xa1
	PortELCR    = 0x4d0
	PortPIT     = 0x40 // to 0x43
	PortSpeaker = 0x61 // gate and output of the PIT's channel 2
	PITHz       = 1_193_182

	// HPETBase is the high-precision event timer, HPETHz the rate of its counter and
	// HPETID the lower half of its capabilities: revision 1, three comparators, 64
	// bits, legacy replacement, Intel's number as all have. hv.
	HPETBase = 0xfed0_0000
	HPETSize = 0x400
	HPETHz   = 14_318_180
	HPETID   = 0x8086_a201

	// The devices that dom0 has: the keyboard controller, which resets on the
	// command KeyboardReset; the CMOS clock; the first serial port, a 16550; and
	// PCI configuration mechanism #1, whose byte PortReset is the reset control
	// register: ResetValue there resets the machine.
	PortKeyboard  = 0x60 // data; status and command at 0x64
	KeyboardReset = 0xfe
	PortRTC       = 0x70
	IRQRTC        = 8
	PortCOM1      = 0x3f8
	IRQCOM1       = 4
	PortPCI       = 0xcf8 // address, data at 0xcfc: hv has the address
	PortReset     = 0xcf9
	ResetValue    = 0x06
)
