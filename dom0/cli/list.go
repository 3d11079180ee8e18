// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package cli

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"ringo/dom0/config"
	"ringo/dom0/domain"
	"ringo/dom0/hcall"
	"ringo/hv/abi"
)

// mib is a size for tables: whole MiB, rounded up.
func mib(n uint64) uint64 { return (n + 1<<20 - 1) >> 20 }

// letters are the state letters of list, in order.
var letters = []struct {
	bit    uint32
	letter byte
	word   string // of domstate
}{
	{abi.StateRunning, 'r', "running"}, {abi.StateBlocked, 'b', "idle"}, {abi.StatePaused, 'p', "paused"},
	{abi.StateShutdown, 's', "shut off"}, {abi.StateCrashed, 'c', "crashed"}, {abi.StateDying, 'd', "dying"},
}

// state returns the six letters of a state.
func state(bits uint32) string {
	s := []byte("------")
	for i, l := range letters {
		if bits&l.bit != 0 {
			s[i] = l.letter
		}
	}
	return string(s)
}

// word is a state in a word; the last condition counts most.
func word(bits uint32) string {
	w := "no state"
	for _, l := range letters {
		if bits&l.bit != 0 {
			w = l.word
		}
	}
	return w
}

// domains returns the domain that an argument names, or all.
func (c *call) domains() ([]domain.Info, error) {
	if len(c.args) == 0 {
		return c.Manager.List()
	}
	in, err := c.Manager.Find(c.args[0])
	return []domain.Info{in}, err
}

func seconds(ns uint64) float64 { return float64(ns) / 1e9 }

func list(c *call) error {
	all, err := c.domains()
	if err != nil {
		return err
	}
	if c.given('l') {
		return c.listJSON(all)
	}
	uuid := func(string) string { return "" }
	if c.given('v') {
		uuid = func(s string) string { return " " + s }
	}
	c.printf("%-40s %5s %5s %5s     %-6s  %8s%s\n", "Name", "ID", "Mem", "VCPUs", "State", "Time(s)", uuid("UUID"))
	for _, d := range all {
		c.printf("%-40s %5d %5d %5d     %s  %8.1f%s\n",
			d.Name, d.ID, mib(d.Bytes), d.VCPUs, state(d.State), seconds(d.CPUTimeNS), uuid(d.UUID))
	}
	return nil
}

// entry is a domain in JSON: sizes in bytes, times in RFC 3339.
type entry struct {
	ID       uint32         `json:"id"`
	Name     string         `json:"name"`
	UUID     string         `json:"uuid"`
	State    string         `json:"state"`
	Why      string         `json:"why,omitempty"`
	Memory   uint64         `json:"memory"`
	Overhead uint64         `json:"overhead"`
	VCPUs    uint32         `json:"vcpus"`
	Weight   uint32         `json:"cpu_weight"`
	Cap      uint32         `json:"cap"`
	CPUTime  float64        `json:"cpu_time_seconds"`
	Exits    uint64         `json:"exits"`
	Forwards uint64         `json:"forwards"`
	Started  *time.Time     `json:"started,omitempty"`
	Config   *config.Config `json:"config,omitempty"`
}

func (c *call) listJSON(all []domain.Info) error {
	out := make([]entry, len(all))
	for i, d := range all {
		out[i] = entry{
			ID: d.ID, Name: d.Name, UUID: d.UUID, State: word(d.State), Why: hcall.Text(d.Why[:]), Memory: d.Bytes,
			Overhead: d.Overhead, VCPUs: d.VCPUs, Weight: d.Weight, Cap: d.Cap, CPUTime: seconds(d.CPUTimeNS),
			Exits: d.Exits, Forwards: d.Forwards, Config: d.Config,
		}
		if !d.Started.IsZero() {
			out[i].Started = &all[i].Started
		}
	}
	b, err := json.MarshalIndent(out, "", "  ")
	c.printf("%s\n", b)
	return err
}

func domstate(c *call) error {
	in, err := c.Manager.Find(c.args[0])
	if err != nil {
		return err
	}
	c.printf("%s\n", word(in.State))
	return nil
}

