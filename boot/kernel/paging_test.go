// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import (
	"testing"

	"ringo/boot/layout"
	"ringo/hv/x86"
)

// arena gives the pool and the address space of a test.
func arena(t *testing.T, pages uint64) {
	t.Helper()
	physMem(t, int(pages+1)*pageSize)
	oldFrames, oldRoot := frames, rootTable
	frames, space = pool{}, vmas{}
	frames.init(pageSize, (pages+1)*pageSize)
	rootTable = frames.alloc()
	frames.tables++
	t.Cleanup(func() { frames, space, rootTable = oldFrames, vmas{}, oldRoot })
}

func checkFrames(t *testing.T, pages uint64) {
	t.Helper()
	free := (frames.end-frames.next)/pageSize + frames.freeCount
	if free+frames.data+frames.tables+frames.kernel != pages {
		t.Errorf("%d free, %d data, %d tables, %d kernel: not %d", free, frames.data, frames.tables, frames.kernel, pages)
	}
}

func TestPopulate(t *testing.T) {
	const pages = 100
	arena(t, pages)
	base := uint64(layout.UserBase)
	space.set(base, base+16*pageSize, protRead|protWrite)
	space.set(base+16*pageSize, base+20*pageSize, 0)
	space.set(base+20*pageSize, base+24*pageSize, protRead)
	for _, c := range []struct {
		page, code uint64
		want       int
	}{
		{0, x86.PFWrite, faultOK},
		{0, x86.PFWrite | x86.PFPresent, faultOK}, // another CPU was faster
		{3, 0, faultOK},
		{3, x86.PFFetch, faultAccErr},
		{17, 0, faultAccErr},
		{21, 0, faultOK},
		{21, x86.PFWrite | x86.PFPresent, faultAccErr},
		{24, 0, faultMapErr},
	} {
		if c.code&x86.PFPresent != 0 && c.want == faultOK {
			continue // INVLPG is for ring 0
		}
		if got := populate(base+c.page*pageSize, c.code); got != c.want {
			t.Errorf("page %d code %d: %d, want %d", c.page, c.code, got, c.want)
		}
	}
	if frames.data != 3 || frames.tables != 4 {
		t.Errorf("%d data frames, %d tables", frames.data, frames.tables)
	}
	checkFrames(t, pages)
	for _, c := range []struct {
		page uint64
		bits uint64
	}{{0, pteP | pteW | pteNX | pteOwn}, {21, pteP | pteNX | pteOwn}, {5, 0}} {
		e, _ := lowest(base + c.page*pageSize)
		if got := *p64(e) &^ pteAddr; got != c.bits {
			t.Errorf("page %d: bits %#x, want %#x", c.page, got, c.bits)
		}
	}
}

func TestPopulateFull(t *testing.T) {
	const pages = 10
	arena(t, pages)
	base := uint64(layout.UserBase)
	space.set(base, base+64*pageSize, protWrite)
	n := uint64(0)
	for populate(base+n*pageSize, x86.PFWrite) == faultOK {
		n++
	}
	if n != pages-4 {
		t.Errorf("%d pages, want %d", n, pages-4)
	}
	checkFrames(t, pages)
}

// zapAll is what zap does, without the TLB.
func zapAll(c *cpu, start, end uint64, tables bool) {
	for start < end {
		n, nt, next := zapCollect(c, start, end, tables)
		for i := range n {
			frames.release(c.batch[i])
		}
		frames.tables -= nt
		frames.data -= n - nt
		start = next
	}
}

func TestZap(t *testing.T) {
	const pages = 2000
	arena(t, pages)
	c := new(cpu)
	base := uint64(layout.UserBase)
	end := base + 4*size2M
	space.set(base, end, protWrite)
	for i := uint64(0); i < 700; i++ {
		if populate(base+size2M/2+i*pageSize, x86.PFWrite) != faultOK {
			t.Fatal("no memory")
		}
	}
	populate(end-pageSize, x86.PFWrite)
	if frames.data != 701 || frames.tables != 6 {
		t.Fatalf("%d data frames, %d tables", frames.data, frames.tables)
	}
	// The middle goes; the tables stay, since pages are left in both.
	zapAll(c, base+size2M/2+pageSize, base+size2M/2+699*pageSize, true)
	if frames.data != 3 || frames.tables != 6 {
		t.Errorf("%d data frames, %d tables", frames.data, frames.tables)
	}
	checkFrames(t, pages)
	// A page that goes with tables kept, then all with tables freed: the
	// lowest level goes, the two above it stay.
	zapAll(c, base+size2M/2, base+size2M/2+pageSize, false)
	zapAll(c, base, end, true)
	if frames.data != 0 || frames.tables != 3 {
		t.Errorf("%d data frames, %d tables", frames.data, frames.tables)
	}
	checkFrames(t, pages)
	if populate(base+size2M/2, x86.PFWrite) != faultOK {
		t.Error("cannot be used again")
	}
	e, _ := lowest(base + size2M/2)
	if f := phys(*p64(e) & pteAddr); !emptyTable(f) {
		t.Error("a frame used again is not zero")
	}
}

// PROT_NONE keeps the content.
func TestProtect(t *testing.T) {
	arena(t, 50)
	c := new(cpu)
	base := uint64(layout.UserBase)
	space.set(base, base+2*pageSize, protWrite)
	populate(base, x86.PFWrite)
	e, _ := lowest(base)
	f := *p64(e) & pteAddr
	*p64(phys(f)) = 42
	protect(base, base+2*pageSize, 0)
	if *p64(e)&pteP != 0 {
		t.Error("still present")
	}
	protect(base, base+2*pageSize, protRead)
	if *p64(e) != f|pteP|pteNX|pteOwn || *p64(phys(f)) != 42 {
		t.Errorf("entry %#x", *p64(e))
	}
	protect(base, base+2*pageSize, 0)
	zapAll(c, base, base+2*pageSize, true)
	if frames.data != 0 {
		t.Error("a page without access was lost")
	}
}
