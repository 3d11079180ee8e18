// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package loader

import (
	"encoding/binary"

	"ringo/dom0/board"
	"ringo/hv/abi"
)

// The PVH start structures (Xen, xen/include/public/arch-x86/hvm/start_info.h).
const (
	pvhMagic       = 0x336ec578
	pvhInfoLen     = 56
	pvhModuleLen   = 32
	pvhMemoryLen   = 24
	noteHeaderLen  = 12
	noteSectionMax = 64 << 10
)

// notes is what the notes of an executable say.
type notes struct {
	pvh   bool // there is an XEN_ELFNOTE_PHYS32_ENTRY, which is entry
	bad   bool // there is one that is no address
	entry GPA
	linux bool // the kernel is a Linux, by its own notes or by XEN_ELFNOTE_GUEST_OS
	// unread says that there are more, which a dry guest cannot read.
	unread bool
}

// readNotes reads the notes of a loaded executable: from the beginning of the file,
// or back from guest memory, where they lie when they belong to a loaded segment,
// as those of kernels do.
func (g *guest) readNotes(f *elfFile, prefix []byte) (n notes, err error) {
	for _, s := range f.notes {
		switch {
		case s.filesz > noteSectionMax:
		case s.off <= uint64(len(prefix)) && s.filesz <= uint64(len(prefix))-s.off:
			n.scan(prefix[s.off : s.off+s.filesz])
		default:
			n.unread = n.unread || g.dry
			b, err := g.readLoaded(f, s)
			if err != nil {
				return n, err
			}
			n.scan(b)
		}
	}
	return n, nil
}

// readLoaded returns the part s of the file from the segment that holds it, or
// nothing.
func (g *guest) readLoaded(f *elfFile, s segment) ([]byte, error) {
	for _, l := range f.loads {
		if !g.dry && s.off >= l.off && s.off-l.off <= l.filesz && s.filesz <= l.filesz-(s.off-l.off) {
			return g.read(GPA(l.paddr+s.off-l.off), s.filesz)
		}
	}
	return nil, nil
}

// scan takes a sequence of ELF notes, which are padded to four bytes.
func (n *notes) scan(b []byte) {
	le := binary.LittleEndian
	for len(b) >= noteHeaderLen {
		namesz, descsz, kind := uint64(le.Uint32(b)), uint64(le.Uint32(b[4:])), le.Uint32(b[8:])
		b = b[noteHeaderLen:]
		at := (namesz + 3) &^ 3
		if at > uint64(len(b)) {
			return
		}
		name := string(b[:namesz])
		if descsz > uint64(len(b))-at {
			n.bad = n.bad || name == "Xen\x00" && kind == xenPhys32Entry
			return
		}
		desc := b[at : at+descsz]
		switch {
		case name == "Linux\x00":
			n.linux = true
		case name == "Xen\x00" && kind == xenGuestOS:
			n.linux = n.linux || string(desc) == "linux\x00" || string(desc) == "linux"
		case name == "Xen\x00" && kind == xenPhys32Entry && !n.pvh && descsz == 4:
			n.pvh, n.entry = true, GPA(le.Uint32(desc))
		case name == "Xen\x00" && kind == xenPhys32Entry && !n.pvh && descsz == 8:
			n.pvh, n.entry = true, GPA(le.Uint64(desc))
		case name == "Xen\x00" && kind == xenPhys32Entry:
			n.bad = true
		}
		b = b[min(at+(descsz+3)&^3, uint64(len(b))):]
	}
}

// startPVH builds what a PVH kernel wants (Xen, docs/misc/pvh.pandoc, "x86/HVM
// direct boot ABI").
func (g *guest) startPVH(img *image, mods []module) (abi.VCPUContext, error) {
	const modsAt = 64
	mapAt := modsAt + len(mods)*pvhModuleLen
	info := uint64(g.at(infoAt))
	b := record(make([]byte, mapAt+len(g.layout)*pvhMemoryLen))
	b.put32(0, pvhMagic)
	b.put32(4, 1) // version
	b.put32(12, uint32(len(mods)))
	if len(mods) > 0 {
		b.put64(16, info+modsAt)
	}
	b.put64(24, uint64(g.at(cmdlineAt)))
	b.put64(32, board.ACPIBase)
	b.put64(40, info+uint64(mapAt))
	b.put32(48, uint32(len(g.layout)))
	for i, r := range g.layout {
		off := mapAt + i*pvhMemoryLen
		b.put64(off, r.Start)
		b.put64(off+8, r.Size)
		b.put32(off+16, uint32(r.Type))
	}
	for i, m := range mods {
		off := modsAt + i*pvhModuleLen
		b.put64(off, uint64(m.at))
		b.put64(off+8, m.size)
		b.put64(off+16, info+uint64(len(b)))
		b = append(append(b, m.text...), 0)
	}
	if err := g.writeInfo(b); err != nil {
		return abi.VCPUContext{}, err
	}
	if err := g.writeGDT(accessCode32); err != nil {
		return abi.VCPUContext{}, err
	}
	c := g.context32(img.entry)
	c.GPR[rbx] = info
	return c, nil
}
