// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import "unsafe"

// A minimal look at the multiboot information, before there is a runtime: the
// memory map, what must not be overwritten, and the command line. Package
// boot/mb reads the same information properly later; it stays where the loader
// put it, since nothing below hands its memory out.

const (
	magic1 = 0x2badb002
	magic2 = 0x36d76289

	maxSpans   = 512
	maxModules = 256
	maxCmdLine = 1024

	memRAM      = 1
	memReserved = 2
	memACPI     = 3
	memNVS      = 4
)

// span is a range of physical addresses; kind is an e820 type.
type span struct{ start, end, kind uint64 }

type spans struct {
	n    uint64
	lost uint64 // did not fit
	s    [maxSpans]span
}

//go:nosplit
func (l *spans) at(i uint64) *span {
	return (*span)(ptr(addr(unsafe.Pointer(&l.s)) + i*uint64(unsafe.Sizeof(span{}))))
}

//go:nosplit
func (l *spans) add(start, end, kind uint64) {
	if end <= start {
		return
	}
	if l.n > 0 {
		if last := l.at(l.n - 1); last.end == start && last.kind == kind {
			last.end = end // EFI's maps have hundreds of entries
			return
		}
	}
	if l.n == maxSpans {
		l.lost++
		return
	}
	*l.at(l.n) = span{start, end, kind}
	l.n++
}

// hit returns the end of a span that overlaps [start, end), or 0.
//
//go:nosplit
func (l *spans) hit(start, end uint64) uint64 {
	for i := uint64(0); i < l.n; i++ {
		if s := l.at(i); s.start < end && start < s.end {
			return s.end
		}
	}
	return 0
}

// kinds reports whether RAM and whether memory of the types that are worth
// caching (RAM, ACPI) overlaps [start, end), and whether RAM covers all of it.
//
//go:nosplit
func (l *spans) kinds(start, end uint64) (cached, all bool) {
	covered := uint64(0)
	for i := uint64(0); i < l.n; i++ {
		s := l.at(i)
		if s.start >= end || s.end <= start {
			continue
		}
		if s.kind == memRAM || s.kind == memACPI || s.kind == memNVS {
			cached = true
		}
		if s.kind == memRAM {
			covered += min(s.end, end) - max(s.start, start)
		}
	}
	return cached, covered == end-start
}

// top returns the end of the highest memory that the direct map must cover.
//
//go:nosplit
func (l *spans) top() (top uint64) {
	for i := uint64(0); i < l.n; i++ {
		if s := l.at(i); s.kind == memRAM || s.kind == memACPI || s.kind == memNVS {
			top = max(top, s.end)
		}
	}
	return top
}

// ram returns how much RAM there is, in bytes.
//
//go:nosplit
func (l *spans) ram() (n uint64) {
	for i := uint64(0); i < l.n; i++ {
		if s := l.at(i); s.kind == memRAM {
			n += s.end - s.start
		}
	}
	return n
}

// place returns the lowest multiple of align, a power of two, in [lo, hi) at which
// size bytes of RAM are free of everything in taken, or 0.
//
//go:nosplit
func (l *spans) place(taken *spans, size, align, lo, hi uint64) uint64 {
	best := uint64(0)
	for i := uint64(0); i < l.n; i++ {
		s := l.at(i)
		if s.kind != memRAM {
			continue
		}
		a := (max(s.start, lo) + align - 1) &^ (align - 1)
		for a < min(s.end, hi) && min(s.end, hi)-a >= size {
			bad := max(taken.hit(a, a+size), l.hitOther(a, a+size))
			if bad == 0 {
				if best == 0 || a < best {
					best = a
				}
				break
			}
			a = (bad + align - 1) &^ (align - 1)
		}
	}
	return best
}

// lowPage returns a page from which application processors can start in real
// mode, or 0. Page 0 has the interrupt table and data of a BIOS.
//
//go:nosplit
func (l *spans) lowPage(taken *spans) uint64 {
	return l.place(taken, pageSize, pageSize, pageSize, 0xa0000)
}

