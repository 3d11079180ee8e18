// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package loader

import (
	"fmt"

	"ringo/dom0/board"
)

// Boot structures. They lie in low memory, unless the kernel's image does: see
// placeBoot.
const (
	bootAt    GPA = 0x1000
	gdtAt     GPA = 0x1000 // global descriptor table
	paramsAt  GPA = 0x2000 // boot_params, one page
	infoAt    GPA = 0x3000 // hvm_start_info or multiboot information
	tablesAt  GPA = 0x4000 // page tables, six pages, where there is no information
	infoEnd   GPA = 0xc000
	stackAt   GPA = 0x10000 // grows down to infoEnd
	cmdlineAt GPA = 0x10000 // up to cmdlineMax bytes
	// cmdlineMax is the longest command line of an image that names no limit
	// of its own, with the final NUL.
	cmdlineMax = 0x10000
	bootEnd    = cmdlineAt + cmdlineMax
)

// at returns where a boot structure is.
func (g *guest) at(a GPA) GPA { return a + g.boot }

// placeBoot finds room for the boot structures beside the kernel's image: in low
// memory, as near to its beginning or its end as can be, or behind the image.
func (g *guest) placeBoot(img *image) error {
	if img.protocol == bootSector { // has none
		return nil
	}
	free := func(at GPA) bool {
		for _, t := range img.taken {
			if t.at < at+bootEnd && at+bootAt < t.at+GPA(t.size) {
				return false
			}
		}
		return true
	}
	if g.boot = 0; free(g.boot) {
		return nil
	}
	for g.boot = board.LowEnd - bootEnd; g.boot > 0; g.boot -= bootAt {
		if free(g.boot) {
			return nil
		}
	}
	g.boot = (img.end + 0xfff) &^ 0xfff
	img.end = g.boot + bootEnd
	return g.fits(uint64(g.boot), uint64(img.end))
}

// writeInfo writes what a kernel is told in 32-bit mode.
func (g *guest) writeInfo(b []byte) error {
	if room := int(infoEnd - infoAt); len(b) > room {
		return fmt.Errorf("what the kernel is told of its modules takes %d bytes, there is room for %d: use fewer modules or shorter arguments", len(b), room)
	}
	return g.write(g.at(infoAt), b)
}
