// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package dump

import (
	"encoding/binary"
	"strings"

	"ringo/hv/abi"
)

// The format is that of "ELF-64 Object File Format" and of the "System V Application
// Binary Interface", Chapter "Program Loading": a file of type core with a segment of
// notes and one for each range of RAM. The virtual addresses are the physical ones,
// since the file shows physical memory.
const (
	elfHeader = 64
	segment   = 56
	typeCore  = 4
	machine   = 62 // x86-64
	ptLoad    = 1
	ptNote    = 4
)

// Types of notes; those that are named QEMU and VMCOREINFO have type 0.
const ntPRStatus = 1

var le = binary.LittleEndian

// layout places the ranges in the file and makes what is before them.
func (d *Dump) layout(src Source, info []byte) {
	var notes []byte
	for i := range src.VCPUs {
		notes = note(notes, "CORE", ntPRStatus, status(&src.VCPUs[i], i))
	}
	for i := range src.VCPUs {
		notes = note(notes, "QEMU", 0, state(&src.VCPUs[i]))
	}
	if info != nil {
		notes = note(notes, infoName, 0, info)
	}
	at := uint64(elfHeader + segment*(1+len(src.RAM)))
	d.size = int64((at + uint64(len(notes)) + page - 1) &^ (page - 1))

	h := append(make([]byte, 0, d.size), 0x7f, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0) // 64 bits, little endian
	h = le.AppendUint16(h, typeCore)
	h = le.AppendUint16(h, machine)
	h = le.AppendUint32(h, 1)
	h = le.AppendUint64(h, 0)         // entry
	h = le.AppendUint64(h, elfHeader) // segments
	h = le.AppendUint64(h, 0)         // sections
	h = le.AppendUint32(h, 0)
	for _, n := range []uint16{elfHeader, segment, uint16(1 + len(src.RAM)), 0, 0, 0} {
		h = le.AppendUint16(h, n)
	}
	h = program(h, ptNote, at, 0, uint64(len(notes)))
	for _, r := range src.RAM {
		d.Loads = append(d.Loads, Load{r, d.size})
		h = program(h, ptLoad, uint64(d.size), r.Start, r.Size)
		d.size += int64(r.Size)
	}
	d.head = append(h, notes...)
}

// program appends the header of a segment, read, write and execute.
func program(h []byte, kind uint32, at, addr, size uint64) []byte {
	h = le.AppendUint32(h, kind)
	h = le.AppendUint32(h, 7)
	for _, v := range []uint64{at, addr, addr, size, size, 0} {
		h = le.AppendUint64(h, v)
	}
	return h
}

// note appends a note.
func note(b []byte, name string, kind uint32, desc []byte) []byte {
	b = le.AppendUint32(b, uint32(len(name)+1))
	b = le.AppendUint32(b, uint32(len(desc)))
	b = le.AppendUint32(b, kind)
	b = append(append(b, name...), make([]byte, 4-len(name)%4)...)
	b = append(b, desc...)
	return append(b, make([]byte, -len(desc)&3)...)
}

// Registers in the order of abi.VCPUContext.GPR.
const (
	rax = iota
	rcx
	rdx
	rbx
	rsp
	rbp
	rsi
	rdi
)

// Segments in the order of abi.VCPUContext.Seg.
const (
	es = iota
	cs
	ss
	ds
	fs
	gs
	ldt
	tr
)

// status is Linux's struct elf_prstatus for x86-64 of vCPU number i, whose thread has
// number i+1.
func status(x *abi.VCPUContext, i int) []byte {
	const registers, size = 112, 336
	b := make([]byte, registers, size)
	le.PutUint32(b[32:], uint32(i+1))
	g := &x.GPR
	for _, v := range []uint64{
		g[15], g[14], g[13], g[12], g[rbp], g[rbx], g[11], g[10], g[9], g[8], g[rax], g[rcx], g[rdx], g[rsi], g[rdi],
		^uint64(0), // no system call
		x.RIP, uint64(x.Seg[cs].Selector), x.RFLAGS, g[rsp], uint64(x.Seg[ss].Selector), x.Seg[fs].Base, x.Seg[gs].Base,
		uint64(x.Seg[ds].Selector), uint64(x.Seg[es].Selector), uint64(x.Seg[fs].Selector), uint64(x.Seg[gs].Selector),
	} {
		b = le.AppendUint64(b, v)
	}
	return b[:size]
}

// state is QEMU's structure of a CPU with its control registers and tables, version 1,
// by which crash(8) finds the page tables of a guest without VMCOREINFO.
func state(x *abi.VCPUContext) []byte {
	const size = 440
	b := le.AppendUint32(nil, 1)
	b = le.AppendUint32(b, size)
	g := &x.GPR
	for _, v := range append([]uint64{g[rax], g[rbx], g[rcx], g[rdx], g[rsi], g[rdi], g[rsp], g[rbp]}, g[8:]...) {
		b = le.AppendUint64(b, v)
	}
	b = le.AppendUint64(le.AppendUint64(b, x.RIP), x.RFLAGS)
	add := func(selector, limit, access uint32, base uint64) {
		for _, v := range []uint32{selector, limit, access << 8, 0} { // as in the upper half of a descriptor
			b = le.AppendUint32(b, v)
		}
		b = le.AppendUint64(b, base)
	}
	for _, n := range []int{cs, ds, es, fs, gs, ss, ldt, tr} {
		s := &x.Seg[n]
		add(uint32(s.Selector), s.Limit, s.Access&0xf0ff, s.Base)
	}
	add(0, x.GDTLimit, 0, x.GDTBase)
	add(0, x.IDTLimit, 0, x.IDTBase)
	for _, v := range []uint64{x.CR0, 0, x.CR2, x.CR3, x.CR4, x.KernelGSBase} {
		b = le.AppendUint64(b, v)
	}
	return b
}

// A Linux keeps a note about itself at the start of a page (Documentation/admin-guide/
// kdump/vmcoreinfo.rst of its sources), which begins with its release.
const (
	infoName = "VMCOREINFO"
	release  = "OSRELEASE="
	maxInfo  = 4096
)

// find returns the content of the guest's VMCOREINFO, nil if it offers none.
func find(src Source) []byte {
	const head = 24 // sizes, type, and the padded name
	for _, r := range src.RAM {
		for a := r.Start; a < r.Start+r.Size; a += page {
			b := src.Slice(a, page)
			if len(b) < head || le.Uint32(b) != uint32(len(infoName)+1) || string(b[12:][:len(infoName)+1]) != infoName+"\x00" {
				continue
			}
			n := le.Uint32(b[4:]) // read once: it is the guest's
			if n == 0 || n > maxInfo {
				continue
			}
			desc := make([]byte, n)
			if src.copy(desc, a+head) == len(desc) && strings.HasPrefix(string(desc), release) {
				return desc
			}
		}
	}
	return nil
}
