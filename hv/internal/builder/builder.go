// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package builder makes dom0: its RAM at GPA == HPA, its image and first page
// tables, its windows to devices, and the start information. Everything it
// reads of the boot modules is checked first.
//
// dom0's RAM, from its start:
//
//	image | page tables | StartInfo | pool for the Go runtime ...
package builder

import (
	"errors"

	"ringo/boot/layout"
	"ringo/hv/abi"
	"ringo/hv/internal/image"
	"ringo/hv/internal/part"
	"ringo/hv/vcpu"
	"ringo/hv/x86"
	"ringo/mm"
	"ringo/mm/pt"
)

// Params is what dom0 is made of.
type Params struct {
	// Image is the boot module with dom0's executable.
	Image Range
	// Modules are the other boot modules, which dom0 gets in place.
	Modules []Module
	// Windows are device registers and firmware tables that dom0 may touch.
	Windows  []abi.MemRange
	Bytes    uint64 // of RAM, a multiple of 2 MiB
	VCPUs    int
	Top      mm.HPA // end of all RAM and windows
	CmdLine  string
	RSDP     mm.HPA
	CallInsn uint32 // abi.StartInfo.CallInsn
	Huge     bool   // the CPU has 1 GiB pages
}

// Range is a part of physical memory.
type Range struct {
	Start mm.HPA
	Size  uint64
}

// Module is a boot module with its name.
type Module struct {
	Range
	Name string
}

// Errors that name what is wrong with the boot modules.
var (
	ErrSmall   = errors.New("dom0's memory is too small for its image: raise dom0_mem")
	ErrAlign   = errors.New("the loader put a boot module at an address that is no multiple of 4 KiB, against the multiboot header")
	ErrModules = errors.New("more boot modules than dom0 can be told of: use 32 at most")
)

// headBytes is how much of the image holds its headers.
const headBytes = 4096

// head is the copy of the headers that is checked and used.
var head [headBytes]byte

// Build makes dom0 as the machine's first domain, ready to start.
func Build(m *part.Machine, p *Params) (*part.Domain, error) {
	if len(p.Modules) > abi.MaxModules {
		return nil, ErrModules
	}
	n := min(p.Image.Size, headBytes)
	m.Phys.Read(p.Image.Start, head[:n])
	img, err := image.Parse(head[:n], p.Image.Size, p.Bytes)
	if err != nil {
		return nil, err
	}
	d, ram, err := m.CreateDom0(p.VCPUs, p.Bytes)
	if err != nil {
		return nil, err
	}
	b := &build{m: m, p: p, d: d, img: img, ram: ram, next: ram, end: ram + mm.HPA(p.Bytes)}
	return d, b.all()
}

// build is the work in progress; next is the end of what is used of RAM.
type build struct {
	m              *part.Machine
	p              *Params
	d              *part.Domain
	img            *image.Image
	ram, next, end mm.HPA
	imageAt        mm.HPA
	root           mm.HPA
	infoAt         mm.HPA
}

func (b *build) all() error {
	for _, step := range []func() error{b.loadImage, b.tables, b.windows, b.startInfo} {
		if err := step(); err != nil {
			return err
		}
	}
	b.firstVCPU()
	return nil
}

// take uses n bytes of RAM, rounded up to pages. RAM is zeroed already.
func (b *build) take(n uint64) (mm.HPA, error) {
	a := b.next
	n = uint64(mm.AlignUp(mm.HPA(n), mm.PageSize))
	if n > uint64(b.end-a) {
		return 0, ErrSmall
	}
	b.next += mm.HPA(n)
	return a, nil
}

// loadImage copies the segments; BSS is zero because RAM is.
func (b *build) loadImage() (err error) {
	if b.imageAt, err = b.take(b.img.End - b.img.Base); err != nil {
		return err
	}
	for _, s := range b.img.Segments {
		b.copy(b.imageAt+mm.HPA(s.Addr-b.img.Base), b.p.Image.Start+mm.HPA(s.Off), s.FileSize)
	}
	return nil
}

