// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package acpi

import (
	"encoding/binary"
	"strings"
)

// This file is an encoder for the few AML terms that our DSDT needs (ACPI 6.5,
// "ACPI Machine Language (AML) Specification"). Each function returns the bytes
// of one complete term; terms nest by concatenation.

// Opcodes (ACPI 6.5, "AML Byte Stream Byte Values").
const (
	opZero    = 0x00
	opOne     = 0x01
	opName    = 0x08
	opByte    = 0x0a
	opWord    = 0x0b
	opDWord   = 0x0c
	opString  = 0x0d
	opScope   = 0x10
	opBuffer  = 0x11
	opPackage = 0x12
	opMethod  = 0x14
	opDual    = 0x2e // prefixes of names of two and more segments
	opMulti   = 0x2f
	opExt     = 0x5b
	opRegion  = 0x80 // after opExt, as the next two
	opField   = 0x81
	opDevice  = 0x82
	opLocal0  = 0x60
	opArg0    = 0x68
	opStore   = 0x70
	opShl     = 0x79
	opAnd     = 0x7b
	opOr      = 0x7d
	opNotify  = 0x86
	opIf      = 0xa0
	opReturn  = 0xa4
)

func cat(parts ...[]byte) []byte {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	b := make([]byte, 0, n)
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

// pkgLength puts the length of body before it. The length counts its own bytes
// (ACPI 6.5, "Package Length Encoding").
func pkgLength(body []byte) []byte {
	n := len(body)
	switch {
	case n+1 < 1<<6:
		return append([]byte{byte(n + 1)}, body...)
	case n+2 < 1<<12:
		n += 2
		return append([]byte{1<<6 | byte(n&15), byte(n >> 4)}, body...)
	case n+3 < 1<<20:
		n += 3
		return append([]byte{2<<6 | byte(n&15), byte(n >> 4), byte(n >> 12)}, body...)
	}
	panic("acpi: AML package too long")
}

// nameString encodes a path: "_CRS", or "\\_SB.CPU0" from the root. Segments shorter
// than four characters are padded with underscores.
func nameString(s string) []byte {
	var b []byte
	if s[0] == '\\' {
		b, s = append(b, '\\'), s[1:]
	}
	segments := strings.Split(s, ".")
	switch n := len(segments); {
	case n == 2:
		b = append(b, opDual)
	case n > 2:
		b = append(b, opMulti, byte(n))
	}
	for _, s := range segments {
		if len(s) == 0 || len(s) > 4 {
			panic("acpi: AML name segment of wrong length")
		}
		b = append(append(b, s...), "____"[len(s):]...)
	}
	return b
}

// integer encodes v in the shortest way.
func integer(v uint32) []byte {
	switch {
	case v == 0:
		return []byte{opZero}
	case v == 1:
		return []byte{opOne}
	case v <= 0xff:
		return []byte{opByte, byte(v)}
	case v <= 0xffff:
		return []byte{opWord, byte(v), byte(v >> 8)}
	}
	return []byte{opDWord, byte(v), byte(v >> 8), byte(v >> 16), byte(v >> 24)}
}

// name is Name (id, object).
func name(id string, object []byte) []byte {
	return cat([]byte{opName}, nameString(id), object)
}

// scope is Scope (id) { terms }.
func scope(id string, terms ...[]byte) []byte {
	return cat([]byte{opScope}, pkgLength(cat(nameString(id), cat(terms...))))
}

// device is Device (id) { terms }.
func device(id string, terms ...[]byte) []byte {
	return cat([]byte{opExt, opDevice}, pkgLength(cat(nameString(id), cat(terms...))))
}

// pack is Package () { elements }.
func pack(elements ...[]byte) []byte {
	return cat([]byte{opPackage}, pkgLength(cat([]byte{byte(len(elements))}, cat(elements...))))
}

// buffer is Buffer () { data }.
func buffer(data []byte) []byte {
	return cat([]byte{opBuffer}, pkgLength(cat(integer(uint32(len(data))), data)))
}

// eisaID encodes a compressed identifier such as "PNP0501" (ACPI 6.5, "EISAID
// Macro"): three letters of five bits each, then four hexadecimal digits, all
// in big-endian order.
func eisaID(s string) []byte {
	if len(s) != 7 {
		panic("acpi: EISA identifier of wrong length")
	}
	v := uint32(s[0]-'@')<<26 | uint32(s[1]-'@')<<21 | uint32(s[2]-'@')<<16
	for i, c := range []byte(s[3:]) {
		d := uint32(c - '0')
		if c >= 'A' {
			d = uint32(c-'A') + 10
		}
		v |= d << (12 - 4*i)
	}
	return []byte{opDWord, byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}
}

// Resource descriptors (ACPI 6.5, "Small Resource Data Type").

// ioPorts is IO (Decode16, base, base, 1, count).
func ioPorts(base uint16, count uint8) []byte {
	return []byte{0x47, 1, byte(base), byte(base >> 8), byte(base), byte(base >> 8), 1, count}
}

// irqEdge is IRQNoFlags () { n }: edge triggered, active high, not shared.
func irqEdge(n uint8) []byte {
	m := uint16(1) << n
	return []byte{0x22, byte(m), byte(m >> 8)}
}

// memory32 is Memory32Fixed (ReadWrite, base, size).
func memory32(base, size uint32) []byte {
	b := []byte{0x86, 9, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}
	put32(b[4:], base)
	put32(b[8:], size)
	return b
}

// Types of address space descriptors, and what is specific to I/O (ACPI 6.5, "QWord
// Address Space Descriptor" to "Word Address Space Descriptor").
const (
	rangeMemory = 0
	rangeIO     = 1
	rangeBus    = 2

	rangeFixed  = 0x0c // producer, positive decode, first and last address are fixed
	rangeEntire = 3    // ISA and other ranges
	rangeRW     = 1
)

// wordRange is WordIO or WordBusNumber (ResourceProducer, MinFixed, MaxFixed,
// PosDecode, 0, first, last, 0, size).
func wordRange(kind, specific byte, first, last uint16) []byte {
	size := last - first + 1
	return []byte{
		0x88, 13, 0, kind, rangeFixed, specific, 0, 0, byte(first), byte(first >> 8), byte(last), byte(last >> 8),
		0, 0, byte(size), byte(size >> 8),
	}
}

// dwordMemory is DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed,
// NonCacheable, ReadWrite, 0, first, last, 0, size).
func dwordMemory(first, last uint32) []byte {
	b := []byte{0x87, 23, 0, rangeMemory, rangeFixed, rangeRW}
	b = append(b, make([]byte, 20)...)
	put32(b[10:], first)
	put32(b[14:], last)
	put32(b[22:], last-first+1)
	return b
}

func put32(b []byte, v uint32) { binary.LittleEndian.PutUint32(b, v) }

// resources is ResourceTemplate () { items }: a buffer that ends with an end
// tag, whose checksum 0 means "none".
func resources(items ...[]byte) []byte {
	return buffer(cat(cat(items...), []byte{0x79, 0}))
}
