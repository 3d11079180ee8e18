// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package domain

import (
	"context"
	"errors"
	"fmt"

	"ringo/dom0/config"
	"ringo/dom0/hcall"
	"ringo/dom0/problem"
	"ringo/hv/abi"
)

// StateChanged tells the manager of an event on abi.PortDomainState. It does not
// block.
func (m *Manager) StateChanged() {
	select {
	case m.changed <- struct{}{}:
	default:
	}
}

// Run acts on domains that stopped, until the context ends and what has begun is
// done.
func (m *Manager) Run(ctx context.Context) {
	defer m.workers.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.changed:
			m.guard("", func() {
				if err := m.scan(); err != nil {
					m.Notify("error: " + err.Error())
				}
			})
		}
	}
}

// guard calls f. Should it panic, the user is told, of whom by prefix, and the other
// domains are seen to as before.
func (m *Manager) guard(prefix string, f func()) {
	defer func() {
		if v := recover(); v != nil {
			m.Notify("error: " + prefix + problem.Panic(v).Error())
		}
	}()
	f()
}

// scan looks for domains that stopped or are gone since the last time. Each is
// seen to by a goroutine of its own: loading a kernel takes a while, and one that
// crashed need not wait for that.
func (m *Manager) scan() error {
	all, err := m.HV.Domains()
	if err != nil {
		return err
	}
	alive := map[uint32]bool{}
	for i := range all {
		d := &all[i]
		alive[d.ID] = true
		if d.ID != abi.Dom0 && d.State&abi.StateDying == 0 && d.State&(abi.StateShutdown|abi.StateCrashed) != 0 &&
			m.first(d.ID, hcall.Text(d.Name[:])) {
			m.workers.Go(func() {
				m.guard(fmt.Sprintf("domain %q: ", hcall.Text(d.Name[:])), func() { m.stopped(d) })
			})
		}
	}
	m.mu.Lock()
	var lost []uint32
	for id := range m.doms {
		if !alive[id] {
			lost = append(lost, id)
		}
	}
	m.mu.Unlock()
	for _, id := range lost {
		if m.first(id, "") {
			m.workers.Go(func() {
				if d := m.take(id, ""); d != nil { // made after the domains were listed
					m.mu.Lock()
					d.stopped = false
					m.mu.Unlock()
					d.op.Unlock()
					m.StateChanged()
				}
			})
		}
	}
	return nil
}

// first reports, once, that nobody sees to the end of a domain yet.
func (m *Manager) first(id uint32, name string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.entry(id, name)
	was := d.stopped
	d.stopped = true
	return !was
}

// stopped does what the configuration says about a domain that stopped.
func (m *Manager) stopped(in *abi.DomainInfo) {
	d := m.take(in.ID, hcall.Text(in.Name[:]))
	if d == nil {
		return
	}
	defer d.op.Unlock()
	action, what := d.cfg.OnPoweroff, "has powered off"
	code, coded := m.Devices.ExitCode(d.id)
	switch {
	case coded && in.Shutdown == abi.ShutdownPoweroff:
		what = fmt.Sprintf("has ended with code %d", code)
	case d.reboot && in.Shutdown == abi.ShutdownPoweroff:
		action, what = d.cfg.OnReboot, "has powered off to reboot"
	case in.State&abi.StateCrashed != 0 || in.Shutdown == abi.ShutdownCrash:
		why := m.Devices.Fault(d.id)
		if why == "" {
			why = hcall.Text(in.Why[:])
		}
		action, what = d.cfg.OnCrash, "crashed: "+why
	case in.Shutdown == abi.ShutdownReboot:
		action, what = d.cfg.OnReboot, "reboots"
		if why := hcall.Text(in.Why[:]); why != "" {
			what += ": " + why
		}
	}
	switch action { // of a crash
	case config.CoredumpDestroy:
		action, what = config.Destroy, what+m.dumped(d, what)
	case config.CoredumpRestart:
		action, what = config.Restart, what+m.dumped(d, what)
	}
	if (action == config.Restart || action == config.RenameRestart) && !d.restarts.take(m.Now()) {
		action = config.Preserve
		what += fmt.Sprintf(": too often to restart it (%d times, and once more a minute)", burst)
	}
	switch action {
	case config.Restart:
		m.Notify(fmt.Sprintf("domain %q %s: restarting", d.cfg.Name, what))
		if err := m.restart(d); err != nil {
			m.Notify(fmt.Sprintf("error: domain %q is gone, it could not be restarted: %v", d.cfg.Name, err))
		}
	case config.RenameRestart:
		if err := m.renameRestart(d, what); err != nil {
			m.Notify(fmt.Sprintf("error: domain %q is kept, another could not be started: %v", d.cfg.Name, err))
		}
	case config.Preserve:
		m.keep(d)
		m.Notify(fmt.Sprintf("domain %q %s: kept (destroy %s frees it)", d.cfg.Name, what, d.cfg.Name))
	default:
		// First the reason, then the end of its console.
		m.Notify(fmt.Sprintf("domain %q %s: destroying it", d.cfg.Name, what))
		if err := m.end(d, false); err != nil {
			m.Notify("error: " + err.Error())
		}
	}
}

