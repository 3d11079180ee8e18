// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
)

// physMem makes a buffer stand for physical memory.
func physMem(t *testing.T, size int) []byte {
	t.Helper()
	words := make([]uint64, size/8)
	b := unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), size)
	old, oldPool := dmBase, poolBase
	dmBase = addr(unsafe.Pointer(&words[0]))
	poolBase = dmBase
	memMap, taken, cmdLine = spans{}, spans{}, words0
	t.Cleanup(func() {
		dmBase, poolBase = old, oldPool
		memMap, taken, cmdLine = spans{}, spans{}, words0
	})
	return b
}

var words0 words

func (l *spans) list() (out []span) { return append(out, l.s[:l.n]...) }

func TestScan1(t *testing.T) {
	b := physMem(t, 1<<16)
	le := binary.LittleEndian
	const info, cmd, mods, str, mmap, name = 0x1000, 0x2000, 0x3000, 0x3100, 0x4000, 0x5000
	le.PutUint32(b[info:], 1<<2|1<<3|1<<6|1<<9)
	le.PutUint32(b[info+16:], cmd)
	copy(b[cmd:], "hv.img pool=20 noreboot\x00")
	le.PutUint32(b[info+20:], 2)
	le.PutUint32(b[info+24:], mods)
	le.PutUint32(b[mods:], 0x40_0000)
	le.PutUint32(b[mods+4:], 0x50_0001)
	le.PutUint32(b[mods+8:], str)
	copy(b[str:], "dom0\x00")
	le.PutUint32(b[mods+16:], 0x60_0000)
	le.PutUint32(b[mods+20:], 0x60_0000) // empty
	le.PutUint32(b[info+64:], name)
	copy(b[name:], "qemu\x00")
	le.PutUint32(b[info+44:], 48)
	le.PutUint32(b[info+48:], mmap)
	for i, e := range []span{{0, 0x9_fc00, 1}, {0x10_0000, 0x1ff0_0000, 1}} {
		p := b[mmap+i*24:]
		le.PutUint32(p, 20)
		le.PutUint64(p[4:], e.start)
		le.PutUint64(p[12:], e.end-e.start)
		le.PutUint32(p[20:], uint32(e.kind))
	}
	scanMultiboot(magic1, info)
	opt := cmp.AllowUnexported(span{})
	if d := cmp.Diff([]span{{0, 0x9_fc00, 1}, {0x10_0000, 0x1ff0_0000, 1}}, memMap.list(), opt); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]span{
		{info, info + 120, 0}, {cmd, cmd + 24, 0}, {name, name + 5, 0}, {mods, mods + 32, 0},
		{0x40_0000, 0x50_0001, 0}, {str, str + 5, 0}, {mmap, mmap + 48, 0},
	}, taken.list(), opt); d != "" {
		t.Error(d)
	}
	if v, _ := cmdLine.number("pool=", 4); v != 20 || !cmdLine.toggle("noreboot") {
		t.Errorf("command line %q", cmdLine.buf[:cmdLine.n])
	}
}

func TestScan2(t *testing.T) {
	b := physMem(t, 1<<16)
	const info = 0x2000
	at := info + 8
	tag := func(kind uint32, body ...any) {
		start := at
		at += 8
		for _, x := range body {
			switch x := x.(type) {
			case string:
				at += copy(b[at:], x+"\x00")
			case uint32:
				binary.LittleEndian.PutUint32(b[at:], x)
				at += 4
			case uint64:
				binary.LittleEndian.PutUint64(b[at:], x)
				at += 8
			}
		}
		binary.LittleEndian.PutUint32(b[start:], kind)
		binary.LittleEndian.PutUint32(b[start+4:], uint32(at-start))
		at = (at + 7) &^ 7
	}
	tag(1, "loglvl=info")
	tag(4, uint32(639), uint32(500<<10))
	tag(3, uint32(0x70_0000), uint32(0x78_0000), "dom0")
	tag(6, uint32(24), uint32(0), uint64(0), uint64(0x9_0000), uint32(1), uint32(0),
		uint64(0x10_0000), uint64(0x1000_0000), uint32(1), uint32(0),
		uint64(0x1010_0000), uint64(0x1000), uint32(3), uint32(0))
	tag(0)
	binary.LittleEndian.PutUint32(b[info:], uint32(at-info))
	scanMultiboot(magic2, info)
	opt := cmp.AllowUnexported(span{})
	if d := cmp.Diff([]span{{0, 0x9_0000, 1}, {0x10_0000, 0x1010_0000, 1}, {0x1010_0000, 0x1010_1000, 3}}, memMap.list(), opt); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]span{{info, uint64(at), 0}, {0x70_0000, 0x78_0000, 0}}, taken.list(), opt); d != "" {
		t.Error(d)
	}
	if got := string(cmdLine.buf[:cmdLine.n]); got != "loglvl=info" {
		t.Errorf("command line %q", got)
	}
}