// hitOther is hit for entries that are not RAM: maps may contradict themselves.
//
//go:nosplit
func (l *spans) hitOther(start, end uint64) uint64 {
	for i := uint64(0); i < l.n; i++ {
		if s := l.at(i); s.kind != memRAM && s.start < end && start < s.end {
			return s.end
		}
	}
	return 0
}

// words is a command line.
type words struct {
	n   uint64
	buf [maxCmdLine]byte
}

//go:nosplit
func (w *words) at(i uint64) byte {
	if i >= w.n {
		return ' '
	}
	return *p8(addr(unsafe.Pointer(&w.buf)) + i)
}

// copy takes over the NUL-terminated string at p, of at most limit bytes.
//
//go:nosplit
func (w *words) copy(p, limit uint64) {
	w.n = 0
	for w.n < min(limit, maxCmdLine-1) && *p8(p + w.n) != 0 {
		*p8(addr(unsafe.Pointer(&w.buf)) + w.n) = *p8(p + w.n)
		w.n++
	}
}

// match reports whether the text at i begins with s.
//
//go:nosplit
func (w *words) match(i uint64, s string) bool {
	j := uint64(0)
	for j < uint64(len(s)) && w.at(i+j) == s[j] {
		j++
	}
	return j == uint64(len(s))
}

// is reports whether the text at i is s up to the end of the word.
//
//go:nosplit
func (w *words) is(i uint64, s string) bool { return w.match(i, s) && w.at(i+uint64(len(s))) == ' ' }

// begins reports whether a word begins at i.
//
//go:nosplit
func (w *words) begins(i uint64) bool { return i == 0 || w.at(i-1) == ' ' }

// has reports whether a word starts with key.
//
//go:nosplit
func (w *words) has(key string) bool {
	for i := uint64(0); i < w.n; i++ {
		if w.begins(i) && w.match(i, key) {
			return true
		}
	}
	return false
}

// number returns the value of the last word that is key, which ends in '=', and
// a decimal number from least to 65535. This and toggle read options as
// boot/cmdline does, which comes too late for them.
//
//go:nosplit
func (w *words) number(key string, least uint64) (v uint64, ok bool) {
	const most = 65535
	for i := uint64(0); i < w.n; i++ {
		if !w.begins(i) || !w.match(i, key) {
			continue
		}
		at, n := i+uint64(len(key)), uint64(0)
		for ; w.at(at) >= '0' && w.at(at) <= '9' && n <= most; at++ {
			n = n*10 + uint64(w.at(at)-'0')
		}
		if w.at(at) == ' ' && w.at(at-1) != '=' && n >= least && n <= most {
			v, ok = n, true
		}
	}
	return v, ok
}

// toggle reports whether the switch name is on.
//
//go:nosplit
func (w *words) toggle(name string) (on bool) {
	for i := uint64(0); i < w.n; i++ {
		if !w.begins(i) {
			continue
		}
		value := i + uint64(len(name)) + 1
		switch {
		case w.is(i, name):
			on = true
		case w.match(i, "no") && (w.at(i+2) == '-' || w.at(i+2) == '_') && w.is(i+3, name):
			on = false
		case !w.match(i, name) || w.at(value-1) != '=':
		case w.is(value, "on") || w.is(value, "yes") || w.is(value, "true") || w.is(value, "1"):
			on = true
		case w.is(value, "off") || w.is(value, "no") || w.is(value, "false") || w.is(value, "0"):
			on = false
		}
	}
	return on
}

var (
	memMap  spans
	taken   spans // image, modules, multiboot information
	cmdLine words
)

// scanMultiboot fills memMap, taken and cmdLine.
//
//go:nosplit
func scanMultiboot(magic, info uint64) {
	if magic == magic1 {
		scan1(info)
	} else {
		scan2(info)
	}
}

