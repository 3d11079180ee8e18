// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package cli

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"ringo/dom0/api"
)

// info prints xl's names; memory is in MiB, unless a unit or the name says more.
func info(c *call) error {
	h, err := api.HostShow.Call(c.API, api.None{})
	if err != nil {
		return err
	}
	line := func(name, format string, a ...any) { c.printf("%-23s: "+format+"\n", append([]any{name}, a...)...) }
	line("host", "%s", h.Name)
	line("release", "%s", h.Release)
	line("version", "%s", h.Version)
	line("machine", "%s", h.Machine)
	line("nr_cpus", "%d", h.CPUs)
	line("cpu_vendor", "%s", h.CPUVendor)
	line("cpu_model", "%s", h.CPUModel)
	line("cpu_mhz", "%d.%03d", h.CPUHz/1e6, h.CPUHz/1e3%1e3)
	line("hw_caps", "%s", h.HWCaps)
	line("virt_caps", "%s", h.VirtCaps)
	line("speculation", "%s", h.Speculation)
	line("iommu", "%s", cmp.Or(h.IOMMU, "none"))
	whole := h.Uptime * float64(h.CPUs)
	line("idle_seconds", "%.3f of %.3f (%.1f %%)", h.Idle, whole, 100*h.Idle/max(whole, 0.001))
	line("total_memory", "%d", h.Memory>>20)
	line("free_memory", "%d", h.FreeMemory>>20)
	line("free_bytes", "%d", h.FreeMemory)
	line("hypervisor_memory", "%d KiB", (h.HypervisorMemory+1023)>>10)
	line("dom0_memory", "%d", mib(h.Dom0Memory))
	if h.Dom0Budget > 0 {
		line("dom0_reserved", "%d KiB of %d", h.Dom0Reserved>>10, h.Dom0Budget>>10)
	}
	line("nr_domains", "%d", h.Domains)
	line("scheduler", "%s", h.Scheduler)
	line("commandline", "%s", h.CommandLine)
	return nil
}

// status prints the host at a glance.
func status(c *call) error {
	s, err := api.HostStatus.Call(c.API, api.None{})
	if err != nil {
		return err
	}
	health := "ok"
	if len(s.Faults) > 0 {
		health = strings.Join(s.Faults, ", ")
	}
	plural := func(n int, what string) string {
		if n != 1 {
			what += "s"
		}
		return strconv.Itoa(n) + " " + what
	}
	c.printf("%s: Ringo %s, %s, %d MiB (%d free), %s; health: %s; the way in: %s\n", s.Name, s.Version,
		plural(int(s.CPUs), "CPU"), s.Memory>>20, s.Free>>20, plural(s.Running, "guest"), health, strings.Join(s.Access, ", "))
	return nil
}

func version(c *call) error {
	v, err := api.HostVersion.Call(c.API, api.None{})
	if err != nil {
		return err
	}
	c.printf("hypervisor %s\ndom0 %s\ninterface %d (dom0 was built for %d)\n", v.Hypervisor, v.Dom0, v.Interface, v.BuiltFor)
	return nil
}

// dmesg prints the hypervisor's log, or that of a guest, of which only text.
func dmesg(c *call) error {
	if len(c.args) > 0 {
		log, err := api.DomainLog.Call(c.API, c.ref())
		c.out.WriteString(strings.Map(printable, log.Text))
		if log.Text != "" && !strings.HasSuffix(log.Text, "\n") {
			c.printf("\n")
		}
		return err
	}
	log, err := api.HostLog.Call(c.API, api.None{})
	c.out.WriteString(log.Text)
	if log.Text != "" && !strings.HasSuffix(log.Text, "\n") {
		c.printf("\n")
	}
	return err
}

// printable keeps what a terminal shows as it is.
func printable(r rune) rune {
	switch {
	case r == '\n' || r == '\t' || r >= ' ' && r < 0x7f:
		return r
	case r == '\r':
		return -1
	}
	return '.'
}

// debugKeys presses keys; the hypervisor answers in its log and, as the log
// level has it, on the host console.
func debugKeys(c *call) error {
	_, err := api.HostKeys.Call(c.API, api.Keys{Keys: c.args[0]})
	return err
}

// power makes the command for an action of api.Power.
func power(action string) func(c *call) error {
	return func(c *call) error {
		c.flush()
		_, err := api.HostPower.Call(c.API, api.Power{Action: action})
		return err
	}
}

// stats prints the exit counters of a domain, or of all since power-on, and what
// exits cost: cycles from the exit to the next entry.
func stats(c *call) error {
	in := api.Ref{}
	if len(c.args) > 0 {
		in = c.ref()
	}
	exits, err := api.DomainExits.Call(c.API, in)
	if err != nil {
		return err
	}
	var total, cycles uint64
	for _, e := range exits.Reasons {
		total += e.Count
		cycles += e.Cycles
	}
	c.printf("%-16s %15s %7s %12s %12s\n", "Exit", "Count", "Share", "Mean(cycles)", "p99(cycles)")
	for _, e := range exits.Reasons {
		c.printf("%-16s %15d %6.1f%% %12.0f %12d\n", e.Reason, e.Count, ratio(e.Count, total)*100, ratio(e.Cycles, e.Count), e.P99)
	}
	c.printf("%-16s %15d %7s %12.0f\n", "total", total, "", ratio(cycles, total))
	c.printf("hypervisor: %d of %d cycles, %.2f%%\n", cycles, exits.Cycles, ratio(cycles, exits.Cycles)*100)
	return nil
}

// ratio is a/b, 0 if there is nothing to divide by.
func ratio(a, b uint64) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

// trace prints the trace ring of a CPU, oldest first, with the time before the
// newest record.
func trace(c *call) error {
	cpu := uint64(0)
	if len(c.args) > 0 {
		n, err := strconv.ParseUint(c.args[0], 10, 32)
		if err != nil {
			return fmt.Errorf("%q is not the number of a CPU; %w", c.args[0], c.usage())
		}
		cpu = n
	}
	recs, err := api.HostTrace.Call(c.API, api.CPU{CPU: cpu})
	if err != nil {
		return err
	}
	c.printf("%12s %5s %5s %-16s %18s %18s\n", "us", "Dom", "VCPU", "Exit", "RIP", "Info")
	for _, r := range recs {
		us := -r.Before * 1e6
		c.printf("%12.1f %5d %5d %-16s %#18x %#18x\n", us+0, r.Domain, r.VCPU, r.Reason, r.RIP, r.Info)
	}
	return nil
}