// restart ends a domain and makes it anew with the same configuration.
//
// Preconditions: d.op is held.
func (m *Manager) restart(d *dom) error {
	p, err := m.plan(d.cfg)
	if err != nil {
		return errors.Join(err, m.end(d, false))
	}
	if d.generation != (generation{}) {
		p.generation = d.generation // it is no copy of itself
	}
	if err := m.end(d, true); err != nil {
		return err
	}
	if _, err := m.create(p, false, d.restarts); err != nil {
		m.Devices.Forget(p.uuid)
		return err
	}
	return nil
}

// renameRestart keeps a domain that stopped, because of what, under another name,
// and makes one anew, with a UUID of its own.
//
// Preconditions: d.op is held.
func (m *Manager) renameRestart(d *dom, what string) error {
	old := d.cfg.Name
	name, err := m.spare(old)
	if err != nil {
		return err
	}
	cfg := *d.cfg
	cfg.UUID = ""
	p, err := m.plan(&cfg)
	if err != nil {
		return err
	}
	if err := m.rename(d, name); err != nil {
		return err
	}
	err = m.configure(d, func(c *config.Config) { // for a dom0 that adopts it
		c.OnPoweroff, c.OnReboot, c.OnCrash = config.Preserve, config.Preserve, config.Preserve
	})
	if err != nil {
		return err
	}
	m.keep(d)
	m.Notify(fmt.Sprintf("domain %q %s: kept as %q (destroy %[3]s frees it), restarting", old, what, name))
	_, err = m.create(p, false, d.restarts)
	return err
}

// spare finds a name like name that no domain has.
func (m *Manager) spare(name string) (string, error) {
	all, err := m.HV.Domains()
	if err != nil {
		return "", err
	}
	defined, err := m.Store.Names()
	if err != nil {
		return "", err
	}
	taken := map[string]bool{}
	for _, n := range defined {
		taken[n] = true
	}
	for i := range all {
		taken[hcall.Text(all[i].Name[:])] = true
	}
	for n := 1; ; n++ {
		suffix := fmt.Sprintf("-%d", n)
		s := name[:min(len(name), config.MaxName-len(suffix))] + suffix
		if !taken[s] {
			return s, nil
		}
	}
}

// Adopt takes over the domains that exist already: dom0 was restarted. Their
// device models are made anew. Half-made ones, without a record, are destroyed.
func (m *Manager) Adopt() error {
	all, err := m.HV.Domains()
	if err != nil {
		return err
	}
	for i := range all {
		if in := &all[i]; in.ID != abi.Dom0 {
			if err := m.adopt(in); err != nil {
				m.Notify(fmt.Sprintf("error: domain %q: %v", hcall.Text(in.Name[:]), err))
			}
		}
	}
	m.StateChanged() // some may have stopped meanwhile
	return nil
}

func (m *Manager) adopt(in *abi.DomainInfo) error {
	name := hcall.Text(in.Name[:])
	if in.RecordLen == 0 || in.State&abi.StateDying != 0 {
		m.Notify(fmt.Sprintf("domain %q was half-made or half-destroyed: destroyed", name))
		return m.remove(in.ID, false)
	}
	b, err := m.HV.Record(in.ID)
	if err != nil {
		return err
	}
	r, err := decode(b)
	if err != nil {
		// It may run well: it is kept, with nothing done when it stops.
		r.Config = config.Default()
		r.Config.OnPoweroff, r.Config.OnReboot, r.Config.OnCrash = config.Preserve, config.Preserve, config.Preserve
		m.Notify(fmt.Sprintf("error: domain %q: %v", name, err))
	}
	r.Config.Name = name // the hypervisor's is the truth
	d := m.take(in.ID, name)
	if d == nil {
		return nil
	}
	defer d.op.Unlock()
	m.mu.Lock()
	d.cfg, d.started, d.generation = r.Config, r.Started, r.Generation
	m.mu.Unlock()
	a := Attachment{
		ID: in.ID, VCPUs: int(in.VCPUs), Present: first(int(in.VCPUs)) &^ in.Absent, Port: in.Port, IOReq: in.IOReq, UUID: in.UUID, Name: name,
	}
	if a.Machine, err = machine(r.Config, 0); err != nil { // it has its memory
		return err
	}
	if a.Memory, err = m.memory(in.ID); err != nil {
		return err
	}
	if err := m.equip(&a, r.Config); err != nil {
		return err
	}
	a.Emptied = func(slot int) { m.emptied(in.ID, slot) }
	return m.Devices.Attach(a)
}
