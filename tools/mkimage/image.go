// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"

	"ringo/boot/layout"
)

// image is the loaded part of a program: data[i] goes to address base+i, and
// memory up to end is zero.
type image struct {
	data  []byte
	base  uint64
	end   uint64
	entry uint64
}

// load checks that b is an ELF file whose segments lie in memory as in the
// file, from layout.ImageBase on, and returns its loaded part (a copy).
func load(b []byte) (*image, error) {
	f, err := elf.NewFile(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	if f.Machine != elf.EM_X86_64 || f.Type != elf.ET_EXEC {
		return nil, errors.New("not an executable for x86-64 at a fixed address")
	}
	img := &image{entry: f.Entry}
	fileEnd := uint64(0)
	first := true
	for _, p := range f.Progs {
		if p.Type != elf.PT_LOAD {
			continue
		}
		if first {
			img.base = p.Vaddr - p.Off
			first = false
		}
		if p.Vaddr-p.Off != img.base {
			return nil, fmt.Errorf("the segment at %#x does not lie in memory as in the file", p.Vaddr)
		}
		if p.Off+p.Filesz < p.Off || p.Off+p.Filesz > uint64(len(b)) || p.Memsz < p.Filesz || p.Vaddr+p.Memsz < p.Vaddr {
			return nil, fmt.Errorf("the segment at %#x is not in the file", p.Vaddr)
		}
		fileEnd = max(fileEnd, p.Off+p.Filesz)
		img.end = max(img.end, p.Vaddr+p.Memsz)
	}
	switch {
	case first:
		return nil, errors.New("nothing to load")
	case img.base != layout.ImageBase:
		return nil, fmt.Errorf("linked for %#x, not for %#x: use -ldflags \"-T %#x\"", img.base, layout.ImageBase, layout.TextBase)
	case img.end > 1<<31:
		return nil, errors.New("too large for a multiboot loader")
	case img.entry < img.base || img.entry >= img.base+fileEnd:
		return nil, errors.New("the entry point is outside: use -ldflags \"-E ringo/boot/kernel.startBare\"")
	}
	img.data = bytes.Clone(b[:fileEnd])
	return img, nil
}

const (
	headerPage = 0x1000
	// Multiboot 0.6.96, "OS image format"; Multiboot2 2.0, "OS image format".
	magic1 = 0x1badb002
	flags1 = 1<<16 | 1<<1 | 1<<0 // addresses valid, memory map, modules page-aligned
	magic2 = 0xe85250d6

	size1 = 32
	size2 = 112
)

// patch writes the two headers.
func (img *image) patch() error {
	off, err := img.hole(size1 + size2)
	if err != nil {
		return err
	}
	copy(img.data[off:], img.header1(off))
	copy(img.data[off+size1:], img.header2(off+size1))
	return nil
}

// hole finds n unused bytes, 8-byte aligned, in the ELF header page: zero, and
// neither in the ELF structures at its start nor in a segment that starts
// behind them (a note).
func (img *image) hole(n uint64) (uint64, error) {
	if len(img.data) < headerPage {
		return 0, errors.New("shorter than a page")
	}
	le := binary.LittleEndian
	phoff, phentsize, phnum := le.Uint64(img.data[32:]), uint64(le.Uint16(img.data[54:])), uint64(le.Uint16(img.data[56:]))
	if phentsize < 56 || phoff > headerPage || phoff+phentsize*phnum > headerPage {
		return 0, errors.New("the program headers are not in the first page")
	}
	used := func(a, b uint64) bool {
		if a < phoff+phentsize*phnum {
			return true
		}
		for i := range phnum {
			p := img.data[phoff+i*phentsize:]
			if o, s := le.Uint64(p[8:]), le.Uint64(p[32:]); o != 0 && o < b && a < o+s {
				return true
			}
		}
		return false
	}
	zeros := make([]byte, n)
	for off := uint64(headerPage/2 + 0x200); off+n <= headerPage; off += 8 {
		if !used(off, off+n) && bytes.Equal(img.data[off:off+n], zeros) {
			return off, nil
		}
	}
	return 0, errors.New("no room for the multiboot headers in the ELF header page")
}

// header1 is the multiboot 1 header with the address fields, without which QEMU
// and iPXE refuse a 64-bit ELF file.
func (img *image) header1(off uint64) []byte {
	return words(magic1, flags1, 1<<32-(magic1+flags1),
		img.base+off, img.base, img.base+uint64(len(img.data)), img.end, img.entry)
}

// header2 is the multiboot 2 header: address tag, entry tag, page-aligned
// modules, the screen, end. Any screen will do (flags 1, optional), text too.
// Nothing is said of EFI, so the loader leaves the boot services and enters in
// 32-bit mode, as on a BIOS machine.
func (img *image) header2(off uint64) []byte {
	sum := uint64(1<<32 - (magic2 + size2))
	return words(magic2, 0, size2, sum,
		2, 24, img.base+off, img.base, img.base+uint64(len(img.data)), img.end,
		3, 12, img.entry, 0,
		6, 8,
		1<<16|4, 12, 2, 0, // console flags: EGA text is supported
		1<<16|5, 20, 1024, 768, 32, 0, // frame buffer: width, height, depth
		0, 8)
}

// words returns the low 32 bits of each v, little-endian.
func words(v ...uint64) []byte {
	var b []byte
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, uint32(x))
	}
	return b
}
