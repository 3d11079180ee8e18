// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package acpi reads the ACPI tables that a hypervisor needs before it has a
// guest that understands ACPI: processors and interrupt controllers (MADT),
// fixed hardware (FADT), PCI configuration windows (MCFG), IOMMUs (DMAR, IVRS), the
// HPET, the console (SPCR, DBG2), and the value that powers the machine off. It interprets no AML; \_S5 is found by its
// byte pattern. References are to ACPI 6.5.
package acpi

import (
	"encoding/binary"
	"errors"
	"strconv"

	"ringo/mm"
)

// Limits of what is believed.
const (
	MaxTable  = 4 << 20 // bytes of one table
	MaxTables = 256
	MaxCPUs   = 4096
)

var le = binary.LittleEndian

// Reader copies len(b) bytes of physical memory at a to b. It reports false
// when not all of them can be read.
type Reader = func(a mm.HPA, b []byte) bool

// Table is one table that the root table (or the FADT) points to.
type Table struct {
	Signature string // four characters
	Addr      mm.HPA
	Length    uint32 // in bytes, with the header
	Revision  uint8
	OEM       string // OEM and OEM table identifiers, blanks trimmed
	// Valid: length and checksum are right. Tables that are not are listed, and
	// a warning says why, but nothing of them is used.
	Valid bool
}

// Tables is what the firmware says about the machine.
type Tables struct {
	Root RSDP
	List []Table // in the order of the root table, then the DSDT
	// MADT, FADT and HPET are nil if the table is missing or broken.
	MADT *MADT
	FADT *FADT
	HPET *HPET
	// ECAM holds the PCI configuration windows of the MCFG.
	ECAM []ECAM
	// S5 says how to power off, nil if the DSDT and SSDTs do not.
	S5 *S5
	// DMAR and IVRS are the IOMMUs, nil if no table names any.
	DMAR *DMAR
	IVRS *IVRS
	// Serial is firmware's console, nil if no table names one that is a 16550.
	Serial *Serial
	// Warnings are one line each, for the boot log.
	Warnings []string
}

// header is the size of what all tables begin with ("System Description Table
// Header").
const header = 36

// Parse follows root to all tables. Only an unusable root table is an error;
// what is wrong with other tables is in Warnings.
func Parse(read Reader, root RSDP) (*Tables, error) {
	t := &Tables{Root: root}
	addrs, err := t.pointers(read)
	if err != nil {
		return nil, err
	}
	for _, a := range addrs {
		if len(t.List) == MaxTables {
			t.warn("more than " + strconv.Itoa(MaxTables) + " tables, the rest is ignored")
			break
		}
		if a == 0 {
			continue
		}
		if b := t.load(read, a); b != nil {
			t.table(t.List[len(t.List)-1].Signature, b, read)
		}
	}
	return t, nil
}

// Find returns the first valid table with the signature, nil if there is none.
func (t *Tables) Find(signature string) *Table {
	for n := range t.List {
		if t.List[n].Signature == signature && t.List[n].Valid {
			return &t.List[n]
		}
	}
	return nil
}

// pointers returns the entries of the XSDT, or of the RSDT if there is no
// usable XSDT.
func (t *Tables) pointers(read Reader) ([]mm.HPA, error) {
	if t.Root.XSDT != 0 {
		b, _, err := readTable(read, t.Root.XSDT, "XSDT")
		if err == nil {
			var addrs []mm.HPA
			for b = b[header:]; len(b) >= 8; b = b[8:] {
				addrs = append(addrs, mm.HPA(le.Uint64(b)))
			}
			return addrs, nil
		}
		if t.Root.RSDT == 0 {
			return nil, err
		}
		t.warn(err.Error() + "; using the RSDT")
	}
	b, _, err := readTable(read, t.Root.RSDT, "RSDT")
	if err != nil {
		return nil, err
	}
	var addrs []mm.HPA
	for b = b[header:]; len(b) >= 4; b = b[4:] {
		addrs = append(addrs, mm.HPA(le.Uint32(b)))
	}
	return addrs, nil
}

