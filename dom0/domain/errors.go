// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package domain

import (
	"errors"
	"fmt"
	"slices"

	"ringo/dom0/config"
	"ringo/dom0/config/near"
	"ringo/dom0/hcall"
	"ringo/dom0/problem"
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
		return invalid(err)
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
	if len(rest) == 0 {
		return better
	}
	return Problem(errors.Join(append([]error{better}, rest...)...))
}

// invalid is an error that something in the request has, unless it is of another
// kind already, or the hypervisor's.
func invalid(err error) error {
	var e *hcall.Error
	if errors.As(err, &e) {
		return err
	}
	return problem.Of(problem.Invalid, err)
}

// Problem returns an error of this package as what it is to the user; nil for nil.
func Problem(err error) *problem.Error {
	kind := problem.Internal
	var e *hcall.Error
	if errors.As(err, &e) {
		switch e.Status {
		case abi.NoDomain, abi.NoVCPU:
			kind = problem.NotFound
		case abi.Exists:
			kind = problem.Exists
		case abi.Busy:
			kind = problem.Busy
		case abi.NoMemory, abi.NoRecord, abi.NoSlot:
			kind = problem.Full
		}
	}
	return problem.Of(kind, err)
}

func taken(name string, id uint32) error {
	const remedy = "choose another name, or destroy it"
	if id == 0 {
		return problem.New(problem.Exists, remedy, "domain %q already exists", name)
	}
	return problem.New(problem.Exists, remedy, "domain %q already exists (id %d)", name, id)
}

// unique checks that no domain has a name or a UUID, by what the toolstack knows: to
// ask for all domains would make the last of many dear. Of names the hypervisor has
// the last word.
func (m *Manager) unique(name string, uuid [16]byte) error {
	text := config.FormatUUID(uuid)
	for _, d := range m.alike(name, text) {
		switch {
		case !m.exists(d.id): // its end has not been seen to yet
		case d.name == name:
			return taken(name, d.id)
		default:
			return problem.New(problem.Exists, "leave it out to get a new one", "uuid: domain %q has it", d.name)
		}
	}
	return nil
}

// known is a domain that the toolstack knows.
type known struct {
	id   uint32
	name string
}

// alike returns the domains that have a name, first, or a UUID.
func (m *Manager) alike(name, uuid string) (out []known) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, d := range m.doms {
		switch c := d.cfg; {
		case c.Name == name:
			out = append([]known{{id, name}}, out...)
		case c.UUID == uuid:
			out = append(out, known{id, c.Name})
		}
	}
	return out
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
		return problem.New(problem.Full, "destroy "+name, "%s; %q holds %d MiB", msg, name, mibUp(best.Bytes)).Command()
	}
	less := fmt.Sprintf("memory=%dMiB", mibDown(host.FreeBytes))
	return problem.New(problem.Full, less, "%s; give it less", msg).Command()
}

// noRecord says what to do when the hypervisor has no room for the records of
// a domain.
func (m *Manager) noRecord(p *plan) error {
	fewer := ""
	if p.cfg.VCPUs > 1 {
		fewer = "give it fewer vcpus, "
	}
	return problem.New(problem.Full, fewer+"destroy a domain, or boot with a larger pool= (MiB) on the hypervisor's command line",
		"no room for %q: the hypervisor's own memory is full", p.cfg.Name)
}

// noSlot says which table has no room for another domain.
func (m *Manager) noSlot() error {
	host, err := m.HV.Host()
	if err != nil {
		return err
	}
	if host.NumDomains < abi.MaxDomains {
		return problem.New(problem.Full, "destroy a domain, or give this one fewer vcpus", "this processor has no identifiers for more vCPUs")
	}
	return problem.New(problem.Full, "destroy one first", "the table of domains is full (%d, with dom0)", host.NumDomains)
}

// notFound says that a domain does not exist, or is off, and which one may be meant.
func (m *Manager) notFound(ref string, all []abi.DomainInfo) error {
	names, err := m.Store.Names()
	if err != nil {
		return err
	}
	if slices.Contains(names, ref) {
		return problem.New(problem.Refused, "start "+ref+" starts it", "domain %q is off", ref)
	}
	for i := range all {
		names = append(names, hcall.Text(all[i].Name[:]))
	}
	remedy := "list shows what there is"
	if w, ok := near.Word(ref, names); ok {
		remedy = fmt.Sprintf("did you mean %q?", w)
	}
	return problem.New(problem.NotFound, remedy, "domain %q does not exist", ref)
}