func dominfo(c *call) error {
	d, err := c.Manager.Find(c.args[0])
	if err != nil {
		return err
	}
	line := func(name, format string, a ...any) {
		c.printf("%-15s "+format+"\n", append([]any{name + ":"}, a...)...)
	}
	line("Id", "%d", d.ID)
	line("Name", "%s", d.Name)
	line("UUID", "%s", d.UUID)
	line("State", "%s", word(d.State))
	if why := hcall.Text(d.Why[:]); why != "" {
		line("Why", "%s", why)
	}
	line("CPU(s)", "%d", d.VCPUs)
	line("CPU time", "%.1fs", seconds(d.CPUTimeNS))
	line("Max memory", "%d KiB", d.MaxBytes>>10)
	line("Used memory", "%d KiB", d.Bytes>>10)
	line("Overhead", "%d KiB", d.Overhead>>10)
	if d.Config != nil {
		line("Kernel", "%s", d.Config.Boot.Kernel)
		line("Initrd", "%s", d.Config.Boot.Initrd)
		line("Cmdline", "%s", d.Config.Boot.Cmdline)
	}
	return nil
}

// vcpuList prints what the hypervisor's interface tells of vCPUs: it has no
// state or time of each.
func vcpuList(c *call) error {
	all, err := c.domains()
	if err != nil {
		return err
	}
	c.printf("%-40s %5s %5s   %-6s  %s\n", "Name", "ID", "VCPU", "State", "Affinity")
	for _, d := range all {
		cpus := "all"
		if d.Config != nil && d.Config.CPUs != "" {
			cpus = d.Config.CPUs
		}
		for i := range d.VCPUs {
			c.printf("%-40s %5d %5d   %s  %s\n", d.Name, d.ID, i, state(d.State), cpus)
		}
	}
	return nil
}

func schedCredit(c *call) error {
	if !c.given('d') {
		if c.given('w') || c.given('c') {
			return fmt.Errorf("-w and -c need -d DOMAIN; %w", c.usage())
		}
		all, err := c.Manager.List()
		if err != nil {
			return err
		}
		c.printf("%-40s %5s %6s %5s\n", "Name", "ID", "Weight", "Cap")
		for _, d := range all {
			c.printf("%-40s %5d %6d %5d\n", d.Name, d.ID, d.Weight, d.Cap)
		}
		return nil
	}
	weight, limit := 0, -1
	for flag, p := range map[byte]*int{'w': &weight, 'c': &limit} {
		if !c.given(flag) {
			continue
		}
		n, err := strconv.Atoi(c.opt[flag])
		if err != nil || n < 0 || flag == 'w' && n == 0 {
			return fmt.Errorf("-%c %s is not a number that fits; %w", flag, c.opt[flag], c.usage())
		}
		*p = n
	}
	if weight == 0 && limit < 0 {
		c.args = []string{c.opt['d']}
		all, err := c.domains()
		if err == nil {
			c.printf("%-40s %5s %6s %5s\n", "Name", "ID", "Weight", "Cap")
			c.printf("%-40s %5d %6d %5d\n", all[0].Name, all[0].ID, all[0].Weight, all[0].Cap)
		}
		return err
	}
	return c.Manager.SetSched(c.opt['d'], weight, limit)
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
	host, err := c.HV.Host()
	if err != nil {
		return err
	}
	c.printf("%-40s %5s %s\n", "Name", "ID", "Uptime")
	for _, d := range all {
		up := "unknown"
		switch {
		case d.ID == abi.Dom0:
			up = duration(time.Duration(host.UptimeNS))
		case !d.Started.IsZero():
			up = duration(c.Now().Sub(d.Started))
		}
		c.printf("%-40s %5d %s\n", d.Name, d.ID, up)
	}
	return nil
}

func files(c *call) error {
	list := c.Manager.Files.List()
	if len(list) == 0 {
		c.printf("no boot modules were loaded\n")
		return nil
	}
	name := func(f domain.File) string { return strings.TrimPrefix(f.Name, "boot:") }
	width := len("Name")
	for _, f := range list {
		width = max(width, len(name(f)))
	}
	c.printf("%-*s %12s  %s\n", width, "Name", "Size", "Use as")
	for _, f := range list {
		c.printf("%-*s %12d  %s\n", width, name(f), f.Size, f.Name)
	}
	return nil
}
