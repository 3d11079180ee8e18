// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package loader

import (
	"encoding/binary"
	"fmt"
	"io"

	"ringo/dom0/board"
)

// region is a piece of memory.
type region struct {
	at   GPA
	size uint64
}

// module is a loaded initrd or module, and what is said of it.
type module struct {
	region
	text string
}

// loadModules places the initrd of r and its modules, each as high as can be.
func (g *guest) loadModules(r Request, img *image) ([]module, error) {
	var out []module
	top := g.lowTop()
	if r.Initrd.R != nil {
		m, err := g.loadModule("initrd", r.Initrd, img, top)
		if err != nil {
			return nil, err
		}
		m.text = r.Initrd.Name
		out, top = append(out, m), min(top, m.at)
	}
	for i := range r.Modules {
		m, err := g.loadModule("module", r.Modules[i].Source, img, top)
		if err != nil {
			return nil, err
		}
		m.text = r.Modules[i].Text
		out, top = append(out, m), m.at
	}
	return out, nil
}

// loadModule puts a file below top.
func (g *guest) loadModule(what string, src Source, img *image, top GPA) (module, error) {
	at, err := g.placeModule(what, src, img, top)
	if err != nil {
		return module{}, err
	}
	m := module{region: region{at, uint64(src.Size)}}
	if err := g.fill(at, m.size, io.NewSectionReader(src.R, 0, src.Size)); err != nil {
		return module{}, fmt.Errorf("%s %q %w", what, src.Name, noEOF(err))
	}
	return m, nil
}

// placeModule finds the highest page-aligned place below limit for an initrd: below
// 4 GiB within what the header's initrd_addr_max allows, else above if the kernel
// takes it there.
func (g *guest) placeModule(what string, src Source, img *image, limit GPA) (GPA, error) {
	if src.Size <= 0 {
		return 0, fmt.Errorf("%s %q is empty", what, src.Name)
	}
	le, size := binary.LittleEndian, uint64(src.Size)
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
	if img.isLinux() && (limit < g.lowTop() || g.highTop() != 0) {
		return 0, fmt.Errorf("initrd of %s does not fit the %d MiB that this kernel allows: use a smaller one", amount(size), uint64(max(limit, first)-first)>>20)
	}
	return 0, fmt.Errorf("%s of %s does not fit %d MiB of guest memory: raise memory to at least %d MiB",
		what, amount(size), uint64(g.lowTop())>>20, mib(uint64(first+g.lowTop()-limit)+pages))
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
