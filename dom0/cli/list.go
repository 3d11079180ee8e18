// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package cli

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"ringo/dom0/api"
)

// mib is a size for tables: whole MiB, rounded up.
func mib(n uint64) uint64 { return (n + 1<<20 - 1) >> 20 }

// places are the conditions of a domain in the order of their letters, which they
// begin with.
var places = []api.Condition{api.Running, api.Blocked, api.Paused, api.Shutdown, api.Crashed, api.Dying}

// letters returns the six letters of a domain's state.
func letters(d api.Domain) string {
	s := []byte("------")
	for i, p := range places {
		for _, c := range d.Conditions {
			if c == p {
				s[i] = p[0]
			}
		}
	}
	return string(s)
}

// domains returns the domain that an argument names, or all.
func (c *call) domains() ([]api.Domain, error) {
	if len(c.args) == 0 {
		return api.DomainList.Call(c.API, api.None{})
	}
	d, err := c.domain()
	return []api.Domain{d}, err
}

func list(c *call) error {
	var off []api.Defined
	var err error
	if c.given('a') || len(c.args) > 0 {
		if off, err = c.off(); err != nil {
			return err
		}
	}
	var all []api.Domain
	if len(c.args) == 0 || len(off) == 0 {
		if all, err = c.domains(); err != nil {
			return err
		}
	}
	if c.given('l') {
		both := []any{}
		for _, d := range all {
			both = append(both, d)
		}
		for _, d := range off {
			both = append(both, d)
		}
		b, err := json.MarshalIndent(both, "", "  ")
		c.printf("%s\n", b)
		return err
	}
	uuid := func(string) string { return "" }
	if c.given('v') {
		uuid = func(s string) string { return " " + s }
	}
	c.printf("%-40s %5s %5s %5s     %-6s  %8s%s\n", "Name", "ID", "Mem", "VCPUs", "State", "Time(s)", uuid("UUID"))
	for _, d := range all {
		code := ""
		if d.Exit != nil {
			code = fmt.Sprintf("  code %d", *d.Exit)
		}
		if d.State == string(api.Paused) && d.Why != "" {
			code += "  " + d.Why
		}
		c.printf("%-40s %5d %5d %5d     %s  %8.1f%s%s\n",
			d.Name, d.ID, mib(d.Memory), d.VCPUs, letters(d), d.CPUTime, uuid(d.UUID), code)
	}
	c.rows(off, uuid)
	return nil
}

func domstate(c *call) error {
	if off, err := c.off(); err != nil || len(off) > 0 {
		c.printf("off\n")
		return err
	}
	d, err := c.domain()
	if err != nil {
		return err
	}
	c.printf("%s\n", d.State)
	return nil
}

func dominfo(c *call) error {
	line := func(name, format string, a ...any) {
		c.printf("%-15s "+format+"\n", append([]any{name + ":"}, a...)...)
	}
	if off, err := c.off(); err != nil || len(off) > 0 {
		if err != nil {
			return err
		}
		d := off[0]
		line("Id", "-")
		line("Name", "%s", d.Name)
		line("UUID", "%s", d.Config.UUID)
		line("State", "off")
		line("CPU(s)", "%s", cpus(d.Config.VCPUs, d.Config.AllVCPUs()))
		line("Max memory", "%d KiB", d.Config.Memory.Bytes>>10)
		return c.described(d.Name, &d.Config, line)
	}
	d, err := c.domain()
	if err != nil {
		return err
	}
	line("Id", "%d", d.ID)
	line("Name", "%s", d.Name)
	line("UUID", "%s", d.UUID)
	line("State", "%s", d.State)
	if d.Why != "" {
		line("Why", "%s", d.Why)
	}
	if d.Exit != nil {
		line("Exit code", "%d", *d.Exit)
	}
	if d.Stage != "" {
		line("Boot", "%s", d.Stage)
	}
	line("CPU(s)", "%s", cpus(int(d.VCPUs), int(d.MaxVCPUs)))
	line("CPU time", "%.1fs", d.CPUTime)
	line("Max memory", "%d KiB", d.MaxMemory>>10)
	line("Used memory", "%d KiB", d.Memory>>10)
	line("Overhead", "%d KiB", d.Overhead>>10)
	if d.Config == nil {
		return nil
	}
	return c.described(d.Name, d.Config, line)
}

