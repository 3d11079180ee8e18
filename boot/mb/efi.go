// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package mb

import (
	"errors"
	"strconv"
)

const (
	entryEFI  = 40 // bytes of an entry that are known; there may be more
	pageEFI   = 4096
	writeBack = 1 << 3 // attribute: the memory can be cached
)

// efiTypes says what EFI's types of memory are after its boot services were left
// (UEFI 2.10, "Memory Type Usage after EFI_BOOT_SERVICES.ExitBootServices()");
// others are reserved. Memory that cannot be cached is not used.
var efiTypes = [...]MemType{
	1: Available, 2: Available, // the loader's code and data
	3: Available, 4: Available, // code and data of the boot services
	7: Available, 8: Defective, 9: ACPIReclaim, 10: ACPINVS,
}

// mapEFI reads EFI's memory map (UEFI 2.10,
// "EFI_BOOT_SERVICES.GetMemoryMap()") behind the size and version of its entries.
func (i *Info) mapEFI(b []byte) error {
	if len(b) < 8 {
		return short("EFI memory map", uint32(len(b)+head2))
	}
	step := uint64(le.Uint32(b))
	if step < entryEFI || step%8 != 0 {
		return errors.New("EFI memory map: entries of " + strconv.FormatUint(step, 10) +
			" bytes, need a multiple of 8 from " + strconv.Itoa(entryEFI))
	}
	for b = b[8:]; uint64(len(b)) >= step; b = b[step:] {
		kind, pages := Reserved, le.Uint64(b[24:])
		if n := le.Uint32(b); n < uint32(len(efiTypes)) && efiTypes[n] != 0 {
			kind = efiTypes[n]
		}
		if kind == Available && le.Uint64(b[32:])&writeBack == 0 {
			kind = Reserved
		}
		if pages > 1<<52-1 {
			return errors.New("EFI memory map: an entry of " + hexa(pages) + " pages")
		}
		if err := i.addRange(le.Uint64(b[8:]), pages*pageEFI, kind); err != nil {
			return err
		}
	}
	return nil
}
