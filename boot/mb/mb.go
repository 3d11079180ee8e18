// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package mb reads the boot information of multiboot loaders, versions 1
// (Multiboot 0.6.96, "Boot information format") and 2 (Multiboot2 2.0, "Boot
// information format"), into one plain [Info]. Nothing in Info refers to the
// loader's memory, so that memory is free afterwards, modules aside.
package mb

import (
	"errors"
	"strconv"

	"ringo/mm"
)

// Values of EAX at the entry point that tell the two versions apart.
const (
	Magic1 = 0x2badb002
	Magic2 = 0x36d76289
)

// Limits of what is believed. A loader that goes beyond has handed over garbage.
const (
	MaxString  = 4096    // bytes of a string, without its NUL
	MaxModules = 256     //
	MaxRanges  = 1024    // entries of the memory map
	MaxInfo    = 1 << 20 // bytes of a version 2 information structure
)

// Reader copies len(b) bytes of physical memory at a to b. It reports false
// when not all of them can be read.
type Reader = func(a mm.HPA, b []byte) bool

// MemType says what a range of the memory map is for; the numbers are those of
// e820 (ACPI 6.5, "Address Range Types").
type MemType uint32

// Types of memory. Any other number means reserved.
const (
	Available   MemType = 1
	Reserved    MemType = 2
	ACPIReclaim MemType = 3
	ACPINVS     MemType = 4
	Defective   MemType = 5
)

// Range is one entry of the memory map, in the loader's order: entries may
// overlap and need not be sorted. Start+Size does not wrap.
type Range struct {
	Start mm.HPA
	Size  uint64 // in bytes, not 0
	Type  MemType
}

// Module is a file that the loader put in memory at [Start, End).
type Module struct {
	Start, End mm.HPA
	// Name is how people refer to the module, see [Info.Modules].
	Name string
	// File is the path or URL it was loaded from, "" when the loader dropped it.
	File string
	// Args is what follows file and name in the module's string.
	Args string
}

// FramebufferKind tells how the pixels of a framebuffer are made.
type FramebufferKind uint8

// Kinds of framebuffers.
const (
	Indexed FramebufferKind = 0
	RGB     FramebufferKind = 1
	Text    FramebufferKind = 2 // EGA text; Width and Height are in characters
)

// Framebuffer is the screen as the loader left it.
type Framebuffer struct {
	Addr          mm.HPA
	Pitch         uint32 // bytes from one line to the next
	Width, Height uint32
	Depth         uint8 // bits of a pixel
	Kind          FramebufferKind
	// Position of the lowest bit and number of bits of each colour (Kind RGB).
	Red, Green, Blue struct{ Pos, Bits uint8 }
}

// Info is what the loader said.
type Info struct {
	Version uint8  // of the protocol: 1 or 2
	Loader  string // "GRUB 2.06-13", "qemu", "iPXE 1.21.1", ...
	// Image is the word of the command line that names the hypervisor's own
	// file, "" when the loader dropped it; CmdLine is the rest.
	//
	// QEMU passes "PATH ARGS" and iPXE "URL ARGS"; GRUB 2 passes "ARGS". So the
	// first word is the image when the loader is one of the first two, or when
	// it looks like a path: it has a '/' that no '=' precedes.
	Image, CmdLine string
	Memory         []Range
	// Modules in the loader's order. The string of a module is read as
	// "[FILE] [NAME] [ARGS]", where FILE is told as above, and NAME is the next
	// word if that has neither '=' nor '/'. So `module2 FILE NAME` of GRUB and
	// "FILE NAME" in QEMU's -initrd or iPXE's module give the same Name. A
	// missing NAME is the last element of FILE (a URL's query dropped, %xx
	// decoded), and without a FILE "moduleN", N counting all modules from 0.
	Modules []Module
	// RSDP is the loader's copy of the ACPI root pointer (version 2 only), nil
	// if there is none: then search memory.
	RSDP []byte
	// Screen is nil if the loader says nothing about it.
	Screen *Framebuffer
	// EFI is the address of the EFI system table, 0 without EFI.
	EFI mm.HPA
}

// Parse reads the information at addr (EBX at the entry point); magic is the
// value of EAX there.
func Parse(magic uint32, addr mm.HPA, read Reader) (*Info, error) {
	switch magic {
	case Magic1:
		return parse1(addr, read)
	case Magic2:
		return parse2(addr, read)
	}
	return nil, errors.New("not started by a multiboot loader: EAX is " + hexa(uint64(magic)))
}

// addRange appends one entry of a memory map; empty ones are dropped, since
// firmware has them.
func (i *Info) addRange(start, size uint64, t MemType) error {
	if size == 0 {
		return nil
	}
	if start+size < start && start+size != 0 {
		return errors.New("memory map: entry at " + hexa(start) + " of " + hexa(size) + " bytes wraps around")
	}
	if start+size == 0 {
		size-- // keep Start+Size representable; nobody misses the last byte of 2^64
	}
	if len(i.Memory) == MaxRanges {
		return errors.New("memory map: more than " + strconv.Itoa(MaxRanges) + " entries")
	}
	i.Memory = append(i.Memory, Range{mm.HPA(start), size, t})
	return nil
}

// addModule appends a module whose string is still unread; finish does that.
func (i *Info) addModule(start, end uint32, s string) error {
	n := len(i.Modules)
	if n == MaxModules {
		return errors.New("more than " + strconv.Itoa(MaxModules) + " modules")
	}
	if start > end {
		return errors.New("module " + strconv.Itoa(n) + ": starts at " + hexa(uint64(start)) +
			", behind its end at " + hexa(uint64(end)))
	}
	i.Modules = append(i.Modules, Module{Start: mm.HPA(start), End: mm.HPA(end), Args: s})
	return nil
}

// finish interprets the strings, when the loader's name is known at last.
func (i *Info) finish() (*Info, error) {
	if len(i.Memory) == 0 {
		return nil, errors.New("the loader gave no memory map")
	}
	i.Image, i.CmdLine = splitFile(i.Loader, i.CmdLine)
	for n := range i.Modules {
		m := &i.Modules[n]
		m.File, m.Name, m.Args = splitModule(i.Loader, m.Args)
		if m.Name == "" {
			m.Name = "module" + strconv.Itoa(n)
		}
	}
	return i, nil
}

func hexa(v uint64) string { return "0x" + strconv.FormatUint(v, 16) }
