// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package cmdline parses the hypervisor's command line. Its options have Xen's
// names. A line that is wrong in part never keeps the machine from booting:
// what is not understood is left at its default, and becomes a warning.
package cmdline

import (
	"errors"
	"strconv"
)

// Level is how much the hypervisor logs.
type Level uint8

// Levels, each with those before it.
const (
	LogNone Level = iota
	LogError
	LogWarning
	LogInfo
	LogDebug
)

// Scheduler selects how vCPUs share the CPUs.
type Scheduler uint8

// Values of sched=.
const (
	SchedShare  Scheduler = iota // proportional share
	SchedPinned                  // every vCPU has a CPU of its own
)

// String returns the scheduler's name as sched= takes it.
func (s Scheduler) String() string {
	for _, n := range schedulers {
		if n.value == s {
			return n.word
		}
	}
	return ""
}

// Console is a set of places for the hypervisor's output.
type Console uint8

// Members of console=: the serial ports in turn, of which one at most is used, and
// the screen.
const (
	ConsoleCOM1 Console = 1 << iota
	ConsoleCOM2
	ConsoleCOM3
	ConsoleCOM4
	ConsoleVGA // the screen, and its keyboard
)

// ports is how many serial ports have names.
const ports = 4

// Port returns the serial port that c names, from 0, or -1.
func (c Console) Port() int {
	for n := range ports {
		if c&(ConsoleCOM1<<n) != 0 {
			return n
		}
	}
	return -1
}

// Serial is a serial port.
type Serial struct {
	Baud   uint32 // 0: as firmware has set it ("auto")
	Data   uint8  // bits, 5 to 8
	Parity byte   // 'n', 'o', 'e'
	Stop   uint8  // bits, 1 or 2
	Port   uint16 // first I/O port
}

// Options is the command line in the form of a struct. autostart=FILE[,FILE...], ip=
// and ntp= are dom0's, which reads them by itself.
type Options struct {
	Dom0Memory uint64 // dom0_mem=SIZE, in bytes; 0: the default
	Dom0VCPUs  int    // dom0_max_vcpus=N; 0: the default
	// COM is com1= to com4=, BAUD[,DPS[,PORT]] or PORT,BAUD[,DPS] with PORT as
	// 0x..., also "auto" for BAUD.
	COM [ports]Serial
	// Console is console=com1 (or a list, or none). Where the line has none,
	// ConsoleGiven is false, and firmware may name another port.
	Console      Console
	ConsoleGiven bool
	LogLevel     Level     // loglvl=none|error|warning|info|debug
	Scheduler    Scheduler // sched=share|pinned; Xen's credit, credit2, null are taken as well
	MaxCPUs      int       // maxcpus=N; 0: all. nosmp is maxcpus=1
	// Pool is pool=N: the size in MiB of the hypervisor's own memory, 4 at
	// least; 0: by the machine's RAM. boot/kernel reads it by itself, earlier.
	Pool int
	// HVCPUs is hv_cpus=N: the first N CPUs run no guests.
	HVCPUs int
	// NeedsIOMMU is iommu=required: do not boot without DMA remapping. NoIOMMU is
	// iommu=off.
	NeedsIOMMU, NoIOMMU bool
	// Lines is irq=BUS:DEVICE.FUNCTION:GSI,...: the global system interrupts to which lines
	// of PCI functions (of segment 0) lead, where the hypervisor does not know, by
	// bus<<8 | device<<3 | function.
	Lines map[uint32]uint32
	// Watchdog is watchdog: a CPU of the hypervisor that gets nowhere for ten
	// seconds ends the machine with a report.
	Watchdog bool
	// NoReboot is noreboot: halt after a crash. boot/kernel reads it by itself,
	// earlier.
	NoReboot bool
	// Torture is torture: the Go runtimes of hv and dom0 are kept busy and
	// check themselves, see boot/churn; torture=on spares dom0. For tests.
	Torture bool
}

// Default is what an empty command line means.
func Default() Options {
	return Options{
		COM:      [ports]Serial{pc(0x3f8), pc(0x2f8), pc(0x3e8), pc(0x2e8)},
		Console:  ConsoleCOM1,
		LogLevel: LogInfo,
	}
}

// pc is a serial port as a PC has it.
func pc(port uint16) Serial { return Serial{Baud: 115200, Data: 8, Parity: 'n', Stop: 1, Port: port} }

