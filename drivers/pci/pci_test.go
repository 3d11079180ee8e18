// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package pci

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAddr(t *testing.T) {
	for a, s := range map[Addr]string{0: "00:00.0", 0xfa: "00:1f.2", 0xffff: "ff:1f.7", 0x1ffff: "0001:ff:1f.7", 0xffff0008: "ffff:00:01.0"} {
		if got := a.String(); got != s {
			t.Errorf("%#x is %s, want %s", uint32(a), got, s)
		}
		if got, ok := ParseAddr(s); !ok || got != a {
			t.Errorf("%s is %#x, %v", s, uint32(got), ok)
		}
	}
	if got, ok := ParseAddr("0000:1:2.3"); !ok || got != 0x113 {
		t.Errorf("%#x, %v", uint32(got), ok)
	}
	for _, s := range []string{
		"", "0", "00:00", "00.0", ":.", "00:20.0", "00:00.8", "100:00.0", "00:00.0.0", "00:00.00", "+0:00.0", "00:-1.0",
		"00000:00:00.0", "10000:00:00.0", "a:b:c:d.0", "00:00.", "0x0:00.0", " 00:00.0",
	} {
		if got, ok := ParseAddr(s); ok {
			t.Errorf("%q is %v", s, got)
		}
	}
}

func TestClass(t *testing.T) {
	for code, want := range map[uint32]string{
		0x010802: "NVMe controller", 0x010803: "non-volatile memory controller", 0x020000: "Ethernet controller",
		0x0c0399: "USB controller", 0x019900: "storage controller", 0x069900: "bridge", 0x000000: "device of an unknown class",
		0x129900: "accelerator", 0xfe0000: "device of an unknown class", 0xffffff: "device without a class",
	} {
		if got := Class(code); got != want {
			t.Errorf("class %06x is %q, want %q", code, got, want)
		}
	}
}

// space is registers of which those that are missing read as 0, or as ones from end on.
func space(end uint16, regs map[uint16]uint32) Config {
	return func(reg uint16) uint32 {
		if reg >= end {
			return ^uint32(0)
		}
		return regs[reg]
	}
}

func TestCapabilities(t *testing.T) {
	all := Capabilities(space(4096, map[uint16]uint32{
		4: statusCaps, 0x34: 0x43, 0x40: 0x0008_5005, 0x50: 0x8040_6211, 0x60: 0x0001_0099,
		0x100: 0x14c1_0001, 0x14c: 0x0001_0003,
	}))
	want := []Capability{
		{ID: 5, Reg: 0x40, Head: 0x0008_5005}, {ID: 0x11, Reg: 0x50, Head: 0x8040_6211}, {ID: 0x99, Reg: 0x60, Head: 0x0001_0099},
		{ID: 1, Extended: true, Reg: 0x100, Head: 0x14c1_0001}, {ID: 3, Extended: true, Reg: 0x14c, Head: 0x0001_0003},
	}
	if d := cmp.Diff(want, all); d != "" {
		t.Fatal(d)
	}
	for i, c := range []struct {
		name     string
		messages int
	}{{"MSI", 16}, {"MSI-X", 65}, {"", 0}, {"advanced error reporting", 0}, {"serial number", 0}} {
		if all[i].Name() != c.name || all[i].Messages() != c.messages {
			t.Errorf("%q, %d messages; want %q, %d", all[i].Name(), all[i].Messages(), c.name, c.messages)
		}
	}
	for name, c := range map[string]Config{
		"no list": space(256, map[uint16]uint32{0x34: 0x40, 0x40: 1}),
		"gone":    space(0, nil),
		"empty":   space(4096, map[uint16]uint32{4: statusCaps, 0x34: 0x3c, 0x3c: 1}),
	} {
		if all := Capabilities(c); len(all) != 0 {
			t.Errorf("%s: %+v", name, all)
		}
	}
}

// Loops end, at whatever entry they begin.
func FuzzCapabilities(f *testing.F) {
	f.Add([]byte{0x40, 0x01, 0x40}, uint32(0x1001_0001))
	f.Fuzz(func(t *testing.T, data []byte, more uint32) {
		n := 0
		all := Capabilities(func(reg uint16) uint32 {
			if n++; n > 2048 {
				t.Fatal("no end")
			}
			if reg == 4 {
				return statusCaps
			}
			if reg%4 != 0 || reg >= 4096 {
				t.Fatalf("register %#x", reg)
			}
			v := more * uint32(reg)
			for i := range 4 {
				if at := int(reg) + i; at < len(data) {
					v = v<<8 | uint32(data[at])
				}
			}
			return v
		})
		if len(all) > 48+960 {
			t.Errorf("%d entries", len(all))
		}
	})
}
