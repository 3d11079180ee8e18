// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package image reads the program headers of the dom0 image: a statically
// linked ELF64 executable for x86-64 whose segments lie in one linear run of
// link addresses. The image is a boot module and hence hostile until checked.
package image

import (
	"encoding/binary"
	"errors"
)

// Segment is one PT_LOAD program header. Off and FileSize are in the file,
// Addr and MemSize at the link address; all in bytes.
type Segment struct {
	Off, Addr, FileSize, MemSize uint64
}

// Image is a checked executable.
type Image struct {
	Entry uint64 // link address of the first instruction
	// Base to End is the page-aligned range of link addresses of all segments.
	Base, End uint64
	Segments  []Segment
}

// Errors that Parse returns; each names what is wrong with the file.
var (
	ErrShort    = errors.New("shorter than its ELF header")
	ErrMagic    = errors.New("not an ELF file")
	ErrMachine  = errors.New("not an x86-64 ELF64 executable")
	ErrHeaders  = errors.New("program headers outside the file")
	ErrSegment  = errors.New("a segment lies outside the file (truncated?)")
	ErrSegments = errors.New("no loadable segment, or more than 16")
	ErrRange    = errors.New("segments at impossible addresses")
	ErrLimit    = errors.New("segments larger than dom0's memory: raise dom0_mem=, unless the file is damaged")
	ErrEntry    = errors.New("entry point outside the image")
)

const (
	pageMask    = 4095
	maxSegments = 16
	headerSize  = 64
	phdrSize    = 56
	ptLoad      = 1
)

// Parse checks the ELF header and program headers in head, the first bytes of
// a file of size bytes, against limit, the largest size in memory that is
// acceptable. head must hold the ELF header and all program headers (the first
// 4 KiB of any Go executable do).
func Parse(head []byte, size, limit uint64) (*Image, error) {
	le := binary.LittleEndian
	if len(head) < headerSize || size < headerSize {
		return nil, ErrShort
	}
	if string(head[:4]) != "\x7fELF" {
		return nil, ErrMagic
	}
	const class64, little, exec, amd64 = 2, 1, 2, 62
	if head[4] != class64 || head[5] != little || le.Uint16(head[16:]) != exec || le.Uint16(head[18:]) != amd64 {
		return nil, ErrMachine
	}
	img := &Image{Entry: le.Uint64(head[24:]), Base: ^uint64(0)}
	off, num := le.Uint64(head[32:]), uint64(le.Uint16(head[56:]))
	if le.Uint16(head[54:]) != phdrSize || off > uint64(len(head)) || num*phdrSize > uint64(len(head))-off {
		return nil, ErrHeaders
	}
	for p := head[off : off+num*phdrSize]; len(p) > 0; p = p[phdrSize:] {
		if le.Uint32(p) != ptLoad {
			continue
		}
		s := Segment{Off: le.Uint64(p[8:]), Addr: le.Uint64(p[16:]), FileSize: le.Uint64(p[32:]), MemSize: le.Uint64(p[40:])}
		if err := img.add(s, size, limit); err != nil {
			return nil, err
		}
	}
	if len(img.Segments) == 0 {
		return nil, ErrSegments
	}
	if img.End-img.Base > limit {
		return nil, ErrLimit
	}
	if img.Entry < img.Base || img.Entry >= img.End {
		return nil, ErrEntry
	}
	return img, nil
}

// add checks s and widens the image by it.
func (img *Image) add(s Segment, size, limit uint64) error {
	if len(img.Segments) == maxSegments {
		return ErrSegments
	}
	if s.Off > size || s.FileSize > size-s.Off {
		return ErrSegment
	}
	const top = 1 << 46
	if s.MemSize < s.FileSize || s.Addr >= top || s.MemSize > top-s.Addr {
		return ErrRange
	}
	if s.MemSize > limit {
		return ErrLimit
	}
	img.Segments = append(img.Segments, s)
	img.Base = min(img.Base, s.Addr&^pageMask)
	img.End = max(img.End, (s.Addr+s.MemSize+pageMask)&^pageMask)
	return nil
}
