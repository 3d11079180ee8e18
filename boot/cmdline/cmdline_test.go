// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package cmdline

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	com1 := Default().COM[0]
	for _, test := range []struct {
		line string
		want func(o *Options)
	}{
		{"", func(o *Options) {}},
		{"   ", func(o *Options) {}},
		{"dom0_mem=128M", func(o *Options) { o.Dom0Memory = 128 << 20 }},
		{"dom0-mem=1GiB", func(o *Options) { o.Dom0Memory = 1 << 30 }},
		{"dom0_mem=96", func(o *Options) { o.Dom0Memory = 96 << 20 }},
		{"dom0_mem=max:2g,1g,min:512m", func(o *Options) { o.Dom0Memory = 1 << 30 }},
		{"dom0_mem=min:512m,max:2g", func(o *Options) { o.Dom0Memory = 2 << 30 }},
		{"dom0_max_vcpus=2 maxcpus=4", func(o *Options) { o.Dom0VCPUs, o.MaxCPUs = 2, 4 }},
		{"pool=64", func(o *Options) { o.Pool = 64 }},
		{"hv_cpus=1", func(o *Options) { o.HVCPUs = 1 }},
		{"com1=115200,8n1 console=com1", func(o *Options) { o.ConsoleGiven = true }},
		{"com2=115200,8n1 console=com2", func(o *Options) { o.Console, o.ConsoleGiven = ConsoleCOM2, true }},
		{"com4=0x3e0,9600 console=com4", func(o *Options) {
			o.Console, o.ConsoleGiven, o.COM[3] = ConsoleCOM4, true, Serial{9600, 8, 'n', 1, 0x3e0}
		}},
		{"com3=0xc000", func(o *Options) { o.COM[2].Port = 0xc000 }},
		{"com3=0xc000,auto,7e1", func(o *Options) { o.COM[2] = Serial{0, 7, 'e', 1, 0xc000} }},
		{"com1=9600,7e2,0x2f8", func(o *Options) { o.COM[0] = Serial{9600, 7, 'e', 2, 0x2f8} }},
		{"com1=auto", func(o *Options) { o.COM[0] = com1; o.COM[0].Baud = 0 }},
		{"com1=57600,,760", func(o *Options) { o.COM[0].Baud, o.COM[0].Port = 57600, 760 }},
		{"console=vga,com3", func(o *Options) { o.Console, o.ConsoleGiven = ConsoleVGA|ConsoleCOM3, true }},
		{"console=none,com1", func(o *Options) { o.ConsoleGiven = true }},
		{"console=none", func(o *Options) { o.Console, o.ConsoleGiven = 0, true }},
		{"loglvl=debug  loglvl=error", func(o *Options) { o.LogLevel = LogError }},
		{"sched=null", func(o *Options) { o.Scheduler = SchedPinned }},
		{"sched=credit2", func(o *Options) {}},
		{"iommu=required", func(o *Options) { o.NeedsIOMMU = true }},
		{"iommu=force", func(o *Options) { o.NeedsIOMMU = true }},
		{"iommu=off", func(o *Options) { o.NoIOMMU = true }},
		{"iommu=required no-iommu", func(o *Options) { o.NoIOMMU = true }},
		{"no-iommu iommu", func(o *Options) {}},
		{"iommu=off iommu=auto", func(o *Options) {}},
		{"nosmp noreboot", func(o *Options) { o.MaxCPUs, o.NoReboot = 1, true }},
		{"watchdog=0 noreboot=yes nosmp=off", func(o *Options) { o.NoReboot = true }},
		{"watchdog=off no-watchdog", func(o *Options) {}},
		{"autostart=demo.toml,x", func(o *Options) {}},
		{"ip=10.0.0.2/24,gw=10.0.0.1 ntp=a,b", func(o *Options) {}},
		{"irq=00:03.0:19,1f:1f.7:5 irq=0:3.0:20", func(o *Options) { o.Lines = map[uint32]uint32{0x18: 20, 0x1fff: 5} }},
		{"watchdog", func(o *Options) { o.Watchdog = true }},
	} {
		want := Default()
		test.want(&want)
		got, warnings := Parse(test.line)
		if d := cmp.Diff(want, got); d != "" || warnings != nil {
			t.Errorf("%q: %v %s", test.line, warnings, d)
		}
	}
}

