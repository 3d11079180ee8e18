// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package mb

import (
	"encoding/binary"
	"errors"
	"strconv"

	"ringo/mm"
)

var le = binary.LittleEndian

// Multiboot 0.6.96, "Boot information format": bits of the flags word and
// offsets of the fields that they vouch for.
const (
	flag1Mem     = 1 << 0
	flag1CmdLine = 1 << 2
	flag1Mods    = 1 << 3
	flag1Map     = 1 << 6
	flag1Loader  = 1 << 9
	flag1Screen  = 1 << 12

	off1MemLower = 4
	off1MemUpper = 8
	off1CmdLine  = 16
	off1Mods     = 20 // count, address
	off1Map      = 44 // length, address
	off1Loader   = 64
	off1Screen   = 88 // address 64, pitch, width, height 32, depth, kind 8
	// The text says 110, but the header file beside it, and so GRUB (seen in
	// testdata/grub1.txt), aligns the colours to 4 bytes.
	off1Colours = 112

	// size1 covers all of it; size1Old ends before VBE and framebuffer, which
	// older loaders do not have.
	size1    = 118
	size1Old = 72

	mapEntry1 = 20 // bytes of a memory map entry behind its size word
)

func parse1(addr mm.HPA, read Reader) (*Info, error) {
	var raw [size1]byte
	if !read(addr, raw[:]) {
		clear(raw[:])
		if !read(addr, raw[:size1Old]) {
			return nil, errors.New("multiboot information at " + hexa(uint64(addr)) + " cannot be read")
		}
		le.PutUint32(raw[:], le.Uint32(raw[:])&^flag1Screen)
	}
	flags := le.Uint32(raw[:])
	field := func(off int) uint32 { return le.Uint32(raw[off:]) }

	i := &Info{Version: 1}
	var err error
	if flags&flag1Loader != 0 {
		if i.Loader, err = readString(read, field(off1Loader), "loader name"); err != nil {
			return nil, err
		}
	}
	if flags&flag1CmdLine != 0 {
		if i.CmdLine, err = readString(read, field(off1CmdLine), "command line"); err != nil {
			return nil, err
		}
	}
	switch {
	case flags&flag1Map != 0:
		err = i.map1(field(off1Map), field(off1Map+4), read)
	case flags&flag1Mem != 0:
		err = i.basic(field(off1MemLower), field(off1MemUpper))
	}
	if err == nil && flags&flag1Mods != 0 {
		err = i.modules1(field(off1Mods), field(off1Mods+4), read)
	}
	if err != nil {
		return nil, err
	}
	if flags&flag1Screen != 0 {
		i.Screen = screen(raw[off1Screen:off1Colours], raw[off1Colours:])
	}
	return i.finish()
}

// basic makes a memory map of the two numbers that loaders without a map give:
// KiB from 0 and KiB from 1 MiB.
func (i *Info) basic(lower, upper uint32) error {
	if err := i.addRange(0, uint64(lower)*mm.KiB, Available); err != nil {
		return err
	}
	return i.addRange(mm.MiB, uint64(upper)*mm.KiB, Available)
}

// map1 reads a memory map. The size word of an entry does not count itself.
func (i *Info) map1(length, addr uint32, read Reader) error {
	at, end := uint64(addr), uint64(addr)+uint64(length)
	for n := 0; at < end; n++ {
		var e [4 + mapEntry1]byte
		if end-at < uint64(len(e)) {
			return errors.New("memory map: " + strconv.FormatUint(end-at, 10) + " bytes left over at its end")
		}
		if !read(mm.HPA(at), e[:]) {
			return errors.New("memory map: entry " + strconv.Itoa(n) + " at " + hexa(at) + " cannot be read")
		}
		size := uint64(le.Uint32(e[:]))
		if size < mapEntry1 {
			return errors.New("memory map: entry " + strconv.Itoa(n) + " says it has " +
				strconv.FormatUint(size, 10) + " bytes, need " + strconv.Itoa(mapEntry1))
		}
		if n == MaxRanges {
			return errors.New("memory map: more than " + strconv.Itoa(MaxRanges) + " entries")
		}
		if err := i.addRange(le.Uint64(e[4:]), le.Uint64(e[12:]), MemType(le.Uint32(e[20:]))); err != nil {
			return err
		}
		at += 4 + size
	}
	return nil
}

func (i *Info) modules1(count, addr uint32, read Reader) error {
	if count > MaxModules {
		return errors.New(strconv.FormatUint(uint64(count), 10) + " modules, the limit is " + strconv.Itoa(MaxModules))
	}
	for n := range int(count) {
		var e [16]byte // start, end, string, reserved
		if !read(mm.HPA(addr)+mm.HPA(n*len(e)), e[:]) {
			return errors.New("module " + strconv.Itoa(n) + ": its entry cannot be read")
		}
		s := ""
		if a := le.Uint32(e[8:]); a != 0 {
			var err error
			if s, err = readString(read, a, "string of module "+strconv.Itoa(n)); err != nil {
				return err
			}
		}
		if err := i.addModule(le.Uint32(e[0:]), le.Uint32(e[4:]), s); err != nil {
			return err
		}
	}
	return nil
}

// screen reads the framebuffer fields, which have the same order in both
// versions; colours start at a different place.
func screen(b, colours []byte) *Framebuffer {
	f := &Framebuffer{
		Addr:  mm.HPA(le.Uint64(b)),
		Pitch: le.Uint32(b[8:]), Width: le.Uint32(b[12:]), Height: le.Uint32(b[16:]),
		Depth: b[20], Kind: FramebufferKind(b[21]),
	}
	if f.Kind == RGB && len(colours) >= 6 {
		f.Red.Pos, f.Red.Bits = colours[0], colours[1]
		f.Green.Pos, f.Green.Bits = colours[2], colours[3]
		f.Blue.Pos, f.Blue.Bits = colours[4], colours[5]
	}
	return f
}

// readString reads a NUL-terminated string. It goes in aligned blocks, so that
// it touches no page but those that hold the string.
func readString(read Reader, addr uint32, what string) (string, error) {
	const block = 256
	var s []byte
	for at := uint64(addr); len(s) <= MaxString; {
		var buf [block]byte
		b := buf[:block-at%block]
		if !read(mm.HPA(at), b) {
			return "", errors.New(what + " at " + hexa(at) + " cannot be read")
		}
		if n := indexByte(string(b), 0); n >= 0 {
			s = append(s, b[:n]...)
			if len(s) > MaxString {
				break
			}
			return string(s), nil
		}
		s = append(s, b...)
		at += uint64(len(b))
	}
	return "", errors.New(what + " at " + hexa(uint64(addr)) + " is longer than " + strconv.Itoa(MaxString) + " bytes")
}
