// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package cli

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"time"

	"ringo/dom0/api"
)

// Screen is a prompt that can show a text in place until the user leaves it;
// console.Host is one.
type Screen interface {
	Watch(every time.Duration, draw func(rows int) (string, error)) error
}

// topEvery is how often top counts.
const topEvery = 2 * time.Second

// sample is what top compares with the next time.
type sample struct {
	host    api.Host
	domains map[uint32]api.Domain
	order   []uint32
}

func (c *call) sample() (sample, error) {
	s := sample{domains: map[uint32]api.Domain{}}
	all, err := api.DomainList.Call(c.API, api.None{})
	if err != nil {
		return s, err
	}
	for _, d := range all {
		s.domains[d.ID] = d
		s.order = append(s.order, d.ID)
	}
	s.host, err = api.HostShow.Call(c.API, api.None{})
	return s, err
}

// next takes a sample, and returns it with the one before.
func (c *call) next() (now, last sample, err error) {
	if now, err = c.sample(); err != nil {
		return now, last, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	last, c.Shell.top = c.Shell.top, now
	return now, last, nil
}

// top shows what domains use: again and again on a console, once elsewhere.
func top(c *call) error {
	if s, ok := c.w.(Screen); ok && !c.given('1') {
		c.flush()
		return s.Watch(topEvery, func(rows int) (string, error) {
			now, last, err := c.next()
			return now.live(last, rows), err
		})
	}
	now, last, err := c.next()
	if err != nil {
		return err
	}
	c.printf("%-32s %-6s %9s %6s %9s %6s %5s %12s %12s\n",
		"Name", "State", "CPU(s)", "CPU(%)", "Mem(MiB)", "Mem(%)", "VCPUs", "Exits", "Forwards")
	for _, id := range now.order {
		d := now.domains[id]
		c.printf("%-32s %-6s %9.1f %6.1f %9d %6.1f %5d %12d %12d\n",
			d.Name, letters(d), d.CPUTime, now.cpu(last, id)*100,
			mib(d.Memory), ratio(d.Memory, now.host.Memory)*100, d.VCPUs, d.Exits, d.Forwards)
	}
	return nil
}

// rate is n in the time since last, each second.
func (s sample) rate(last sample, n float64) float64 {
	if s.host.Uptime <= last.host.Uptime {
		return 0
	}
	return n / (s.host.Uptime - last.host.Uptime)
}

// cpu is the part of one CPU that a domain has had since last.
func (s sample) cpu(last sample, id uint32) float64 {
	return s.rate(last, s.domains[id].CPUTime-last.domains[id].CPUTime)
}

// idle is for how much of the time since last the CPUs were halted, in percent.
func (s sample) idle(last sample) float64 {
	return 100 * s.rate(last, s.host.Idle-last.host.Idle) / float64(max(s.host.CPUs, 1))
}

// live is the table of a terminal, as much as fits into rows, who uses most first.
func (s sample) live(last sample, rows int) string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s up %s: %d CPUs, %.1f%% idle; %d domains (q leaves)\n%d MiB, %d free\n", s.host.Name,
		duration(time.Duration(s.host.Uptime*float64(time.Second))), s.host.CPUs, s.idle(last), len(s.order),
		s.host.Memory>>20, s.host.FreeMemory>>20)
	fmt.Fprintf(&b, "%-22s %-6s %9s %6s %8s %5s %9s %7s\n", "Name", "State", "CPU(s)", "CPU(%)", "Mem(MiB)", "VCPUs", "Exits/s", "Fwd/s")
	order := slices.Clone(s.order)
	slices.SortStableFunc(order, func(x, y uint32) int { return cmp.Compare(s.cpu(last, y), s.cpu(last, x)) })
	room := rows - 4 // for domains, if not all fit
	for i, id := range order {
		if i == room && len(order) > room+1 {
			fmt.Fprintf(&b, "and %d more: top -1 shows all", len(order)-room)
			break
		}
		d, was := s.domains[id], last.domains[id]
		fmt.Fprintf(&b, "%-22.22s %-6s %9.1f %6.1f %8d %5d %9.0f %7.0f\n", d.Name, letters(d), d.CPUTime, s.cpu(last, id)*100,
			mib(d.Memory), d.VCPUs, s.rate(last, float64(d.Exits-was.Exits)), s.rate(last, float64(d.Forwards-was.Forwards)))
	}
	return b.String()
}
