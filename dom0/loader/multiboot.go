// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package loader

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"

	"ringo/dom0/board"
	"ringo/hv/abi"
)

// Multiboot 0.6.96, "The layout of Multiboot header" and "Boot information
// format".
const (
	mbMagic      = 0x1badb002
	mbLoaded     = 0x2badb002
	mbSearch     = 8192
	mbPageAlign  = 1 << 0
	mbMemoryInfo = 1 << 1
	mbAddresses  = 1 << 16
	mbRequired   = 0xffff // flags that a loader must understand

	mbHasMemory  = 1 << 0
	mbHasCmdline = 1 << 2
	mbHasModules = 1 << 3
	mbHasMap     = 1 << 6
	mbHasName    = 1 << 9

	mbEntryLen  = 24
	mbModuleLen = 16

	loaderName = "ringo"
)

// mbHeader is a multiboot header, of either version.
type mbHeader struct {
	protocol protocol
	flags    uint32 // of version 1
	off      uint64 // in the file
	// flat says that the image is loaded by these addresses, whatever file it is.
	flat                       bool
	header, load, loadEnd, end uint64
	// entry is an address, if hasEntry is set.
	entry       uint64
	hasEntry    bool
	relocatable bool
}

// multibootHeader looks for a header in the first bytes of a file: one of version 2,
// unless that requires what there is not and one of version 1 does not. It returns
// nil without an error when there is none.
func multibootHeader(b []byte) (*mbHeader, error) {
	off, tags, ok := findMultiboot2(b)
	var err error
	if ok {
		var h *mbHeader
		if h, err = parseMultiboot2(off, tags); err == nil {
			return h, nil
		}
	}
	if h := findMultiboot(b); h != nil {
		if err1 := h.supported(); err1 == nil || err == nil {
			return h, err1
		}
	}
	return nil, err
}

// findMultiboot looks for a header of version 1; nil is none.
func findMultiboot(b []byte) *mbHeader {
	le := binary.LittleEndian
	b = b[:min(len(b), mbSearch)]
	for off := nextWord(b, 0, 4, mbMagic); off+12 <= len(b); off = nextWord(b, off+4, 4, mbMagic) {
		flags := le.Uint32(b[off+4:])
		if mbMagic+flags+le.Uint32(b[off+8:]) != 0 {
			continue
		}
		h := &mbHeader{protocol: multiboot, flags: flags, off: uint64(off)}
		if flags&mbAddresses != 0 {
			if off+32 > len(b) {
				continue
			}
			f := func(i int) uint64 { return uint64(le.Uint32(b[off+12+4*i:])) }
			h.flat, h.hasEntry = true, true
			h.header, h.load, h.loadEnd, h.end, h.entry = f(0), f(1), f(2), f(3), f(4)
		}
		return h
	}
	return nil
}

// nextWord returns the first place from off on at which b has a word, its length if there
// is none. Places are multiples of step, as off is.
func nextWord(b []byte, off, step int, word uint32) int {
	w := binary.LittleEndian.AppendUint32(nil, word)
	for off < len(b) {
		i := bytes.Index(b[off:], w)
		if i < 0 {
			break
		}
		if i%step == 0 {
			return off + i
		}
		off += i/step*step + step
	}
	return len(b)
}

// supported verifies that a header of version 1 asks for nothing that we cannot give.
func (h *mbHeader) supported() error {
	if h.flags&mbRequired&^(mbPageAlign|mbMemoryInfo) != 0 {
		return errors.New("is a multiboot image that asks for a video mode or an unknown feature")
	}
	return nil
}

