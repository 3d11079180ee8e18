// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package domain

import (
	"encoding/json"
	"fmt"

	"ringo/dom0/config"
	"ringo/dom0/hcall"
	"ringo/dom0/problem"
	"ringo/hv/abi"
)

// Definition is a configuration that is kept under its domain's name, whether the
// domain exists or not. A domain that runs has a configuration of its own: a
// definition counts when it is started the next time.
type Definition struct {
	Version   int            `json:"v"`
	Autostart bool           `json:"autostart,omitempty"`
	Config    *config.Config `json:"config"`
}

// definition returns that of a name, nil if there is none.
func (m *Manager) definition(name string) (*Definition, error) {
	b, err := m.Store.Get(name)
	if err != nil || b == nil {
		return nil, err
	}
	var d Definition
	if err := json.Unmarshal(b, &d); err != nil {
		return nil, fmt.Errorf("the definition of %q is damaged: %w", name, err)
	}
	if d.Version != recordVersion || d.Config == nil {
		return nil, fmt.Errorf("the definition of %q has version %d, this toolstack knows %d", name, d.Version, recordVersion)
	}
	return &d, nil
}

// save stores a definition. Preconditions: m.defining is held.
func (m *Manager) save(d *Definition) error {
	d.Version = recordVersion
	b, err := json.Marshal(d)
	if err == nil {
		err = m.Store.Put(d.Config.Name, b)
	}
	return err
}

// Definitions returns all definitions by name.
func (m *Manager) Definitions() ([]Definition, error) {
	names, err := m.Store.Names()
	if err != nil {
		return nil, err
	}
	var all []Definition
	for _, n := range names {
		d, err := m.definition(n)
		if err != nil {
			return nil, err
		}
		if d != nil { // undefined meanwhile
			all = append(all, *d)
		}
	}
	return all, nil
}

// Definition returns the definition of a name.
func (m *Manager) Definition(name string) (*Definition, error) {
	d, err := m.definition(name)
	if err != nil || d != nil {
		return d, err
	}
	if in, err := m.Find(name); err == nil {
		return nil, problem.New(problem.NotFound, "define keeps a configuration, of that name too", "domain %q is not defined", in.Name)
	}
	all, err := m.HV.Domains()
	if err != nil {
		return nil, err
	}
	return nil, m.notFound(name, all)
}

// Define keeps a configuration, in place of one of the same name. It is checked as
// that of a domain to be created, but for the memory that is free. again says that
// there was one.
func (m *Manager) Define(cfg *config.Config) (again bool, err error) {
	m.defining.Lock()
	defer m.defining.Unlock()
	old, err := m.definition(cfg.Name)
	if err != nil {
		return false, err
	}
	d := Definition{}
	c := *cfg
	if old != nil {
		d.Autostart = old.Autostart
		if c.UUID == "" {
			c.UUID = old.Config.UUID
		}
	} else if in, err := m.Find(c.Name); err == nil && c.UUID == "" && in.ID != abi.Dom0 {
		c.UUID = in.UUID // it is this domain that is defined
	}
	p, err := m.plan(&c)
	if err != nil {
		return false, err
	}
	if err := m.apart(p); err != nil {
		return false, err
	}
	d.Config = p.cfg
	return old != nil, m.save(&d)
}

// apart checks that no other domain, that exists or is defined, has the name of dom0
// or the UUID of a plan.
func (m *Manager) apart(p *plan) error {
	all, err := m.List()
	if err != nil {
		return err
	}
	defs, err := m.Definitions()
	if err != nil {
		return err
	}
	for i := range defs {
		all = append(all, Info{Name: defs[i].Config.Name, UUID: defs[i].Config.UUID})
		all[len(all)-1].ID = 1 // not dom0
	}
	for i := range all {
		switch o := &all[i]; {
		case o.ID == abi.Dom0 && o.Name == p.cfg.Name:
			return taken(o.Name, 0)
		case o.ID != abi.Dom0 && o.Name != p.cfg.Name && o.UUID == p.cfg.UUID:
			return problem.New(problem.Exists, "leave it out to get a new one", "uuid: domain %q has it", o.Name)
		}
	}
	return nil
}

