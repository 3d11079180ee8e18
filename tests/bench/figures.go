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

	"ringo/tests/guests/micro/guest"
)

// figure is one line of the result. Less is better, unless more is.
type figure struct {
	name    string
	unit    string
	more    bool
	qemu    bool    // Bochs has no such devices
	target  float64 // 0 = none: it is shown, and not in the JSON
	intel   float64 // the target on VT-x, if it is another one
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
	costFigure  = "mean cost of an exit over a Debian boot"
	shareFigure = "hypervisor's share of that boot"
	exitsFigure = "exits of that boot"
	quietFigure = "exits of a boot with quiet, as Debian installs itself"

	firstFigure    = "create to the first instruction of a guest of 4 MiB"
	destroyFigure  = "destroy, without clearing its memory"
	perGuestFigure = "RAM of hv for a domain of 4 MiB, without page tables"
	idleFigure     = "8 idle Linux guests: host halted"
	tablesFigure   = "its page tables"
	devicesFigure  = "the same, with a disk of each kind and a network card"

	receiveFigure      = "TCP receive over an 82574L, a byte"
	sendFigure         = "TCP send over it, a byte"
	pingFigure         = "ping over it, one at a time"
	plainReceiveFigure = "TCP receive over virtio without offloads, a byte"
	plainSendFigure    = "TCP send over it, without offloads, a byte"
	plainPingFigure    = "ping over virtio"
	interruptFigure    = "interrupt of that card to its driver's goroutine, all asleep before"
)

// figures are in the order of the table.
var figures = slices.Concat([]figure{
	{name: "CPUID exit, counters and trace on", unit: insns, target: 240, stretch: 180, peers: both("2904", "5378", "1195", "908"), micro: "cpuid"},
	{name: "the same from ring 3", unit: insns, target: 700, micro: "cpuid" + guest.AgainUser},
	{name: "RDMSR exit handled in hv", unit: insns, target: 250, stretch: 200, peers: both("2972", "5289", "1436", "780"), micro: "rdmsr_apicbase"},
	{name: "RDMSR of an MSR that nobody has, with its #GP", unit: insns, target: 800, peers: both("1676", "5410", "1912", "1107"), micro: "rdmsr_unknown"},
	{name: "port access answered in hv", unit: insns, target: 240, stretch: 200, peers: both("1546", "1107", "7471", "1276"), micro: "port_unclaimed_out"},
	{name: "the same, PM timer", unit: insns, target: 320, micro: "port_pmtimer_in"},
	{name: "the same, 8254 timer", unit: insns, target: 320, micro: "port_pit_in"},
	{name: "the same, 8259A", unit: insns, target: 300, micro: "port_pic_in"},
	{name: "null hypercall", unit: insns, target: 260, stretch: 200, peers: both("9017", "5498", "", "874"), micro: "hypercall"},
	{name: "port access served by dom0, round trip", unit: insns, target: 2400, intel: 3000, stretch: 1500, peers: both("3169", ""), micro: "port_dom0_in"},
	{name: "MMIO that nobody owns", unit: insns, target: 1200, peers: both("5679", "14924", "10251", "15840"), micro: "mmio_none_read"},
	{name: "xAPIC EOI", unit: insns, target: 1200, peers: both("3636", "17794", "8288", "2"), micro: "xapic_eoi_write"},
	{name: "x2APIC self IPI, with handler and EOI", unit: insns, target: 1600, peers: both("7945", "11582", "4909", "18"), micro: "x2apic_self_ipi"},
	{name: "IPI to the handler of another vCPU, both sides", unit: insns, target: 4000, micro: "ipi_other"},
	{name: "switch from one vCPU to another", unit: insns, target: 2000, micro: "vcpu_switch"},
	{name: "timer to its handler in a guest that computes", unit: insns, target: 2500, micro: "timer_interrupt"},
	{name: "CR0.TS toggle", unit: insns, target: 800, micro: "cr0_ts_toggle"},
	{name: "CR4.PGE toggle", unit: insns, target: 800, micro: "cr4_pge_toggle"},
	{name: "MOV to CR8", unit: insns, target: 800, micro: "cr8_write"},
	{name: "MOV to DR7", unit: insns, target: 800, micro: "dr7_write"},
	{name: "first touch of guest memory", unit: insns, target: 100, peers: both("8276", "2", "8444", ""), micro: "first_touch_page"},
	{name: bootFigure, unit: giga, target: 2.5, peers: both("", "11.0")},
	{name: devicesFigure, unit: giga, target: 0.15, qemu: true},
	{name: initFigure, unit: giga, target: 2.5, peers: both("6.94", "6.37")},
	{name: costFigure, unit: insns},
	{name: shareFigure, unit: "%", target: 3},
	{name: exitsFigure, unit: "exits", target: 5000, peers: both("78200", "")},
	{name: quietFigure, unit: "exits", target: 5000},
	{name: firstFigure, unit: mega, target: 3},
	{name: destroyFigure, unit: mega, target: 2},
	{name: perGuestFigure, unit: "KiB", target: 64},
	{name: tablesFigure, unit: "KiB"},
	{name: idleFigure, unit: "% of time", target: 95, more: true},
}, diskFigures(), guestDiskFigures(), []figure{
	{name: diskBootFigure, unit: giga, target: 2.55, peers: both("3.05", ""), qemu: true},
	{name: diskBootExitsFigure, unit: "exits", target: 8000, peers: both("59000", ""), qemu: true},
	{name: receiveFigure, unit: insns, target: 3.6, peers: both("6.10", ""), qemu: true},
	{name: sendFigure, unit: insns, target: 3.6, peers: both("5.70", ""), qemu: true},
	{name: pingFigure, unit: insns, target: 24000, peers: both("53500", ""), qemu: true},
	{name: plainReceiveFigure, unit: insns, target: 7.4, qemu: true},
	{name: plainSendFigure, unit: insns, target: 18, qemu: true},
	{name: plainPingFigure, unit: insns, target: 24000, qemu: true},
	{name: interruptFigure, unit: insns, target: 3000, qemu: true},
}, guestNetFigures(), []figure{
	{name: hvFigure, unit: "MiB", target: 16, peers: both("", "23")},
	{name: dom0Figure, unit: "MiB", target: 128, peers: both("", "512")},
	{name: imageFigure, unit: "MiB", target: 3, peers: both("", "2.5", "", "2.5")},
})