// load reads the table at a and lists it. It returns nil if it is broken.
func (t *Tables) load(read Reader, a mm.HPA) []byte {
	b, entry, err := readTable(read, a, "")
	if err != nil {
		t.warn(err.Error())
	}
	if entry.Signature != "" {
		t.List = append(t.List, entry)
	}
	return b
}

// table takes what is needed of one valid table. The first of a kind wins,
// except for SSDTs, of which there may be many.
func (t *Tables) table(signature string, b []byte, read Reader) {
	switch {
	case signature == "APIC" && t.MADT == nil:
		t.MADT = t.parseMADT(b)
	case signature == "FACP" && t.FADT == nil:
		if t.FADT = t.parseFADT(b); t.FADT != nil && t.FADT.DSDT != 0 {
			if dsdt := t.load(read, t.FADT.DSDT); dsdt != nil {
				// The DSDT is searched first, but SSDTs may come before the FADT.
				if s := findS5(dsdt[header:]); s != nil {
					t.S5 = s
				}
			}
		}
	case signature == "SSDT" && t.S5 == nil:
		t.S5 = findS5(b[header:])
	case signature == "MCFG" && t.ECAM == nil:
		t.ECAM = t.parseMCFG(b)
	case signature == "SPCR" && (t.Serial == nil || t.Serial.Table != signature):
		if s := t.parseSPCR(b); s != nil {
			t.Serial = s
		}
	case signature == "DBG2" && t.Serial == nil:
		t.Serial = t.parseDBG2(b)
	case signature == "DMAR" && t.DMAR == nil:
		t.DMAR = t.parseDMAR(b)
	case signature == "IVRS" && t.IVRS == nil:
		t.IVRS = t.parseIVRS(b)
	case signature == "HPET" && t.HPET == nil:
		t.HPET = t.parseHPET(b)
	}
}

func (t *Tables) warn(s string) { t.Warnings = append(t.Warnings, s) }

// readTable reads and checks the table at a. want is the signature that it must
// have, if not empty. The entry is as complete as what could be read.
func readTable(read Reader, a mm.HPA, want string) (b []byte, entry Table, err error) {
	fail := func(what string) ([]byte, Table, error) {
		name := want
		if entry.Signature != "" {
			name = entry.Signature
		}
		return nil, entry, errors.New("ACPI table " + name + " at " + hexa(uint64(a)) + ": " + what)
	}
	var h [header]byte
	if !read(a, h[:]) {
		return fail("cannot be read")
	}
	for _, c := range h[:4] {
		if c < ' ' || c > '~' {
			return fail("no table there")
		}
	}
	if want != "" && string(h[:4]) != want {
		return fail("no table there")
	}
	entry = Table{
		Signature: string(h[:4]), Addr: a, Length: le.Uint32(h[4:]), Revision: h[8],
		OEM: printable(h[10:16]) + " " + printable(h[16:24]),
	}
	if entry.Length < header || entry.Length > MaxTable {
		return fail("impossible length " + strconv.FormatUint(uint64(entry.Length), 10))
	}
	b = make([]byte, entry.Length)
	if !read(a, b) {
		return fail("its " + strconv.Itoa(len(b)) + " bytes cannot be read")
	}
	if s := sum(b); s != 0 {
		return fail("bad checksum, the sum is " + hexa(uint64(s)))
	}
	entry.Valid = true
	return b, entry, nil
}

func sum(b []byte) (s uint8) {
	for _, c := range b {
		s += c
	}
	return s
}

// printable makes a string of a padded field.
func printable(b []byte) string {
	s := make([]byte, 0, len(b))
	for _, c := range b {
		if c < ' ' || c > '~' {
			c = ' '
		}
		s = append(s, c)
	}
	for len(s) > 0 && s[len(s)-1] == ' ' {
		s = s[:len(s)-1]
	}
	return string(s)
}

func hexa(v uint64) string { return "0x" + strconv.FormatUint(v, 16) }
