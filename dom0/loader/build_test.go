// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package loader_test

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"

	"ringo/dom0/board"
	"ringo/dom0/loader"
	"ringo/hv/abi"
)

// phdr is a program header with its content.
type phdr struct {
	kind         uint32
	off, filesz  uint64
	vaddr, paddr uint64
	memsz        uint64
	data         []byte
}

// elf64 builds an executable for x86-64 from its program headers.
func elf64(entry uint64, hs ...phdr) []byte {
	le := binary.LittleEndian
	b := make([]byte, 64+56*len(hs))
	copy(b, "\x7fELF\x02\x01\x01")
	le.PutUint16(b[16:], 2)
	le.PutUint16(b[18:], 62)
	le.PutUint32(b[20:], 1)
	le.PutUint64(b[24:], entry)
	le.PutUint64(b[32:], 64)
	le.PutUint16(b[52:], 64)
	le.PutUint16(b[54:], 56)
	le.PutUint16(b[56:], uint16(len(hs)))
	for i, h := range hs {
		p := b[64+56*i:]
		le.PutUint32(p, h.kind)
		for j, v := range []uint64{h.off, h.vaddr, h.paddr, h.filesz, h.memsz} {
			le.PutUint64(p[8+8*j:], v)
		}
	}
	return place(b, hs)
}

// elf32 builds an executable for i386.
func elf32(entry uint32, hs ...phdr) []byte {
	le := binary.LittleEndian
	b := make([]byte, 64+32*len(hs))
	copy(b, "\x7fELF\x01\x01\x01")
	le.PutUint16(b[16:], 2)
	le.PutUint16(b[18:], 3)
	le.PutUint32(b[24:], entry)
	le.PutUint32(b[28:], 64)
	le.PutUint16(b[42:], 32)
	le.PutUint16(b[44:], uint16(len(hs)))
	for i, h := range hs {
		p := b[64+32*i:]
		le.PutUint32(p, h.kind)
		for j, v := range []uint64{h.off, h.vaddr, h.paddr, h.filesz, h.memsz} {
			le.PutUint32(p[4+4*j:], uint32(v))
		}
	}
	return place(b, hs)
}

func place(b []byte, hs []phdr) []byte {
	for _, h := range hs {
		if len(h.data) == 0 || h.off > 1<<24 { // a header that lies
			continue
		}
		if n := int(h.off) + len(h.data); n > len(b) {
			b = append(b, make([]byte, n-len(b))...)
		}
		copy(b[h.off:], h.data)
	}
	return b
}

// code returns n bytes that compress like machine code: few kinds of words,
// and calls, which the x86 filter of xz changes.
func code(n int, seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 0))
	b := make([]byte, 0, n+8)
	for len(b) < n {
		if r.IntN(4) == 0 {
			b = append(b, 0xe8)
			b = binary.LittleEndian.AppendUint32(b, uint32(r.IntN(1<<16)))
			continue
		}
		b = append(b, 0x48, 0x89, byte(0xc0+r.IntN(4)))
	}
	return b[:n]
}

// vmlinux is an ELF file of the shape of a Linux kernel's: text, data, per-CPU
// data linked at 0, and initial data with BSS.
func vmlinux() []byte {
	text, data, percpu, ini := code(150_000, 1), code(9000, 2), code(4096, 3), code(5000, 4)
	return elf64(0x1000000,
		phdr{1, 0x10000, uint64(len(text)), 0xffffffff81000000, 0x1000000, uint64(len(text)), text},
		phdr{1, 0x40000, uint64(len(data)), 0xffffffff81200000, 0x1200000, uint64(len(data)), data},
		phdr{1, 0x50000, uint64(len(percpu)), 0, 0x1300000, uint64(len(percpu)), percpu},
		phdr{1, 0x61000, uint64(len(ini)), 0xffffffff81400000, 0x1400000, 0x100000, ini},
	)
}

// bzimage wraps a compressed payload as the kernel's build does: setup sectors,
// some code before the payload, and the size behind it unless trailer is false.
func bzimage(payload []byte, size int, trailer bool) []byte {
	const sects, before = 3, 777
	le := binary.LittleEndian
	b := make([]byte, (sects+1)*512+before)
	b[0x1f1] = sects
	le.PutUint16(b[0x1fe:], 0xaa55)
	copy(b[0x200:], "\xeb\x6aHdrS")
	le.PutUint16(b[0x206:], 0x20f)
	b[0x211] = 0x81 | 2
	le.PutUint32(b[0x22c:], 0x7fffffff)
	le.PutUint32(b[0x230:], 0x200000)
	le.PutUint16(b[0x236:], 0x7f)
	le.PutUint32(b[0x238:], 2047)
	if trailer {
		payload = le.AppendUint32(bytes.Clone(payload), uint32(size))
	}
	le.PutUint32(b[0x248:], before)
	le.PutUint32(b[0x24c:], uint32(len(payload)))
	le.PutUint64(b[0x258:], 0x1000000)
	le.PutUint32(b[0x260:], 0x600000)
	return append(append(b, payload...), "signature"...)
}

func source(name string, b []byte) loader.Source {
	return loader.Source{Name: name, R: bytes.NewReader(b), Size: int64(len(b))}
}

func request(kernel []byte, memory uint64) loader.Request {
	return loader.Request{Kernel: source("boot:k", kernel), Machine: machine(memory), Cmdline: "console=ttyS0"}
}

func machine(memory uint64) *board.Machine {
	return must(board.New(board.Config{CPUs: 2, Memory: memory, RNG: true}))
}

// ram lists the layout's ranges for comparison.
func ram(rs []abi.MemRange) (out [][3]uint64) {
	for _, r := range rs {
		out = append(out, [3]uint64{r.Start, r.Start + r.Size, uint64(r.Type)})
	}
	return out
}
