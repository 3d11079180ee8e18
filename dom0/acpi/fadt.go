// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package acpi

import (
	"encoding/binary"

	"ringo/hv/abi"
)

// FADT flags (ACPI 6.5, "Fixed ACPI Description Table Fixed Feature Flags").
const (
	fadtWBINVD    = 1 << 0
	fadtProcC1    = 1 << 2
	fadtTmrValExt = 1 << 8 // the timer has 32 bits
	fadtResetReg  = 1 << 10
)

// IA-PC boot architecture flags (ACPI 6.5, "IA-PC Boot Architecture Flags").
// 8042 and "CMOS RTC Not Present" are clear: there is no keyboard at the
// controller, and there is a clock.
const (
	bootLegacyDevices = 1 << 0
	bootNoVGA         = 1 << 2
	bootNoASPM        = 1 << 4
)

const fadtLen = 276 // revision 6

// fadt returns the fixed description table. SMI_CMD is zero: the machine is
// always in ACPI mode. The power and sleep buttons are the fixed ones (flags
// PWR_BUTTON and SLP_BUTTON clear), so that the toolstack can ask a guest to shut down
// through PM1a, and
// the clock's alarm is a fixed event (FIX_RTC clear), which Linux enables whatever
// the flags say.
//
// There are general-purpose events where there is something to tell by them.
func fadt(facsAt, dsdtAt uint64, e Events) []byte {
	b := make([]byte, fadtLen-headerLen)
	at := func(off int) []byte { return b[off-headerLen:] }
	le := binary.LittleEndian

	le.PutUint32(at(36), uint32(facsAt))
	le.PutUint32(at(40), uint32(dsdtAt))
	at(45)[0] = 0 // preferred profile: unspecified
	le.PutUint16(at(46), abi.IRQSCI)
	le.PutUint32(at(56), abi.PortPM1aEvt)
	le.PutUint32(at(64), abi.PortPM1aCnt)
	le.PutUint32(at(76), abi.PortPMTimer)
	at(88)[0] = abi.PM1EvtLen
	at(89)[0] = abi.PM1CntLen
	at(91)[0] = abi.PMTimerLen
	// Latencies over 100 and 1000 us: no C2, no C3.
	le.PutUint16(at(96), 0xfff)
	le.PutUint16(at(98), 0xfff)
	at(108)[0] = 0x32 // century byte of the CMOS clock
	le.PutUint16(at(109), bootLegacyDevices|bootNoVGA|bootNoASPM)
	le.PutUint32(at(112), fadtWBINVD|fadtProcC1|fadtTmrValExt|fadtResetReg)
	ioRegister(at(116), abi.PortReset, 1, 1)
	at(128)[0] = abi.ResetValue
	at(131)[0] = 3 // minor version
	le.PutUint64(at(140), dsdtAt)
	ioRegister(at(148), abi.PortPM1aEvt, abi.PM1EvtLen, 2) // status and enable
	ioRegister(at(172), abi.PortPM1aCnt, abi.PM1CntLen, 2)
	ioRegister(at(208), abi.PortPMTimer, abi.PMTimerLen, 3)
	if e.Size != 0 {
		le.PutUint32(at(80), uint32(e.Base))
		at(92)[0] = e.Size
		ioRegister(at(220), uint64(e.Base), e.Size, 1)
	}
	copy(at(268), "RINGO\x00\x00\x00") // hypervisor vendor identity
	return table("FACP", 6, b)
}

// ioRegister writes a generic address structure for a register of size bytes
// in I/O space (ACPI 6.5, "Generic Address Structure") that is accessed by
// bytes, words or double words (access 1, 2, 3).
func ioRegister(b []byte, port uint64, size, access uint8) {
	b[0], b[1], b[2], b[3] = 1, size*8, 0, access
	binary.LittleEndian.PutUint64(b[4:], port)
}

// facs returns the firmware control structure, which has no checksum
// (ACPI 6.5, "Firmware ACPI Control Structure").
func facs() []byte {
	b := make([]byte, 64)
	copy(b, "FACS")
	binary.LittleEndian.PutUint32(b[4:], 64)
	b[32] = 2 // version
	return b
}
