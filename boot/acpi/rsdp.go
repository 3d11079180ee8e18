// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package acpi

import (
	"errors"

	"ringo/mm"
)

// RSDP is the root pointer ("Root System Description Pointer (RSDP) Structure").
type RSDP struct {
	// Addr is where it was found; 0 when the loader gave a copy.
	Addr     mm.HPA
	Revision uint8
	OEM      string
	RSDT     mm.HPA
	XSDT     mm.HPA // 0 before ACPI 2.0
}

const (
	rsdp1 = 20 // bytes of the structure of ACPI 1.0
	rsdp2 = 36

	// "Finding the RSDP on IA-PC Systems": the first KiB of the extended BIOS
	// data area, whose segment is in the word at 0x40e, and the BIOS area.
	ebdaPointer = 0x40e
	biosStart   = 0xe0000
	biosEnd     = 0x100000
)

// FindRSDP returns the root pointer: the loader's copy if that is valid,
// otherwise the first that the BIOS areas of memory hold. With EFI those hold
// anything, and are not looked at.
func FindRSDP(read Reader, loaderCopy []byte, efi bool) (RSDP, error) {
	if r, ok := parseRSDP(loaderCopy); ok {
		return r, nil
	}
	if efi {
		return RSDP{}, errors.New("no ACPI: the loader has no valid RSDP from EFI")
	}
	var w [2]byte
	if read(ebdaPointer, w[:]) {
		if ebda := mm.HPA(le.Uint16(w[:])) << 4; ebda >= 0x400 && ebda < 0xa0000 {
			if r, ok := scan(read, ebda, ebda+1024); ok {
				return r, nil
			}
		}
	}
	if r, ok := scan(read, biosStart, biosEnd); ok {
		return r, nil
	}
	return RSDP{}, errors.New("no ACPI: neither the loader nor BIOS memory has a valid RSDP")
}

// scan looks at every 16th byte of [from, to). It reads page by page, since
// parts of the area may be unreadable.
func scan(read Reader, from, to mm.HPA) (RSDP, bool) {
	var page [mm.PageSize]byte
	for from < to {
		next := min(mm.AlignDown(from, mm.PageSize)+mm.PageSize, to)
		b := page[:next-from]
		if read(from, b) {
			for off := 0; off+8 <= len(b); off += 16 {
				if string(b[off:off+8]) != "RSD PTR " {
					continue
				}
				a := from + mm.HPA(off)
				var raw [rsdp2]byte
				n := rsdp2
				if !read(a, raw[:]) {
					n = rsdp1
					if !read(a, raw[:n]) {
						continue
					}
				}
				if r, ok := parseRSDP(raw[:n]); ok {
					r.Addr = a
					return r, true
				}
			}
		}
		from = next
	}
	return RSDP{}, false
}

// parseRSDP checks both sums of b, which may be longer than the structure. With
// a bad second sum the structure counts as one of ACPI 1.0.
func parseRSDP(b []byte) (r RSDP, ok bool) {
	if len(b) < rsdp1 || string(b[:8]) != "RSD PTR " || sum(b[:rsdp1]) != 0 {
		return r, false
	}
	r = RSDP{Revision: b[15], OEM: printable(b[9:15]), RSDT: mm.HPA(le.Uint32(b[16:]))}
	if r.Revision >= 2 && len(b) >= rsdp2 {
		if n := le.Uint32(b[20:]); n >= rsdp2 && uint64(n) <= uint64(len(b)) && sum(b[:n]) == 0 {
			r.XSDT = mm.HPA(le.Uint64(b[24:]))
		}
	}
	return r, r.RSDT != 0 || r.XSDT != 0
}
