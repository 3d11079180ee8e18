// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package acpi

import (
	"encoding/binary"

	"ringo/hv/abi"
)

// hpet returns the description table of the event timer (IA-PC HPET Specification 1.0a,
// "The ACPI 2.0 HPET Description Table").
func hpet() []byte {
	const minTick = 128 // counts that a periodic interrupt needs, as most firmware has it
	le := binary.LittleEndian
	b := le.AppendUint32(nil, abi.HPETID)
	b = append(b, 0, 64, 0, 0) // in memory, 64 bits wide
	b = le.AppendUint64(b, abi.HPETBase)
	b = append(b, 0) // the first one
	b = le.AppendUint16(b, minTick)
	b = append(b, 0) // its page is not promised to hold nothing else
	return table("HPET", 1, b)
}