// TestScanEFI: EFI's memory map where there is no other, with entries that
// continue each other made one.
func TestScanEFI(t *testing.T) {
	b := physMem(t, 1<<16)
	const info, step = 0x2000, 48
	at := info + 8
	le := binary.LittleEndian
	le.PutUint32(b[at:], 17)
	le.PutUint32(b[at+8:], step)
	e := at + 16
	page := uint64(0)
	put := func(kind uint32, pages, attr uint64) {
		le.PutUint32(b[e:], kind)
		le.PutUint64(b[e+8:], page<<12)
		le.PutUint64(b[e+24:], pages)
		le.PutUint64(b[e+32:], attr)
		e += step
		page += pages
	}
	put(3, 1, 8)
	put(7, 7, 8)
	put(0, 8, 8)
	for i := range uint32(600) { // more than there is room for
		put(1+i%4, 16, 0xf)
	}
	put(9, 1, 8)
	put(10, 1, 8)
	put(6, 1, 8)
	put(7, 1, 1) // not to be cached
	put(11, 1, 1)
	le.PutUint32(b[at+4:], uint32(e-at))
	le.PutUint32(b[e+4:], 8) // the end
	le.PutUint32(b[info:], uint32(e+8-info))
	scanMultiboot(magic2, info)
	want := []span{{0, 0x8000, 1}, {0x8000, 0x1_0000, 2}, {0x1_0000, 0x259_0000, 1}, {0x259_0000, 0x259_1000, 3},
		{0x259_1000, 0x259_2000, 4}, {0x259_2000, 0x259_5000, 2}}
	if d := cmp.Diff(want, memMap.list(), cmp.AllowUnexported(span{})); d != "" || memMap.lost != 0 {
		t.Error(d, memMap.lost)
	}
}

// A page to start processors from: free RAM below 640 KiB, if there is any. GRUB
// puts small modules there on UEFI.
func TestLowPage(t *testing.T) {
	for _, c := range []struct {
		ram, taken []span
		want       uint64
	}{
		{[]span{{0, 0x9_fc00, 1}}, nil, 0x1000},
		{[]span{{0, 0xa_0000, 1}}, []span{{0x1000, 0x1064, 0}, {0x2000, 0x59d8, 0}}, 0x6000},
		{[]span{{0, 0x1000, 1}, {0x1000, 0x9_e000, 2}, {0x9_e000, 0x9_fc00, 1}}, nil, 0x9_e000},
		{[]span{{0, 0x1000, 1}, {0x10_0000, 0x80_0000, 1}}, nil, 0},
	} {
		var l, tk spans
		for _, s := range c.ram {
			l.add(s.start, s.end, s.kind)
		}
		for _, s := range c.taken {
			tk.add(s.start, s.end, s.kind)
		}
		if got := l.lowPage(&tk); got != c.want {
			t.Errorf("%v %v: %#x, want %#x", c.ram, c.taken, got, c.want)
		}
	}
}

// Hostile or broken information must not make the scan run away. This is no fuzz
// target: the calls that measure coverage do not fit the stack of nosplit code.
func TestScan2Hostile(t *testing.T) {
	b := physMem(t, 1<<16)
	r := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		in := b[0x1000:0x8000]
		clear(in)
		n := 8
		for n < 0x4000 && r.IntN(12) != 0 {
			// A tag: its type, its length, and contents; each may be anything.
			size := r.IntN(80)
			binary.LittleEndian.PutUint32(in[n:], uint32(r.IntN(24)))
			binary.LittleEndian.PutUint32(in[n+4:], uint32(size))
			for i := 8; i < size; i++ {
				in[n+i] = byte(r.Uint32() & uint32(-r.IntN(2)))
			}
			if r.IntN(8) == 0 {
				binary.LittleEndian.PutUint32(in[n+4*r.IntN(2):], r.Uint32()>>r.IntN(32))
			}
			n += (max(size, 8) + 7) &^ 7
		}
		binary.LittleEndian.PutUint32(in, uint32(n))
		memMap, taken, cmdLine = spans{}, spans{}, words0
		scanMultiboot(magic2, 0x1000)
	}
}

