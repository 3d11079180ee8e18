// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package api

import (
	"cmp"
	"slices"
	"time"

	"ringo/dom0/config"
	"ringo/dom0/domain"
	"ringo/dom0/problem"
	"ringo/hv/abi"
)

// Config is a domain's configuration.
type Config = config.Config

// Domain is a domain.
type Domain struct {
	ID         uint32      `json:"id"`
	Name       string      `json:"name"`
	UUID       string      `json:"uuid"`
	State      string      `json:"state"`         // the condition that counts most, in words
	Conditions []Condition `json:"conditions"`    // all of them
	Why        string      `json:"why,omitempty"` // it stopped, or is paused
	Exit       *uint32     `json:"exit_code,omitempty"`
	Stage      string      `json:"boot_stage,omitempty"` // how far it has come; of DomainShow only
	Memory     uint64      `json:"memory"`               // bytes of RAM
	MaxMemory  uint64      `json:"max_memory"`
	Overhead   uint64      `json:"overhead"`               // bytes of the hypervisor's memory
	VCPUs      uint32      `json:"vcpus"`                  // that are there
	MaxVCPUs   uint32      `json:"max_vcpus"`              // with those that can be plugged in
	Absent     []uint32    `json:"absent_vcpus,omitempty"` // those
	Weight     uint32      `json:"cpu_weight"`
	Cap        uint32      `json:"cap"` // percent of one CPU, 0: none
	CPUTime    float64     `json:"cpu_time_seconds"`
	Exits      uint64      `json:"exits"`
	Forwards   uint64      `json:"forwards"` // accesses that dom0 answered
	Started    *time.Time  `json:"started,omitempty"`
	Config     *Config     `json:"config,omitempty"` // nil for dom0
}

// Control says that the domain is dom0.
func (d *Domain) Control() bool { return d.ID == abi.Dom0 }

// Condition is one of a domain's conditions.
type Condition = domain.Condition

// Conditions, each with those that count less before it.
const (
	Running  = domain.Running
	Blocked  = domain.Blocked
	Paused   = domain.Paused
	Shutdown = domain.Shutdown
	Crashed  = domain.Crashed
	Dying    = domain.Dying
)

// words are those that differ from the condition's name.
var words = map[Condition]string{Blocked: "idle", Shutdown: "shut off"}

func seconds(ns uint64) float64 { return float64(ns) / 1e9 }

func newDomain(in *domain.Info) Domain {
	d := Domain{
		ID: in.ID, Name: in.Name, UUID: in.UUID, State: "no state", Conditions: in.Conditions, Why: in.Why,
		Memory: in.Memory, MaxMemory: in.MaxMemory, Overhead: in.Overhead, VCPUs: in.VCPUs, MaxVCPUs: in.MaxVCPUs, Weight: in.Weight, Cap: in.Cap,
		CPUTime: seconds(uint64(in.CPUTime)), Exits: in.Exits, Forwards: in.Forwards, Config: in.Config, Exit: in.Exit,
	}
	if n := len(in.Conditions); n > 0 {
		last := in.Conditions[n-1]
		d.State = cmp.Or(words[last], string(last))
	}
	for i := range in.MaxVCPUs {
		if in.Absent>>i&1 != 0 {
			d.Absent = append(d.Absent, i)
		}
	}
	if !in.Started.IsZero() {
		d.Started = &in.Started
	}
	return d
}

// Ref names a domain, by its name or id.
type Ref struct {
	Domain string `json:"domain"`
}

// Rename is a request for another name.
type Rename struct {
	Domain string `json:"domain"`
	Name   string `json:"name"`
}

// Sched is a request to change how a domain shares the CPUs; nil leaves a value as
// it is.
type Sched struct {
	Domain string `json:"domain"`
	Weight *int   `json:"cpu_weight,omitempty"`
	Cap    *int   `json:"cap,omitempty"`
}

// Pin is a request to choose the CPUs of a vCPU, nil for all vCPUs.
type Pin struct {
	Domain string  `json:"domain"`
	VCPU   *uint32 `json:"vcpu,omitempty"`
	CPUs   string  `json:"cpus"` // as in a configuration: all, 0-3, 0,2 or 0-3,^1
}

// Affinity is where each vCPU may run.
type Affinity struct {
	CPUs []string `json:"cpus"`
}

// Stop is a request to power a domain off, or to reboot it.
type Stop struct {
	Domain string `json:"domain"`
	Wait   bool   `json:"wait,omitempty"`  // until it has stopped
	Force  bool   `json:"force,omitempty"` // when it does not within a minute
}

// Trigger is a request to cause an event: nmi or init of a vCPU, reset, a push of a
// button, power or sleep, or another generation identifier, genid.
type Trigger struct {
	Domain string `json:"domain"`
	Event  string `json:"event"`
	VCPU   uint32 `json:"vcpu,omitempty"`
}

