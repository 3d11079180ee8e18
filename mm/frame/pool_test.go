// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package frame_test

import (
	"errors"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"ringo/mm"
	"ringo/mm/frame"
	"ringo/mm/phys"
)

const (
	k4  = mm.PageSize
	m2  = mm.Page2M
	dom = frame.Owner(20)
)

// direct returns memory with addresses [0, size), of which only what is
// touched costs anything.
func direct(tb testing.TB, size int) *phys.Direct {
	tb.Helper()
	b, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_ANON|syscall.MAP_PRIVATE|syscall.MAP_NORESERVE)
	if err != nil {
		tb.Skipf("no address space for %d bytes: %v", size, err)
	}
	tb.Cleanup(func() { syscall.Munmap(b) })
	return phys.NewDirect(uintptr(unsafe.Pointer(&b[0])), uint64(size))
}

// TestBoot starts pools of several sizes on real memory and looks at what the
// metadata costs: 4 bytes and a little more than 2 bits a frame.
func TestBoot(t *testing.T) {
	for _, tt := range []struct {
		name   string
		usable []hrange
		meta   uint64 // at most
	}{
		{"512 MiB", []hrange{mm.Span[mm.HPA](0x1000, 0x9f000), mm.Span[mm.HPA](4*mm.MiB, 511*mm.MiB)}, 1220 * mm.KiB},
		{"6 GiB", []hrange{mm.Span[mm.HPA](4*mm.MiB, 3*mm.GiB), mm.Span[mm.HPA](4*mm.GiB, 7*mm.GiB)}, 6 * 1220 * mm.KiB},
		{"64 GiB", []hrange{mm.Span[mm.HPA](4*mm.MiB, 2*mm.GiB), mm.Span[mm.HPA](4*mm.GiB, 66*mm.GiB)}, 64 * 1220 * mm.KiB},
	} {
		t.Run(tt.name, func(t *testing.T) {
			last := tt.usable[len(tt.usable)-1]
			p, err := frame.Boot(direct(t, int(last.End())), tt.usable)
			if err != nil {
				t.Fatal(err)
			}
			total := uint64(0)
			for _, r := range tt.usable {
				total += r.Size
			}
			meta := p.OwnedAs(frame.HV, frame.Meta)
			if p.TotalBytes() != total || p.FreeBytes() != total-meta || meta > tt.meta || meta == 0 {
				t.Errorf("total %d, free %d, metadata %d; RAM %d", p.TotalBytes(), p.FreeBytes(), meta, total)
			}
			if o, typ, _ := p.Info(last.Last()); o != frame.HV || typ != frame.Meta {
				t.Errorf("the last frame belongs to %d, type %d", o, typ)
			}
			a, err := p.Pages(3, frame.HV, frame.Control)
			if err != nil || !mm.Aligned(a, 4*k4) {
				t.Errorf("Pages = %#x, %v", a, err)
			}
			p.Free(a, 3*k4, frame.HV)
			if p.FreeBytes() != total-meta {
				t.Errorf("%d bytes free in the end, want %d", p.FreeBytes(), total-meta)
			}
		})
	}
}