// loadMultiboot loads an image by the addresses in its header, which come before
// those of an ELF file.
func (g *guest) loadMultiboot(h *mbHeader, file *io.SectionReader) (*image, error) {
	if !h.flat || !h.hasEntry {
		return nil, errors.New("is a multiboot image, but neither an ELF file nor with addresses in its header")
	}
	if h.load > h.header || h.header-h.load > h.off {
		return nil, damage("bad addresses in its multiboot header")
	}
	from := h.off - (h.header - h.load)
	size := uint64(file.Size()) - from
	if h.loadEnd != 0 {
		if h.loadEnd < h.load || h.loadEnd-h.load > size {
			return nil, errTruncated
		}
		size = h.loadEnd - h.load
	}
	end := max(h.load+size, h.end)
	if h.entry < h.load || h.entry >= end {
		return nil, damage("entry outside of the image")
	}
	if err := g.fits(h.load, end); err != nil {
		return nil, err
	}
	img := &image{
		protocol: h.protocol, entry: GPA(h.entry), start: GPA(h.load), end: max(GPA(end), board.OneMiB),
		taken: []region{{GPA(h.load), end - h.load}}, relocatable: h.relocatable,
	}
	if g.dry {
		return img, nil
	}
	if _, err := file.Seek(int64(from), io.SeekStart); err != nil {
		return nil, err
	}
	if err := g.fill(GPA(h.load), size, file); err != nil {
		return nil, err
	}
	return img, g.zero(GPA(h.load+size), end-h.load-size)
}

// enter finds where an ELF file with the header is entered.
func (h *mbHeader) enter(f *elfFile, img *image) error {
	img.protocol, img.relocatable = h.protocol, h.relocatable
	at := f.entry
	if h.hasEntry {
		at = h.entry
	}
	for _, s := range f.loads {
		if s.hasPhys(at) {
			img.entry = GPA(at)
			return nil
		}
	}
	for _, s := range f.loads {
		if s.hasVirt(at) {
			img.entry = GPA(at - s.vaddr + s.paddr)
			return nil
		}
	}
	return damage("entry outside of the image")
}

// startMultiboot builds the boot information.
func (g *guest) startMultiboot(img *image, mods []module) (abi.VCPUContext, error) {
	const mapAt = 128
	modsAt := mapAt + len(g.layout)*mbEntryLen
	b := record(make([]byte, modsAt+len(mods)*mbModuleLen))
	info := uint32(g.at(infoAt))
	text := func(s string) uint32 { // its address
		at := info + uint32(len(b))
		b = append(append(b, s...), 0)
		return at
	}
	flags := uint32(mbHasMemory | mbHasCmdline | mbHasMap | mbHasName)
	b.put32(4, board.LowEnd>>10)
	b.put32(8, uint32((g.lowTop()-board.OneMiB)>>10))
	b.put32(16, uint32(g.at(cmdlineAt)))
	if len(mods) > 0 {
		flags |= mbHasModules
		b.put32(20, uint32(len(mods)))
		b.put32(24, info+uint32(modsAt))
	}
	for i, m := range mods {
		off := modsAt + i*mbModuleLen
		b.put32(off, uint32(m.at))
		b.put32(off+4, uint32(m.at)+uint32(m.size))
		at := text(m.text)
		b.put32(off+8, at)
	}
	b.put32(44, uint32(len(g.layout)*mbEntryLen))
	b.put32(48, info+mapAt)
	for i, r := range g.layout {
		off := mapAt + i*mbEntryLen
		b.put32(off, mbEntryLen-4)
		b.put64(off+4, r.Start)
		b.put64(off+12, r.Size)
		b.put32(off+20, uint32(r.Type))
	}
	name := text(loaderName)
	b.put32(64, name)
	b.put32(0, flags)
	return g.startInfo(img, b, mbLoaded)
}

// startInfo writes boot information and returns the state in which a kernel finds
// it: its address in EBX, and in EAX what it is.
func (g *guest) startInfo(img *image, b []byte, magic uint64) (abi.VCPUContext, error) {
	if err := g.writeInfo(b); err != nil {
		return abi.VCPUContext{}, err
	}
	if err := g.writeGDT(accessCode32); err != nil {
		return abi.VCPUContext{}, err
	}
	c := g.context32(img.entry)
	c.GPR[rax], c.GPR[rbx] = magic, uint64(g.at(infoAt))
	return c, nil
}