// Undefine drops a definition. A domain that runs goes on, and is gone when it
// stops.
func (m *Manager) Undefine(name string) error {
	m.defining.Lock()
	defer m.defining.Unlock()
	if _, err := m.Definition(name); err != nil {
		return err
	}
	return m.Store.Delete(name)
}

// Start makes the domain of a definition and, unless paused is set, starts it.
func (m *Manager) Start(name string, paused bool) (uint32, error) {
	if in, err := m.Find(name); err == nil {
		remedy := ""
		if in.Is(Shutdown, Crashed) {
			remedy = "it has stopped and is kept: destroy " + in.Name + " first"
		}
		return 0, problem.New(problem.Exists, remedy, "domain %q is there already (id %d)", in.Name, in.ID)
	}
	d, err := m.Definition(name)
	if err != nil {
		return 0, err
	}
	p, err := m.plan(d.Config)
	if err != nil {
		return 0, err
	}
	return m.create(p, paused, bucket{})
}

// SetAutostart says whether a defined domain starts when the machine does. lasting
// says that this is known then.
func (m *Manager) SetAutostart(name string, on bool) (lasting bool, err error) {
	m.defining.Lock()
	defer m.defining.Unlock()
	d, err := m.Definition(name)
	if err != nil {
		return false, err
	}
	d.Autostart = on
	return m.Store.Lasting(), m.save(d)
}

// Autostart defines the domains of configuration files, to be started when the
// machine is, and starts those that are to be, one after the other. What fails is
// told, and the others are started.
func (m *Manager) Autostart(files []string) {
	fail := func(what string, err error) { m.Notify(fmt.Sprintf("error: autostart of %s: %v", what, Problem(err))) }
	for _, f := range files {
		if err := m.autodefine(f); err != nil {
			fail(f, err)
		}
	}
	all, err := m.Definitions()
	if err != nil {
		fail("what is defined", err)
	}
	for i := range all {
		name := all[i].Config.Name
		if _, err := m.Find(name); !all[i].Autostart || err == nil {
			continue
		}
		id, err := m.Start(name, false)
		if err != nil {
			fail(name, err)
			continue
		}
		m.Notify(fmt.Sprintf("started %q (id %d): autostart", name, id))
	}
}

// autodefine defines the domain of a file, unless it is defined.
func (m *Manager) autodefine(file string) error {
	data, err := m.ReadConfig(file)
	if err != nil {
		return err
	}
	c, err := config.Parse(file, data)
	if err != nil {
		return err
	}
	if d, err := m.definition(c.Name); err != nil || d != nil {
		return err
	}
	if _, err = m.Define(c); err == nil {
		_, err = m.SetAutostart(c.Name, true)
	}
	return err
}

// undefined checks that no definition has the name.
func (m *Manager) undefined(name string) error {
	d, err := m.definition(name)
	if err != nil || d == nil {
		return err
	}
	return problem.New(problem.Exists, "start "+name+" makes it, undefine "+name+" forgets it", "domain %q is defined", name)
}

// isOff reports whether a name is that of a definition whose domain does not exist.
func (m *Manager) isOff(name string) (bool, error) {
	d, err := m.definition(name)
	if err != nil || d == nil {
		return false, err
	}
	all, err := m.HV.Domains()
	for i := range all {
		if hcall.Text(all[i].Name[:]) == name {
			return false, err
		}
	}
	return err == nil, err
}

// renameDefinition follows a domain, or renames one that is off.
func (m *Manager) renameDefinition(old, name string) error {
	m.defining.Lock()
	defer m.defining.Unlock()
	d, err := m.definition(old)
	if err != nil || d == nil {
		return err
	}
	d.Config.Name = name
	if err := m.save(d); err != nil {
		return err
	}
	return m.Store.Delete(old)
}