// scan1: Multiboot 0.6.96, "Boot information format".
//
//go:nosplit
func scan1(info uint64) {
	p := phys(info)
	flags := *p32(p)
	taken.add(info, info+120, 0)
	if flags&(1<<2) != 0 {
		a := uint64(*p32(p + 16))
		cmdLine.copy(phys(a), maxCmdLine)
		taken.add(a, a+cmdLine.n+1, 0)
	}
	if flags&(1<<9) != 0 {
		takeString(uint64(*p32(p + 64)))
	}
	if flags&(1<<3) != 0 {
		n, a := uint64(*p32(p + 20)), uint64(*p32(p + 24))
		taken.add(a, a+n*16, 0)
		for i := uint64(0); i < min(n, maxModules); i++ {
			m := phys(a + i*16)
			taken.add(uint64(*p32(m)), uint64(*p32(m + 4)), 0)
			if s := uint64(*p32(m + 8)); s != 0 {
				takeString(s)
			}
		}
	}
	if flags&(1<<6) != 0 {
		n, a := uint64(*p32(p + 44)), uint64(*p32(p + 48))
		taken.add(a, a+n, 0)
		for at := a; at+24 <= a+n; {
			e := phys(at)
			memMap.add(*p64(e + 4), *p64(e + 4)+*p64(e + 12), uint64(*p32(e + 20)))
			at += 4 + uint64(*p32(e))
		}
	} else if flags&1 != 0 {
		memMap.add(0, uint64(*p32(p + 4))<<10, memRAM)
		memMap.add(1<<20, 1<<20+uint64(*p32(p + 8))<<10, memRAM)
	}
}

//go:nosplit
func takeString(a uint64) {
	n := uint64(1)
	for n < 4096 && *p8(phys(a + n - 1)) != 0 {
		n++
	}
	taken.add(a, a+n, 0)
}

// scan2: Multiboot2 2.0, "Boot information format".
//
//go:nosplit
func scan2(info uint64) {
	size := uint64(*p32(phys(info)))
	taken.add(info, info+size, 0)
	basic, efi, efiSize := uint64(0), uint64(0), uint64(0)
	for at := info + 8; at+8 <= info+size; {
		t := phys(at)
		n := uint64(*p32(t + 4))
		if *p32(t) == 0 || n < 8 {
			break
		}
		n = min(n, info+size-at) // a tag ends where the information does
		switch *p32(t) {
		case 1:
			cmdLine.copy(t+8, n-8)
		case 3:
			taken.add(uint64(*p32(t + 8)), uint64(*p32(t + 12)), 0)
		case 4:
			basic = t
		case 6:
			scanMap2(t, n)
		case 17:
			efi, efiSize = t, n
		}
		at += (n + 7) &^ 7
	}
	if memMap.n == 0 && efi != 0 {
		scanMapEFI(efi, efiSize)
	} else if memMap.n == 0 && basic != 0 {
		memMap.add(0, uint64(*p32(basic + 8))<<10, memRAM)
		memMap.add(1<<20, 1<<20+uint64(*p32(basic + 12))<<10, memRAM)
	}
}

//go:nosplit
func scanMap2(t, n uint64) {
	step := uint64(*p32(t + 8))
	for e := uint64(16); step >= 24 && e+24 <= n; e += step {
		a := *p64(t + e)
		memMap.add(a, a+*p64(t + e + 8), uint64(*p32(t + e + 16)))
	}
}

// scanMapEFI takes EFI's memory map, see boot/mb.
//
//go:nosplit
func scanMapEFI(t, n uint64) {
	const writeBack = 1 << 3
	step := uint64(*p32(t + 8))
	for e := uint64(16); step >= 40 && e+40 <= n; e += step {
		kind := uint64(memReserved)
		switch *p32(t + e) {
		case 1, 2, 3, 4, 7:
			if *p64(t + e + 32)&writeBack != 0 {
				kind = memRAM
			}
		case 9:
			kind = memACPI
		case 10:
			kind = memNVS
		}
		a := *p64(t + e + 8)
		memMap.add(a, a+*p64(t + e + 24)<<12, kind)
	}
}
