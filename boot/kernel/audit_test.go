// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import (
	"testing"

	"ringo/boot/layout"
	"ringo/hv/x86"
)

// TestAudit maps one page at a time in tables that are otherwise as they should
// be.
func TestAudit(t *testing.T) {
	const rw, rx, r = pteP | pteW | pteNX, pteP, pteP | pteNX
	old := imagePA
	imagePA = layout.ImageBase
	t.Cleanup(func() { imagePA = old })
	text, rodata, data := imageText()&^(pageSize-1), imageRodata()&^(pageSize-1), imageData()&^(pageSize-1)
	beyond := (imageEnd() + size1G) &^ (size1G - 1) // physical, neither image nor pool
	for _, c := range []struct {
		name          string
		va, pa, level uint64
		bits          uint64
		want          uint64
	}{
		{"text", text, text, 1, rx, mapFine},
		{"data", data, data, 1, rw, mapFine},
		{"heap", layout.UserBase, beyond, 1, rw, mapFine},
		{"direct map", layout.DirectMap + beyond, beyond, 3, rw | ptePS, mapFine},
		{"direct map, text readable", layout.DirectMap + text, text, 1, r, mapPrivate},
		{"not present", layout.DirectMap + text, text, 1, pteW, mapFine},
		{"writable text", text, text, 1, pteP | pteW, mapWX},
		{"executable heap", layout.UserBase, beyond, 1, pteP | pteW, mapWX},
		{"executable data", data, data, 1, rx, mapCode},
		{"text elsewhere", layout.UserBase, text, 1, rx, mapCode},
		{"alias of text", layout.DirectMap + text, text, 1, rw, mapAlias},
		{"alias of read-only data", layout.UserBase, rodata, 1, rw, mapAlias},
		{"alias in a large page", layout.DirectMap, 0, 3, rw | ptePS, mapAlias},
		{"data in the direct map", layout.DirectMap + data, data, 1, rw, mapPrivate},
		{"pool in the direct map", layout.DirectMap, 0, 1, rw, mapPrivate},
		{"for ring 3", layout.UserBase, beyond, 1, rw | pteU, mapUser},
	} {
		arena(t, 20)
		if c.name == "pool in the direct map" {
			c.pa, c.va = frames.start, layout.DirectMap+frames.start
		}
		e := entry(layout.PoolMap, 1, true)
		*p64(e) = frames.start | rw
		*p64(entry(c.va, c.level, true)) = c.pa | c.bits
		want := uint64(0)
		if c.want != mapFine {
			want = c.va | c.want
		}
		if got := audit(); got != want {
			t.Errorf("%s: %#x, want %#x", c.name, got, want)
		}
	}
}

func TestWalls(t *testing.T) {
	for _, c := range []struct {
		b, c uint32
		want uint64
	}{
		{0, 0, 0}, {1 << 7, 0, x86.CR4SMEP}, {1 << 20, 0, x86.CR4SMAP}, {0, 1 << 2, x86.CR4UMIP},
		{^uint32(0), ^uint32(0), x86.CR4SMEP | x86.CR4SMAP | x86.CR4UMIP},
	} {
		if got := walls(c.b, c.c); got != c.want {
			t.Errorf("%#x, %#x: %#x, want %#x", c.b, c.c, got, c.want)
		}
	}
}

// TestDirectPage: what is partly private comes in small pages, and the rest in
// the largest that fit.
func TestDirectPage(t *testing.T) {
	arena(t, 20)
	old, oldMap := imagePA, memMap
	t.Cleanup(func() { imagePA, memMap = old, oldMap })
	imagePA = 3 * size1G
	memMap = spans{}
	memMap.add(0, 8*size1G, memRAM)
	frames.start, frames.end = size1G+size2M+64<<10, size1G+2*size2M+64<<10
	for _, c := range []struct{ pa, size uint64 }{
		{0, size1G}, {size1G, size2M}, {size1G + size2M, pageSize}, {size1G + 2*size2M, pageSize},
		{size1G + 3*size2M, size2M}, {2 * size1G, size1G}, {3 * size1G, pageSize}, {7 * size1G, size1G},
	} {
		if size, level := directPage(c.pa, true); size != c.size || size != 1<<(3+9*level) {
			t.Errorf("%#x: %#x at level %d, want %#x", c.pa, size, level, c.size)
		}
	}
	if size, _ := directPage(0, false); size != size2M {
		t.Errorf("without 1 GiB pages: %#x", size)
	}
}
