// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package loader

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"ringo/dom0/board"
)

// ELF constants (System V ABI, "ELF Header" and "Program Header"; Xen,
// xen/include/public/elfnote.h).
const (
	elfExec        = 2
	elfI386        = 3
	elfX86_64      = 62
	elfLoad        = 1
	elfNote        = 4
	elfMaxSegments = 64
	xenGuestOS     = 6
	xenPhys32Entry = 18
)

// segment is one program header.
type segment struct {
	off, filesz  uint64
	vaddr        uint64
	paddr, memsz uint64
}

func (s segment) hasPhys(a uint64) bool { return a >= s.paddr && a-s.paddr < s.memsz }
func (s segment) hasVirt(a uint64) bool { return a >= s.vaddr && a-s.vaddr < s.memsz }

// elfFile is what we need of an ELF file's headers.
type elfFile struct {
	wide  bool // ELF64 for x86-64; otherwise ELF32 for i386
	entry uint64
	loads []segment // by file offset
	notes []segment
	end   uint64 // of the file, as far as its headers tell
}

// parseELF reads the headers of an executable from its first bytes.
func parseELF(b []byte) (*elfFile, error) {
	le := binary.LittleEndian
	if len(b) < 64 || string(b[:4]) != "\x7fELF" {
		return nil, errors.New("holds no ELF file: use a bzImage or vmlinux")
	}
	f := &elfFile{wide: b[4] == 2}
	class, machine := b[4], le.Uint16(b[18:])
	switch {
	case b[5] != 1 || !(class == 2 && machine == elfX86_64 || class == 1 && machine == elfI386):
		return nil, errors.New("is an ELF file for another machine: use one for x86-64")
	case le.Uint16(b[16:]) != elfExec:
		return nil, errors.New("is an ELF file but not an executable at a fixed address")
	}
	var phoff uint64
	var entsize, count, want uint16
	if f.wide {
		f.entry, phoff = le.Uint64(b[24:]), le.Uint64(b[32:])
		entsize, count, want = le.Uint16(b[54:]), le.Uint16(b[56:]), 56
	} else {
		f.entry, phoff = uint64(le.Uint32(b[24:])), uint64(le.Uint32(b[28:]))
		entsize, count, want = le.Uint16(b[42:]), le.Uint16(b[44:]), 32
	}
	size := uint64(want) * uint64(count)
	if entsize != want || count == 0 || count > elfMaxSegments || phoff > uint64(len(b)) || size > uint64(len(b))-phoff {
		return nil, damage("bad ELF program headers")
	}
	for h := b[phoff : phoff+size]; len(h) > 0; h = h[want:] {
		f.add(h)
	}
	if len(f.loads) == 0 {
		return nil, errors.New("is an ELF file with nothing to load")
	}
	slices.SortFunc(f.loads, func(a, b segment) int { return cmp.Compare(a.off, b.off) })
	f.end = f.sectionsEnd(b)
	for _, s := range f.loads {
		f.end = max(f.end, s.off+s.filesz)
	}
	return f, nil
}

// sectionsEnd returns where the file ends by its section headers, which lie behind
// all else, or at the beginning with the sections behind them.
func (f *elfFile) sectionsEnd(b []byte) uint64 {
	const noBits = 8
	le := binary.LittleEndian
	off, n, size := uint64(le.Uint32(b[32:])), uint64(le.Uint16(b[48:])), uint64(40)
	if f.wide {
		off, n, size = le.Uint64(b[40:]), uint64(le.Uint16(b[60:])), 64
	}
	if off > maxImage {
		return 0
	}
	end := off + n*size
	for h := off; h < off+n*size && h+size <= uint64(len(b)); h += size {
		s := b[h:]
		at, length := uint64(le.Uint32(s[16:])), uint64(le.Uint32(s[20:]))
		if f.wide {
			at, length = le.Uint64(s[24:]), le.Uint64(s[32:])
		}
		if le.Uint32(s[4:]) != noBits && at <= maxImage && length <= maxImage {
			end = max(end, at+length)
		}
	}
	return end
}

// add takes program header h.
func (f *elfFile) add(h []byte) {
	le := binary.LittleEndian
	var s segment
	if f.wide {
		s = segment{le.Uint64(h[8:]), le.Uint64(h[32:]), le.Uint64(h[16:]), le.Uint64(h[24:]), le.Uint64(h[40:])}
	} else {
		w := func(off int) uint64 { return uint64(le.Uint32(h[off:])) }
		s = segment{w(4), w(16), w(8), w(12), w(20)}
	}
	switch kind := le.Uint32(h); {
	case kind == elfLoad && s.memsz > 0:
		f.loads = append(f.loads, s)
	case kind == elfNote:
		f.notes = append(f.notes, s)
	}
}