func TestBootRefuses(t *testing.T) {
	d := direct(t, mm.GiB)
	for name, tt := range map[string]struct {
		usable []hrange
		want   error
	}{
		"nothing":     {nil, frame.ErrRange},
		"too small":   {[]hrange{mm.Span[mm.HPA](0, mm.MiB)}, frame.ErrNoMemory},
		"unaligned":   {[]hrange{mm.Span[mm.HPA](1, mm.GiB)}, frame.ErrRange},
		"overlapping": {[]hrange{mm.Span[mm.HPA](0, 500*mm.MiB), mm.Span[mm.HPA](400*mm.MiB, mm.GiB)}, frame.ErrRange},
		"beyond 2^52": {[]hrange{{Start: mm.MaxHPA - k4, Size: 2 * k4}}, frame.ErrRange},
	} {
		if _, err := frame.Boot(d, tt.usable); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
}

// TestExtents fills a domain of 3.5 GiB less a hole as hv does, and expects
// the large pages that its addresses allow.
func TestExtents(t *testing.T) {
	p, _ := newPool(t, []hrange{mm.Span[mm.HPA](mm.MiB, 16*mm.GiB)})
	count := map[uint64]int{}
	fill := func(gpa mm.GPA, left uint64) {
		for left > 0 {
			b, err := p.Extent(gpa, left, dom, frame.RAM)
			if err != nil {
				t.Fatal(err)
			}
			for _, page := range []uint64{mm.Page1G, m2, k4} {
				if b.Size >= page {
					if !mm.Aligned(b.Start, page) || !mm.Aligned(gpa, page) {
						t.Errorf("%#x+%#x for %#x is not aligned", b.Start, b.Size, gpa)
					}
					count[page] += int(b.Size / page)
					break
				}
			}
			gpa, left = gpa+mm.GPA(b.Size), left-b.Size
		}
	}
	fill(0, 0xa0000)
	fill(mm.MiB, 3*mm.GiB+512*mm.MiB-mm.MiB)
	// 1 MiB to 2 MiB in 4 KiB pages, to 1 GiB in 2 MiB, two of 1 GiB, the rest
	// in 2 MiB.
	want := map[uint64]int{mm.Page1G: 2, m2: 511 + 256, k4: 160 + 256}
	if diff := cmp.Diff(want, count); diff != "" {
		t.Errorf("pages by size (-want +got):\n%s", diff)
	}
}

func TestRequests(t *testing.T) {
	p, _ := newPool(t, []hrange{mm.Span[mm.HPA](mm.GiB, 2560*mm.MiB), mm.Span[mm.HPA](4*mm.GiB, 6*mm.GiB)})
	for _, tt := range []struct {
		name string
		r    frame.Request
		want mm.HPA
		err  error
	}{
		{"best fit, high", frame.Request{Size: m2}, 2558 * mm.MiB, nil},
		{"below", frame.Request{Size: k4, Below: 1040 * mm.MiB}, 1040*mm.MiB - k4, nil},
		{"below, not enough left", frame.Request{Size: m2, Below: mm.GiB + k4}, 0, frame.ErrNoMemory},
		{"low", frame.Request{Size: k4, Low: true}, mm.GiB, nil},
		{"low and aligned", frame.Request{Size: k4, Align: 64 * mm.MiB, Low: true}, 1088 * mm.MiB, nil},
		{"larger than a block", frame.Request{Size: 1280 * mm.MiB, Low: true}, 1088*mm.MiB + k4, nil},
		{"odd size", frame.Request{Size: 3 * k4, Align: m2, Below: 4 * mm.GiB}, 2556 * mm.MiB, nil},
		{"two blocks", frame.Request{Size: 2 * mm.GiB}, 4 * mm.GiB, nil},
		{"too large", frame.Request{Size: mm.GiB}, 0, frame.ErrNoMemory},
		{"absurd", frame.Request{Size: 1 << 63}, 0, frame.ErrRange},
		{"empty", frame.Request{}, 0, frame.ErrRange},
		{"odd alignment", frame.Request{Size: k4, Align: 3 * k4}, 0, frame.ErrRange},
		{"small alignment", frame.Request{Size: k4, Align: 8, Low: true}, mm.GiB + k4, nil},
	} {
		b, err := p.Contiguous(tt.r, dom, frame.RAM)
		if !errors.Is(err, tt.err) || b.Start != tt.want {
			t.Errorf("%s: %#x, %v; want %#x, %v", tt.name, b.Start, err, tt.want, tt.err)
		}
	}
	if err := p.Check(); err != nil {
		t.Error(err)
	}
}

// TestSectionBorders: blocks do not cross 1 GiB, but contiguous memory does
// where sections adjoin, and only there.
func TestSectionBorders(t *testing.T) {
	for _, tt := range []struct {
		second mm.HPA
		want   mm.HPA
		err    error
	}{
		{mm.GiB, mm.GiB - 4*k4, nil},
		{2 * mm.GiB, 0, frame.ErrNoMemory},
	} {
		p, _ := newPool(t, []hrange{{Start: mm.GiB - 4*k4, Size: 4 * k4}, {Start: tt.second, Size: 4 * k4}})
		b, err := p.Contiguous(frame.Request{Size: 8 * k4}, dom, frame.RAM)
		if b.Start != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("second section at %#x: %#x, %v; want %#x, %v", tt.second, b.Start, err, tt.want, tt.err)
		}
	}
}

