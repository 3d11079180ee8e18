// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package acpi

// This file encodes the terms of which methods and what they work on are made.

// method is Method (id, args, Serialized or not) { body }.
func method(id string, args byte, serialized bool, body []byte) []byte {
	if serialized {
		args |= 1 << 3
	}
	return cat([]byte{opMethod}, pkgLength(cat(nameString(id), []byte{args}, body)))
}

// ioRegion is OperationRegion (id, SystemIO, base, size).
func ioRegion(id string, base uint16, size uint8) []byte {
	return cat([]byte{opExt, opRegion}, nameString(id), []byte{1}, integer(uint32(base)), integer(uint32(size)))
}

// dwords is Field (region, DWordAcc, NoLock, Preserve) with fields of 32 bits.
func dwords(region string, fields ...string) []byte {
	const dwordAcc = 3
	list := []byte{dwordAcc}
	for _, f := range fields {
		list = cat(list, nameString(f), []byte{32})
	}
	return cat([]byte{opExt, opField}, pkgLength(cat(nameString(region), list)))
}

// text is a string.
func text(s string) []byte { return cat([]byte{opString}, []byte(s), []byte{0}) }

func local(n byte) []byte { return []byte{opLocal0 + n} }
func arg(n byte) []byte   { return []byte{opArg0 + n} }

func store(from, to []byte) []byte { return cat([]byte{opStore}, from, to) }

// Operators whose result is used where they stand.
func and(a, b []byte) []byte       { return cat([]byte{opAnd}, a, b, []byte{opZero}) }
func or(a, b []byte) []byte        { return cat([]byte{opOr}, a, b, []byte{opZero}) }
func shiftLeft(a, n []byte) []byte { return cat([]byte{opShl}, a, n, []byte{opZero}) }

func notify(object []byte, value uint32) []byte {
	return cat([]byte{opNotify}, object, integer(value))
}

// when is If (condition) { body }.
func when(condition, body []byte) []byte {
	return cat([]byte{opIf}, pkgLength(cat(condition, body)))
}

// giveBack is Return (value).
func giveBack(value []byte) []byte { return cat([]byte{opReturn}, value) }
