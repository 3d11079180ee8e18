// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// figure is one line of the result. Less is better for all of them.
type figure struct {
	name    string
	unit    string
	target  float64 // 0 = none: it is shown, and not in the JSON
	stretch float64 // 0 = none
	// peers is what KVM and Xen need on the same emulated machine, by backend.
	peers map[string]peers
	// micro is the figure's name in the output of tests/guests/micro, empty
	// when it is measured here.
	micro string
}

// peers are figures of KVM (Linux 6.1) and Xen (4.17), measured with the same
// guest on the same emulated processors; "" where there is none.
type peers struct{ kvm, xen string }

// The backends by their names in BACKEND, and what counts their instructions.
const (
	onQEMU  = "svm" // AMD-V, QEMU with -icount, -cpu max
	onBochs = "vmx" // VT-x, Bochs, corei7_skylake_x
)

// both are peers on both machines, or only on the first.
func both(kvm, xen string, second ...string) map[string]peers {
	m := map[string]peers{onQEMU: {kvm, xen}}
	if len(second) == 2 {
		m[onBochs] = peers{second[0], second[1]}
	}
	return m
}

// Names of the figures that are measured here.
const (
	bootFigure  = "power-on to prompt"
	initFigure  = "create to /init of a Debian kernel"
	hvFigure    = "RAM of hv itself, 2 CPUs, 4 domains"
	dom0Figure  = "dom0 RAM by default"
	imageFigure = "hv image"
)

// figures are in the order of the table.
var figures = []figure{
	{"CPUID exit, counters and trace on", "instructions", 300, 180, both("2904", "5378", "1195", "908"), "cpuid"},
	{"RDMSR exit handled in hv", "instructions", 320, 200, both("2972", "5289", "1436", "780"), "rdmsr_apicbase"},
	{"port access answered in hv", "instructions", 320, 200, both("1546", "1107", "7471", "1276"), "port_unclaimed_out"},
	{"the same, PM timer", "instructions", 320, 0, nil, "port_pmtimer_in"},
	{"the same, 8254 timer", "instructions", 0, 0, nil, "port_pit_in"},
	{"null hypercall", "instructions", 320, 200, both("9017", "5498", "", "874"), "hypercall"},
	{"port access served by dom0, round trip", "instructions", 3000, 1500, both("3169", ""), "port_dom0_in"},
	{"first touch of guest memory", "instructions", 100, 0, both("8276", "2", "8444", ""), "first_touch_page"},
	{bootFigure, "G instructions", 2.5, 0, both("", "11.0"), ""},
	{initFigure, "G instructions", 2.5, 0, both("6.94", "6.37"), ""},
	{hvFigure, "MiB", 16, 0, both("", "23"), ""},
	{dom0Figure, "MiB", 128, 0, both("", "512"), ""},
	{imageFigure, "MiB", 3, 0, both("", "2.5", "", "2.5"), ""},
}

// values are what was measured, by figure name.
type values map[string]float64

// parseMicro takes the lines "bench NAME VALUE" out of a guest's console.
func parseMicro(console string) (map[string]float64, error) {
	got := map[string]float64{}
	for line := range strings.Lines(console) {
		f := strings.Fields(line)
		if len(f) != 3 || f[0] != "bench" {
			continue
		}
		v, err := strconv.ParseFloat(f[2], 64)
		if err != nil {
			return nil, fmt.Errorf("line %q: %w", strings.TrimSpace(line), err)
		}
		got[f[1]] = v
	}
	return got, nil
}

// addMicro enters the guest's figures; all that the table wants must be there.
func (v values) addMicro(got map[string]float64) error {
	for _, f := range figures {
		if f.micro == "" {
			continue
		}
		x, ok := got[f.micro]
		if !ok {
			return fmt.Errorf("the guest printed no line \"bench %s ...\"", f.micro)
		}
		v[f.name] = x
	}
	return nil
}

// others writes what the guest measured beyond the table, in its order.
func others(w io.Writer, console string) {
	for line := range strings.Lines(console) {
		f := strings.Fields(line)
		known := func(g figure) bool { return len(f) > 1 && g.micro == f[1] }
		if len(f) == 3 && f[0] == "bench" && !slices.ContainsFunc(figures, known) {
			fmt.Fprintf(w, "%s: %s instructions\n", f[1], f[2])
		}
	}
}

// size reads an amount of memory with its unit, without one in MiB, as MiB.
func size(s string) (float64, error) {
	f := strings.Fields(s)
	if len(f) == 0 {
		return 0, fmt.Errorf("%q is not a size", s)
	}
	n, err := strconv.ParseFloat(f[0], 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a size", s)
	}
	unit := "MiB"
	if len(f) > 1 {
		unit = f[1]
	}
	switch unit {
	case "KiB":
		return n / 1024, nil
	case "MiB":
		return n, nil
	case "bytes", "B":
		return n / (1 << 20), nil
	}
	return 0, fmt.Errorf("%q: unknown unit", s)
}

// table writes the figures of a backend as Markdown.
func (v values) table(w io.Writer, backend string) {
	fmt.Fprintln(w, "| figure | unit | Ringo | target | KVM | Xen |")
	fmt.Fprintln(w, "|---|---|---:|---:|---:|---:|")
	for _, f := range figures {
		target := "-"
		if f.target != 0 {
			target = format(f.target)
		}
		if f.stretch != 0 {
			target += " (" + format(f.stretch) + ")"
		}
		value := "not measured"
		if x, ok := v[f.name]; ok {
			value = format(x)
			if f.target != 0 && x > f.target {
				value += " missed"
			}
		}
		p := f.peers[backend]
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s |\n", f.name, f.unit, value, target, cmp.Or(p.kvm, "-"), cmp.Or(p.xen, "-"))
	}
}

// format keeps three or more digits.
func format(x float64) string {
	if x >= 100 || x == float64(int64(x)) {
		return strconv.FormatFloat(x, 'f', 0, 64)
	}
	return strconv.FormatFloat(x, 'f', 2, 64)
}

// record is one element of bench.json.
type record struct {
	Backend string  `json:"backend"`
	Figure  string  `json:"figure"`
	Unit    string  `json:"unit"`
	Value   float64 `json:"value"`
	Target  float64 `json:"target"`
}

// json is the figures of a backend that have a target, in the order of the table.
func (v values) json(backend string) ([]byte, error) {
	var all []record
	for _, f := range figures {
		if x, ok := v[f.name]; ok && f.target != 0 {
			all = append(all, record{backend, f.name, f.unit, x, f.target})
		}
	}
	b, err := json.MarshalIndent(all, "", "  ")
	return append(b, '\n'), err
}
