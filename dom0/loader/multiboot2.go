// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package loader

import (
	"encoding/binary"
	"fmt"

	"ringo/dom0/board"
	"ringo/hv/abi"
)

// Multiboot2 2.0, "The layout of Multiboot2 header" and "Boot information format".
const (
	mb2Magic  = 0xe85250d6
	mb2Loaded = 0x36d76289
	mb2Search = 32768
	mb2Head   = 16 // bytes of the header before its tags

	// Tags of the header.
	mb2Requests    = 1
	mb2Address     = 2
	mb2Entry       = 3
	mb2Console     = 4
	mb2Framebuffer = 5
	mb2Align       = 6
	mb2BootService = 7
	mb2EntryEFI32  = 8
	mb2EntryEFI64  = 9
	mb2Relocatable = 10
	mb2Optional    = 1 // flag

	mb2ConsoleRequired = 1
	mb2FromStart       = 0xffffffff // load address of a file that is loaded whole

	// Tags of the boot information.
	infoCmdline = 1
	infoLoader  = 2
	infoModule  = 3
	infoMemory  = 4
	infoMap     = 6
	infoRSDP    = 15
	infoBase    = 21
	rsdpLen     = 36
)

// given are the tags of the boot information that a kernel may require.
var given = map[uint32]bool{
	infoCmdline: true, infoLoader: true, infoModule: true, infoMemory: true, infoMap: true, infoRSDP: true, infoBase: true,
}

// findMultiboot2 looks for a header in the first bytes of a file, and returns the
// bytes of its tags.
func findMultiboot2(b []byte) (off int, tags []byte, ok bool) {
	le := binary.LittleEndian
	b = b[:min(len(b), mb2Search)]
	for off := nextWord(b, 0, 8, mb2Magic); off+mb2Head <= len(b); off = nextWord(b, off+8, 8, mb2Magic) {
		arch, n := le.Uint32(b[off+4:]), le.Uint32(b[off+8:])
		if mb2Magic+arch+n+le.Uint32(b[off+12:]) != 0 || arch != 0 || n < mb2Head || uint64(n) > uint64(len(b)-off) {
			continue
		}
		return off, b[off+mb2Head : off+int(n)], true
	}
	return 0, nil, false
}

// parseMultiboot2 reads the tags of a header. It refuses what a kernel requires and
// does not get.
func parseMultiboot2(off int, tags []byte) (*mbHeader, error) {
	le := binary.LittleEndian
	h := &mbHeader{protocol: multiboot2, off: uint64(off)}
	for len(tags) >= 8 {
		kind, optional, size := le.Uint16(tags), le.Uint16(tags[2:])&mb2Optional != 0, le.Uint32(tags[4:])
		if size < 8 || uint64(size) > uint64(len(tags)) {
			return nil, damage("bad tag in its multiboot 2 header")
		}
		if kind == 0 {
			return h, nil
		}
		if err := h.tag(kind, tags[8:size]); err != nil && !optional {
			return nil, err
		}
		tags = tags[min((uint64(size)+7)&^7, uint64(len(tags))):]
	}
	return nil, damage("its multiboot 2 header has no end")
}

// tag takes one tag of a header.
func (h *mbHeader) tag(kind uint16, b []byte) error {
	le := binary.LittleEndian
	words := map[uint16]int{mb2Address: 4, mb2Entry: 1, mb2Console: 1}[kind]
	if len(b) < 4*words {
		return damage("short tag %d in its multiboot 2 header", kind)
	}
	word := func(i int) uint64 { return uint64(le.Uint32(b[4*i:])) }
	switch kind {
	case mb2Requests:
		for ; len(b) >= 4; b = b[4:] {
			if want := le.Uint32(b); !given[want] {
				return fmt.Errorf("is a multiboot 2 image that requires information which is not there (type %d)", want)
			}
		}
	case mb2Address:
		h.flat = true
		h.header, h.load, h.loadEnd, h.end = word(0), word(1), word(2), word(3)
		if h.load == mb2FromStart {
			h.load = h.header - min(h.off, h.header)
		}
	case mb2Entry:
		h.hasEntry, h.entry = true, word(0)
	case mb2Console:
		if word(0)&mb2ConsoleRequired != 0 {
			return fmt.Errorf("is a multiboot 2 image that requires a screen, which guests do not have")
		}
	case mb2Framebuffer:
		return fmt.Errorf("is a multiboot 2 image that requires a framebuffer, which guests do not have")
	case mb2Relocatable:
		h.relocatable = true // and may stay where it was linked
	case mb2Align, mb2BootService, mb2EntryEFI32, mb2EntryEFI64:
		// Modules are aligned, and there is no EFI.
	default:
		return fmt.Errorf("is a multiboot 2 image that requires an unknown feature (tag %d)", kind)
	}
	return nil
}

// startMultiboot2 builds the boot information.
func (g *guest) startMultiboot2(img *image, mods []module, r Request) (abi.VCPUContext, error) {
	le := binary.LittleEndian
	b := make([]byte, 8) // size, reserved
	tag := func(kind uint32, body []byte) {
		b = le.AppendUint32(le.AppendUint32(b, kind), uint32(8+len(body)))
		b = append(b, body...)
		b = append(b, make([]byte, -len(b)&7)...)
	}
	words := func(v ...uint32) (w []byte) {
		for _, x := range v {
			w = le.AppendUint32(w, x)
		}
		return w
	}
	tag(infoCmdline, append([]byte(r.Cmdline), 0))
	tag(infoLoader, []byte(loaderName+"\x00"))
	for _, m := range mods {
		tag(infoModule, append(append(words(uint32(m.at), uint32(m.at)+uint32(m.size)), m.text...), 0))
	}
	tag(infoMemory, words(board.LowEnd>>10, uint32((g.lowTop()-board.OneMiB)>>10)))
	m := words(mbEntryLen, 0)
	for _, e := range g.layout {
		m = le.AppendUint64(le.AppendUint64(m, e.Start), e.Size)
		m = append(m, words(uint32(e.Type), 0)...)
	}
	tag(infoMap, m)
	tag(infoRSDP, r.Machine.Tables()[:rsdpLen])
	if img.relocatable {
		tag(infoBase, words(uint32(img.start)))
	}
	tag(0, nil)
	le.PutUint32(b, uint32(len(b)))
	return g.startInfo(img, b, mb2Loaded)
}
