// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package mb

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/mm"
)

// memory is sparse physical memory for tests.
type memory map[mm.HPA][]byte

func (m memory) read(a mm.HPA, b []byte) bool {
	for start, bytes := range m {
		if off := uint64(a - start); a >= start && off <= uint64(len(bytes)) && uint64(len(b)) <= uint64(len(bytes))-off {
			copy(b, bytes[off:])
			return true
		}
	}
	return false
}

// capture loads a file of testdata, see the README there.
func capture(t testing.TB, name string) (magic uint32, addr mm.HPA, m memory) {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m = memory{}
	for s := bufio.NewScanner(f); s.Scan(); {
		var lo, hi uint64
		line := s.Text()
		if n, _ := fmt.Sscanf(line, "eax %x", &lo); n == 1 {
			magic = uint32(lo)
		} else if n, _ := fmt.Sscanf(line, "ebx %x", &lo); n == 1 {
			addr = mm.HPA(lo)
		} else if n, _ := fmt.Sscanf(line, "memory %x %x", &lo, &hi); n == 2 {
			m[mm.HPA(lo)] = make([]byte, hi-lo)
		} else {
			at, data, _ := strings.Cut(line, ": ")
			fmt.Sscanf(at, "%x", &lo)
			b, err := hex.DecodeString(data)
			if err != nil {
				t.Fatal(err)
			}
			for start, bytes := range m {
				if mm.HPA(lo) >= start && lo-uint64(start) < uint64(len(bytes)) {
					copy(bytes[lo-uint64(start):], b)
				}
			}
		}
	}
	return magic, addr, m
}

