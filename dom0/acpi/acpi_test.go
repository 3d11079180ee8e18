// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package acpi

import (
	"encoding/binary"
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/hv/abi"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s: -want +got\n%s", name, d)
	}
}

func TestGolden(t *testing.T) {
	for name, c := range map[string]Config{
		"1cpu.hex":   {CPUs: 1, Base: 0xe0000, Devices: pc.Devices, PCI: pc.PCI},
		"2cpu.hex":   {CPUs: 2, Base: 0xe0000, Devices: pc.Devices},
		"256cpu.hex": {CPUs: 257, Base: 0x7ff0000},
	} {
		img, err := Build(c)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name, hex.Dump(img))
	}
}

// walk follows the pointers from the root as an operating system does, checks
// every checksum and returns the tables by signature.
func walk(t *testing.T, img []byte, base uint64) map[string][]byte {
	t.Helper()
	le := binary.LittleEndian
	if string(img[:8]) != "RSD PTR " || sum(img[:20]) != 0 || sum(img[:36]) != 0 || img[15] != 2 {
		t.Fatalf("bad root pointer % x", img[:36])
	}
	found := map[string][]byte{}
	get := func(at uint64, checked bool) []byte {
		b := img[at-base:]
		n := le.Uint32(b[4:])
		if checked && sum(b[:n]) != 0 {
			t.Errorf("%s: bad checksum", b[:4])
		}
		found[string(b[:4])] = b[:n]
		return b[:n]
	}
	xsdt := get(le.Uint64(img[24:]), true)
	for e := xsdt[36:]; len(e) > 0; e = e[8:] {
		get(le.Uint64(e), true)
	}
	f := found["FACP"]
	if le.Uint64(f[140:]) != uint64(le.Uint32(f[40:])) {
		t.Error("FADT names two DSDTs")
	}
	get(le.Uint64(f[140:]), true)
	if at := uint64(le.Uint32(f[36:])); at%64 != 0 {
		t.Errorf("FACS at %#x is not aligned", at)
	} else {
		get(at, false)
	}
	return found
}

func TestWalk(t *testing.T) {
	for _, base := range []uint64{0xe0000, 0x3fff_f000} {
		img, err := Build(Config{CPUs: 3, Base: base})
		if err != nil {
			t.Fatal(err)
		}
		got := walk(t, img, base)
		for _, s := range []string{"XSDT", "FACP", "APIC", "DSDT", "FACS"} {
			if got[s] == nil {
				t.Errorf("no %s", s)
			}
		}
	}
}

// The I/O addresses in the FADT are what hv emulates, in both encodings.
func TestFADTPorts(t *testing.T) {
	img, _ := Build(Config{CPUs: 1, Base: 0xe0000})
	f := walk(t, img, 0xe0000)["FACP"]
	le := binary.LittleEndian
	for _, c := range []struct{ old, gas, want int }{
		{56, 148, abi.PortPM1aEvt}, {64, 172, abi.PortPM1aCnt}, {76, 208, abi.PortPMTimer},
	} {
		if int(le.Uint32(f[c.old:])) != c.want || f[c.gas] != 1 || int(le.Uint64(f[c.gas+4:])) != c.want {
			t.Errorf("offset %d: port %#x, register % x; want %#x", c.old, le.Uint32(f[c.old:]), f[c.gas:c.gas+12], c.want)
		}
	}
	if le.Uint16(f[46:]) != abi.IRQSCI || le.Uint64(f[120:]) != abi.PortReset || f[128] != abi.ResetValue {
		t.Errorf("SCI %d, reset register % x", le.Uint16(f[46:]), f[116:129])
	}
}

// The processors of the MADT, as (type, APIC ID).
func TestMADTProcessors(t *testing.T) {
	for _, c := range []struct {
		n int
		t abi.Topology
	}{
		{n: 1}, {n: 2}, {n: 32}, {n: 255}, {n: 256}, {n: 300}, {6, abi.Topology{Cores: 3, Threads: 1}},
	} {
		n := c.n
		img, _ := Build(Config{CPUs: n, Topology: c.t, Base: 0xe0000})
		m := walk(t, img, 0xe0000)["APIC"]
		var ids []uint32
		for e := m[44:]; len(e) > 0; e = e[e[1]:] {
			switch e[0] {
			case madtLAPIC:
				ids = append(ids, uint32(e[3]))
			case madtX2APIC:
				ids = append(ids, binary.LittleEndian.Uint32(e[4:]))
			}
		}
		if len(ids) != n {
			t.Fatalf("%d processors: %d entries", n, len(ids))
		}
		for i, id := range ids {
			if full, _ := c.t.For(uint32(n)); id != full.APICID(uint32(i)) {
				t.Errorf("%d processors: entry %d has APIC ID %d", n, i, id)
			}
		}
	}
}

// Our encoder gives what the reference compiler gives for the same source.
func TestDSDTLikeCompiler(t *testing.T) {
	for file, c := range map[string]Config{
		"dsdt.aml":    pc,
		"hotplug.aml": {CPUs: 3, Hotplug: &plug},
		"slots.aml":   {PCI: slotted, Devices: []Device{}},

		"generation.aml": {Generation: &Generation{Address: 0xdff00, Event: 4}},
	} {
		want, err := os.ReadFile("testdata/" + file)
		if err != nil {
			t.Fatal(err)
		}
		full, _ := c.Topology.For(uint32(c.CPUs))
		if d := cmp.Diff(want[headerLen:], dsdt(&c, full)[headerLen:]); d != "" {
			t.Errorf("%s: -compiler +ours\n%s", file, d)
		}
	}
}

