// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package pci is what a driver, or somebody who looks, knows about PCI functions: how
// they are named and what their configuration space says. It reaches them through
// functions that somebody else has.
package pci

import (
	"fmt"
	"strconv"
	"strings"
)

// Addr names a function: segment<<16 | bus<<8 | device<<3 | function.
type Addr uint32

// String is the usual form, as 00:1f.2, or with another segment than 0, 0001:00:1f.2.
func (a Addr) String() string {
	s := fmt.Sprintf("%02x:%02x.%d", uint8(a>>8), uint8(a>>3)&31, a&7)
	if a>>16 != 0 {
		s = fmt.Sprintf("%04x:", uint16(a>>16)) + s
	}
	return s
}

// ParseAddr reads what String writes; the segment may be there if it is 0.
func ParseAddr(s string) (Addr, bool) {
	segment := uint64(0)
	if strings.Count(s, ":") == 2 {
		var ok bool
		first, rest, _ := strings.Cut(s, ":")
		if segment, ok = hex(first, 4, 16); !ok {
			return 0, false
		}
		s = rest
	}
	bus, rest, _ := strings.Cut(s, ":")
	device, function, _ := strings.Cut(rest, ".")
	b, okBus := hex(bus, 2, 8)
	d, okDevice := hex(device, 2, 5)
	f, okFunction := hex(function, 1, 3)
	return Addr(segment<<16 | b<<8 | d<<3 | f), okBus && okDevice && okFunction
}

// hex reads a number of at most so many digits and bits.
func hex(s string, digits, bits int) (uint64, bool) {
	v, err := strconv.ParseUint(s, 16, bits)
	return v, err == nil && len(s) <= digits && s[0] != '+'
}
