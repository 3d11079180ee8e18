// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package loader

import (
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

	mbEntryLen = 24
)

// mbHeader is a multiboot header.
type mbHeader struct {
	flags                            uint32
	off                              uint64 // in the file
	header, load, loadEnd, end, addr uint64 // valid with mbAddresses
}

// findMultiboot looks for a multiboot header in the first bytes of a file.
func findMultiboot(b []byte) (mbHeader, bool) {
	le := binary.LittleEndian
	b = b[:min(len(b), mbSearch)]
	for off := 0; off+12 <= len(b); off += 4 {
		if le.Uint32(b[off:]) != mbMagic {
			continue
		}
		flags := le.Uint32(b[off+4:])
		if mbMagic+flags+le.Uint32(b[off+8:]) != 0 {
			continue
		}
		h := mbHeader{flags: flags, off: uint64(off)}
		if flags&mbAddresses != 0 {
			if off+32 > len(b) {
				continue
			}
			f := func(i int) uint64 { return uint64(le.Uint32(b[off+12+4*i:])) }
			h.header, h.load, h.loadEnd, h.end, h.addr = f(0), f(1), f(2), f(3), f(4)
		}
		return h, true
	}
	return mbHeader{}, false
}

// supported verifies that the header asks for nothing that we cannot give.
func (h mbHeader) supported() error {
	if h.flags&mbRequired&^(mbPageAlign|mbMemoryInfo) != 0 {
		return errors.New("is a multiboot image that asks for a video mode or an unknown feature")
	}
	return nil
}

// loadMultiboot loads an image that is no ELF file, by the addresses in its
// header.
func (g *guest) loadMultiboot(prefix []byte, file *io.SectionReader) (*image, error) {
	h, _ := findMultiboot(prefix)
	if err := h.supported(); err != nil {
		return nil, err
	}
	if h.flags&mbAddresses == 0 {
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
	if h.addr < h.load || h.addr >= end {
		return nil, damage("entry outside of the image")
	}
	if err := g.fits(h.load, end); err != nil {
		return nil, err
	}
	img := &image{
		protocol: multiboot, entry: GPA(h.addr), start: GPA(h.load), end: max(GPA(end), board.OneMiB),
		taken: []region{{GPA(h.load), end - h.load}},
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
	if err := g.zero(GPA(h.load+size), end-h.load-size); err != nil {
		return nil, err
	}
	return img, nil
}

// startMultiboot builds the boot information.
func (g *guest) startMultiboot(img *image, rd region, name string) (abi.VCPUContext, error) {
	const moduleAt, mapAt, loaderAt = 128, 144, 144 + 8*mbEntryLen
	const nameAt = loaderAt + 16
	if len(name) > 255 {
		name = name[:255]
	}
	b := record(make([]byte, nameAt+len(name)+1))
	info := uint32(g.at(infoAt))
	flags := uint32(mbHasMemory | mbHasCmdline | mbHasMap | mbHasName)
	b.put32(4, board.LowEnd>>10)
	b.put32(8, uint32((g.lowTop()-board.OneMiB)>>10))
	b.put32(16, uint32(g.at(cmdlineAt)))
	if rd.size > 0 {
		flags |= mbHasModules
		b.put32(20, 1)
		b.put32(24, info+moduleAt)
		b.put32(moduleAt, uint32(rd.at))
		b.put32(moduleAt+4, uint32(rd.at)+uint32(rd.size))
		b.put32(moduleAt+8, info+nameAt)
		copy(b[nameAt:], name)
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
	b.put32(64, info+loaderAt)
	copy(b[loaderAt:], "ringo")
	b.put32(0, flags)
	if err := g.write(g.at(infoAt), b); err != nil {
		return abi.VCPUContext{}, err
	}
	if err := g.writeGDT(accessCode32); err != nil {
		return abi.VCPUContext{}, err
	}
	c := g.context32(img.entry)
	c.GPR[rax], c.GPR[rbx] = mbLoaded, uint64(info)
	return c, nil
}