func TestPlace(t *testing.T) {
	const M = 1 << 20
	ram := []span{{0, 640 << 10, 1}, {1 * M, 64 * M, 1}, {64 * M, 65 * M, 2}, {65 * M, 4096 * M, 1}, {4096 * M, 8192 * M, 1}}
	for _, c := range []struct {
		name  string
		ram   []span
		taken []span
		size  uint64
		want  uint64
	}{
		{"behind the image", ram, []span{{0, M, 0}, {M, 5*M + 1, 0}}, 12 * M, 5*M + 64<<10},
		{"behind a module", ram, []span{{M, 5 * M, 0}, {10 * M, 60 * M, 0}}, 12 * M, 65 * M},
		{"between modules", ram, []span{{M, 5 * M, 0}, {20 * M, 60 * M, 0}}, 12 * M, 5 * M},
		{"unsorted map", []span{ram[3], ram[1], ram[0]}, []span{{M, 5 * M, 0}}, 12 * M, 5 * M},
		{"too little", ram[:2], []span{{M, 60 * M, 0}}, 12 * M, 0},
		{"not above 4 GiB", ram[4:], nil, 12 * M, 0},
		{"contradiction", []span{{M, 64 * M, 1}, {8 * M, 9 * M, 2}}, []span{{M, 5 * M, 0}}, 12 * M, 9 * M},
		{"taken by many", ram[:2], []span{{50 * M, 64 * M, 0}, {30 * M, 40 * M, 0}, {M, 20 * M, 0}, {40 * M, 41 * M, 0}}, 9 * M, 20 * M},
	} {
		t.Run(c.name, func(t *testing.T) {
			var l, tk spans
			for _, s := range c.ram {
				l.add(s.start, s.end, s.kind)
			}
			for _, s := range c.taken {
				tk.add(s.start, s.end, s.kind)
			}
			if got := l.place(&tk, c.size, poolAlign, M, 1<<32); got != c.want {
				t.Errorf("placed at %#x, want %#x", got, c.want)
			}
		})
	}
}

func TestKinds(t *testing.T) {
	var l spans
	l.add(0, 640<<10, 1)
	l.add(1<<20, 3<<30, 1)
	l.add(3<<30, 3<<30+4096, 3)
	l.add(0xe000_0000, 0xf000_0000, 2)
	for _, c := range []struct {
		start, end  uint64
		cached, all bool
	}{
		{0, size1G, true, false}, {size1G, 2 * size1G, true, true}, {3 << 30, 3<<30 + size2M, true, false},
		{0xe000_0000, 0xe020_0000, false, false}, {0xfec0_0000, 0xfee0_0000, false, false},
	} {
		if cached, all := l.kinds(c.start, c.end); cached != c.cached || all != c.all {
			t.Errorf("[%#x,%#x): cached %v all %v", c.start, c.end, cached, all)
		}
	}
	if l.top() != 3<<30+4096 {
		t.Errorf("top %#x", l.top())
	}
}

func TestPlacePool(t *testing.T) {
	const mib, gib = 1 << 20, 1 << 30
	for _, c := range []struct {
		name string
		ram  []span
		line string
		at   uint64
		size uint64
	}{
		{"small machine", []span{{mib, 128 * mib, 1}}, "", mib, 12 * mib},
		{"2 GiB", []span{{mib, 2*gib + mib, 1}}, "", mib, 16 * mib},
		{"high memory counts", []span{{mib, 3 * gib, 1}, {4 * gib, 9*gib + mib, 1}}, "", mib, 64 * mib},
		{"large machine", []span{{mib, 3 * gib, 1}, {4 * gib, 900 * gib, 1}}, "", mib, 96 * mib},
		{"little below 4 GiB", []span{{mib, 32 * mib, 1}, {4 * gib, 900 * gib, 1}}, "", mib, 24 * mib},
		{"only the least fits", []span{{mib, 15 * mib, 1}, {4 * gib, 900 * gib, 1}}, "", mib, 12 * mib},
		{"none fits", []span{{mib, 12 * mib, 1}, {4 * gib, 900 * gib, 1}}, "", 0, 12 * mib},
		{"other memory does not count", []span{{mib, 128 * mib, 1}, {4 * gib, 900 * gib, 2}}, "", mib, 12 * mib},
		{"as told", []span{{mib, 3 * gib, 1}}, "pool=20", mib, 20 * mib},
		{"too little to be meant", []span{{mib, gib, 1}}, "pool=3", mib, 12 * mib},
		{"more than there is", []span{{mib, gib, 1}}, "pool=2000", 0, 2000 * mib},
	} {
		t.Run(c.name, func(t *testing.T) {
			physMem(t, 4096)
			for _, s := range c.ram {
				memMap.add(s.start, s.end, s.kind)
			}
			cmdLine.n = uint64(copy(cmdLine.buf[:], c.line))
			at, size := placePool()
			if at != c.at || size != c.size {
				t.Errorf("%d bytes at %#x, want %d at %#x", size, at, c.size, c.at)
			}
		})
	}
}