// TestTypes frees memory of two types with one call.
func TestTypes(t *testing.T) {
	p, _ := newPool(t, []hrange{{Start: mm.MiB, Size: 4 * k4}})
	kept := p.Kept()
	for _, typ := range []frame.Type{frame.RAM, frame.Control, frame.RAM, frame.Table} {
		if _, err := p.Pages(1, dom, typ); err != nil {
			t.Fatal(err)
		}
	}
	if p.OwnedAs(dom, frame.RAM) != 2*k4 || p.OwnedAs(dom, frame.Control) != k4 || p.Owned(dom) != 4*k4 {
		t.Errorf("owned: %d, %d of %d", p.OwnedAs(dom, frame.RAM), p.OwnedAs(dom, frame.Control), p.Owned(dom))
	}
	if got := p.Kept(); got != kept+2*k4 {
		t.Errorf("kept %d bytes, %d before", got, kept)
	}
	p.Free(mm.MiB, 4*k4, dom)
	if err := p.Check(); err != nil || p.Owned(dom) != 0 || p.Kept() != kept {
		t.Errorf("%v, owned %d", err, p.Owned(dom))
	}
}

// The methods of pt.Allocator, which this package must not import.
var _ interface {
	AllocTable() (mm.HPA, error)
	FreeTable(mm.HPA)
} = frame.Tables{}