func TestWarnings(t *testing.T) {
	for _, test := range []struct{ line, want string }{
		{"dom0_men=512M", `option "dom0_men=512M": unknown (did you mean dom0_mem?), ignored`},
		{"noreboots", `option "noreboots": unknown (did you mean noreboot?), ignored`},
		{"max_cpus=2", `option "max_cpus=2": unknown (did you mean maxcpus?), ignored`},
		{"loglevel=info", `option "loglevel=info": unknown (did you mean loglvl?), ignored`},
		{"quiet", `option "quiet": unknown, ignored`},
		{"x", `option "x": unknown, ignored`},
		{"=", `option "=": unknown, ignored`},
		{"dom0_mem", `option "dom0_mem": needs a value, ignored`},
		{"dom0_mem=", `option "dom0_mem=": "" is not a size such as 512M or 1GiB, ignored`},
		{"dom0_mem=0", `option "dom0_mem=0": must not be 0, ignored`},
		{"dom0_mem=1G,max:x", `option "dom0_mem=1G,max:x": "x" is not a size such as 512M or 1GiB, ignored`},
		{"dom0_mem=12MB", `option "dom0_mem=12MB": "12MB" is not a size such as 512M or 1GiB, ignored`},
		{"dom0_mem=99999999999T", `option "dom0_mem=99999999999T": "99999999999T" is too large, ignored`},
		{"maxcpus=0", `option "maxcpus=0": not a number from 1 to 65535, ignored`},
		{"dom0_max_vcpus=-1", `option "dom0_max_vcpus=-1": not a number from 1 to 65535, ignored`},
		{"com1=100000", `option "com1=100000": baud rate must divide 115200, or be auto, ignored`},
		{"com1=9600,9n1", `option "com1=9600,9n1": line format must look like 8n1, ignored`},
		{"com1=9600,8x1", `option "com1=9600,8x1": parity must be n, o or e, ignored`},
		{"com1=9600,8m1", `option "com1=9600,8m1": parity must be n, o or e, ignored`},
		{"watchdog=maybe", `option "watchdog=maybe": must be one of on off yes no true false 1 0, ignored`},
		{"iommu=maybe", `option "iommu=maybe": must be one of auto off required on force yes no true false 1 0, ignored`},
		{"com1=9600,8n1,0x12345", `option "com1=9600,8n1,0x12345": bad I/O port, ignored`},
		{"console=com1,com9", `option "console=com1,com9": must be one of com1 com2 com3 com4 vga none, ignored`},
		{"console=com1,com2", `option "console=com1,com2": one serial port at a time, ignored`},
		{"com1=0x3f8,9600,8n1,0x2f8", `option "com1=0x3f8,9600,8n1,0x2f8": two I/O ports, ignored`},
		{"sched=bvt", `option "sched=bvt": must be one of share pinned credit credit2 null, ignored`},
		{"irq=3.0:19", `option "irq=3.0:19": a line must look like 00:03.0:19, ignored`},
		{"irq=00:20.0:19", `option "irq=00:20.0:19": a line must look like 00:03.0:19, ignored`},
		{"irq=00:03.0", `option "irq=00:03.0": a line must look like 00:03.0:19, ignored`},
		{"no-dom0_mem", `option "no-dom0_mem": unknown (did you mean dom0_mem?), ignored`},
	} {
		got, warnings := Parse(test.line)
		if d := cmp.Diff([]string{test.want}, warnings); d != "" {
			t.Errorf("%q: %s", test.line, d)
		}
		if d := cmp.Diff(Default(), got); d != "" {
			t.Errorf("%q changed options: %s", test.line, d)
		}
	}
}

func TestConsolePort(t *testing.T) {
	for c, want := range map[Console]int{0: -1, ConsoleCOM1: 0, ConsoleCOM4: 3} {
		if c.Port() != want {
			t.Errorf("%d: %d, want %d", c, c.Port(), want)
		}
	}
}

func TestSchedulerNames(t *testing.T) {
	for s, want := range map[Scheduler]string{SchedShare: "share", SchedPinned: "pinned"} {
		if s.String() != want {
			t.Errorf("%d is %q, want %q", s, s, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("dom0_mem=1G,max:2G com1=9600,8n1,0x3f8 console=vga nosmp x=y loglvl=all")
	f.Fuzz(func(t *testing.T, line string) {
		o, _ := Parse(line)
		if o.MaxCPUs < 0 || o.COM[0].Baud > 115200 || o.COM[0].Data < 5 || o.COM[0].Data > 8 || o.Console.Port() >= ports {
			t.Errorf("%q: %+v", line, o)
		}
	})
}
