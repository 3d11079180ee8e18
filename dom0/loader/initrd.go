// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package loader

import (
	"encoding/binary"
	"fmt"
	"io"

	"ringo/dom0/board"
)

// region is a loaded initrd; the zero region is none.
type region struct {
	at   GPA
	size uint64
}

// loadInitrd places the initrd of r as high as the kernel allows.
func (g *guest) loadInitrd(r Request, img *image) (region, error) {
	src := r.Initrd
	if src.R == nil {
		return region{}, nil
	}
	at, err := g.placeInitrd(src, img)
	if err != nil {
		return region{}, err
	}
	rd := region{at, uint64(src.Size)}
	if err := g.fill(at, rd.size, io.NewSectionReader(src.R, 0, src.Size)); err != nil {
		return region{}, fmt.Errorf("initrd %q %w", src.Name, noEOF(err))
	}
	return rd, nil
}

// placeInitrd finds the highest page-aligned place for an initrd: below 4 GiB
// within what the header's initrd_addr_max allows, else above if the kernel
// takes it there.
func (g *guest) placeInitrd(src Source, img *image) (GPA, error) {
	if src.Size <= 0 {
		return 0, fmt.Errorf("initrd %q is empty", src.Name)
	}
	le, size := binary.LittleEndian, uint64(src.Size)
	limit := g.lowTop()
	if img.isLinux() {
		last := le.Uint32(img.header[hdrInitrdMax-hdrStart:])
		limit = min(limit, GPA(last)+1)
	}
	pages := (size + 0xfff) &^ 0xfff
	first := (img.end + 0xfff) &^ 0xfff
	top := limit &^ 0xfff
	if pages <= uint64(top) && top-GPA(pages) >= first {
		return top - GPA(pages), nil
	}
	if high := g.highTop() &^ 0xfff; high != 0 && img.takesHighInitrd() && pages <= uint64(high-board.HighBase) {
		return high - GPA(pages), nil
	}
	if limit < g.lowTop() || g.highTop() != 0 {
		return 0, fmt.Errorf("initrd of %s does not fit the %d MiB that this kernel allows: use a smaller one", amount(size), uint64(max(limit, first)-first)>>20)
	}
	return 0, fmt.Errorf("initrd of %s does not fit %d MiB of guest memory: raise memory to at least %d MiB",
		amount(size), uint64(g.lowTop())>>20, mib(uint64(first)+pages))
}

// takesHighInitrd reports whether the kernel takes an initrd above 4 GiB.
func (img *image) takesHighInitrd() bool {
	le := binary.LittleEndian
	return img.protocol == linux64 && le.Uint16(img.header[hdrVersion-hdrStart:]) >= longVersion &&
		le.Uint16(img.header[hdrXLoadFlags-hdrStart:])&xlfAbove4G != 0
}

// isLinux reports whether header is valid.
func (img *image) isLinux() bool { return img.protocol == linux64 || img.protocol == linux32 }

// checkCmdline verifies that the kernel takes the command line.
func checkCmdline(r Request, img *image) error {
	limit := cmdlineMax - 1
	if img.isLinux() {
		if n := binary.LittleEndian.Uint32(img.header[hdrCmdlineSize-hdrStart:]); n < uint32(limit) {
			limit = int(n)
		}
	}
	if len(r.Cmdline) > limit {
		return fmt.Errorf("command line of %d characters is too long: kernel %q takes %d", len(r.Cmdline), r.Kernel.Name, limit)
	}
	for i := range len(r.Cmdline) {
		if r.Cmdline[i] == 0 {
			return fmt.Errorf("command line holds a NUL character at position %d", i)
		}
	}
	return nil
}

// writeCmdline puts the command line, with its final NUL, to cmdlineAt.
func (g *guest) writeCmdline(r Request, img *image) error {
	if err := checkCmdline(r, img); err != nil {
		return err
	}
	return g.write(g.at(cmdlineAt), append([]byte(r.Cmdline), 0))
}