func TestAdd(t *testing.T) {
	p, m := newPool(t, []hrange{mm.Span[mm.HPA](mm.MiB, 2*mm.MiB)})
	m.Declare(0, 1<<40)
	for name, r := range map[string]hrange{
		"free already":    mm.Span[mm.HPA](2*mm.MiB-k4, 3*mm.MiB),
		"unaligned":       mm.Span[mm.HPA](3*mm.MiB, 3*mm.MiB+1),
		"empty":           {},
		"another section": mm.Span[mm.HPA](mm.GiB-k4, mm.GiB+k4),
	} {
		if err := p.Add(r); !errors.Is(err, frame.ErrRange) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if p.TotalBytes() != mm.MiB {
		t.Fatalf("a refused Add changed the total to %d", p.TotalBytes())
	}
	if err := p.Add(mm.Span[mm.HPA](2*mm.MiB, 4*mm.MiB)); err != nil {
		t.Fatal(err)
	}
	a, err := p.Pages(512, dom, frame.RAM)
	if err != nil || a != 2*mm.MiB || p.TotalBytes() != 3*mm.MiB {
		t.Errorf("Alloc after Add = %#x, %v", a, err)
	}
	if err := p.Add(mm.Span[mm.HPA](2*mm.MiB+k4, 2*mm.MiB+2*k4)); !errors.Is(err, frame.ErrRange) {
		t.Errorf("in use: %v", err)
	}
	if err := p.Check(); err != nil {
		t.Error(err)
	}
}

func TestRefs(t *testing.T) {
	p, m := newPool(t, []hrange{mm.Span[mm.HPA](4*mm.MiB, 8*mm.MiB)})
	a, err := p.Pages(2, dom, frame.RAM)
	if err != nil {
		t.Fatal(err)
	}
	table, err := p.Tables(dom).AllocTable()
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		a    mm.HPA
		size uint64
		o    frame.Owner
		want error
	}{
		"wrong owner":      {a, k4, dom + 1, frame.ErrOwner},
		"page table":       {table, k4, dom, frame.ErrOwner},
		"free frame":       {5 * mm.MiB, k4, dom, frame.ErrOwner},
		"free as owner":    {5 * mm.MiB, k4, frame.Free, frame.ErrOwner},
		"no RAM":           {mm.GiB, k4, dom, frame.ErrOwner},
		"top of the world": {^mm.HPA(k4 - 1), k4, dom, frame.ErrOwner},
		"beyond the block": {a, 3 * k4, dom, frame.ErrOwner},
		"unaligned":        {a + 1, k4, dom, frame.ErrRange},
		"empty":            {a, 0, dom, frame.ErrRange},
		"too much at once": {a, frame.Step + k4, dom, frame.ErrRange},
	} {
		if err := p.Ref(tt.a, tt.size, tt.o); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	if _, _, refs := p.Info(a); refs != 1 {
		t.Fatalf("a refused Ref left %d references", refs)
	}
	// The second frame is lent; the first one goes at once.
	if err := p.Ref(a+k4, k4, dom); err != nil {
		t.Fatal(err)
	}
	m.Store64(a+k4, 42)
	before := p.FreeBytes()
	p.Free(a, 2*k4, dom)
	if p.FreeBytes() != before+k4 || p.OwnedAs(frame.Lent, frame.RAM) != k4 || p.OwnedAs(dom, frame.RAM) != 0 {
		t.Errorf("after Free: free +%d, lent %d", p.FreeBytes()-before, p.Owned(frame.Lent))
	}
	if m.Load64(a+k4) != 42 {
		t.Error("a lent frame was cleared")
	}
	if err := p.Ref(a+k4, k4, dom); !errors.Is(err, frame.ErrOwner) {
		t.Errorf("Ref of a lent frame: %v", err)
	}
	p.Unref(a+k4, k4)
	if p.FreeBytes() != before+2*k4 || p.Owned(frame.Lent) != 0 || m.Load64(a+k4) == 42 {
		t.Errorf("after Unref: free +%d, lent %d, contents %#x", p.FreeBytes()-before, p.Owned(frame.Lent), m.Load64(a+k4))
	}
}

func TestRefLimit(t *testing.T) {
	p, _ := newPool(t, []hrange{mm.Span[mm.HPA](4*mm.MiB, 8*mm.MiB)})
	a, _ := p.Pages(2, dom, frame.RAM)
	n := 0
	for ; p.Ref(a+k4, k4, dom) == nil; n++ {
	}
	if err := p.Ref(a, 2*k4, dom); n != 4094 || !errors.Is(err, frame.ErrRefs) {
		t.Errorf("%d references, then %v", n, err)
	}
	if _, _, refs := p.Info(a); refs != 1 {
		t.Errorf("a refused Ref left %d references to the first frame", refs)
	}
}

func TestPanics(t *testing.T) {
	p, _ := newPool(t, []hrange{mm.Span[mm.HPA](4*mm.MiB, 8*mm.MiB)})
	a, err := p.Pages(1, dom, frame.RAM)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		f    func()
		want string
	}{
		"double free":         {func() { p.Free(5*mm.MiB, k4, dom) }, "frame: double free"},
		"wrong owner":         {func() { p.Free(a, k4, dom+1) }, "frame: freed by another than its owner"},
		"unaligned":           {func() { p.Free(a+8, k4, dom) }, "frame: unaligned or empty range"},
		"odd size":            {func() { p.Free(a, 8, dom) }, "frame: unaligned or empty range"},
		"empty":               {func() { p.Free(a, 0, dom) }, "frame: unaligned or empty range"},
		"no RAM":              {func() { p.Free(5*mm.GiB, k4, dom) }, "frame: range is not RAM"},
		"reference not taken": {func() { p.Unref(a, k4) }, "frame: reference dropped that nobody took"},
		"reference to free":   {func() { p.Unref(5*mm.MiB, k4) }, "frame: reference dropped that nobody took"},
		"free as owner":       {func() { p.Free(a, k4, frame.Free) }, "frame: impossible owner"},
		"alloc for nobody":    {func() { p.Pages(1, frame.Free, frame.RAM) }, "frame: impossible owner or type"},
		"no type":             {func() { p.Pages(1, dom, 0) }, "frame: impossible owner or type"},
		"domain -1":           {func() { frame.Domain(-1) }, "frame: domain number out of range"},
		"domain 65520":        {func() { frame.Domain(65520) }, "frame: domain number out of range"},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if got := recover(); got != tt.want {
					t.Errorf("panic %v, want %v", got, tt.want)
				}
			}()
			tt.f()
		})
	}
}

