// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package cli

import (
	"fmt"
	"strconv"

	"ringo/dom0/hcall"
	"ringo/hv/abi"
)

// info prints xl's names; memory is in MiB, unless a unit or the name says more.
func info(c *call) error {
	h, err := c.HV.Host()
	if err != nil {
		return err
	}
	line := func(name, format string, a ...any) { c.printf("%-23s: "+format+"\n", append([]any{name}, a...)...) }
	line("host", "%s", c.Host)
	line("release", "%s", c.Version)
	line("version", "%s", hcall.Text(h.Version[:]))
	line("machine", "x86_64")
	line("nr_cpus", "%d", h.NumCPUs)
	line("cpu_vendor", "%s", hcall.Text(h.CPUVendor[:]))
	line("cpu_model", "%s", hcall.Text(h.CPUModel[:]))
	line("cpu_mhz", "%d.%03d", h.TSCHz/1e6, h.TSCHz/1e3%1e3)
	line("hw_caps", "%08x:%08x", h.CPUIDLeaf1EDX, h.CPUIDLeaf1ECX)
	line("virt_caps", "%s", hcall.Text(h.VirtCaps[:]))
	line("total_memory", "%d", h.TotalBytes>>20)
	line("free_memory", "%d", h.FreeBytes>>20)
	line("free_bytes", "%d", h.FreeBytes)
	line("hypervisor_memory", "%d KiB", (h.HVBytes+1023)>>10)
	line("dom0_memory", "%d", mib(h.Dom0Bytes))
	if all, limit := c.Budget.Use(); limit > 0 {
		used := uint64(0)
		for _, a := range all {
			used += a.Bytes
		}
		line("dom0_reserved", "%d KiB of %d", used>>10, limit>>10)
	}
	line("nr_domains", "%d", h.NumDomains)
	line("scheduler", "%s", hcall.Text(h.Scheduler[:]))
	line("commandline", "%s", hcall.Text(h.CmdLine[:]))
	return nil
}

func version(c *call) error {
	h, err := c.HV.Host()
	if err != nil {
		return err
	}
	v, err := c.HV.Version()
	if err != nil {
		return err
	}
	c.printf("hypervisor %s\ndom0 %s\ninterface %d (dom0 was built for %d)\n", hcall.Text(h.Version[:]), c.Version, v, abi.Version)
	return nil
}

func dmesg(c *call) error {
	text, _, err := c.HV.Log(0)
	c.lines(text)
	return err
}

// lines prints text and ends its last line.
func (c *call) lines(text []byte) {
	c.out.Write(text)
	if len(text) > 0 && text[len(text)-1] != '\n' {
		c.printf("\n")
	}
}

// debugKeys presses keys; the hypervisor answers in its log and, as the log
// level has it, on the host console.
func debugKeys(c *call) error {
	for _, k := range []byte(c.args[0]) {
		if err := c.HV.DebugKey(k); err != nil {
			return err
		}
	}
	return nil
}

func restart(c *call) error  { return c.power(abi.PowerReboot) }
func poweroff(c *call) error { return c.power(abi.PowerOff) }

func (c *call) power(op abi.Power) error {
	c.flush()
	return c.HV.Power(op)
}

// sample is what top compares with the next time.
type sample struct {
	host uint64 // uptime in ns
	cpu  map[uint32]uint64
}

func top(c *call) error {
	all, err := c.Manager.List()
	if err != nil {
		return err
	}
	h, err := c.HV.Host()
	if err != nil {
		return err
	}
	now := sample{h.UptimeNS, map[uint32]uint64{}}
	for _, d := range all {
		now.cpu[d.ID] = d.CPUTimeNS
	}
	c.mu.Lock()
	last := c.top
	c.Shell.top = now
	c.mu.Unlock()
	percent := func(n, of uint64) float64 {
		if of == 0 {
			return 0
		}
		return float64(n) / float64(of) * 100
	}
	c.printf("%-32s %-6s %9s %6s %9s %6s %5s %12s %12s\n",
		"Name", "State", "CPU(s)", "CPU(%)", "Mem(MiB)", "Mem(%)", "VCPUs", "Exits", "Forwards")
	for _, d := range all {
		c.printf("%-32s %-6s %9.1f %6.1f %9d %6.1f %5d %12d %12d\n",
			d.Name, state(d.State), seconds(d.CPUTimeNS), percent(d.CPUTimeNS-last.cpu[d.ID], now.host-last.host),
			mib(d.Bytes), percent(d.Bytes, h.TotalBytes), d.VCPUs, d.Exits, d.Forwards)
	}
	return nil
}

// stats prints the exit counters of a domain, or of all since power-on.
func stats(c *call) error {
	dom := abi.AllDomains
	if len(c.args) > 0 {
		in, err := c.Manager.Find(c.args[0])
		if err != nil {
			return err
		}
		dom = uint64(in.ID)
	}
	e, err := c.HV.ExitCounts(dom)
	if err != nil {
		return err
	}
	total := uint64(0)
	for _, n := range e.Count {
		total += n
	}
	c.printf("%-16s %15s %7s\n", "Exit", "Count", "Share")
	for i, n := range e.Count {
		if n > 0 {
			c.printf("%-16s %15d %6.1f%%\n", reason(&e, i), n, float64(n)/float64(total)*100)
		}
	}
	c.printf("%-16s %15d\n", "total", total)
	return nil
}

// reason is the name of an exit reason.
func reason(e *abi.ExitCounts, i int) string {
	if i < len(e.Name) {
		if s := hcall.Text(e.Name[i][:]); s != "" {
			return s
		}
	}
	return strconv.Itoa(i)
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
	h, err := c.HV.Host()
	if err != nil {
		return err
	}
	if cpu >= uint64(h.NumCPUs) {
		return fmt.Errorf("there is no CPU %d: this machine has CPUs 0 to %d", cpu, h.NumCPUs-1)
	}
	recs, err := c.HV.Trace(uint32(cpu))
	if err != nil {
		return err
	}
	e, err := c.HV.ExitCounts(abi.AllDomains)
	if err != nil {
		return err
	}
	c.printf("%12s %5s %5s %-16s %18s %18s\n", "us", "Dom", "VCPU", "Exit", "RIP", "Info")
	for _, r := range recs {
		us := -float64(recs[len(recs)-1].TSC-r.TSC) / float64(max(h.TSCHz, 1)) * 1e6
		c.printf("%12.1f %5d %5d %-16s %#18x %#18x\n", us+0, r.Domain, r.VCPU, reason(&e, int(r.Reason)), r.RIP, r.Info)
	}
	return nil
}