const (
	insns = "instructions"
	giga  = "G instructions"
	mega  = "M instructions"
)

// on is the target on a backend.
func (f *figure) on(backend string) float64 {
	if backend == onBochs && f.intel != 0 {
		return f.intel
	}
	return f.target
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
		if len(f) > 1 {
			if _, _, again := cutAgain(f[1]); again {
				continue
			}
		}
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
		if f.qemu && backend == onBochs {
			continue
		}
		target, limit := "-", f.on(backend)
		if limit != 0 {
			target = format(limit)
		}
		if f.stretch != 0 {
			target += " (" + format(f.stretch) + ")"
		}
		value := "not measured"
		if x, ok := v[f.name]; ok {
			value = format(x)
			if limit != 0 && (x > limit) != f.more && x != limit {
				value += " missed"
			}
		}
		p := f.peers[backend]
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s |\n", f.name, f.unit, value, target, cmp.Or(p.kvm, "-"), cmp.Or(p.xen, "-"))
	}
}

// states are the ends of the names of rows that are measured again, in the order of
// their columns.
var states = []string{guest.AgainEnd, guest.AgainCR3, guest.AgainUser, guest.AgainTurn, linuxRow}

// cutAgain splits the name of such a row.
func cutAgain(name string) (first, state string, ok bool) {
	for _, s := range states {
		if first, ok := strings.CutSuffix(name, s); ok {
			return first, s, true
		}
	}
	return name, "", false
}

// tolerance is how far a row may be above its first measurement, where the work is the
// same.
const tolerance = 1.05

// again writes what guests measured in more than one state, as Markdown. What costs
// more than at first, by more than the tolerance, is in bold.
func again(w io.Writer, micros map[string]float64) {
	var names []string
	for name := range micros {
		if first, _, ok := cutAgain(name); ok && !slices.Contains(names, first) {
			names = append(names, first)
		}
	}
	slices.Sort(names)
	header, line := "| exit | first |", "|---|---:|"
	for _, s := range states {
		header += " " + strings.TrimPrefix(s, "_") + " |"
		line += "---:|"
	}
	fmt.Fprintf(w, "%s\n%s\n", header, line)
	for _, name := range names {
		fmt.Fprintf(w, "| %s | %s |", name, format(micros[name]))
		for _, s := range states {
			x, ok := micros[name+s]
			switch {
			case !ok:
				fmt.Fprint(w, " - |")
			case x > micros[name]*tolerance:
				fmt.Fprintf(w, " **%s** |", format(x))
			default:
				fmt.Fprintf(w, " %s |", format(x))
			}
		}
		fmt.Fprintln(w)
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
			all = append(all, record{backend, f.name, f.unit, x, f.on(backend)})
		}
	}
	b, err := json.MarshalIndent(all, "", "  ")
	return append(b, '\n'), err
}