// check verifies that all segments lie in the guest's memory, apart from each
// other, and can be read from a stream in one pass. It returns their bounds.
func (g *guest) check(f *elfFile) (start, end uint64, err error) {
	start = ^uint64(0)
	for i, s := range f.loads {
		if s.filesz > s.memsz || s.paddr+s.memsz < s.paddr || s.off+s.filesz < s.off {
			return 0, 0, damage("bad ELF segment")
		}
		if i > 0 && s.filesz > 0 && s.off < f.loads[i-1].off+f.loads[i-1].filesz {
			return 0, 0, damage("ELF segments overlap in the file")
		}
		for _, o := range f.loads[:i] {
			if s.paddr < o.paddr+o.memsz && o.paddr < s.paddr+s.memsz {
				return 0, 0, damage("ELF segments overlap in memory")
			}
		}
		start, end = min(start, s.paddr), max(end, s.paddr+s.memsz)
		if s.paddr < board.OneMiB {
			if err := g.fits(s.paddr, s.paddr+s.memsz); err != nil {
				return 0, 0, err
			}
		}
	}
	if err := g.fits(board.OneMiB, max(end, board.OneMiB)); err != nil {
		return 0, 0, err
	}
	for _, s := range f.loads { // RAM may have a hole, see board.Config.Base
		if !g.covered(GPA(s.paddr), s.memsz) {
			return 0, 0, fmt.Errorf("wants to be loaded from %#x to %#x, where there is no memory", s.paddr, s.paddr+s.memsz)
		}
	}
	return start, end, nil
}

// fits verifies that a kernel may occupy [start, end).
func (g *guest) fits(start, end uint64) error {
	switch {
	case start < board.OneMiB && end > board.LowEnd:
		return fmt.Errorf("wants to be loaded from %#x to %#x: between 640 KiB and 1 MiB is no memory for it", start, end)
	case end > board.HoleBase:
		return fmt.Errorf("wants to be loaded up to %#x: above 2816 MiB is not possible", end)
	case GPA(end) > g.lowTop():
		return fmt.Errorf("needs %d MiB of guest memory, there are %d MiB: raise memory to at least %d MiB",
			mib(end), uint64(g.lowTop())>>20, mib(end))
	}
	return nil
}

// loadELF copies the segments of an executable from r, which is read once from
// beginning to the end of the last segment, and finds how to enter it.
func (g *guest) loadELF(r io.Reader) (*image, error) {
	prefix := make([]byte, prefixMax)
	n, err := io.ReadFull(r, prefix)
	if err != nil && err != io.ErrUnexpectedEOF && err != io.EOF {
		return nil, err
	}
	prefix = prefix[:n]
	f, err := parseELF(prefix)
	if err != nil {
		return nil, err
	}
	start, end, err := g.check(f)
	if err != nil {
		return nil, err
	}
	img := &image{start: GPA(start), end: max(GPA(end), board.OneMiB), fileEnd: f.end, header: defaultHeader()}
	for _, seg := range f.loads {
		img.taken = append(img.taken, region{GPA(seg.paddr), seg.memsz})
		if seg.hasPhys(f.entry) {
			img.linuxEntry = GPA(f.entry)
		}
	}
	if g.dry {
		return img, g.findEntry(f, prefix, img)
	}
	s := &stream{prefix: prefix, r: r}
	for _, seg := range f.loads {
		if seg.filesz > 0 {
			if err := s.skipTo(seg.off); err != nil {
				return nil, err
			}
		}
		if err := g.fill(GPA(seg.paddr), seg.filesz, s); err != nil {
			return nil, err
		}
		if err := g.zero(GPA(seg.paddr+seg.filesz), seg.memsz-seg.filesz); err != nil {
			return nil, err
		}
	}
	return img, g.findEntry(f, prefix, img)
}

// findEntry chooses the way of entering f. A Linux, known by its notes, has others
// beside its own; otherwise a note for PVH decides, then a multiboot header. Without
// any an ELF64 whose entry is a physical address is entered there in 64-bit mode, as
// vmlinux wants it.
func (g *guest) findEntry(f *elfFile, prefix []byte, img *image) error {
	n, err := g.readNotes(f, prefix)
	if err != nil {
		return err
	}
	if img.linuxEntry != 0 && n.linux {
		img.protocol, img.entry = linux64, img.linuxEntry
		if !f.wide {
			img.protocol, img.header = linux32, header32()
		}
		return nil
	}
	if n.pvh {
		if n.entry < img.start || n.entry >= img.end {
			return damage("PVH entry outside of the image")
		}
		img.protocol, img.entry = pvh, n.entry
		return nil
	}
	if n.bad { // whatever its entry is, it was made for another way
		return damage("bad PVH note")
	}
	h, err := multibootHeader(prefix)
	switch {
	case err != nil:
		return err
	case h != nil:
		return h.enter(f, img)
	case img.linuxEntry != 0 && f.wide:
		img.protocol, img.entry = linux64, img.linuxEntry
		return nil
	case n.unread:
		img.protocol = pvh
		return nil
	}
	return errors.New("is an ELF file but no kernel we can enter: it has no 64-bit physical entry, no PVH note and no multiboot header")
}

// stream reads a file whose first bytes were read already.
type stream struct {
	prefix []byte
	r      io.Reader
	pos    uint64
}

func (s *stream) Read(b []byte) (n int, err error) {
	if s.pos < uint64(len(s.prefix)) {
		n = copy(b, s.prefix[s.pos:])
	} else {
		n, err = s.r.Read(b)
	}
	s.pos += uint64(n)
	return n, err
}

// skipTo goes forward to file offset off.
func (s *stream) skipTo(off uint64) error {
	if n := min(off, uint64(len(s.prefix))); n > s.pos {
		s.pos = n
	}
	d := off - s.pos
	if off < s.pos || d > 1<<62 {
		return damage("bad ELF segment")
	}
	s.pos = off
	if k, ok := s.r.(io.Seeker); ok {
		_, err := k.Seek(int64(d), io.SeekCurrent)
		return err
	}
	_, err := io.CopyN(io.Discard, s.r, int64(d))
	return err
}
