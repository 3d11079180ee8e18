// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package domain

import (
	"fmt"
	"math/bits"
	"strconv"
	"time"

	"ringo/dom0/config"
	"ringo/dom0/problem"
	"ringo/hv/abi"
)

// first is a set of the first n vCPUs.
func first(n int) uint32 { return uint32(1)<<n - 1 }

// plugVCPUs gives a domain that is there another number of vCPUs: the first ones. It
// returns when the guest has started those that are new and given back the others, or
// with what it has not done within a sixth of the patience.
func (m *Manager) plugVCPUs(in *Info, value string) error {
	n, err := strconv.Atoi(value)
	if err != nil {
		return problem.New(problem.Invalid, "", "vcpus: %q is not a whole number", value)
	}
	d, err := m.lock(in.Name, "given vCPUs: boot with another dom0_max_vcpus=")
	if err != nil {
		return err
	}
	id, name := d.id, d.cfg.Name
	asked, err := m.askVCPUs(d, n)
	d.op.Unlock()
	if err != nil || !asked {
		return err
	}
	limit := m.Patience / 6
	late := time.After(limit)
	t := time.NewTicker(look)
	defer t.Stop()
	for {
		x, err := m.HV.Info(id)
		if err != nil || x.ID != id { // it has ended meanwhile
			return nil
		}
		wait, back := first(n)&^(x.Started&^x.Absent), (first(int(x.VCPUs))&^x.Absent)&^first(n)
		if refused := back & m.Devices.Refused(id); refused != 0 {
			return problem.New(problem.Refused, "look at its kernel's log", "domain %q does not give back vCPU %s", name, numbers(refused))
		}
		if wait|back == 0 {
			return nil
		}
		select {
		case <-t.C:
		case <-late:
			return slow(name, wait, back, limit)
		}
	}
}

// slow says what a guest has been asked and has not done.
func slow(name string, wait, back uint32, limit time.Duration) error {
	if back != 0 {
		return problem.New(problem.Busy, "look at vcpu-list "+name+", and at its kernel's log",
			"domain %q was asked, but has not given back vCPU %s in %v", name, numbers(back), limit)
	}
	cpu := bits.TrailingZeros32(wait)
	return problem.New(problem.Busy, fmt.Sprintf("in a Linux without udev: echo 1 > /sys/devices/system/cpu/cpu%d/online", cpu),
		"domain %q has vCPU %s, but has not started it in %v", name, numbers(wait), limit)
}

// numbers lists the vCPUs of a set.
func numbers(set uint32) string { return config.FormatCPUs(uint64(set), 64) }

// askVCPUs tells the guest that it has n vCPUs. It reports false when there is nothing to
// ask.
//
// Preconditions: d.op is held.
func (m *Manager) askVCPUs(d *dom, n int) (asked bool, err error) {
	c := d.cfg
	in, err := m.HV.Info(d.id)
	if err != nil {
		return false, err
	}
	forNext := func(key string, n int) string { return fmt.Sprintf("give it %s=%d for its next start", key, n) }
	if def, err := m.definition(c.Name); err == nil && def != nil {
		forNext = func(key string, n int) string {
			return fmt.Sprintf("edit %s %s=%d counts from its next start on", c.Name, key, n)
		}
	}
	switch {
	case n < 1:
		return false, problem.New(problem.Invalid, fmt.Sprintf("use 1 to %d", in.VCPUs), "vcpus: %d is out of range", n)
	case in.State&(abi.StateShutdown|abi.StateCrashed) != 0:
		return false, problem.New(problem.Refused, "destroy "+c.Name+" frees it", "domain %q has stopped", c.Name)
	case n > int(in.VCPUs):
		return false, problem.New(problem.Refused, fmt.Sprintf("use 1 to %d, or %s", in.VCPUs, forNext("max_vcpus", n)), "domain %q was made for %d vCPUs", c.Name, in.VCPUs)
	case c.MaxVCPUs == 0 && n == c.VCPUs:
		return false, nil
	case c.MaxVCPUs == 0:
		return false, problem.New(problem.Refused, forNext("max_vcpus", c.VCPUs), "domain %q was made without max_vcpus: its vCPUs stay", c.Name)
	case in.State&abi.StatePaused != 0:
		return false, problem.New(problem.Refused, "unpause "+c.Name+" first", "domain %q is paused", c.Name)
	case !m.Devices.Plug(d.id, first(n), in.Started&^in.Absent):
		return false, problem.New(problem.Refused, "wait until it is up; a system without ACPI keeps those that it has", "domain %q does not listen to ACPI's event for vCPUs", c.Name)
	}
	return true, m.configure(d, func(c *config.Config) { c.VCPUs = n })
}
