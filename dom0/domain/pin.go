// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package domain

import (
	"errors"
	"fmt"

	"ringo/dom0/config"
	"ringo/dom0/problem"
	"ringo/hv/abi"
)

// AllVCPUs stands for all vCPUs of a domain.
const AllVCPUs = ^uint32(0)

// Pin makes the set of CPUs cpus, as in a configuration, those where a vCPU of a domain
// runs from now on, or with AllVCPUs all of them. The configuration has it then, for the
// next start.
func (m *Manager) Pin(ref string, vcpu uint32, cpus string) error {
	in, err := m.Find(ref)
	if err != nil {
		return err
	}
	host, err := m.HV.Host()
	if err != nil {
		return err
	}
	mask, err := config.ParseCPUs(cpus, int(min(host.NumCPUs, 64)))
	if err != nil {
		return problem.New(problem.Invalid, "", "%v", err)
	}
	first, last := vcpu, vcpu
	if vcpu == AllVCPUs {
		first, last = 0, in.MaxVCPUs-1
	} else if vcpu >= in.MaxVCPUs {
		return problem.New(problem.Invalid, fmt.Sprintf("use 0 to %d, or all", in.MaxVCPUs-1), "domain %q has no vCPU %d", in.Name, vcpu)
	}
	if in.ID == abi.Dom0 {
		return m.pin(in.ID, first, last, mask)
	}
	d, err := m.lock(ref, "changed")
	if err != nil {
		return err
	}
	defer d.op.Unlock()
	if err := m.pin(d.id, first, last, mask); err != nil {
		return err
	}
	return m.configure(d, func(c *config.Config) {
		if vcpu != AllVCPUs {
			sets := config.SplitAffinity(c.CPUs, c.AllVCPUs())
			sets[vcpu] = cpus
			cpus = config.JoinAffinity(sets)
		}
		c.CPUs = cpus
	})
}

// pin tells the hypervisor; a mask of 0 stands for all CPUs. What it refuses it refuses
// for the first one.
func (m *Manager) pin(id, first, last uint32, mask uint64) error {
	if mask == 0 {
		mask = ^uint64(0)
	}
	for i := first; i <= last; i++ {
		if may, err := m.HV.Affinity(id, i, mask); errors.Is(err, abi.BadArg) {
			return problem.New(problem.Invalid, fmt.Sprintf("use CPUs of %s", config.FormatCPUs(may, 64)),
				"CPUs %s are the hypervisor's own (hv_cpus=)", config.FormatCPUs(mask&^may, 64))
		} else if err != nil {
			return err
		}
	}
	return nil
}

// Affinity returns where the vCPUs of a domain may run, as sets of CPUs.
func (m *Manager) Affinity(ref string) ([]string, error) {
	in, err := m.Find(ref)
	if err != nil {
		return nil, err
	}
	host, err := m.HV.Host()
	if err != nil {
		return nil, err
	}
	all := make([]string, in.MaxVCPUs)
	for i := range all {
		mask, err := m.HV.Affinity(in.ID, uint32(i), 0)
		if err != nil {
			return nil, err
		}
		all[i] = config.FormatCPUs(mask, int(host.NumCPUs))
	}
	return all, nil
}
