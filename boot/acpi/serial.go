// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package acpi

// Serial is the port that firmware has its console at (Microsoft's "Serial Port
// Console Redirection Table") or, where it does not say, its debugger ("Debug Port
// Table 2", DBG2).
type Serial struct {
	Table string // SPCR or DBG2
	Base  Register
	// IRQ is the ISA interrupt, 0 if the table names none.
	IRQ uint8
	// Baud is 0 when firmware's rate is to be left.
	Baud uint32
}

// Kinds of serial ports that are programmed as a 16550: SPCR's interface type and
// DBG2's port subtype.
const (
	serial16550 = 0
	serial16450 = 1    // and DBG2's "subset of 16550"
	serialGAS   = 0x12 // "compatible with parameters defined in GAS"

	dbg2Serial = 0x8000 // DBG2's port type
)

// bauds are the rates that SPCR's code names.
var bauds = [...]uint32{3: 9600, 4: 19200, 6: 57600, 7: 115200}

func is16550(kind uint16) bool {
	return kind == serial16550 || kind == serial16450 || kind == serialGAS
}

// parseSPCR returns nil for a port of another kind, or none.
func (t *Tables) parseSPCR(b []byte) *Serial {
	if len(b) < 80 {
		t.warn("ACPI table SPCR: too short")
		return nil
	}
	s := &Serial{Table: "SPCR", Base: register(b[40:])}
	if s.Base.Addr == 0 { // redirection is off
		return nil
	}
	if kind := uint16(b[36]); !is16550(kind) {
		t.warn("ACPI table SPCR: the console is no 16550, ignored")
		return nil
	}
	switch {
	case b[52]&1 != 0: // an interrupt of the 8259s
		s.IRQ = b[53]
	case b[52]&2 != 0 && le.Uint32(b[54:]) < 16:
		s.IRQ = uint8(le.Uint32(b[54:]))
	}
	if int(b[58]) < len(bauds) {
		s.Baud = bauds[b[58]]
	}
	return s
}

// parseDBG2 returns the first 16550, nil if there is none.
func (t *Tables) parseDBG2(b []byte) *Serial {
	const entry = 22
	if len(b) < 44 {
		t.warn("ACPI table DBG2: too short")
		return nil
	}
	off, n := uint64(le.Uint32(b[36:])), le.Uint32(b[40:])
	for ; n > 0 && off+entry <= uint64(len(b)); n-- {
		e := b[off:]
		size, base := uint64(le.Uint16(e[1:])), uint64(le.Uint16(e[18:]))
		if size < entry || off+size > uint64(len(b)) || base+12 > size {
			break
		}
		if e[3] > 0 && le.Uint16(e[12:]) == dbg2Serial && is16550(le.Uint16(e[14:])) {
			return &Serial{Table: "DBG2", Base: register(e[base:])}
		}
		off += size
	}
	if n > 0 {
		t.warn("ACPI table DBG2: a broken entry, the rest is ignored")
	}
	return nil
}
