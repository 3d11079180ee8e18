// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package mb

import (
	"bytes"
	"strings"
	"testing"

	"ringo/mm"
)

// words makes little-endian bytes of 32-bit words.
func words(w ...uint32) []byte {
	b := make([]byte, 0, 4*len(w))
	for _, v := range w {
		b = le.AppendUint32(b, v)
	}
	return b
}

// info1 is a version 1 structure with the given words at byte offsets.
func info1(fields map[int]uint32) []byte {
	b := make([]byte, size1)
	for off, v := range fields {
		le.PutUint32(b[off:], v)
	}
	return b
}

// tags makes a version 2 structure; each tag is type and body.
func tags(t ...any) []byte {
	b := make([]byte, head2)
	for n := 0; n < len(t); n += 2 {
		body := t[n+1].([]byte)
		b = le.AppendUint32(b, uint32(t[n].(int)))
		b = le.AppendUint32(b, uint32(head2+len(body)))
		b = append(b, body...)
		for len(b)%8 != 0 {
			b = append(b, 0xa5)
		}
	}
	le.PutUint32(b, uint32(len(b)))
	return b
}

var (
	end     = []any{tagEnd, []byte{}}
	someMap = []any{tagMap, words(24, 0, 0, 0, 0x100000, 0, 1, 0)}
)

func join(parts ...[]any) []byte {
	var all []any
	for _, p := range parts {
		all = append(all, p...)
	}
	return tags(all...)
}

func TestHostile(t *testing.T) {
	const at = 0x1000
	long := bytes.Repeat([]byte("x"), MaxString+600)
	one := func(f map[int]uint32) []byte { return info1(f) }
	for _, test := range []struct {
		name  string
		magic uint32
		mem   memory
		want  string
	}{
		{"magic", 0xdead, memory{}, "EAX is 0xdead"},
		{"1 unreadable", Magic1, memory{}, "cannot be read"},
		{"1 no map", Magic1, memory{at: one(nil)}, "no memory map"},
		{"1 map unreadable", Magic1, memory{at: one(map[int]uint32{0: flag1Map, 44: 24, 48: 0x9000})}, "entry 0 at 0x9000 cannot be read"},
		{"1 map tail", Magic1, memory{at: one(map[int]uint32{0: flag1Map, 44: 30, 48: 0x9000}),
			0x9000: words(20, 0, 0, 0x1000, 0, 1, 0, 0)}, "6 bytes left over"},
		{"1 map size 0", Magic1, memory{at: one(map[int]uint32{0: flag1Map, 44: 24, 48: 0x9000}),
			0x9000: make([]byte, 64)}, "says it has 0 bytes"},
		{"1 map wraps", Magic1, memory{at: one(map[int]uint32{0: flag1Map, 44: 24, 48: 0x9000}),
			0x9000: words(20, 0xfffff000, 0xffffffff, 0x2000, 0, 1)}, "wraps around"},
		{"1 map endless", Magic1, memory{at: one(map[int]uint32{0: flag1Map, 44: 0xffffffff, 48: 0x10000}),
			0x10000: bytes.Repeat(words(20, 0, 0, 0, 0, 1), 2000)}, "more than 1024 entries"},
		{"1 too many modules", Magic1, memory{at: one(map[int]uint32{0: flag1Mem | flag1Mods, 8: 1024, 20: 0x10000000})}, "268435456 modules"},
		{"1 module unreadable", Magic1, memory{at: one(map[int]uint32{0: flag1Mem | flag1Mods, 8: 1024, 20: 1, 24: 0xfffffff8})}, "module 0: its entry"},
		{"1 module inverted", Magic1, memory{at: one(map[int]uint32{0: flag1Mem | flag1Mods, 8: 1024, 20: 1, 24: 0x9000}),
			0x9000: words(0x3000, 0x2000, 0, 0)}, "module 0: starts at 0x3000, behind"},
		{"1 module string", Magic1, memory{at: one(map[int]uint32{0: flag1Mem | flag1Mods, 8: 1024, 20: 1, 24: 0x9000}),
			0x9000: words(0x3000, 0x4000, 0x77777777, 0)}, "string of module 0 at 0x77777777 cannot be read"},
		{"1 endless string", Magic1, memory{at: one(map[int]uint32{0: flag1Mem | flag1CmdLine, 8: 1024, 16: 0x9010}),
			0x9000: long}, "command line at 0x9010 is longer than 4096"},
		{"1 loader string", Magic1, memory{at: one(map[int]uint32{0: flag1Loader, 64: 0x9010})}, "loader name at 0x9010"},

		{"2 misaligned", Magic2, memory{at - 4: make([]byte, 64)}, "not 8-byte aligned"},
		{"2 unreadable", Magic2, memory{}, "cannot be read"},
		{"2 size 0", Magic2, memory{at: make([]byte, 64)}, "0 bytes long"},
		{"2 size 4G", Magic2, memory{at: words(0xffffffff, 0)}, "4294967295 bytes long"},
		{"2 beyond memory", Magic2, memory{at: words(4096, 0, 0, 8)}, "4096 bytes at 0x1000 cannot be read"},
		{"2 no end", Magic2, memory{at: join(someMap)}, "no end tag"},
		{"2 tag size 0", Magic2, memory{at: append(words(24, 0), words(1, 0, 0, 0)...)}, "type 1: bad size 0"},
		{"2 tag size huge", Magic2, memory{at: append(words(24, 0), words(1, 0xfffffff9, 0, 0)...)}, "bad size 4294967289"},
		{"2 no map", Magic2, memory{at: join(end)}, "no memory map"},
		{"2 short basic", Magic2, memory{at: join([]any{tagBasic, []byte{1}}, end)}, "basic memory tag: too short"},
		{"2 map step 0", Magic2, memory{at: join([]any{tagMap, words(0, 0, 1, 2, 3, 4, 5, 6)}, end)}, "entries of 0 bytes"},
		{"2 map step huge", Magic2, memory{at: join([]any{tagMap, words(0xfffffff8, 0, 1, 2, 3, 4, 5, 6)}, end)}, "24 bytes left over"},
		{"2 map short", Magic2, memory{at: join([]any{tagMap, words(24)}, end)}, "memory map tag: too short, 12 bytes"},
		{"2 module short", Magic2, memory{at: join([]any{tagModule, words(1)}, end)}, "module tag: too short"},
		{"2 module endless", Magic2, memory{at: join([]any{tagModule, words(1, 2, 0x61616161)}, end)}, "string of module 0 has no end"},
		{"2 screen short", Magic2, memory{at: join([]any{tagScreen, words(1, 2, 3)}, end)}, "framebuffer tag: too short"},
		{"2 efi short", Magic2, memory{at: join([]any{tagEFI64, words(1)}, end)}, "EFI system table tag: too short"},
		{"2 efi map short", Magic2, memory{at: join([]any{tagEFIMap, words(48)}, end)}, "EFI memory map tag: too short, 12 bytes"},
		{"2 efi map step 0", Magic2, memory{at: join([]any{tagEFIMap, words(0, 1, 7, 0)}, end)}, "EFI memory map: entries of 0 bytes"},
		{"2 efi map step huge", Magic2, memory{at: join([]any{tagEFIMap, words(0xfffffff8, 1, 7, 0)}, end)}, "no memory map"},
		{"2 efi map pages", Magic2, memory{at: join([]any{tagEFIMap, words(40, 1, 7, 0, 0, 0, 0, 0, 0, 1<<20, 8, 0)}, end)}, "0x10000000000000 pages"},
		{"2 efi map wraps", Magic2, memory{at: join([]any{tagEFIMap, words(40, 1, 7, 0, 0, 1<<31, 0, 0, 0, 1<<19+1, 8, 0)}, end)}, "wraps around"},
		{"2 boot services", Magic2, memory{at: join(someMap, []any{tagEFIHeld, []byte{}}, end)}, "boot services"},
		{"2 long string", Magic2, memory{at: join([]any{tagCmdLine, append(long, 0)}, end)}, "longer than 4096"},
	} {
		t.Run(test.name, func(t *testing.T) {
			addr := mm.HPA(at)
			if strings.Contains(test.name, "misaligned") {
				addr -= 4
			}
			info, err := Parse(test.magic, addr, test.mem.read)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %+v, %v; want an error with %q", info, err, test.want)
			}
		})
	}
}