func TestLoaders(t *testing.T) {
	full := []Range{
		{0, 0x9fc00, Available}, {0x9fc00, 0x400, Reserved}, {0xf0000, 0x10000, Reserved},
		{0x100000, 0x7edf000, Available}, {0x7fdf000, 0x21000, Reserved},
		{0xb0000000, 0x10000000, Reserved}, {0xfed1c000, 0x4000, Reserved},
		{0xfffc0000, 0x40000, Reserved}, {0xfd00000000, 0x300000000, Reserved},
	}
	vga := &Framebuffer{Addr: 0xfd000000, Pitch: 4096, Width: 1024, Height: 768, Depth: 32, Kind: RGB}
	vga.Red.Pos, vga.Red.Bits = 16, 8
	vga.Green.Pos, vga.Green.Bits = 8, 8
	vga.Blue.Pos, vga.Blue.Bits = 0, 8
	// What GRUB knows of the modules' files is lost, so the first has no name.
	grub := []Module{
		{Start: 0x101000, End: 0x101009, Name: "module0"},
		{Start: 0x102000, End: 0x102005, Name: "vmlinuz"},
		{Start: 0x103000, End: 0x103009, Name: "demo.toml", Args: "quiet=1"},
	}
	for _, test := range []struct {
		name string
		want Info
	}{
		{"qemu", Info{
			Version: 1, Loader: "qemu", Image: "ringo", CmdLine: "console=com1 loglvl=info", Memory: full,
			Modules: []Module{
				{Start: 0x202000, End: 0x202009, Name: "dom0", File: "dom0"},
				{Start: 0x203000, End: 0x203005, Name: "vmlinuz", File: "vmlinuz-6.1"},
				{Start: 0x204000, End: 0x204009, Name: "demo.toml", File: "/tmp/cap/dom0", Args: "quiet=1"},
			},
		}},
		{"grub1", Info{
			Version: 1, Loader: "GRUB 2.06-13+deb12u2", CmdLine: "console=com1 loglvl=info",
			Memory: full, Modules: grub, Screen: vga,
		}},
		{"grub2", Info{
			Version: 2, Loader: "GRUB 2.06-13+deb12u2", CmdLine: "console=com1 loglvl=info",
			Memory: full, Modules: grub, Screen: vga,
			RSDP: append([]byte("RSD PTR \xeeBOCHS \x00"), 0x3c, 0x23, 0xfe, 0x07),
		}},
		{"ipxe", Info{
			Version: 1, Loader: "iPXE 1.0.0+git-20190125.36a4c85", Image: "tftp://10.0.2.2/ringo",
			CmdLine: "console=com1 loglvl=info",
			Memory:  []Range{{0, 0x9fc00, Available}, {0x100000, 0x7edf000, Available}},
			Modules: []Module{
				{Start: 0x201000, End: 0x201009, Name: "dom0", File: "tftp://10.0.2.2/dom0"},
				{Start: 0x202000, End: 0x202005, Name: "vmlinuz", File: "tftp://10.0.2.2/vmlinuz-6.1"},
				{Start: 0x203000, End: 0x203009, Name: "demo.toml", File: "tftp://10.0.2.2/dom0", Args: "quiet=1"},
			},
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			magic, addr, m := capture(t, test.name)
			got, err := Parse(magic, addr, m.read)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(&test.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestModuleNames(t *testing.T) {
	for _, test := range []struct{ loader, s, file, name, args string }{
		{"qemu", "build/dom0", "build/dom0", "dom0", ""},
		{"qemu", "/boot/vmlinuz-6.1.0-18-amd64 vmlinuz", "/boot/vmlinuz-6.1.0-18-amd64", "vmlinuz", ""},
		{"qemu", "../out/dom0 loglvl=debug", "../out/dom0", "dom0", "loglvl=debug"},
		{"qemu", "initrd.gz  root=/dev/ram0 ro", "initrd.gz", "initrd.gz", "root=/dev/ram0 ro"},
		{"qemu", "", "", "", ""},
		{"GRUB 2.06-13", "", "", "", ""},
		{"GRUB 2.06-13", "vmlinuz", "", "vmlinuz", ""},
		{"GRUB 2.06-13", "demo.toml a=1 b", "", "demo.toml", "a=1 b"},
		{"GRUB 2.06-13", "root=/dev/sda1 ro", "", "", "root=/dev/sda1 ro"},
		{"GRUB 0.97", "(hd0,0)/boot/dom0 x=1", "(hd0,0)/boot/dom0", "dom0", "x=1"},
		{"", "/boot/dom0", "/boot/dom0", "dom0", ""},
		{"iPXE 1.21.1+ (g2bd0)", "http://10.0.2.2:8080/r/dom0?mac=52:54/1#x", "http://10.0.2.2:8080/r/dom0?mac=52:54/1#x", "dom0", ""},
		{"iPXE 1.21.1", "tftp://10.0.2.2/a%20b%2Bc%2fd%zz e=f", "tftp://10.0.2.2/a%20b%2Bc%2fd%zz", "a%20b+c%2fd%zz", "e=f"},
		{"iPXE 1.21.1", "http://h/d/ name", "http://h/d/", "name", ""},
		{"iPXE 1.21.1", "http://h/d/", "http://h/d/", "", ""},
	} {
		file, name, args := splitModule(test.loader, test.s)
		got := [...]string{file, name, args}
		if d := cmp.Diff([...]string{test.file, test.name, test.args}, got); d != "" {
			t.Errorf("%q, %q: %s", test.loader, test.s, d)
		}
	}
}

func TestCommandLine(t *testing.T) {
	for _, test := range []struct{ loader, s, image, rest string }{
		{"qemu", "ringo", "ringo", ""},
		{"qemu", "build/ringo com1=115200,8n1  noreboot ", "build/ringo", "com1=115200,8n1  noreboot"},
		{"GRUB 2.06", "com1=115200,8n1 noreboot", "", "com1=115200,8n1 noreboot"},
		{"GRUB 2.06", "noreboot", "", "noreboot"},
		{"GRUB 2.06", "dom0_mem=1/2 x", "", "dom0_mem=1/2 x"},
		{"U-Boot", "/ringo?a=b x", "/ringo?a=b", "x"},
		{"iPXE 1.21", "http://h/ringo?a=b x", "http://h/ringo?a=b", "x"},
	} {
		image, rest := splitFile(test.loader, test.s)
		if d := cmp.Diff([2]string{test.image, test.rest}, [2]string{image, rest}); d != "" {
			t.Errorf("%q, %q: %s", test.loader, test.s, d)
		}
	}
}
