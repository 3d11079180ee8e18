// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package domain

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"ringo/dom0/dump"
	"ringo/dom0/hcall"
	"ringo/dom0/problem"
	"ringo/hv/abi"
)

// Dump is a core file of a domain: one is kept of each name.
type Dump struct {
	*dump.Dump
	Name string // of the domain
	ID   uint32
	Made time.Time
	Why  string // "" when somebody asked for it
}

// lostMemory is how the hypervisor's reason of a domain's end begins whose memory has
// failed: nobody must read that.
const lostMemory = "machine check"

// DumpCore keeps the memory and the registers of a domain, in place of an older dump
// of that name. The domain stands still meanwhile.
func (m *Manager) DumpCore(ref string) (Dump, error) {
	d, err := m.lock(ref, "dumped")
	if err != nil {
		return Dump{}, err
	}
	defer d.op.Unlock()
	in, err := m.HV.Info(d.id)
	if err != nil {
		return Dump{}, err
	}
	if in.State&(abi.StatePaused|abi.StateShutdown|abi.StateCrashed) != 0 {
		return m.dump(d, "")
	}
	if err := m.HV.Pause(d.id); err != nil {
		return Dump{}, err
	}
	x, err := m.dump(d, "")
	if err2 := m.HV.Unpause(d.id); err == nil {
		err = err2
	}
	return x, err
}

// dump keeps a domain that does not run, because of why.
//
// Preconditions: d.op is held.
func (m *Manager) dump(d *dom, why string) (Dump, error) {
	name := d.cfg.Name
	in, err := m.HV.Info(d.id)
	if err != nil {
		return Dump{}, err
	}
	if strings.HasPrefix(hcall.Text(in.Why[:]), lostMemory) {
		return Dump{}, problem.New(problem.Refused, "destroy "+name+" frees it", "memory of domain %q has failed and must not be read", name)
	}
	ext, err := m.HV.Map(d.id)
	if err != nil {
		return Dump{}, err
	}
	mem := m.view(ext)
	if !mem.Pin() {
		return Dump{}, problem.New(problem.Busy, "", "domain %q is being destroyed", name)
	}
	defer mem.Unpin()
	src := dump.Source{RAM: joined(ext), Slice: mem.RAM}
	for i := range in.VCPUs {
		x, err := m.HV.GetVCPU(d.id, i)
		if err != nil {
			return Dump{}, err
		}
		src.VCPUs = append(src.VCPUs, x)
	}
	m.dumping.Lock() // one at a time: the older one goes first
	defer m.dumping.Unlock()
	_ = m.ForgetDump(name)
	most := m.DumpMost
	for _, x := range m.AllDumps() {
		most -= min(most, x.Kept())
	}
	c, err := dump.New(src, m.Dumps, most)
	if err == dump.ErrMost {
		return Dump{}, problem.New(problem.Full, "forget others (dumps -d NAME), or boot with a larger dom0_mem= on the hypervisor's command line",
			"the dump of %q does not fit: dumps may have %d MiB of dom0's memory, %d MiB are left", name, mibDown(m.DumpMost), mibDown(most))
	}
	if err != nil {
		return Dump{}, err
	}
	x := Dump{c, name, d.id, m.Now(), why}
	m.mu.Lock()
	m.dumps[name] = x
	m.mu.Unlock()
	return x, nil
}

// joined are extents as ranges, those that follow each other in one.
func joined(ext []abi.Extent) (out []dump.Range) {
	ext = slices.Clone(ext)
	slices.SortFunc(ext, func(a, b abi.Extent) int {
		if a.GPA < b.GPA {
			return -1
		}
		return 1
	})
	for _, e := range ext {
		if n := len(out); n > 0 && out[n-1].Start+out[n-1].Size == e.GPA {
			out[n-1].Size += e.Size
			continue
		}
		out = append(out, dump.Range{Start: e.GPA, Size: e.Size})
	}
	return out
}

// dumped is dump for a domain that crashed, and says what became of it.
//
// Preconditions: d.op is held.
func (m *Manager) dumped(d *dom, why string) string {
	if _, err := m.dump(d, why); err != nil {
		return fmt.Sprintf(" (not dumped: %v)", Problem(err))
	}
	return fmt.Sprintf(" (dumped: dumps %s)", d.cfg.Name)
}

// AllDumps returns the dumps that are kept, by name.
func (m *Manager) AllDumps() []Dump {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []Dump
	for _, x := range m.dumps {
		all = append(all, x)
	}
	slices.SortFunc(all, func(a, b Dump) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// FindDump returns the dump of a name.
func (m *Manager) FindDump(name string) (Dump, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if x, ok := m.dumps[name]; ok {
		return x, nil
	}
	return Dump{}, problem.New(problem.NotFound, "dumps lists what there is", "no dump of %q is kept", name)
}

// ForgetDump drops the dump of a name.
func (m *Manager) ForgetDump(name string) error {
	x, err := m.FindDump(name)
	if err != nil {
		return err
	}
	m.mu.Lock()
	delete(m.dumps, name)
	m.mu.Unlock()
	x.Close()
	return nil
}