// SysRq is a request for the kernel of a Linux guest.
type SysRq struct {
	Domain string `json:"domain"`
	Key    string `json:"key"` // one character
}

// Triggered says whether the guest hears of what was done.
type Triggered struct {
	Heard bool `json:"heard"`
}

// Verbs of domains.
var (
	DomainList = add("domain.list", func(a *API, _ *None) ([]Domain, error) {
		all, err := a.Manager.List()
		out := make([]Domain, len(all))
		for i := range all {
			out[i] = newDomain(&all[i])
		}
		return out, err
	})
	DomainShow = add("domain.show", func(a *API, in *Ref) (Domain, error) {
		d, err := a.Manager.Find(in.Domain)
		if err != nil {
			return Domain{}, err
		}
		out := newDomain(&d)
		out.Stage = a.Manager.Stage(&d)
		return out, nil
	})
	// DomainDestroy returns when the domain's memory is scrubbed and free.
	DomainDestroy = act("domain.destroy", func(a *API, in *Ref) error { return a.Manager.Destroy(in.Domain) })
	DomainPause   = act("domain.pause", func(a *API, in *Ref) error { return a.Manager.Pause(in.Domain) })
	DomainUnpause = act("domain.unpause", func(a *API, in *Ref) error { return a.Manager.Unpause(in.Domain) })
	DomainRename  = act("domain.rename", func(a *API, in *Rename) error { return a.Manager.Rename(in.Domain, in.Name) })
	DomainSched   = act("domain.sched", sched)
	DomainPin     = act("domain.pin", func(a *API, in *Pin) error {
		vcpu := domain.AllVCPUs
		if in.VCPU != nil {
			vcpu = *in.VCPU
		}
		return a.Manager.Pin(in.Domain, vcpu, in.CPUs)
	})
	DomainAffinity = add("domain.affinity", func(a *API, in *Ref) (Affinity, error) {
		cpus, err := a.Manager.Affinity(in.Domain)
		return Affinity{cpus}, err
	})
	// DomainShutdown pushes the power button, and DomainReboot makes what the guest does
	// then a reboot.
	DomainShutdown = act("domain.shutdown", func(a *API, in *Stop) error {
		return a.Manager.Shutdown(in.Domain, domain.Ask{Wait: in.Wait, Force: in.Force})
	})
	DomainReboot = act("domain.reboot", func(a *API, in *Stop) error {
		return a.Manager.Shutdown(in.Domain, domain.Ask{Reboot: true, Wait: in.Wait, Force: in.Force})
	})
	// DomainLog is what the guest wrote to the debug ports.
	DomainLog = add("domain.log", func(a *API, in *Ref) (Log, error) {
		b, err := a.Manager.Log(in.Domain)
		return Log{string(b)}, err
	})
	DomainReset   = act("domain.reset", func(a *API, in *Ref) error { return a.Manager.Reset(in.Domain) })
	DomainSysRq   = act("domain.sysrq", func(a *API, in *SysRq) error { return a.Manager.SysRq(in.Domain, in.Key) })
	DomainTrigger = add("domain.trigger", trigger)
)

// triggers are the hypervisor's events of Trigger, in the order of abi.Trigger.
var triggers = []string{"power", "sleep", "nmi", "init"}

func trigger(a *API, in *Trigger) (Triggered, error) {
	if in.Event == "reset" {
		return Triggered{true}, a.Manager.Reset(in.Domain)
	}
	if in.Event == "genid" {
		heard, err := a.Manager.Renew(in.Domain)
		return Triggered{heard}, err
	}
	n := slices.Index(triggers, in.Event)
	if n < 0 {
		return Triggered{}, problem.New(problem.Invalid, "use nmi, init, reset, power, sleep or genid", "%q is not an event", in.Event)
	}
	heard, err := a.Manager.Trigger(in.Domain, abi.Trigger(n), in.VCPU)
	return Triggered{heard || abi.Trigger(n) > abi.TriggerSleep}, err
}

// sched changes a weight and a cap, which the manager knows as 0 and -1 for "as it
// is".
func sched(a *API, in *Sched) error {
	weight, limit := 0, -1
	if in.Weight != nil {
		if weight = *in.Weight; weight < 1 {
			return problem.New(problem.Invalid, "use 1 to 65535", "weight %d is out of range", weight)
		}
	}
	if in.Cap != nil {
		if limit = *in.Cap; limit < 0 {
			return problem.New(problem.Invalid, "use 0 for none", "cap %d is out of range", limit)
		}
	}
	return a.Manager.SetSched(in.Domain, weight, limit)
}
