// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package dump

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"ringo/dom0/account"
	"ringo/hv/abi"
)

// all is more than any dump here takes.
const all = 1 << 40

// memory is a guest's RAM, which comes in pieces that are not contiguous.
type memory map[uint64][]byte

func (m memory) slice(a, n uint64) []byte {
	for start, b := range m {
		if a >= start && a-start < uint64(len(b)) {
			b = b[a-start:]
			return b[:min(n, uint64(len(b)), 3*page)]
		}
	}
	return nil
}

// guest is one of two ranges with something in them, and two vCPUs.
func guest() (memory, Source) {
	const high = 4 << 30
	m := memory{0: make([]byte, 640<<10), 1 << 20: make([]byte, 3<<20+page), high: make([]byte, 1<<20)}
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range m[0][:200<<10] { // noise, which is kept as it is
		m[0][i] = byte(rnd.Uint32())
	}
	copy(m[1<<20][2<<20-7:], bytes.Repeat([]byte("text over a block's end "), 8000))
	m[1<<20][3<<20+page-1] = 0xaa
	m[high][5] = 0x55
	src := Source{RAM: []Range{{0, 640 << 10}, {1 << 20, 3<<20 + page}, {high, 1 << 20}}, Slice: m.slice}
	for i := range uint64(2) {
		var x abi.VCPUContext
		for r := range x.GPR {
			x.GPR[r] = i<<32 | uint64(r)
		}
		x.RIP, x.RFLAGS, x.CR0, x.CR3, x.CR4, x.IDTBase = 0xffffffff81000000+i, 0x202, 0x80050033, 0x2000+i<<12, 0x20, 0xfffffe0000000000
		x.Seg[cs] = abi.Segment{Selector: 0x10, Access: 0xa09b, Limit: 1<<32 - 1}
		x.Seg[gs].Base = 0xffff888000000000 + i
		src.VCPUs = append(src.VCPUs, x)
	}
	return m, src
}

// The file is what debug/elf takes for a core file, with the guest's memory at its
// physical addresses.
func TestCore(t *testing.T) {
	m, src := guest()
	vmcore := note(nil, infoName, 0, []byte("OSRELEASE=6.1.0\nPAGESIZE=4096\n"))
	copy(m[1<<20][3*page:], vmcore)
	d, err := New(src, nil, all)
	if err != nil {
		t.Fatal(err)
	}
	if d.Release != "6.1.0" {
		t.Errorf("release %q", d.Release)
	}
	f, err := elf.NewFile(d)
	if err != nil {
		t.Fatal(err)
	}
	if f.Type != elf.ET_CORE || f.Machine != elf.EM_X86_64 || f.Class != elf.ELFCLASS64 || len(f.Progs) != 4 || f.Progs[0].Type != elf.PT_NOTE {
		t.Fatalf("%+v", f)
	}
	for i, p := range f.Progs[1:] {
		r := src.RAM[i]
		got, err := io.ReadAll(p.Open())
		if err != nil || p.Type != elf.PT_LOAD || p.Paddr != r.Start || p.Vaddr != r.Start || p.Off%page != 0 || !bytes.Equal(got, m[r.Start]) {
			t.Errorf("range %#x: %+v, %v, %d bytes", r.Start, p.ProgHeader, err, len(got))
		}
	}
	var names []string
	prstatus, infos := 0, 0
	for _, n := range notes(t, f.Progs[0]) {
		names = append(names, n.name)
		switch {
		case n.name == "CORE" && n.kind == ntPRStatus:
			reg := func(i int) uint64 { return binary.LittleEndian.Uint64(n.desc[112+8*i:]) }
			i := uint64(prstatus)
			if len(n.desc) != 336 || reg(16) != 0xffffffff81000000+i || reg(19) != i<<32|rsp || reg(0) != i<<32|15 || reg(10) != i<<32|rax || reg(17) != 0x10 || reg(22) != 0xffff888000000000+i {
				t.Errorf("vCPU %d: %x", i, n.desc)
			}
			prstatus++
		case n.name == "QEMU":
			cr3 := binary.LittleEndian.Uint64(n.desc[392+3*8:])
			flags := binary.LittleEndian.Uint32(n.desc[8+18*8+8:])
			if len(n.desc) != 440 || le.Uint32(n.desc[4:]) != 440 || cr3>>12 != 2 && cr3>>12 != 3 || flags != 0xa09b00 {
				t.Errorf("state: cr3 %#x flags %#x of %d bytes", cr3, flags, len(n.desc))
			}
		case n.name == infoName:
			infos++
			if string(n.desc) != "OSRELEASE=6.1.0\nPAGESIZE=4096\n" {
				t.Errorf("%q", n.desc)
			}
		}
	}
	if prstatus != 2 || infos != 1 || strings.Join(names, " ") != "CORE CORE QEMU QEMU VMCOREINFO" {
		t.Errorf("notes %q", names)
	}
}

type noteOf struct {
	name string
	kind uint32
	desc []byte
}

