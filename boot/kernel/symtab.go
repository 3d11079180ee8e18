// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import "ringo/boot/layout"

// The symbolizer of the crash dump reads the table that the Go linker puts
// into every image (runtime.pclntab), in place, without allocating and without
// the runtime, which may be what broke. The format is that of Go 1.20 and later
// (runtime/symtab.go); a test compares it with runtime.FuncForPC.

const (
	pclnMagic = 0xfffffff1

	hdrFuncs    = 8  // number of functions
	hdrNames    = 32 // offset of the name table
	hdrCUs      = 40
	hdrFiles    = 48
	hdrPCTab    = 56
	hdrFuncTab  = 64
	fnNameOff   = 4
	fnPCSP      = 16
	fnPCFile    = 20
	fnPCLine    = 24
	fnCUOff     = 32
	fnFlag      = 41
	fnFlagTop   = 1 // FuncFlagTopFrame
	maxUnwind   = 40
	maxFileName = 200
)

// symtab is a pclntab in memory.
type symtab struct {
	tab  uint64 // address of the header, 0 unusable
	text uint64 // address of the first function
}

//go:nosplit
func imageSymtab() (s symtab) {
	s.tab, s.text = imagePclntab(), imageText()
	if *p32(s.tab) != pclnMagic {
		s.tab = 0
	}
	return s
}

// find returns the address of the function record for pc and of the function,
// or 0.
//
//go:nosplit
func (s symtab) find(pc uint64) (fn, start uint64) {
	if s.tab == 0 || pc < s.text {
		return 0, 0
	}
	off := pc - s.text
	ft := s.tab + *p64(s.tab + hdrFuncTab)
	lo, hi := uint64(0), *p64(s.tab + hdrFuncs)
	if off >= uint64(*p32(ft + hi*8)) {
		return 0, 0
	}
	for hi-lo > 1 {
		m := (lo + hi) / 2
		if uint64(*p32(ft + m*8)) <= off {
			lo = m
		} else {
			hi = m
		}
	}
	fn = ft + uint64(*p32(ft + lo*8 + 4))
	return fn, s.text + uint64(*p32(fn))
}

// name returns the address of the function's NUL-terminated name.
//
//go:nosplit
func (s symtab) name(fn uint64) uint64 {
	return s.tab + *p64(s.tab + hdrNames) + uint64(*p32(fn + fnNameOff))
}

// value looks pc up in one of the function's pc-value tables; field is fnPCSP,
// fnPCFile or fnPCLine.
//
//go:nosplit
func (s symtab) value(fn, start, pc, field uint64) (int32, bool) {
	off := *p32(fn + field)
	if off == 0 {
		return 0, false
	}
	p := s.tab + *p64(s.tab + hdrPCTab) + uint64(off)
	val, at := int32(-1), start
	for first := true; ; first = false {
		u, q := varint(p)
		if u == 0 && !first {
			return 0, false
		}
		d := int32(u >> 1)
		if u&1 != 0 {
			d = ^d
		}
		val += d
		u, p = varint(q)
		if at += uint64(u); pc < at {
			return val, true
		}
	}
}

//go:nosplit
func varint(p uint64) (v uint32, next uint64) {
	for shift := uint(0); ; shift += 7 {
		b := *p8(p)
		p++
		v |= uint32(b&0x7f) << (shift & 31)
		if b&0x80 == 0 {
			return v, p
		}
	}
}

// file returns the address of the NUL-terminated file name for a value of
// fnPCFile, or 0.
//
//go:nosplit
func (s symtab) file(fn uint64, v int32) uint64 {
	cu := s.tab + *p64(s.tab + hdrCUs)
	off := *p32(cu + (uint64(*p32(fn + fnCUOff))+uint64(v))*4)
	if off == ^uint32(0) {
		return 0
	}
	return s.tab + *p64(s.tab + hdrFiles) + uint64(off)
}

// caller unwinds one frame: from a pc and sp to the caller's. pc must be inside
// the call instruction for all but the first frame.
//
//go:nosplit
func (s symtab) caller(fn, start, pc, sp uint64) (nextPC, nextSP uint64, ok bool) {
	size, ok := s.value(fn, start, pc, fnPCSP)
	if !ok || *p8(fn + fnFlag)&fnFlagTop != 0 {
		return 0, 0, false
	}
	sp += uint64(int64(size))
	ret, ok := peek(sp)
	return ret, sp + 8, ok && ret != 0
}

// peek reads a word of memory that may be unmapped, without page faults and
// without locks.
//
//go:nosplit
func peek(a uint64) (v uint64, ok bool) {
	if a&7 != 0 {
		return 0, false
	}
	switch {
	case booted == 0: // host tests
	case a >= layout.ImageBase && a < imageEnd():
	case a >= layout.UserBase && a < layout.UserEnd, a >= layout.CPUMap && a < layout.CPUMap+maxCPU*layout.CPUSpan:
		e, _ := lowest(a)
		if e == 0 || *p64(e)&pteP == 0 {
			return 0, false
		}
		a = frameAt(*p64(e)&pteAddr) + a&(pageSize-1)
	default:
		return 0, false
	}
	return *p64(a), true
}

// sayAt writes "function+0x12 file.go:34" for a pc.
//
//go:nosplit
func sayAt(pc uint64) {
	s := imageSymtab()
	fn, start := s.find(pc)
	if fn == 0 {
		say("?")
		return
	}
	sayCString(s.name(fn))
	say("+0x")
	sayShortHex(pc - start)
	line, ok := s.value(fn, start, pc, fnPCLine)
	fv, ok2 := s.value(fn, start, pc, fnPCFile)
	if !ok || !ok2 || line < 0 {
		return
	}
	if f := s.file(fn, fv); f != 0 {
		say(" ")
		sayCString(f)
		say(":")
		sayDec(uint64(uint32(line)))
	}
}

// sayStack writes the calls from pc and sp on.
//
//go:nosplit
func sayStack(pc, sp uint64) {
	s := imageSymtab()
	for i := 0; i < maxUnwind; i++ {
		say("    ")
		sayHex(pc)
		say(" ")
		at := pc
		if i > 0 {
			at-- // the call, not what follows it
		}
		sayAt(at)
		say("\n")
		fn, start := s.find(at)
		if fn == 0 {
			return
		}
		var ok bool
		if pc, sp, ok = s.caller(fn, start, at, sp); !ok {
			return
		}
	}
}

//go:nosplit
func sayCString(p uint64) {
	n := uint64(0)
	for n < maxFileName && *p8(p + n) != 0 {
		n++
	}
	sayBytes(p, n)
}

//go:nosplit
func sayShortHex(v uint64) {
	shift := uint(0)
	for v>>shift > 15 && shift < 60 {
		shift += 4
	}
	for {
		d := "0123456789abcdef"[v>>(shift&63)&15]
		sayByte(d)
		if shift == 0 {
			return
		}
		shift -= 4
	}
}

//go:nosplit
func sayByte(b byte) {
	w := uint64(b)
	sayBytes(addrOf(&w), 1)
}