// cpus is how many vCPUs there are, and may be.
func cpus(n, all int) string {
	if n == all {
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%d of %d", n, all)
}

// described prints what a domain boots, and how it is defined.
func (c *call) described(name string, cfg *api.Config, line func(name, format string, a ...any)) error {
	line("Kernel", "%s", cfg.Boot.Kernel)
	line("Initrd", "%s", cfg.Boot.Initrd)
	line("Cmdline", "%s", cfg.Boot.Cmdline)
	c.wired(name, cfg, line)
	return c.persistence(name, line)
}

// vcpuList prints what the hypervisor's interface tells of vCPUs: where each may
// run; it has no state or time of each.
func vcpuList(c *call) error {
	all, err := c.domains()
	if err != nil {
		return err
	}
	c.printf("%-40s %5s %5s   %-6s  %s\n", "Name", "ID", "VCPU", "State", "Affinity")
	for _, d := range all {
		where, err := api.DomainAffinity.Call(c.API, api.Ref{Domain: strconv.Itoa(int(d.ID))})
		if err != nil {
			return err
		}
		for i, cpus := range where.CPUs {
			state := letters(d)
			if slices.Contains(d.Absent, uint32(i)) {
				state = "absent"
			}
			c.printf("%-40s %5d %5d   %s  %s\n", d.Name, d.ID, i, state, cpus)
		}
	}
	return nil
}

// vcpuPin chooses the CPUs of a vCPU, or of all.
func vcpuPin(c *call) error {
	in := api.Pin{Domain: c.args[0], CPUs: c.args[2]}
	if c.args[1] != "all" {
		n, err := strconv.ParseUint(c.args[1], 10, 16)
		if err != nil {
			return fmt.Errorf("%q is not the number of a vCPU, nor all; %w", c.args[1], c.usage())
		}
		in.VCPU = new(uint32)
		*in.VCPU = uint32(n)
	}
	_, err := api.DomainPin.Call(c.API, in)
	return err
}

// schedSlice prints what is the same for all domains, after it was changed.
func schedSlice(c *call) error {
	in := api.Slice{}
	for _, flag := range []byte("dwc") {
		if c.given(flag) || len(c.args) > 0 || !c.given('s') {
			return fmt.Errorf("the time slice is the same for all domains; %w", c.usage())
		}
	}
	if c.given('t') {
		ms, err := strconv.ParseFloat(c.opt['t'], 64)
		if err != nil || !(ms > 0) {
			return fmt.Errorf("-t %s is not a number of milliseconds; %w", c.opt['t'], c.usage())
		}
		in.Seconds = ms / 1e3
	}
	v, err := api.HostSlice.Call(c.API, in)
	if err == nil {
		c.printf("tslice=%gms\n", math.Round(v.Seconds*1e6)/1e3)
	}
	return err
}

func schedCredit(c *call) error {
	if c.given('s') || c.given('t') {
		return schedSlice(c)
	}
	if len(c.args) > 0 {
		if c.given('d') {
			return c.usage()
		}
		c.opt['d'] = c.args[0]
	}
	if !c.given('d') {
		if c.given('w') || c.given('c') {
			return fmt.Errorf("-w and -c need a domain; %w", c.usage())
		}
		all, err := api.DomainList.Call(c.API, api.None{})
		if err != nil {
			return err
		}
		c.printf("%-40s %5s %6s %5s\n", "Name", "ID", "Weight", "Cap")
		for _, d := range all {
			c.printf("%-40s %5d %6d %5d\n", d.Name, d.ID, d.Weight, d.Cap)
		}
		return nil
	}
	in := api.Sched{Domain: c.opt['d']}
	for flag, p := range map[byte]**int{'w': &in.Weight, 'c': &in.Cap} {
		if !c.given(flag) {
			continue
		}
		n, err := strconv.Atoi(c.opt[flag])
		if err != nil || n < 0 || flag == 'w' && n == 0 {
			return fmt.Errorf("-%c %s is not a number that fits; %w", flag, c.opt[flag], c.usage())
		}
		*p = &n
	}
	if in.Weight == nil && in.Cap == nil {
		c.args = []string{in.Domain}
		all, err := c.domains()
		if err == nil {
			c.printf("%-40s %5s %6s %5s\n", "Name", "ID", "Weight", "Cap")
			c.printf("%-40s %5d %6d %5d\n", all[0].Name, all[0].ID, all[0].Weight, all[0].Cap)
		}
		return err
	}
	_, err := api.DomainSched.Call(c.API, in)
	return err
}

// duration prints d as xl does: days, hours, minutes and seconds.
func duration(d time.Duration) string {
	s := int64(max(d, 0) / time.Second)
	t := fmt.Sprintf("%d:%02d:%02d", s/3600%24, s/60%60, s%60)
	switch days := s / 86400; {
	case days == 1:
		return "1 day, " + t
	case days > 1:
		return strconv.FormatInt(days, 10) + " days, " + t
	}
	return t
}

func uptime(c *call) error {
	all, err := c.domains()
	if err != nil {
		return err
	}
	host, err := api.HostShow.Call(c.API, api.None{})
	if err != nil {
		return err
	}
	c.printf("%-40s %5s %s\n", "Name", "ID", "Uptime")
	for _, d := range all {
		up := "unknown"
		switch {
		case d.Control():
			up = duration(time.Duration(host.Uptime * float64(time.Second)))
		case d.Started != nil:
			up = duration(c.API.Now().Sub(*d.Started))
		}
		c.printf("%-40s %5d %s\n", d.Name, d.ID, up)
	}
	return nil
}
