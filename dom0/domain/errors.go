// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package domain

import (
	"errors"
	"fmt"
	"strings"

	"ringo/dom0/config/near"
	"ringo/dom0/hcall"
	"ringo/hv/abi"
)

// mib are whole MiB, for messages: what is needed is rounded up, what there is
// down.
func mibUp(n uint64) uint64   { return (n + 1<<20 - 1) >> 20 }
func mibDown(n uint64) uint64 { return n >> 20 }

// explain turns the error of a hypercall during creation into what the user can
// do about it. Errors of undo stay attached.
func (m *Manager) explain(p *plan, err error) error {
	name := p.cfg.Name
	var e *hcall.Error
	if !errors.As(err, &e) {
		return oneLine(err)
	}
	var better error
	switch {
	case e.Status == abi.NoMemory:
		better = m.noMemory(p.bytes)
	case e.Status == abi.NoRecord:
		better = m.noRecord(p)
	case e.Status == abi.NoSlot && e.Call == abi.CallDomCreate:
		better = m.noSlot()
	case e.Status == abi.Exists && e.Call == abi.CallDomCreate:
		better = taken(name, 0)
	default:
		better = fmt.Errorf("cannot create %q: %w", name, e)
	}
	var rest []error
	if j, ok := err.(interface{ Unwrap() []error }); ok {
		rest = j.Unwrap()[1:]
	}
	return oneLine(errors.Join(append([]error{better}, rest...)...))
}

// lined is an error whose message is one line.
type lined struct{ error }

func (l lined) Error() string { return strings.ReplaceAll(l.error.Error(), "\n", "; ") }
func (l lined) Unwrap() error { return l.error }

func oneLine(err error) error {
	if strings.Contains(err.Error(), "\n") {
		return lined{err}
	}
	return err
}

func taken(name string, id uint32) error {
	if id == 0 {
		return fmt.Errorf("domain %q already exists: choose another name, or destroy it", name)
	}
	return fmt.Errorf("domain %q already exists (id %d): choose another name, or destroy it", name, id)
}

// unique checks that no domain has a name or a UUID.
func (m *Manager) unique(name string, uuid [16]byte) error {
	all, err := m.HV.Domains()
	if err != nil {
		return err
	}
	for i := range all {
		if hcall.Text(all[i].Name[:]) == name {
			return taken(name, all[i].ID)
		}
		if uuid == all[i].UUID && all[i].ID != abi.Dom0 {
			return fmt.Errorf("uuid: domain %q has it: leave it out to get a new one", hcall.Text(all[i].Name[:]))
		}
	}
	return nil
}

// memoryFree checks that need bytes are free, and that dom0 has room to serve
// another guest.
func (m *Manager) memoryFree(need uint64) error {
	host, err := m.HV.Host()
	if err != nil {
		return err
	}
	if err := m.Devices.Room(); err != nil {
		return err
	}
	if need > host.FreeBytes {
		return m.noMemory(need)
	}
	return nil
}

// noMemory says how much is missing and which domain holds enough of it: the
// smallest that suffices, else the largest.
func (m *Manager) noMemory(need uint64) error {
	host, err := m.HV.Host()
	if err != nil {
		return err
	}
	all, err := m.HV.Domains()
	if err != nil {
		return err
	}
	var best *abi.DomainInfo
	for i := range all {
		d := &all[i]
		if d.ID == abi.Dom0 || d.Bytes == 0 {
			continue
		}
		enough := host.FreeBytes+d.Bytes >= need
		switch {
		case best == nil, enough && host.FreeBytes+best.Bytes < need:
			best = d
		case enough && d.Bytes < best.Bytes, host.FreeBytes+best.Bytes < need && d.Bytes > best.Bytes:
			best = d
		}
	}
	msg := fmt.Sprintf("not enough memory: need %d MiB, %d MiB free", mibUp(need), mibDown(host.FreeBytes))
	if best != nil {
		name := hcall.Text(best.Name[:])
		return fmt.Errorf("%s; %q holds %d MiB (destroy %s)", msg, name, mibUp(best.Bytes), name)
	}
	return fmt.Errorf("%s; give it less (memory=%dMiB)", msg, mibDown(host.FreeBytes))
}

// noRecord says what to do when the hypervisor has no room for the records of
// a domain.
func (m *Manager) noRecord(p *plan) error {
	fewer := ""
	if p.cfg.VCPUs > 1 {
		fewer = "give it fewer vcpus, "
	}
	return fmt.Errorf("no room for %q: the hypervisor's own memory is full: %sdestroy a domain, or boot with a larger pool= (MiB) on the hypervisor's command line",
		p.cfg.Name, fewer)
}

// noSlot says which table has no room for another domain.
func (m *Manager) noSlot() error {
	host, err := m.HV.Host()
	if err != nil {
		return err
	}
	if host.NumDomains < abi.MaxDomains {
		return errors.New("this processor has no identifiers for more vCPUs: destroy a domain, or give this one fewer vcpus")
	}
	return fmt.Errorf("the table of domains is full (%d, with dom0): destroy one first", host.NumDomains)
}

// notFound says that a domain does not exist, and which one may be meant.
func notFound(ref string, all []abi.DomainInfo) error {
	var names []string
	for i := range all {
		names = append(names, hcall.Text(all[i].Name[:]))
	}
	hint := near.Hint(ref, names)
	if hint == "" {
		hint = ": list shows what there is"
	}
	return fmt.Errorf("domain %q does not exist%s", ref, hint)
}