// option is one word that may be in a line. Switches may stand without a value
// and then get "on"; "no-NAME" gives "off".
type option struct {
	name   string
	toggle bool
	set    func(o *Options, value string) error
}

var options = []option{
	{"dom0_mem", false, setDom0Memory},
	{"dom0_max_vcpus", false, func(o *Options, v string) error { return number(v, &o.Dom0VCPUs) }},
	{"com1", false, func(o *Options, v string) error { return setSerial(&o.COM[0], v) }},
	{"com2", false, func(o *Options, v string) error { return setSerial(&o.COM[1], v) }},
	{"com3", false, func(o *Options, v string) error { return setSerial(&o.COM[2], v) }},
	{"com4", false, func(o *Options, v string) error { return setSerial(&o.COM[3], v) }},
	{"console", false, setConsole},
	{"loglvl", false, func(o *Options, v string) error { return choose(v, &o.LogLevel, levels) }},
	{"sched", false, func(o *Options, v string) error { return choose(v, &o.Scheduler, schedulers) }},
	{"iommu", true, setIOMMU},
	{"irq", false, setLines},
	{"maxcpus", false, func(o *Options, v string) error { return number(v, &o.MaxCPUs) }},
	{"nosmp", true, setNoSMP},
	{"hv_cpus", false, func(o *Options, v string) error { return number(v, &o.HVCPUs) }},
	{"pool", false, setPool},
	{"watchdog", true, func(o *Options, v string) error { return choose(v, &o.Watchdog, booleans) }},
	{"noreboot", true, func(o *Options, v string) error { return choose(v, &o.NoReboot, booleans) }},
	{"autostart", false, func(*Options, string) error { return nil }},
	{"ip", false, func(*Options, string) error { return nil }},
	{"ntp", false, func(*Options, string) error { return nil }},
	{"torture", true, func(o *Options, v string) error { return choose(v, &o.Torture, booleans) }},
}

// Parse reads a line without the image's name (mb.Info.CmdLine). The last of
// several equal options wins. Each warning is one line for the log.
func Parse(line string) (o Options, warnings []string) {
	o = Default()
	for len(line) > 0 {
		var word string
		if word, line = cut(line, ' '); word == "" {
			continue
		}
		if err := o.apply(word); err != nil {
			warnings = append(warnings, `option "`+word+`": `+err.Error()+", ignored")
		}
	}
	return o, warnings
}

func (o *Options) apply(word string) error {
	name, value := cut(word, '=')
	given := len(name) < len(word)
	// Xen takes - and _ for each other.
	name = replace(name, '-', '_')
	for n := range options {
		opt := &options[n]
		switch {
		case name == opt.name && given:
			return o.try(opt, value)
		case name == opt.name && opt.toggle:
			return o.try(opt, "on")
		case name == opt.name:
			return errors.New("needs a value")
		case opt.toggle && !given && name == "no_"+opt.name:
			return o.try(opt, "off")
		}
	}
	if near := nearest(name); near != "" {
		return errors.New("unknown (did you mean " + near + "?)")
	}
	return errors.New("unknown")
}

// try sets an option; after an error nothing of it is set.
func (o *Options) try(opt *option, value string) error {
	next := *o
	err := opt.set(&next, value)
	if err == nil {
		*o = next
	}
	return err
}

// nearest returns the option whose name needs the fewest edits to become name,
// "" if none is near.
func nearest(name string) string {
	best, limit := "", 1+len(name)/3
	for n := range options {
		if d := distance(name, options[n].name); d <= limit {
			best, limit = options[n].name, d-1
		}
	}
	return best
}

// distance is the Levenshtein distance of two short strings.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := diagonal
			if a[i] != b[j] {
				d++
			}
			diagonal = row[j+1]
			row[j+1] = min(d, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}

// number reads a positive number.
func number(v string, to *int) error {
	n, err := strconv.ParseUint(v, 10, 16)
	if err != nil || n == 0 {
		return errors.New("not a number from 1 to 65535")
	}
	*to = int(n)
	return nil
}

// cut returns s up to the first sep, and what follows it.
func cut(s string, sep byte) (before, after string) {
	for n := range len(s) {
		if s[n] == sep {
			return s[:n], s[n+1:]
		}
	}
	return s, ""
}

func replace(s string, old, new byte) string {
	b := []byte(s)
	for n := range b {
		if b[n] == old {
			b[n] = new
		}
	}
	return string(b)
}
