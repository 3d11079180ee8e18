// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package domain

import (
	"fmt"
	"time"

	"ringo/dom0/problem"
	"ringo/hv/abi"
)

// Ask says how a guest is asked to power off.
type Ask struct {
	Reboot bool // what it does then counts as a reboot
	Wait   bool // until it has stopped, but no longer than waits times the patience
	Force  bool // destroy it, or reset it, when it does not within Options.Patience
}

// waits bounds waiting that is not followed by force, in patiences.
const waits = 5

// look is how often a domain that is to stop is looked at.
const look = 50 * time.Millisecond

// Shutdown pushes a domain's power button. A guest that does not listen to it is an
// error, unless force is wanted.
func (m *Manager) Shutdown(ref string, ask Ask) error {
	d, err := m.lock(ref, "shut down (poweroff turns the machine off)")
	if err != nil {
		return err
	}
	id, name := d.id, d.cfg.Name
	d.reboot = ask.Reboot
	listens, err := m.push(d)
	d.op.Unlock()
	switch {
	case err != nil:
		return err
	case listens && ask.Wait:
		limit := waits * m.Patience
		if ask.Force {
			limit = m.Patience
		}
		switch ok := m.await(id, time.After(limit)); {
		case !ok && ask.Force:
			return m.force(id, name, ask)
		case !ok:
			return problem.New(problem.Busy, "look at its console, or destroy "+name, "domain %q was asked, but has not powered off in %v", name, limit)
		}
		d.op.Lock() // held until it is there again, if it is to be
		d.op.Unlock()
		return nil
	case listens && ask.Force:
		m.workers.Go(func() {
			if !m.await(id, time.After(m.Patience)) {
				if err := m.force(id, name, ask); err != nil {
					m.Notify("error: " + err.Error())
				}
			}
		})
		return nil
	case listens:
		return nil
	case ask.Force:
		return m.force(id, name, ask)
	}
	verb, cord := "shutdown", "destroy"
	if ask.Reboot {
		verb, cord = "reboot", "reset"
	}
	return problem.New(problem.Refused, fmt.Sprintf("do it inside (console %s), wait until it is up, or use %s -F %[1]s or %[3]s %[1]s", name, verb, cord),
		"domain %q does not listen to its power button", name)
}

// push pushes the power button of a domain that runs.
//
// Preconditions: d.op is held.
func (m *Manager) push(d *dom) (listens bool, err error) {
	in, err := m.HV.Info(d.id)
	if err != nil {
		return false, err
	}
	switch name := d.cfg.Name; {
	case in.State&(abi.StateShutdown|abi.StateCrashed) != 0:
		return false, problem.New(problem.Refused, "destroy "+name+" frees it", "domain %q has stopped already", name)
	case in.State&abi.StatePaused != 0:
		return false, problem.New(problem.Refused, "unpause "+name+" first", "domain %q is paused", name)
	}
	return m.HV.Trigger(d.id, abi.TriggerPower, 0)
}

// force ends a domain that would not.
func (m *Manager) force(id uint32, name string, ask Ask) error {
	if ask.Reboot {
		m.Notify(fmt.Sprintf("domain %q does not reboot: resetting it", name))
		return m.HV.End(id, abi.ShutdownReboot)
	}
	m.Notify(fmt.Sprintf("domain %q does not power off: destroying it", name))
	d := m.take(id, name)
	if d == nil {
		return nil
	}
	defer d.op.Unlock()
	return m.end(d, false)
}

// await returns true when a domain is gone, or has stopped and is kept, false at the
// time limit.
func (m *Manager) await(id uint32, limit <-chan time.Time) bool {
	t := time.NewTicker(look)
	defer t.Stop()
	for {
		in, err := m.HV.Info(id)
		if err != nil || in.ID != id || m.isKept(id) {
			return true
		}
		select {
		case <-t.C:
		case <-limit:
			return false
		}
	}
}

// isKept reports whether a domain has stopped, and nothing more happens to it.
func (m *Manager) isKept(id uint32) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.doms[id]
	return d != nil && d.kept
}

// keep notes that a domain that stopped is kept.
func (m *Manager) keep(d *dom) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d.kept = true
}

// Reset restarts a domain at once, as its reset button would.
func (m *Manager) Reset(ref string) error {
	d, err := m.lock(ref, "reset (restart restarts the machine)")
	if err != nil {
		return err
	}
	defer d.op.Unlock()
	in, err := m.HV.Info(d.id)
	if err == nil && in.State&(abi.StateShutdown|abi.StateCrashed) != 0 {
		return problem.New(problem.Refused, "destroy "+d.cfg.Name+" frees it", "domain %q has stopped already", d.cfg.Name)
	}
	return m.HV.End(d.id, abi.ShutdownReboot)
}

// SysRq asks the kernel of a Linux guest for what key stands for, by a break on its
// serial console.
func (m *Manager) SysRq(ref, key string) error {
	if len(key) != 1 || key[0] <= ' ' || key[0] > '~' {
		return problem.New(problem.Invalid, "use one character, h for help", "%q is not a key", key)
	}
	d, err := m.lock(ref, "asked")
	if err != nil {
		return err
	}
	defer d.op.Unlock()
	if !m.Devices.SysRq(d.id, key[0]) {
		return problem.New(problem.Busy, "try again when it does", "domain %q does not read its serial port", d.cfg.Name)
	}
	return nil
}

// Trigger does t to a vCPU of a domain, or to the domain. It reports whether the
// guest listens to the button, if t is one.
func (m *Manager) Trigger(ref string, t abi.Trigger, vcpu uint32) (listens bool, err error) {
	d, err := m.lock(ref, "triggered")
	if err != nil {
		return false, err
	}
	defer d.op.Unlock()
	in, err := m.HV.Info(d.id)
	switch {
	case err != nil:
		return false, err
	case vcpu >= in.VCPUs:
		return false, problem.New(problem.NotFound, fmt.Sprintf("it has 0 to %d", in.VCPUs-1), "domain %q has no vCPU %d", d.cfg.Name, vcpu)
	case in.Absent>>vcpu&1 != 0:
		return false, problem.New(problem.Refused, "vcpu-set plugs it in", "vCPU %d of domain %q is absent", vcpu, d.cfg.Name)
	}
	return m.HV.Trigger(d.id, t, vcpu)
}