// chunk is the unit of copying.
var chunk [64 << 10]byte

func (b *build) copy(to, from mm.HPA, n uint64) {
	for n > 0 {
		c := chunk[:min(n, uint64(len(chunk)))]
		b.m.Phys.Read(from, c)
		b.m.Phys.Write(to, c)
		to, from, n = to+mm.HPA(len(c)), from+mm.HPA(len(c)), n-uint64(len(c))
	}
}

// AllocTable and FreeTable give dom0's own page tables frames of its RAM.
func (b *build) AllocTable() (mm.HPA, error) { return b.take(mm.PageSize) }

// FreeTable is never called on success; a failed build ends the boot.
func (b *build) FreeTable(mm.HPA) {}

// tables builds the address space of the entry contract in ARCHITECTURE.md.
func (b *build) tables() error {
	t, err := pt.New(pt.Host(b.p.Huge), b.m.Phys, b)
	if err != nil {
		return err
	}
	const all = pt.RWX | pt.Accessed | pt.Dirty
	if err := t.Map(pt.Addr(b.img.Base), b.imageAt, b.img.End-b.img.Base, all); err != nil {
		return err
	}
	size := max(uint64(4*mm.GiB), uint64(mm.AlignUp(b.p.Top, mm.Page2M)))
	if err := t.Map(layout.DirectMap, 0, size, pt.RW|pt.Accessed|pt.Dirty); err != nil {
		return err
	}
	b.root = t.Root()
	return nil
}

// windows maps modules and device registers into dom0's second-level tables.
func (b *build) windows() error {
	for _, m := range b.p.Modules {
		if m.Size == 0 {
			continue
		}
		if !mm.Aligned(m.Start, mm.PageSize) {
			return ErrAlign
		}
		size := uint64(mm.AlignUp(mm.HPA(m.Size), mm.PageSize))
		if err := b.d.Tables.Map(pt.Addr(m.Start), m.Start, size, pt.RW); err != nil {
			return err
		}
	}
	for _, w := range b.p.Windows {
		attr := pt.RW | pt.Uncached
		if w.Type != abi.MemDevice {
			attr = pt.Read // firmware tables
		}
		if err := b.d.Tables.Map(pt.Addr(w.Start), mm.HPA(w.Start), w.Size, attr); err != nil {
			return err
		}
	}
	return nil
}

// firstVCPU sets the registers of the entry contract.
func (b *build) firstVCPU() {
	v := b.d.VCPUs[0].HW
	v.Set(x86.EFER, x86.EFERSCE|x86.EFERLME|x86.EFERNXE)
	v.Set(x86.CR4, x86.CR4PAE|x86.CR4PGE|x86.CR4OSFXSR|x86.CR4OSXMMEXCPT)
	v.Set(x86.CR3, uint64(b.root))
	v.Set(x86.CR0, x86.CR0PE|x86.CR0MP|x86.CR0ET|x86.CR0NE|x86.CR0WP|x86.CR0PG)
	for s := range x86.NumSegs {
		v.SetSegment(s, flatSegment(s))
	}
	v.Set(x86.RIP, b.img.Entry)
	v.Set(x86.RFLAGS, x86.FlagReserved)
	*v.Regs() = x86.Regs{RDI: uint64(b.infoAt)}
	b.d.VCPUs[0].SetWait(part.WaitNothing)
}

// flatSegment is segment register s in 64-bit mode.
func flatSegment(s x86.Seg) x86.Segment {
	const present = x86.SegP | x86.SegS | x86.SegG
	switch s {
	case x86.CS:
		return x86.Segment{Selector: 8, Access: present | x86.SegL | 0xb, Limit: 0xffff_ffff}
	case x86.LDTR, x86.TR:
		return vcpu.ResetSegment(s)
	}
	return x86.Segment{Selector: 16, Access: present | x86.SegDB | 3, Limit: 0xffff_ffff}
}
