// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"compress/gzip"
	"debug/elf"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/tests/guests/micro/guest"
)

func TestParseMicro(t *testing.T) {
	got, err := parseMicro("noise\nbench cpuid 151\nbench touch 2.5\r\nbench x\n")
	if diff := cmp.Diff(map[string]float64{"cpuid": 151, "touch": 2.5}, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
	if _, err := parseMicro("bench cpuid fast\n"); err == nil {
		t.Error("no number: no error")
	}
	if err := (values{}).addMicro(got); err == nil || !strings.Contains(err.Error(), "rdmsr") {
		t.Errorf("missing figure: %v", err)
	}
}

func TestOthers(t *testing.T) {
	var b strings.Builder
	others(&b, "bench cpuid 151\nbench mmio_none_read 7\nbench done\n")
	if b.String() != "mmio_none_read: 7 instructions\n" {
		t.Errorf("%q", b.String())
	}
}

// Every name that the table wants is one that the guest prints.
func TestMicroNames(t *testing.T) {
	code := guest.Build().Code
	for _, f := range figures {
		if f.micro != "" && !bytes.Contains(code, []byte("bench "+f.micro+" ")) {
			t.Errorf("the guest does not print %q", f.micro)
		}
	}
}

func full() values {
	v := values{}
	for _, f := range figures {
		v[f.name] = f.target
		if f.name == "null hypercall" || f.name == "RDMSR exit handled in hv" || f.target == 0 {
			v[f.name]++
		}
	}
	return v
}

func TestTable(t *testing.T) {
	var b bytes.Buffer
	full().table(&b, onQEMU)
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) != len(figures)+2 {
		t.Fatalf("%d lines", len(lines))
	}
	for i, want := range map[int]string{
		2:  "| CPUID exit, counters and trace on | instructions | 300 | 300 (180) | 2904 | 5378 |",
		3:  "| RDMSR exit handled in hv | instructions | 321 missed | 320 (200) | 2972 | 5289 |",
		5:  "| the same, PM timer | instructions | 320 | 320 | - | - |",
		6:  "| the same, 8254 timer | instructions | 1 | - | - | - |",
		10: "| power-on to prompt | G instructions | 2.50 | 2.50 | - | 11.0 |",
	} {
		if diff := cmp.Diff(want, lines[i]); diff != "" {
			t.Error(diff)
		}
	}
}

func TestTableBochs(t *testing.T) {
	var b bytes.Buffer
	full().table(&b, onBochs)
	for _, want := range []string{
		"\n| CPUID exit, counters and trace on | instructions | 300 | 300 (180) | 1195 | 908 |\n",
		"\n| null hypercall | instructions | 321 missed | 320 (200) | - | 874 |\n",
		"\n| power-on to prompt | G instructions | 2.50 | 2.50 | - | - |\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

func TestBackendName(t *testing.T) {
	for in, want := range map[string]string{"": onQEMU, "svm": onQEMU, "vmx": onBochs, "kvm": ""} {
		if got, err := backendName(in); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
}

func TestJSON(t *testing.T) {
	b, err := full().json(onQEMU)
	if err != nil {
		t.Fatal(err)
	}
	var got []map[string]any
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"backend": "svm", "figure": "null hypercall", "unit": "instructions", "value": 321.0, "target": 320.0}
	if diff := cmp.Diff(want, got[4]); diff != "" || len(got) != len(figures)-1 {
		t.Error(len(got), diff)
	}
}

func TestSize(t *testing.T) {
	for s, want := range map[string]float64{"12": 12, "2048 KiB": 2, "3.5 MiB": 3.5, "1048576 bytes": 1} {
		if got, err := size(s); got != want || err != nil {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "many", "3 parsecs"} {
		if _, err := size(s); err == nil {
			t.Errorf("%q: no error", s)
		}
	}
}

func TestInit(t *testing.T) {
	f, err := elf.NewFile(bytes.NewReader(initELF()))
	if err != nil {
		t.Fatal(err)
	}
	p := f.Progs[0]
	if f.Type != elf.ET_EXEC || f.Machine != elf.EM_X86_64 || p.Vaddr+120 != f.Entry || p.Filesz != uint64(len(initELF())) {
		t.Errorf("%+v %+v", f.FileHeader, p.ProgHeader)
	}
	// The code's displacements lead to the text, the digits' end and beyond it.
	text := bytes.Index(initCode, []byte(initPrint))
	for _, c := range []struct{ at, target int }{{0x0c, len(initCode) - 1}, {0x2d, text}, {0x48, len(initCode)}} {
		disp := int(initCode[c.at]) | int(initCode[c.at+1])<<8
		if c.at+4+disp != c.target {
			t.Errorf("displacement at %#x leads to %#x, want %#x", c.at, c.at+4+disp, c.target)
		}
	}
	b, err := initrd()
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(z)
	if err != nil || !bytes.Contains(all, initCode) {
		t.Errorf("the archive does not hold the init: %v", err)
	}
}