func notes(t *testing.T, p *elf.Prog) (list []noteOf) {
	b, err := io.ReadAll(p.Open())
	if err != nil {
		t.Fatal(err)
	}
	pad := func(n uint32) uint32 { return (n + 3) &^ 3 }
	for len(b) > 0 {
		le := binary.LittleEndian
		name, desc := le.Uint32(b), le.Uint32(b[4:])
		n := noteOf{string(b[12 : 12+name-1]), le.Uint32(b[8:]), b[12+pad(name):][:desc]}
		list = append(list, n)
		b = b[12+pad(name)+pad(desc):]
	}
	return list
}

// Any part can be read, and is what the whole has.
func TestReadAt(t *testing.T) {
	_, src := guest()
	d, err := New(src, nil, all)
	if err != nil {
		t.Fatal(err)
	}
	whole := make([]byte, d.Size())
	if n, err := d.ReadAt(whole, 0); n != len(whole) || err != nil {
		t.Fatal(n, err)
	}
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		off := rnd.Int64N(d.Size() + 10)
		p := bytes.Repeat([]byte{0xff}, rnd.IntN(200<<10))
		n, err := d.ReadAt(p, off)
		want := whole[min(off, d.Size()):][:min(int64(len(p)), max(0, d.Size()-off))]
		if !bytes.Equal(p[:n], want) || (n < len(p)) != (err == io.EOF) && len(p) > 0 {
			t.Fatalf("%d bytes at %d: %d, %v", len(p), off, n, err)
		}
	}
	if _, err := d.ReadAt(whole[:1], -1); err == nil {
		t.Error("offset -1 is read")
	}
}

// What is zero costs nothing, what does not fit is refused and gives all back, and
// what is reserved covers what is kept.
func TestAccount(t *testing.T) {
	_, src := guest()
	b := account.New(64 << 20)
	used := func() uint64 { use, _ := b.Use(); return use[0].Bytes }
	a := b.Account("a dump")
	d, err := New(src, a, all)
	if err != nil {
		t.Fatal(err)
	}
	if d.Kept() != used() || d.Kept() > 1<<20 || d.Zero < 3<<20 {
		t.Errorf("%d kept, %d reserved, %d of zeros", d.Kept(), used(), d.Zero)
	}
	if d.Close(); used() != 0 {
		t.Errorf("%d reserved by a dump that is gone", used())
	}
	if _, err := New(src, account.New(800<<10).Account("a dump"), all); err == nil || !strings.Contains(err.Error(), "a dump takes") {
		t.Errorf("no memory: %v", err)
	}
	if _, err := New(src, a, 1<<20-1); err != ErrMost || used() != 0 {
		t.Errorf("too much: %v, %d reserved", err, used())
	}
	src.RAM = append(src.RAM, Range{8 << 30, page})
	if _, err := New(src, a, all); err == nil || used() != 0 {
		t.Errorf("memory that is not there: %v, %d reserved", err, used())
	}
}

// What is reserved covers what the heap holds. Noise in many blocks is the dearest.
func TestPrice(t *testing.T) {
	a := account.New(64 << 20).Account("a dump")
	m, src := guest()
	src.RAM = []Range{{0, 32 << 20}}
	m[0] = make([]byte, 32<<20)
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := 0; i < len(m[0]); i += 8 {
		binary.LittleEndian.PutUint64(m[0][i:], rnd.Uint64())
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&before)
	d, err := New(src, a, all)
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&after)
	if heap := after.HeapAlloc - before.HeapAlloc; int64(heap) > int64(d.Kept()) || int64(heap) < 31<<20 {
		t.Errorf("%d in the heap, %d reserved", heap, d.Kept())
	}
	runtime.KeepAlive(d)
	runtime.KeepAlive(m)
}

// Notes that a guest makes up are no VMCOREINFO.
func TestFalseInfo(t *testing.T) {
	for name, b := range map[string][]byte{
		"too long":   note(nil, infoName, 0, append([]byte(release), make([]byte, maxInfo)...)),
		"empty":      note(nil, infoName, 0, nil),
		"no release": note(nil, infoName, 0, []byte("X=OSRELEASE=5\n")),
		"other name": note(nil, "VMCOREINFx", 0, []byte(release+"5\n")),
	} {
		m, src := guest()
		copy(m[1<<20][page:], b)
		if d, err := New(src, nil, all); err != nil || d.Release != "" {
			t.Errorf("%s: %v %q", name, err, d.Release)
		}
	}
	// At the end of the memory, longer than what is left of it.
	m, src := guest()
	end := m[1<<20][3<<20:]
	copy(end, note(nil, infoName, 0, append([]byte(release+"5\n"), make([]byte, 4000)...)))
	binary.LittleEndian.PutUint32(end[4:], maxInfo)
	if d, err := New(src, nil, all); err != nil || d.Release != "" {
		t.Errorf("%v %q", err, d.Release)
	}
}