// plug is the registers of testdata/hotplug.asl.
var plug = Hotplug{Present: 0b011, Event: 2, Base: 0x630}

// Processors that may come are in the MADT, and not enabled; the FADT has the events. A
// machine without has no events.
func TestHotplug(t *testing.T) {
	le := binary.LittleEndian
	for _, c := range []struct {
		plug  *Hotplug
		flags []byte
		block uint64
		size  byte
	}{
		{nil, []byte{1, 1, 1}, 0, 0},
		{&plug, []byte{1, 1, 2}, 0x620, 4},
	} {
		x := Config{CPUs: 3, Base: 0xe0000, Hotplug: c.plug}
		if c.plug != nil {
			x.Events = Events{0x620, 4}
		}
		img, err := Build(x)
		if err != nil {
			t.Fatal(err)
		}
		tables := walk(t, img, 0xe0000)
		var flags []byte
		for e := tables["APIC"][44:]; len(e) > 0; e = e[e[1]:] {
			if e[0] == madtLAPIC {
				flags = append(flags, e[4])
			}
		}
		if d := cmp.Diff(c.flags, flags); d != "" {
			t.Errorf("%+v: flags of the MADT: -want +got\n%s", c.plug, d)
		}
		f := tables["FACP"]
		if uint64(le.Uint32(f[80:])) != c.block || f[92] != c.size || le.Uint64(f[224:]) != c.block || f[221] != 8*c.size {
			t.Errorf("%+v: events at %#x, %d bytes; register % x", c.plug, le.Uint32(f[80:]), f[92], f[220:232])
		}
	}
	for _, c := range []Config{
		{CPUs: 33, Hotplug: &plug},
		{CPUs: 2, Hotplug: &Hotplug{}},
	} {
		c.Base = 0xe0000
		if _, err := Build(c); err != ErrConfig {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if img, err := Build(Config{CPUs: 32, Base: 0xe0000, Hotplug: &plug}); err != nil || len(img) > 16<<10 {
		t.Errorf("32 processors: %d bytes, %v", len(img), err)
	}
}

// slotted is the bridge of testdata/slots.asl.
var slotted = func() *PCI {
	p := bus()
	p.Plug = &Slots{First: 30, Last: 31, Event: 3, Base: 0x650}
	return p
}()

// bus is the bridge of testdata/dsdt.asl.
func bus() *PCI {
	return &PCI{
		ConfigPort: 0xcf8, ECAM: 0xb000_0000, Buses: 256, FirstIO: 0xc000, LastIO: 0xffff, FirstMem: 0xc000_0000, LastMem: 0xfebf_ffff,
		GSI: func(slot, pin int) uint32 { return 16 + uint32(slot+pin)%8 },
	}
}

// pc is the devices of testdata/dsdt.asl.
var pc = Config{
	Devices: []Device{
		{"COM1", "PNP0501", 1, []Ports{{0x3f8, 8}}, []uint8{4}},
		{"COM2", "PNP0501", 2, []Ports{{0x2f8, 8}}, []uint8{3}},
		{"RTC", "PNP0B00", 0, []Ports{{0x70, 2}}, []uint8{8}},
	},
	PCI: bus(),
}

// The MCFG names the configuration space of all buses.
func TestMCFG(t *testing.T) {
	c := pc
	c.CPUs, c.Base = 1, 0xe0000
	img, err := Build(c)
	if err != nil {
		t.Fatal(err)
	}
	m := walk(t, img, c.Base)["MCFG"]
	if len(m) != 60 || binary.LittleEndian.Uint64(m[44:]) != 0xb000_0000 || m[54] != 0 || m[55] != 255 {
		t.Errorf("MCFG % x", m[36:])
	}
	if img, _ = Build(Config{CPUs: 1, Base: 0xe0000}); walk(t, img, 0xe0000)["MCFG"] != nil {
		t.Error("a machine without PCI has an MCFG")
	}
}

func TestPkgLength(t *testing.T) {
	for _, c := range []struct {
		body int
		want []byte
	}{
		{0, []byte{1}},
		{62, []byte{63}},
		{63, []byte{0x41, 0x04}},          // 65
		{4093, []byte{0x4f, 0xff}},        // 4095
		{4094, []byte{0x81, 0x00, 0x01}},  // 4097
		{65533, []byte{0x80, 0x00, 0x10}}, // 65536
	} {
		got := pkgLength(make([]byte, c.body))
		if d := cmp.Diff(c.want, got[:len(got)-c.body]); d != "" {
			t.Errorf("body of %d bytes: -want +got\n%s", c.body, d)
		}
	}
}

func TestBadConfig(t *testing.T) {
	for _, c := range []Config{{CPUs: 0, Base: 0xe0000}, {CPUs: -1, Base: 0xe0000}, {CPUs: MaxCPUs + 1, Base: 0xe0000}, {CPUs: 4, Topology: abi.Topology{Cores: 3, Threads: 1}, Base: 0xe0000}, {CPUs: 1, Base: 0xe0010}, {CPUs: 1, Base: 1 << 32}} {
		if _, err := Build(c); err != ErrConfig {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
