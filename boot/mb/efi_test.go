// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package mb

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/mm"
)

// TestUEFI reads what GRUB gives on UEFI. EFI's memory map is taken where the
// other one is missing, and says the same of RAM and ACPI.
func TestUEFI(t *testing.T) {
	magic, addr, m := capture(t, "uefi")
	both, err := Parse(magic, addr, m.read)
	if err != nil {
		t.Fatal(err)
	}
	if both.EFI != 0x75ec018 || len(both.RSDP) != 36 || both.RSDP[15] != 2 || len(both.Modules) != 3 || len(both.Memory) != 19 {
		t.Errorf("%+v", both)
	}
	screen := &Framebuffer{Addr: 0xc0000000, Pitch: 4096, Width: 1024, Height: 768, Depth: 32, Kind: RGB}
	screen.Red.Pos, screen.Green.Pos = 16, 8
	screen.Red.Bits, screen.Green.Bits, screen.Blue.Bits = 8, 8, 8
	if d := cmp.Diff(screen, both.Screen); d != "" {
		t.Error(d)
	}
	hide(t, m[addr], tagMap)
	efi, err := Parse(magic, addr, m.read)
	if err != nil {
		t.Fatal(err)
	}
	if len(efi.Memory) < 100 {
		t.Errorf("%d entries", len(efi.Memory))
	}
	if d := cmp.Diff(cacheable(both), cacheable(efi)); d != "" {
		t.Error(d)
	}
	hide(t, m[addr], tagEFIMap)
	basic, err := Parse(magic, addr, m.read)
	if err != nil || len(basic.Memory) != 2 {
		t.Errorf("%+v, %v", basic, err)
	}
}

// hide makes a tag one that nobody knows.
func hide(t *testing.T, b []byte, tag uint32) {
	t.Helper()
	for off := head2; off < len(b); off += int(le.Uint32(b[off+4:])+7) &^ 7 {
		if le.Uint32(b[off:]) == tag {
			le.PutUint32(b[off:], 0x7777)
			return
		}
	}
	t.Fatalf("no tag %d", tag)
}

func cacheable(i *Info) (out []mm.Region) {
	for _, r := range i.Memory {
		out = append(out, mm.Region{Range: mm.Range[mm.HPA]{Start: r.Start, Size: r.Size}, Kind: mm.Kind(r.Type)})
	}
	var kept []mm.Region
	for _, r := range mm.Normalize(out) {
		// GRUB calls the code of EFI's runtime services 20: reserved.
		if r.Kind != mm.Kind(Reserved) && r.Kind <= mm.Kind(Defective) {
			kept = append(kept, r)
		}
	}
	return kept
}

// Memory that cannot be cached is no RAM; types nobody knows are reserved.
func TestEFITypes(t *testing.T) {
	var b []byte
	for n, typ := range []uint32{7, 7, 0, 8, 9, 10, 11, 14, 0x80000001} {
		attr := uint32(0xf)
		if n == 1 {
			attr = 1
		}
		b = append(b, words(typ, 0, uint32(n)<<12, 0, 0, 0, 1, 0, attr, 0, 0, 0)...)
	}
	i := &Info{}
	if err := i.mapEFI(append(words(48, 1), b...)); err != nil {
		t.Fatal(err)
	}
	var got []MemType
	for n, r := range i.Memory {
		if r.Start != mm.HPA(n)<<12 || r.Size != 4096 {
			t.Errorf("%+v", r)
		}
		got = append(got, r.Type)
	}
	want := []MemType{Available, Reserved, Reserved, Defective, ACPIReclaim, ACPINVS, Reserved, Reserved, Reserved}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
