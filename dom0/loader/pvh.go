// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package loader

import (
	"encoding/binary"

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

// pvhEntry looks for the note XEN_ELFNOTE_PHYS32_ENTRY in a loaded executable.
// The notes are read back from guest memory, where they lie when they belong to
// a loaded segment, as those of kernels do.
func (g *guest) pvhEntry(f *elfFile) (GPA, bool) {
	n := f.note
	if n == nil || n.filesz > noteSectionMax {
		return 0, false
	}
	for _, s := range f.loads {
		if n.off < s.off || n.off-s.off > s.filesz || n.filesz > s.filesz-(n.off-s.off) {
			continue
		}
		b, err := g.read(GPA(s.paddr+n.off-s.off), n.filesz)
		if err != nil {
			return 0, false
		}
		return scanNotes(b)
	}
	return 0, false
}

// scanNotes finds the entry point in a sequence of ELF notes, which are padded
// to four bytes.
func scanNotes(b []byte) (GPA, bool) {
	le := binary.LittleEndian
	for len(b) >= noteHeaderLen {
		namesz, descsz, kind := uint64(le.Uint32(b)), uint64(le.Uint32(b[4:])), le.Uint32(b[8:])
		b = b[noteHeaderLen:]
		desc := (namesz + 3) &^ 3
		next := desc + (descsz+3)&^3
		if desc+descsz > uint64(len(b)) {
			return 0, false
		}
		if kind == xenPhys32Entry && string(b[:namesz]) == "Xen\x00" && (descsz == 4 || descsz == 8) {
			return GPA(le.Uint32(b[desc:])), true
		}
		b = b[min(next, uint64(len(b))):]
	}
	return 0, false
}

// startPVH builds what a PVH kernel wants (Xen, docs/misc/pvh.pandoc, "x86/HVM
// direct boot ABI").
func (g *guest) startPVH(img *image, rd region) (abi.VCPUContext, error) {
	modules := uint64(infoAt) + 64
	memory := modules + pvhModuleLen
	b := record(make([]byte, 64+pvhModuleLen+len(g.layout)*pvhMemoryLen))
	b.put32(0, pvhMagic)
	b.put32(4, 1) // version
	if rd.size > 0 {
		b.put32(12, 1)
		b.put64(16, modules)
		b.put64(64, uint64(rd.at))
		b.put64(72, rd.size)
	}
	b.put64(24, uint64(cmdlineAt))
	b.put64(32, acpiBase)
	b.put64(40, memory)
	b.put32(48, uint32(len(g.layout)))
	for i, r := range g.layout {
		off := 64 + pvhModuleLen + i*pvhMemoryLen
		b.put64(off, r.Start)
		b.put64(off+8, r.Size)
		b.put32(off+16, uint32(r.Type))
	}
	if err := g.write(infoAt, b); err != nil {
		return abi.VCPUContext{}, err
	}
	if err := g.writeGDT(accessCode32); err != nil {
		return abi.VCPUContext{}, err
	}
	c := context32(img.entry)
	c.GPR[rbx] = uint64(infoAt)
	return c, nil
}