// TestPoison is about -tags invariants.
func TestPoison(t *testing.T) {
	if !mm.Invariants {
		t.Skip("needs -tags invariants")
	}
	p, m := newPool(t, []hrange{mm.Span[mm.HPA](4*mm.MiB, 4*mm.MiB+k4)})
	a, _ := p.Pages(1, dom, frame.RAM)
	p.Free(a, k4, dom)
	if m.Load64(a+8) == 0 {
		t.Error("free memory is not poisoned")
	}
	if b, err := p.Pages(1, dom, frame.RAM); err != nil || m.Load64(b+8) != 0 {
		t.Errorf("allocated memory holds %#x, %v", m.Load64(b+8), err)
	}
	p.Free(a, k4, dom)
	m.Store64(a+8, 1)
	defer func() {
		if recover() == nil {
			t.Error("a write to free memory went unnoticed")
		}
	}()
	p.Pages(1, dom, frame.RAM)
}

// TestConcurrent has several owners allocate, lend and free at once. Each
// writes its number into its frames and expects to find it there.
func TestConcurrent(t *testing.T) {
	size := 64 * mm.MiB
	p, err := frame.Boot(direct(t, size), []hrange{mm.Span[mm.HPA](0x1000, mm.HPA(size))})
	if err != nil {
		t.Fatal(err)
	}
	before := p.FreeBytes()
	d := direct(t, size)
	var wg sync.WaitGroup
	for id := range 4 {
		wg.Go(func() { churn(t, p, d, id) })
	}
	wg.Wait()
	if p.FreeBytes() != before || p.Owned(frame.Lent) != 0 {
		t.Errorf("%d bytes free in the end, want %d; lent %d", p.FreeBytes(), before, p.Owned(frame.Lent))
	}
	if err := p.Check(); err != nil {
		t.Error(err)
	}
}

// churn marks frames in shadow, memory beside the pool's own: a frame that two
// owners have at once shows two marks.
func churn(t *testing.T, p *frame.Pool, shadow *phys.Direct, id int) {
	r := rand.New(rand.NewPCG(1, uint64(id)))
	o := frame.Domain(id)
	type piece struct {
		a    mm.HPA
		size uint64
		lent bool
	}
	var mine []piece
	mark := func(x piece, from, to uint64) {
		for n := uint64(0); n < x.size; n += k4 {
			if !shadow.CompareAndSwap64(x.a+mm.HPA(n), from, to) {
				t.Errorf("frame %#x has two owners", x.a+mm.HPA(n))
			}
		}
	}
	for i := range 3000 {
		if len(mine) < 20 && i < 2900 {
			b, err := p.Extent(mm.GPA(r.IntN(64))*k4, uint64(1+r.IntN(64))*k4, o, frame.RAM)
			if err != nil {
				continue
			}
			x := piece{b.Start, b.Size, r.IntN(2) == 0}
			mark(x, 0, uint64(id)+1)
			if x.lent {
				if err := p.Ref(x.a, x.size, o); err != nil {
					t.Error(err)
				}
			}
			mine = append(mine, x)
			continue
		}
		if len(mine) == 0 {
			break
		}
		j := r.IntN(len(mine))
		x := mine[j]
		mine = append(mine[:j], mine[j+1:]...)
		if x.lent {
			p.Free(x.a, x.size, o) // at most 256 KiB, aligned to its size: one step
			mark(x, uint64(id)+1, 0)
			p.Unref(x.a, x.size)
			continue
		}
		mark(x, uint64(id)+1, 0)
		p.Free(x.a, x.size, o)
	}
}

func BenchmarkAllocFree(b *testing.B) {
	p, err := frame.Boot(direct(b, 8*mm.GiB), []hrange{mm.Span[mm.HPA](mm.MiB, 8*mm.GiB)})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		a, _ := p.Pages(1, dom, frame.RAM)
		p.Free(a, k4, dom)
	}
}
