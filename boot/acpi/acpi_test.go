// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package acpi

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/mm"
)

var update = flag.Bool("update", false, "write the goldens")

// memory is sparse physical memory: one piece per table.
type memory map[mm.HPA][]byte

func (m memory) read(a mm.HPA, b []byte) bool {
	clear(b)
	found := false
	for start, bytes := range m {
		// A read finds what it overlaps; bytes around a table are zero.
		for n := range b {
			if off := uint64(a) + uint64(n) - uint64(start); off < uint64(len(bytes)) {
				b[n], found = bytes[off], true
			}
		}
	}
	return found
}

// dump loads a file of testdata in acpidump's format.
func dump(t testing.TB, name string) memory {
	t.Helper()
	f, err := os.Open("testdata/" + name + ".dump")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m := memory{}
	var at mm.HPA
	for s := bufio.NewScanner(f); s.Scan(); {
		line := s.Text()
		if _, a, ok := strings.Cut(line, "@ 0x"); ok {
			v, err := strconv.ParseUint(a, 16, 64)
			if err != nil {
				t.Fatal(err)
			}
			at = mm.HPA(v)
			m[at] = nil
		} else if _, data, ok := strings.Cut(line, ": "); ok {
			for _, h := range strings.Fields(data) {
				v, err := strconv.ParseUint(h, 16, 8)
				if err != nil {
					t.Fatal(err)
				}
				m[at] = append(m[at], byte(v))
			}
		}
	}
	return m
}

// text prints t for the goldens.
func text(t *Tables) string {
	var b strings.Builder
	p := func(format string, a ...any) { fmt.Fprintf(&b, format+"\n", a...) }
	p("root %+v", t.Root)
	for _, x := range t.List {
		p("table %s at %#x, %d bytes, revision %d, %q, valid %v", x.Signature, uint64(x.Addr), x.Length, x.Revision, x.OEM, x.Valid)
	}
	if m := t.MADT; m != nil {
		p("LAPIC %#x, 8259 %v", uint64(m.LAPIC), m.PIC8259)
		for _, x := range m.CPUs {
			p("cpu %+v", x)
		}
		for _, x := range m.IOAPICs {
			p("ioapic %d at %#x from %d", x.ID, uint64(x.Addr), x.GSIBase)
		}
		for _, x := range m.Overrides {
			p("override %+v", x)
		}
		for _, x := range m.NMIs {
			p("nmi %+v", x)
		}
	}
	if f := t.FADT; f != nil {
		p("DSDT %#x, SCI %d, boot flags %#x, flags %#x, century %#x", uint64(f.DSDT), f.SCI, f.BootFlags, f.Flags, f.Century)
		p("PM timer %+v, 32 bits %v", f.PMTimer, f.PMTimer32)
		p("PM1 control %+v %+v", f.PM1aControl, f.PM1bControl)
		p("PM1 event %+v %+v", f.PM1aEvent, f.PM1bEvent)
		p("SMI command %#x, enable %d, disable %d", f.SMICommand, f.ACPIEnable, f.ACPIDisable)
		p("reset %+v = %#x", f.Reset, f.ResetValue)
	}
	if t.HPET != nil {
		p("hpet %+v", *t.HPET)
	}
	for _, x := range t.ECAM {
		p("ecam %#x segment %d buses %d-%d", uint64(x.Base), x.Segment, x.First, x.Last)
	}
	if t.DMAR != nil {
		p("dmar %+v", *t.DMAR)
	}
	if t.IVRS != nil {
		p("ivrs %+v", *t.IVRS)
	}
	if t.S5 != nil {
		p("S5 %+v", *t.S5)
	}
	for _, w := range t.Warnings {
		p("warning: %s", w)
	}
	return b.String()
}

func parse(t testing.TB, m memory) *Tables {
	t.Helper()
	root, err := FindRSDP(m.read, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	tables, err := Parse(m.read, root)
	if err != nil {
		t.Fatal(err)
	}
	return tables
}

func TestMachines(t *testing.T) {
	for _, name := range []string{"q35", "pc"} {
		t.Run(name, func(t *testing.T) {
			got := text(parse(t, dump(t, name)))
			golden := "testdata/" + name + ".txt"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestGSI(t *testing.T) {
	m := &MADT{Overrides: []Override{{0, 2, Mode{Conforming, Conforming}}, {9, 9, Mode{ActiveLow, Level}}}}
	for _, test := range []struct {
		irq  uint8
		gsi  uint32
		mode Mode
	}{{0, 2, Mode{ActiveHigh, Edge}}, {1, 1, Mode{ActiveHigh, Edge}}, {9, 9, Mode{ActiveLow, Level}}} {
		gsi, mode := m.GSI(test.irq)
		if gsi != test.gsi || mode != test.mode {
			t.Errorf("IRQ %d: %d %+v", test.irq, gsi, mode)
		}
	}
}

func TestECAM(t *testing.T) {
	e := ECAM{Base: 0xb0000000, Last: 255}
	if got := e.Config(3, 0x1f, 2); got != 0xb03fa000 {
		t.Errorf("got %#x", got)
	}
}

// seal fills in length and checksum of a table.
func seal(signature string, body ...byte) []byte {
	b := append([]byte(signature), make([]byte, header-4)...)
	b = append(b, body...)
	le.PutUint32(b[4:], uint32(len(b)))
	copy(b[10:], "RINGO TEST    ")
	return resum(b)
}

func resum(b []byte) []byte {
	b[9] = 0
	b[9] = -sum(b)
	return b
}

// rsdpBytes makes a root pointer of ACPI 2.0.
func rsdpBytes(rsdt uint32, xsdt uint64) []byte {
	b := make([]byte, rsdp2)
	copy(b, "RSD PTR ")
	copy(b[9:], "RINGO ")
	b[15] = 2
	le.PutUint32(b[16:], rsdt)
	le.PutUint32(b[20:], rsdp2)
	le.PutUint64(b[24:], xsdt)
	b[8] = -sum(b[:rsdp1])
	b[32] = -sum(b)
	return b
}

func pointers64(a ...uint64) (b []byte) {
	for _, v := range a {
		b = le.AppendUint64(b, v)
	}
	return b
}

// The same tables above 4 GiB, behind an XSDT, read the same.
func TestXSDT(t *testing.T) {
	const up = 0x1_0000_0000
	m := dump(t, "q35")
	want := parse(t, m)
	high := memory{}
	var list []uint64
	for _, x := range want.List {
		b := append([]byte{}, m[x.Addr]...)
		if x.Signature == "FACP" { // DSDT by X_DSDT only
			le.PutUint32(b[40:], 0)
			le.PutUint64(b[140:], up+uint64(want.FADT.DSDT))
			resum(b)
		}
		if x.Signature != "DSDT" {
			list = append(list, up+uint64(x.Addr))
		}
		high[x.Addr+up] = b
	}
	high[up] = seal("XSDT", pointers64(list...)...)
	root, err := FindRSDP(high.read, rsdpBytes(0, up), false)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Parse(high.read, root)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []*Tables{want, got} {
		x.Root = RSDP{}
		for n := range x.List {
			x.List[n].Addr &= up - 1
		}
		x.FADT.DSDT &= up - 1
	}
	if d := cmp.Diff(text(want), text(got)); d != "" {
		t.Error(d)
	}
}
