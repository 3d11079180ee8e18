// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package acpi

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/mm"
)

func TestFindRSDP(t *testing.T) {
	good := rsdpBytes(0x1000, 0x2000)
	bad := append([]byte{}, good...)
	bad[16]++
	badSecond := append([]byte{}, good...)
	badSecond[33]++
	none := rsdpBytes(0, 0)
	for _, test := range []struct {
		name string
		copy []byte
		m    memory
		want RSDP
		err  bool
	}{
		{"copy", good, memory{}, RSDP{Revision: 2, OEM: "RINGO", RSDT: 0x1000, XSDT: 0x2000}, false},
		{"copy of ACPI 1.0", good[:rsdp1], memory{}, RSDP{Revision: 2, OEM: "RINGO", RSDT: 0x1000}, false},
		{"second sum", badSecond, memory{}, RSDP{Revision: 2, OEM: "RINGO", RSDT: 0x1000}, false},
		{"truncated copy, EBDA", good[:19], memory{ebdaPointer: {0xc0, 0x9f}, 0x9fff0: good}, RSDP{0x9fff0, 2, "RINGO", 0x1000, 0x2000}, false},
		{"BIOS area", bad, memory{0xf59e0: good}, RSDP{0xf59e0, 2, "RINGO", 0x1000, 0x2000}, false},
		{"at the very end", nil, memory{biosEnd - 0x20: good[:rsdp1]}, RSDP{biosEnd - 0x20, 2, "RINGO", 0x1000, 0}, false},
		{"second one is valid", nil, memory{0xe1000: bad, 0xf0010: good}, RSDP{0xf0010, 2, "RINGO", 0x1000, 0x2000}, false},
		{"not on a boundary", nil, memory{0xf59e8: good}, RSDP{}, true},
		{"EBDA nonsense", nil, memory{ebdaPointer: {0xff, 0xff}, 0xffff0: good[:16]}, RSDP{}, true},
		{"points nowhere", none, memory{0xe0000: none}, RSDP{}, true},
		{"nothing", nil, memory{}, RSDP{}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := FindRSDP(test.m.read, test.copy, false)
			if (err != nil) != test.err {
				t.Fatal(err)
			}
			if d := cmp.Diff(test.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestBrokenTables(t *testing.T) {
	const xsdt, a = 0x1000, 0x10000
	badSum := seal("APIC", make([]byte, 8)...)
	badSum[40]++
	huge := seal("APIC", make([]byte, 8)...)
	le.PutUint32(huge[4:], MaxTable+1)
	tiny := seal("HPET")
	le.PutUint32(tiny[4:], 35)
	madt := func(entries ...byte) []byte { return seal("APIC", append(make([]byte, 8), entries...)...) }
	fadt := make([]byte, fadt1-header)
	le.PutUint32(fadt[4:], 0x77777777)
	for _, test := range []struct {
		name  string
		table []byte
		want  string
	}{
		{"checksum", badSum, "ACPI table APIC at 0x10000: bad checksum"},
		{"huge", huge, "impossible length 4194305"},
		{"tiny", tiny, "impossible length 35"},
		{"not text", []byte{1, 2, 3, 4, 36}, "no table there"},
		{"short MADT", seal("APIC", 1, 2, 3), "APIC: too short"},
		{"short FADT", seal("FACP", 1, 2, 3), "FACP: too short"},
		{"short MCFG", seal("MCFG", 1, 2, 3), "MCFG: too short"},
		{"short HPET", seal("HPET", 1, 2, 3), "HPET: too short"},
		{"entry of length 0", madt(0, 0, 0, 0), "a broken entry"},
		{"entry beyond end", madt(0, 9, 0, 0), "a broken entry"},
		{"half an entry", madt(5), "a broken entry"},
		{"short entry", madt(1, 4, 0, 0), "entry of type 1 is too short"},
		{"bus", madt(2, 10, 7, 0, 0, 0, 0, 0, 0, 0), "bus 7"},
		{"no DSDT", seal("FACP", fadt...), "at 0x77777777: cannot be read"},
		{"MCFG window", seal("MCFG", append(make([]byte, 8), 0, 0, 0, 0xb0, 0, 0, 0, 0, 1, 0, 9, 3, 0, 0, 0, 0)...), "segment 1 has no valid window"},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := memory{xsdt: seal("XSDT", pointers64(a)...), a: test.table}
			got, err := Parse(m.read, RSDP{XSDT: xsdt})
			if err != nil {
				t.Fatal(err)
			}
			if s := strings.Join(got.Warnings, "\n"); !strings.Contains(s, test.want) {
				t.Errorf("warnings %q, want %q", s, test.want)
			}
		})
	}
}

func TestRoots(t *testing.T) {
	hpet := seal("HPET", make([]byte, 20)...)
	rsdt := seal("RSDT", 0, 0, 0, 0, 0, 0x50, 0, 0)
	broken := seal("XSDT", 1, 2, 3)
	broken[36]++
	m := memory{0x1000: rsdt, 0x2000: broken, 0x5000: hpet}
	got, err := Parse(m.read, RSDP{RSDT: 0x1000, XSDT: 0x2000})
	if err != nil || got.HPET == nil || len(got.Warnings) != 1 {
		t.Errorf("fallback to the RSDT: %+v, %v", got, err)
	}
	for _, r := range []RSDP{{XSDT: 0x2000}, {RSDT: 0x5000}, {RSDT: 0x9000}} {
		if got, err := Parse(m.read, r); err == nil {
			t.Errorf("%+v: no error, %+v", r, got)
		}
	}
	// A root table that points to itself, and one that is endless.
	loop := seal("RSDT", pointers64(0x0000_1000_0000_1000, 0)...)
	if _, err := Parse(memory{0x1000: loop}.read, RSDP{RSDT: 0x1000}); err != nil {
		t.Error(err)
	}
	many := seal("RSDT", make([]byte, 4*1000)...)
	for n := header; n < len(many); n += 4 {
		le.PutUint32(many[n:], 0x5000)
	}
	got, err = Parse(memory{0x1000: resum(many), 0x5000: hpet}.read, RSDP{RSDT: 0x1000})
	if err != nil || len(got.List) != MaxTables {
		t.Errorf("%d tables, %v", len(got.List), err)
	}
}

func TestMADTEntries(t *testing.T) {
	m := seal("APIC", append([]byte{0, 0, 0xe0, 0xfe, 1, 0, 0, 0},
		0, 8, 1, 4, 0, 0, 0, 0, // processor 1, APIC 4, disabled ...
		9, 16, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, // ... and again as x2APIC, enabled
		0, 8, 2, 0xff, 1, 0, 0, 0, // not a processor
		9, 16, 0, 0, 0, 1, 0, 0, 2, 0, 0, 0, 7, 0, 0, 0, // APIC 256, may be plugged in
		3, 8, 0xf, 0, 20, 0, 0, 0, // NMI source
		4, 6, 0xff, 5, 0, 1, // LINT1 of all
		10, 12, 0xf, 0, 7, 0, 0, 0, 0, 0, 0, 0,
		5, 12, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, // LAPIC at 4 GiB
		0x7f, 2,
	)...)
	got, err := Parse(memory{0x1000: seal("XSDT", pointers64(0x5000)...), 0x5000: m}.read, RSDP{XSDT: 0x1000})
	if err != nil {
		t.Fatal(err)
	}
	want := &MADT{
		LAPIC: 1 << 32, PIC8259: true,
		CPUs: []CPU{{UID: 1, APICID: 4, Enabled: true}, {UID: 7, APICID: 256, OnlineCapable: true}},
		NMIs: []NMI{
			{Global: true, GSI: 20, Mode: Mode{ActiveLow, Level}},
			{UID: AllCPUs, LINT: 1, Mode: Mode{ActiveHigh, Edge}},
			{UID: 7, Mode: Mode{ActiveLow, Level}},
		},
	}
	if d := cmp.Diff(want, got.MADT); d != "" {
		t.Error(d)
	}
}

func TestS5(t *testing.T) {
	name := "\x08_S5_"
	for _, test := range []struct {
		aml  string
		want *S5
	}{
		{"....\x08_S5_\x12\x06\x04\x00\x00\x00\x00", &S5{0, 0}}, // QEMU
		{"x" + name + "\x12\x08\x04\x0a\x05\x0a\x06\x00\x00", &S5{5, 6}},
		{"\x08\\_S5_\x12\x0a\x04\x0b\x07\x00\x0c\x01\x00\x00\x00", &S5{7, 1}},
		{name + "\x12\x45\x00\x02\x01\x01" + strings.Repeat("x", 80), &S5{1, 1}}, // two-byte length
		{name + "\x12\x04\x01\x0a\x05", &S5{5, 0}},                               // a package of one
		{"\x14_S5_\x12\x06\x04\x00\x00\x00\x00" + name + "\x12\x05\x02\x0a\x03\x01", &S5{3, 1}},
		{name + "\x12\x05\x02\x0a\x08\x01", nil}, // beyond 3 bits
		{name + "\x12\x05\x02\x0d\x08\x01", nil}, // a string
		{name + "\x12\x7f\x02\x00\x00", nil},     // longer than the table
		{name + "\x12\x01\x02\x00\x00", nil},
		{name + "\x12\xc0", nil},
		{name + "\x12\x02\x00\x00\x00", nil},
		{name, nil},
		{"_S5_", nil},
		{"", nil},
	} {
		if d := cmp.Diff(test.want, findS5([]byte(test.aml))); d != "" {
			t.Errorf("%q: %s", test.aml, d)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"q35", "pc"} {
		m := dump(f, name)
		for _, x := range parse(f, m).List {
			if x.Signature != "DSDT" || name == "q35" {
				f.Add(m[x.Addr], uint16(0), byte(0))
			}
		}
	}
	f.Add(append([]byte("IVRS"), qemuIVRS[4:]...), uint16(0), byte(0))
	f.Add(dmarTable(38, 1, drhdStruct(1, 0, 0xfed90000), rmrrStruct(0x1000, 0x1fff, ScopeEndpoint, 8, 0, 0, 0, 0, 2, 0)), uint16(0), byte(0))
	f.Fuzz(func(t *testing.T, b []byte, at uint16, v byte) {
		if len(b) < header {
			return
		}
		b = append([]byte{}, b...)
		b[int(at)%len(b)] = v
		le.PutUint32(b[4:], uint32(len(b)))
		resum(b)
		m := memory{0x1000: seal("XSDT", pointers64(0x5000)...), 0x5000: b}
		tables, err := Parse(m.read, RSDP{XSDT: 0x1000})
		if err != nil {
			t.Fatal(err)
		}
		checkRemapping(t, tables)
		if s := tables.S5; s != nil && (s.TypeA > 7 || s.TypeB > 7) {
			t.Errorf("%+v", s)
		}
		for _, e := range tables.ECAM {
			if e.First > e.Last || e.Base == mm.HPA(0) {
				t.Errorf("%+v", e)
			}
		}
	})
}

// On EFI the BIOS areas may hold anything: they are not believed.
func TestRSDPOnEFI(t *testing.T) {
	m := memory{0xf0000: rsdpBytes(0x1000, 0)}
	if _, err := FindRSDP(m.read, nil, false); err != nil {
		t.Error(err)
	}
	if r, err := FindRSDP(m.read, nil, true); err == nil {
		t.Errorf("found %+v", r)
	}
	if r, err := FindRSDP(nil, rsdpBytes(0x1000, 0), true); err != nil || r.RSDT != 0x1000 {
		t.Errorf("%+v, %v", r, err)
	}
}

func FuzzFindRSDP(f *testing.F) {
	f.Add(rsdpBytes(0x1000, 0x2000))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := FindRSDP(memory{0xf0000: b}.read, b, false)
		if err == nil && r.RSDT == 0 && r.XSDT == 0 {
			t.Errorf("%+v", r)
		}
	})
}
