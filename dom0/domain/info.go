// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package domain

import (
	"math/bits"
	"slices"
	"time"

	"ringo/dom0/config"
	"ringo/dom0/hcall"
	"ringo/hv/abi"
)

// Info is a domain as the user sees it.
type Info struct {
	ID         uint32
	Name       string
	UUID       string
	Conditions []Condition // each with those that count less before it
	Why        string      // it stopped, or is paused
	Memory     uint64      // bytes of RAM
	MaxMemory  uint64
	Overhead   uint64 // bytes of the hypervisor's memory
	VCPUs      uint32 // that are there
	MaxVCPUs   uint32 // with those that can be plugged in
	Absent     uint32 // those, a bit for each
	Online     uint32 // that the guest has started, a bit for each
	Weight     uint32
	Cap        uint32 // percent of one CPU, 0: none
	CPUTime    time.Duration
	Exits      uint64
	Forwards   uint64         // accesses that dom0 answered
	Started    time.Time      // zero when unknown
	Exit       *uint32        // the code with which it ended itself
	Config     *config.Config // not to be changed; nil for dom0 and what the toolstack has not met
}

// Condition is one of a domain's conditions.
type Condition string

// Conditions, each with those that count less before it.
const (
	Running  Condition = "running"
	Blocked  Condition = "blocked"
	Paused   Condition = "paused"
	Shutdown Condition = "shutdown"
	Crashed  Condition = "crashed"
	Dying    Condition = "dying"
)

var conditions = [...]struct {
	bit uint32
	is  Condition
}{
	{abi.StateRunning, Running}, {abi.StateBlocked, Blocked}, {abi.StatePaused, Paused},
	{abi.StateShutdown, Shutdown}, {abi.StateCrashed, Crashed}, {abi.StateDying, Dying},
}

// Control says that the domain is dom0.
func (in *Info) Control() bool { return in.ID == abi.Dom0 }

// Is reports whether the domain is in one of some conditions.
func (in *Info) Is(of ...Condition) bool {
	return slices.ContainsFunc(in.Conditions, func(c Condition) bool { return slices.Contains(of, c) })
}

// List returns all domains by id, dom0 first.
func (m *Manager) List() ([]Info, error) {
	all, err := m.HV.Domains()
	if err != nil {
		return nil, err
	}
	out := make([]Info, len(all))
	for i := range all {
		out[i] = m.info(&all[i])
	}
	return out, nil
}

func (m *Manager) info(d *abi.DomainInfo) Info {
	in := Info{
		ID: d.ID, Name: hcall.Text(d.Name[:]), UUID: config.FormatUUID(d.UUID), Why: m.why(d),
		Memory: d.Bytes, MaxMemory: d.MaxBytes, Overhead: d.Overhead, MaxVCPUs: d.VCPUs, Weight: d.Weight, Cap: d.Cap,
		CPUTime: time.Duration(d.CPUTimeNS), Exits: d.Exits, Forwards: d.Forwards, Conditions: []Condition{},
		VCPUs: d.VCPUs - uint32(bits.OnesCount32(d.Absent)), Absent: d.Absent, Online: d.Started &^ d.Absent,
	}
	for _, c := range conditions {
		if d.State&c.bit != 0 {
			in.Conditions = append(in.Conditions, c.is)
		}
	}
	if code, ok := m.Devices.ExitCode(d.ID); ok {
		in.Exit = &code
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.doms[d.ID]; e != nil {
		in.Config, in.Started = e.cfg, e.started
	}
	return in
}
