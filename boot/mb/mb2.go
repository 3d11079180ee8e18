// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package mb

import (
	"errors"
	"strconv"

	"ringo/mm"
)

// Multiboot2 2.0, "Boot information format": types of tags.
const (
	tagEnd     = 0
	tagCmdLine = 1
	tagLoader  = 2
	tagModule  = 3
	tagBasic   = 4
	tagMap     = 6
	tagScreen  = 8
	tagEFI32   = 11
	tagEFI64   = 12
	tagRSDP1   = 14 // copy of an ACPI 1.0 RSDP
	tagRSDP2   = 15 // copy of an ACPI 2.0 RSDP
	tagEFIMap  = 17
	tagEFIHeld = 18 // EFI's boot services were not left
)

const (
	head2     = 8  // bytes: of the structure's head, and of a tag's
	mapEntry2 = 24 // bytes of a memory map entry, version 0
)

func parse2(addr mm.HPA, read Reader) (*Info, error) {
	var head [head2]byte
	if addr%8 != 0 {
		return nil, errors.New("multiboot2 information at " + hexa(uint64(addr)) + " is not 8-byte aligned")
	}
	if !read(addr, head[:]) {
		return nil, errors.New("multiboot2 information at " + hexa(uint64(addr)) + " cannot be read")
	}
	total := le.Uint32(head[:])
	if total < head2 || total > MaxInfo {
		return nil, errors.New("multiboot2 information: " + strconv.FormatUint(uint64(total), 10) +
			" bytes long, the limit is " + strconv.Itoa(MaxInfo))
	}
	raw := make([]byte, total)
	if !read(addr, raw) {
		return nil, errors.New("multiboot2 information: its " + strconv.FormatUint(uint64(total), 10) +
			" bytes at " + hexa(uint64(addr)) + " cannot be read")
	}
	return parseTags(raw[head2:])
}

func parseTags(b []byte) (*Info, error) {
	i := &Info{Version: 2}
	var basic, efi []byte
	for off := 0; ; {
		if len(b)-off < head2 {
			return nil, errors.New("multiboot2 information: no end tag")
		}
		typ, size := le.Uint32(b[off:]), le.Uint32(b[off+4:])
		if size < head2 || uint64(size) > uint64(len(b)-off) {
			return nil, errors.New("multiboot2 tag of type " + strconv.FormatUint(uint64(typ), 10) +
				": bad size " + strconv.FormatUint(uint64(size), 10))
		}
		body := b[off+head2 : off+int(size)]
		switch typ {
		case tagEnd:
			if err := i.otherMaps(efi, basic); err != nil {
				return nil, err
			}
			return i.finish()
		case tagEFIMap:
			efi = body
		case tagBasic:
			if len(body) < 8 {
				return nil, short("basic memory", size)
			}
			basic = body
		default:
			if err := i.tag(typ, size, body); err != nil {
				return nil, err
			}
		}
		// Tags are padded to 8 bytes; the padding of the last may be missing.
		off += min((int(size)+7)&^7, len(b)-off)
	}
}

// tag reads one tag; unknown ones are skipped, as the standard wants it.
func (i *Info) tag(typ, size uint32, b []byte) (err error) {
	switch typ {
	case tagCmdLine:
		i.CmdLine, err = tagString(b, "command line")
	case tagLoader:
		i.Loader, err = tagString(b, "loader name")
	case tagModule:
		if len(b) < 8 {
			return short("module", size)
		}
		s, err := tagString(b[8:], "string of module "+strconv.Itoa(len(i.Modules)))
		if err != nil {
			return err
		}
		return i.addModule(le.Uint32(b), le.Uint32(b[4:]), s)
	case tagMap:
		return i.map2(b, size)
	case tagScreen:
		if len(b) < 24 {
			return short("framebuffer", size)
		}
		i.Screen = screen(b[:22], b[24:])
	case tagEFI32:
		if len(b) < 4 {
			return short("EFI system table", size)
		}
		i.EFI = mm.HPA(le.Uint32(b))
	case tagEFI64:
		if len(b) < 8 {
			return short("EFI system table", size)
		}
		i.EFI = mm.HPA(le.Uint64(b))
	case tagRSDP1:
		if i.RSDP == nil { // the newer one is better, whatever comes first
			i.RSDP = append([]byte{}, b...)
		}
	case tagRSDP2:
		i.RSDP = append([]byte{}, b...)
	case tagEFIHeld:
		err = errors.New("the loader has not left EFI's boot services, which own the memory")
	}
	return err
}

// otherMaps reads what a loader that gives no memory map gives instead: EFI's,
// else the sizes of basic memory. Both may be nil.
func (i *Info) otherMaps(efi, basic []byte) error {
	switch {
	case len(i.Memory) > 0:
	case efi != nil:
		return i.mapEFI(efi)
	case basic != nil:
		return i.basic(le.Uint32(basic), le.Uint32(basic[4:]))
	}
	return nil
}

func (i *Info) map2(b []byte, size uint32) error {
	if len(b) < 8 {
		return short("memory map", size)
	}
	step := uint64(le.Uint32(b))
	if step < mapEntry2 || step%8 != 0 {
		return errors.New("memory map: entries of " + strconv.FormatUint(step, 10) +
			" bytes, need a multiple of 8 from " + strconv.Itoa(mapEntry2))
	}
	for b = b[8:]; len(b) > 0; b = b[step:] {
		if uint64(len(b)) < step {
			return errors.New("memory map: " + strconv.Itoa(len(b)) + " bytes left over at its end")
		}
		if err := i.addRange(le.Uint64(b), le.Uint64(b[8:]), MemType(le.Uint32(b[16:]))); err != nil {
			return err
		}
	}
	return nil
}

func tagString(b []byte, what string) (string, error) {
	n := indexByte(string(b), 0)
	if n < 0 {
		return "", errors.New(what + " has no end")
	}
	if n > MaxString {
		return "", errors.New(what + " is longer than " + strconv.Itoa(MaxString) + " bytes")
	}
	return string(b[:n]), nil
}

func short(what string, size uint32) error {
	return errors.New(what + " tag: too short, " + strconv.FormatUint(uint64(size), 10) + " bytes")
}
