// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"compress/gzip"
	"debug/elf"
	"encoding/json"
	"io"
	"regexp"
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
	if err := (values{}).addMicro(got); err == nil || !strings.Contains(err.Error(), "cpuid_user") {
		t.Errorf("missing figure: %v", err)
	}
}

func TestAgain(t *testing.T) {
	var b strings.Builder
	again(&b, map[string]float64{"cpuid": 200, "cpuid_end": 209, "cpuid_linux": 650, "rdmsr_end": 5, "rdmsr": 100, "touch": 1})
	want := "| exit | first | end | cr3 | user | turn | linux |\n|---|---:|---:|---:|---:|---:|---:|\n" +
		"| cpuid | 200 | 209 | - | - | - | **650** |\n| rdmsr | 100 | 5 | - | - | - | - |\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}

func TestParseStats(t *testing.T) {
	const text = "Exit  Count  Share Mean(cycles)  p99(cycles)\nio 7 70.0% 2100 4095\ntotal                      10                  1690\nhypervisor: 16900 of 1000000 cycles, 1.69%\n"
	if exits, mean, share, err := parseStats(text); exits != 10 || mean != 1690 || share != 1.69 || err != nil {
		t.Error(exits, mean, share, err)
	}
	if _, _, _, err := parseStats("error: domain"); err == nil {
		t.Error("no error")
	}
}

func TestOthers(t *testing.T) {
	var b strings.Builder
	others(&b, "bench cpuid 151\nbench xapic_id_read 7\nbench cpuid_end 8\nbench done\n")
	if b.String() != "xapic_id_read: 7 instructions\n" {
		t.Errorf("%q", b.String())
	}
}

// Every name that the table wants is one that the guest prints, and every row that is
// measured again has a first one.
func TestMicroNames(t *testing.T) {
	code := guest.Build().Code
	for _, m := range regexp.MustCompile(`bench ([a-z0-9_]+) `).FindAllSubmatch(append(code, initCode()...), -1) {
		if name, _, again := cutAgain(string(m[1])); again && !bytes.Contains(code, []byte("bench "+name+" ")) {
			t.Errorf("%s: there is no first %s", m[1], name)
		}
	}
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
		2:  "| CPUID exit, counters and trace on | instructions | 240 | 240 (180) | 2904 | 5378 |",
		4:  "| RDMSR exit handled in hv | instructions | 251 missed | 250 (200) | 2972 | 5289 |",
		7:  "| the same, PM timer | instructions | 320 | 320 | - | - |",
		34: "| 8 idle Linux guests: host halted | % of time | 95 | 95 | - | - |",
		8:  "| the same, 8254 timer | instructions | 320 | 320 | - | - |",
		11: "| port access served by dom0, round trip | instructions | 2400 | 2400 (1500) | 3169 | - |",
		23: "| power-on to prompt | G instructions | 2.50 | 2.50 | - | 11.0 |",
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
		"\n| CPUID exit, counters and trace on | instructions | 240 | 240 (180) | 1195 | 908 |\n",
		"\n| null hypercall | instructions | 261 missed | 260 (200) | - | 874 |\n",
		"\n| port access served by dom0, round trip | instructions | 2400 | 3000 (1500) | - | - |\n",
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
	aimed := 0 // figures with a target
	for _, f := range figures {
		if f.target != 0 {
			aimed++
		}
	}
	want := map[string]any{"backend": "svm", "figure": "null hypercall", "unit": "instructions", "value": 261.0, "target": 260.0}
	if diff := cmp.Diff(want, got[8]); diff != "" || len(got) != aimed {
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
	b, err := initrd()
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(z)
	if err != nil || !bytes.Contains(all, initCode()) {
		t.Errorf("the archive does not hold the init: %v", err)
	}
}

func TestRowNames(t *testing.T) {
	for s, want := range map[string]int{"": 8, "guest": 1, "linux memory": 2, "everything": 0} {
		if rows, err := rowNames(s, onQEMU); len(rows) != want || (err != nil) != (want == 0) {
			t.Errorf("%q: %v, %v", s, rows, err)
		}
	}
	if rows, err := rowNames("", onBochs); len(rows) != 4 || err != nil {
		t.Errorf("in Bochs: %v, %v", rows, err)
	}
}

// What is taken is the mean of all rounds that make profile has seen.
func TestProfiledMean(t *testing.T) {
	out := "interrupt: 9058.4 instructions, the mean of the shorter half of 9 rounds; of all 9306.0\n    642.2   7.1%  dom0 runtime.stealWork\n"
	if got, err := profiledMean([]byte(out)); got != 9306 || err != nil {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := profiledMean([]byte("profile: no whole round\n")); err == nil {
		t.Error("no figure is no error")
	}
}
