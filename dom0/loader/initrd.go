// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package loader

import (
	"encoding/binary"
	"fmt"
	"io"
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
	if src.Size <= 0 {
		return region{}, fmt.Errorf("initrd %q is empty", src.Name)
	}
	at, err := g.placeInitrd(uint64(src.Size), img)
	if err != nil {
		return region{}, err
	}
	rd := region{at, uint64(src.Size)}
	if err := g.fill(at, rd.size, io.NewSectionReader(src.R, 0, src.Size)); err != nil {
		return region{}, fmt.Errorf("initrd %q %w", src.Name, noEOF(err))
	}
	return rd, nil
}

// placeInitrd finds the highest page-aligned place for size bytes: below 4 GiB
// within what the header's initrd_addr_max allows, else above if the kernel
// takes it there.
func (g *guest) placeInitrd(size uint64, img *image) (GPA, error) {
	le := binary.LittleEndian
	limit := g.lowTop()
	if img.protocol == linux64 {
		last := le.Uint32(img.header[hdrInitrdMax-hdrStart:])
		limit = min(limit, GPA(last)+1)
	}
	pages := (size + 0xfff) &^ 0xfff
	first := (img.end + 0xfff) &^ 0xfff
	top := limit &^ 0xfff
	if pages <= uint64(top) && top-GPA(pages) >= first {
		return top - GPA(pages), nil
	}
	if high := g.highTop() &^ 0xfff; high != 0 && img.takesHighInitrd() && pages <= uint64(high-highBase) {
		return high - GPA(pages), nil
	}
	if limit < g.lowTop() || g.highTop() != 0 {
		return 0, fmt.Errorf("initrd of %d MiB does not fit the %d MiB that this kernel allows: use a smaller one", mib(size), uint64(max(limit, first)-first)>>20)
	}
	return 0, fmt.Errorf("initrd of %d MiB does not fit %d MiB of guest memory: raise memory to at least %d MiB",
		mib(size), uint64(g.lowTop())>>20, mib(uint64(first)+pages))
}

// takesHighInitrd reports whether the kernel takes an initrd above 4 GiB.
func (img *image) takesHighInitrd() bool {
	return img.protocol == linux64 && binary.LittleEndian.Uint16(img.header[hdrXLoadFlags-hdrStart:])&xlfAbove4G != 0
}

// writeCmdline puts the command line, with its final NUL, to cmdlineAt.
func (g *guest) writeCmdline(r Request, img *image) error {
	limit := cmdlineMax - 1
	if img.protocol == linux64 {
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
	return g.write(cmdlineAt, append([]byte(r.Cmdline), 0))
}