// Odd but legal information is read.
func TestLenient(t *testing.T) {
	b := join([]any{0x7777, []byte("unknown")}, []any{tagBasic, words(640, 1024)}, []any{tagRSDP2, []byte("new")},
		[]any{tagRSDP1, []byte("old")}, []any{tagEFI64, words(0x1000, 1)}, end)
	i, err := Parse(Magic2, 0x1000, memory{0x1000: b}.read)
	if err != nil {
		t.Fatal(err)
	}
	if len(i.Memory) != 2 || i.Memory[1] != (Range{mm.MiB, mm.MiB, Available}) {
		t.Errorf("basic memory: %+v", i.Memory)
	}
	if string(i.RSDP) != "new" || i.EFI != 0x1_0000_1000 {
		t.Errorf("RSDP %q, EFI %#x", i.RSDP, i.EFI)
	}
	// A version 1 loader without VBE and framebuffer fields, at the end of memory.
	i, err = Parse(Magic1, 0x1000, memory{0x1000: info1(map[int]uint32{0: flag1Mem | flag1Screen, 8: 1024})[:size1Old]}.read)
	if err != nil || i.Screen != nil || len(i.Memory) != 1 {
		t.Errorf("old version 1: %+v, %v", i, err)
	}
	// The last byte of the address space.
	i, err = Parse(Magic2, 0x1000, memory{0x1000: join([]any{tagMap, words(24, 0, 0xfffff000, 0xffffffff, 0x1000, 0, 2, 0)}, end)}.read)
	if err != nil || i.Memory[0] != (Range{0xffff_ffff_ffff_f000, 0xfff, Reserved}) {
		t.Errorf("range at the top: %+v, %v", i, err)
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"qemu", "grub1", "grub2", "ipxe", "uefi"} {
		magic, addr, m := capture(f, name)
		for start, b := range m {
			if addr >= start && uint64(addr-start) < uint64(len(b)) {
				f.Add(magic == Magic2, uint16(addr-start), b)
			}
		}
	}
	f.Fuzz(func(t *testing.T, two bool, off uint16, b []byte) {
		magic := uint32(Magic1)
		if two {
			magic = Magic2
		}
		const base = 0x1000
		i, err := Parse(magic, base+mm.HPA(off), memory{base: b, 0: b[:min(len(b), base)]}.read)
		if err != nil {
			return
		}
		for _, m := range i.Modules {
			if m.Start > m.End || m.Name == "" {
				t.Errorf("module %+v", m)
			}
		}
		for _, r := range i.Memory {
			if uint64(r.Start)+r.Size < uint64(r.Start) || r.Size == 0 {
				t.Errorf("range %+v", r)
			}
		}
	})
}
