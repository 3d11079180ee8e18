// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import (
	"errors"
	"strconv"

	"ringo/boot/layout"
)

const pteU = 1 << 2

// What a mapping can have against it.
const (
	mapFine      = iota
	mapWX        // writable and executable
	mapCode      // executable, but not the image's text at its link address
	mapAlias     // text or read-only data of the image, writable
	mapPrivate   // image or pool in the direct map
	mapUser      // for ring 3
	auditReasons = 1 << 4
)

var auditTexts = [...]string{"", "writable and executable", "executable, but not the program's text",
	"another way to write the program's text", "the program's image or pool in the direct map", "open to ring 3"}

// CheckMappings walks this program's page tables, and returns an error for the
// first page that is writable and executable, executable though it is not the
// program's text, another writable way to text or read-only data, a part of image
// or pool in the direct map, or open to ring 3. Interrupts are off for a
// millisecond or two meanwhile.
func CheckMappings() error {
	if booted == 0 {
		return errors.New("kernel: not booted")
	}
	r := enter(sysAudit, 0, 0, 0)
	if r == 0 {
		return nil
	}
	return errors.New("kernel: the page at 0x" + strconv.FormatUint(r&^(pageSize-1), 16) + " is " + auditTexts[r%auditReasons%uint64(len(auditTexts))])
}

// ownAudit returns the address and the fault of the first bad page, 0 for none.
//
//go:nosplit
func ownAudit(c *cpu, t *thread) uint64 {
	mmlock.lock()
	r := audit()
	mmlock.unlock()
	return r
}

// audit is ownAudit under mmlock.
//
//go:nosplit
func audit() uint64 {
	g := imageBounds()
	for va := uint64(0); ; {
		e, span := leaf(va)
		if e&pteP != 0 {
			if bad := auditPage(&g, va, e, span); bad != mapFine {
				return va | bad
			}
		}
		next := (va + span) &^ (span - 1)
		switch {
		case next < va:
			return 0
		case next == 1<<47: // the hole in the middle
			next = 0xffff_8000_0000_0000
		}
		va = next
	}
}

// bounds are physical addresses in the image: text and then read-only data are
// [text, etext) and up to data.
type bounds struct{ start, text, etext, data uint64 }

//go:nosplit
func imageBounds() bounds {
	off := imagePA - layout.ImageBase
	return bounds{imagePA, imageText() + off, imageEtext() + off, imageData()&^(pageSize-1) + off}
}

// auditPage judges the page of size bytes at va, mapped by the entry e.
//
//go:nosplit
func auditPage(g *bounds, va, e, size uint64) uint64 {
	pa := e & pteAddr &^ (size - 1)
	exec, write := e&pteNX == 0, e&pteW != 0
	switch {
	case e&pteU != 0:
		return mapUser
	case write && exec:
		return mapWX
	case exec && (va-layout.ImageBase != pa-imagePA || pa+size <= g.text || pa >= g.etext):
		return mapCode
	case write && pa < g.data && pa+size > g.start:
		return mapAlias
	case va >= layout.DirectMap && va < layout.DirectMap+layout.DirectMapSize && private(pa, pa+size):
		return mapPrivate
	}
	return mapFine
}

// leaf returns the entry that maps va and its page's size, or an entry that is
// not present and the size of what it leaves out.
//
//go:nosplit
func leaf(va uint64) (e, span uint64) {
	t := rootTable
	for l := uint64(4); ; l-- {
		e, span = *p64(frameAt(t) + va>>(3+9*l)&511*8), 1<<(3+9*l)
		if e&pteP == 0 || l == 1 || e&ptePS != 0 {
			return e, span
		}
		t = e & pteAddr
	}
}
