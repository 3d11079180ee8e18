// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package api

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"ringo/dom0/hcall"
	"ringo/dom0/problem"
	"ringo/hv/abi"
)

// Host is the machine and the hypervisor on it. Memory is in bytes.
type Host struct {
	Name             string  `json:"name"`
	Release          string  `json:"release"` // of dom0
	Version          string  `json:"version"` // of the hypervisor
	Machine          string  `json:"machine"`
	CPUs             uint32  `json:"cpus"`
	CPUVendor        string  `json:"cpu_vendor"`
	CPUModel         string  `json:"cpu_model"`
	CPUHz            uint64  `json:"cpu_hz"`  // rate of the time-stamp counter
	HWCaps           string  `json:"hw_caps"` // CPUID leaf 1, EDX:ECX
	VirtCaps         string  `json:"virt_caps"`
	Speculation      string  `json:"speculation"` // what is done against attacks by it
	IOMMU            string  `json:"iommu"`       // what confines devices; empty: nothing
	Memory           uint64  `json:"memory"`
	FreeMemory       uint64  `json:"free_memory"`
	HypervisorMemory uint64  `json:"hypervisor_memory"`
	Dom0Memory       uint64  `json:"dom0_memory"`
	Dom0Reserved     uint64  `json:"dom0_reserved"` // of Dom0Budget
	Dom0Budget       uint64  `json:"dom0_budget"`
	Domains          uint32  `json:"domains"`
	Scheduler        string  `json:"scheduler"`
	CommandLine      string  `json:"commandline"`
	Uptime           float64 `json:"uptime_seconds"`
	Idle             float64 `json:"idle_seconds"` // of all CPUs together
}

// Versions are those of the parts.
type Versions struct {
	Hypervisor string `json:"hypervisor"`
	Dom0       string `json:"dom0"`
	Interface  uint64 `json:"interface"` // the hypervisor's
	BuiltFor   uint64 `json:"built_for"` // dom0's
}

// Keys are debug keys to press, one after the other. The hypervisor answers in its
// log.
type Keys struct {
	Keys string `json:"keys"`
}

// Power says what happens to the machine, at once: Off or Restart.
type Power struct {
	Action string `json:"action"`
}

// Slice is how long a vCPU runs while others wait for its CPU.
type Slice struct {
	Seconds float64 `json:"seconds"`
}

// Actions of Power.
const (
	Off     = "off"
	Restart = "restart"
)

// Log is a log, the hypervisor's or a guest's.
type Log struct {
	Text string `json:"text"`
}

// File is a file, as DomainCreate and configurations may name it, or with a slash at
// the end of its name a folder.
type File struct {
	Name string `json:"name"` // "boot:NAME", "disk:NAME/PATH": from a disk, with any letters
	Size int64  `json:"size"`
	Note string `json:"note,omitempty"` // what is known of a disk or a partition
}

// Folder is where files are: "" for the boot modules, "disk:" for disks and their
// partitions, else "disk:NAME/PATH" or "boot:NAME/PATH".
type Folder struct {
	Name string `json:"name"`
}

// Verbs of the machine.
var (
	HostShow    = add("host.show", func(a *API, _ *None) (Host, error) { return a.host() })
	HostVersion = add("host.version", func(a *API, _ *None) (Versions, error) {
		h, err := a.HV.Host()
		if err != nil {
			return Versions{}, err
		}
		v, err := a.HV.Version()
		return Versions{hcall.Text(h.Version[:]), a.Release, v, abi.Version}, err
	})
	HostLog = add("host.log", func(a *API, _ *None) (Log, error) {
		text, _, err := a.HV.Log(0)
		return Log{string(text)}, err
	})
	HostKeys = act("host.keys", func(a *API, in *Keys) error {
		for _, k := range []byte(in.Keys) {
			if err := a.HV.DebugKey(k); err != nil {
				return err
			}
		}
		return nil
	})
	HostPower = act("host.power", func(a *API, in *Power) error {
		op, ok := map[string]abi.Power{Off: abi.PowerOff, Restart: abi.PowerReboot}[in.Action]
		if ok {
			a.Hardware.Close()
			return a.HV.Power(op)
		}
		return problem.New(problem.Invalid, "use "+Off+" or "+Restart, "%q is not an action", in.Action)
	})
	// HostSlice changes the time slice, unless it is 0, and returns it.
	HostSlice = add("host.slice", func(a *API, in *Slice) (Slice, error) {
		us := math.Round(in.Seconds * 1e6)
		if us != 0 && !(us >= abi.MinSlice && us <= abi.MaxSlice) {
			return *in, problem.New(problem.Invalid, fmt.Sprintf("use %g to %g ms", float64(abi.MinSlice)/1e3, float64(abi.MaxSlice)/1e3), "a time slice of %g ms is out of range", in.Seconds*1e3)
		}
		v, err := a.HV.Slice(uint64(us))
		return Slice{float64(v) / 1e6}, err
	})
	FileList = add("file.list", func(a *API, in *Folder) ([]File, error) {
		all, err := a.Manager.Files.List(in.Name)
		if err != nil {
			return nil, err
		}
		out := make([]File, len(all))
		for i, f := range all {
			out[i] = File(f)
		}
		return out, nil
	})
)

func (a *API) host() (Host, error) {
	h, err := a.HV.Host()
	if err != nil {
		return Host{}, err
	}
	out := Host{
		Name: a.Hostname, Release: a.Release, Version: hcall.Text(h.Version[:]), Machine: "x86_64", CPUs: h.NumCPUs,
		CPUVendor: hcall.Text(h.CPUVendor[:]), CPUModel: hcall.Text(h.CPUModel[:]), CPUHz: h.TSCHz,
		HWCaps: hex8(h.CPUIDLeaf1EDX) + ":" + hex8(h.CPUIDLeaf1ECX), VirtCaps: hcall.Text(h.VirtCaps[:]), Speculation: hcall.Text(h.Speculation[:]), IOMMU: hcall.Text(h.IOMMU[:]),
		Memory: h.TotalBytes, FreeMemory: h.FreeBytes, HypervisorMemory: h.HVBytes, Dom0Memory: h.Dom0Bytes,
		Domains: h.NumDomains, Scheduler: hcall.Text(h.Scheduler[:]), CommandLine: hcall.Text(h.CmdLine[:]),
		Uptime: seconds(h.UptimeNS), Idle: seconds(h.IdleNS),
	}
	use, limit := a.Budget.Use()
	out.Dom0Budget = limit
	for _, u := range use {
		out.Dom0Reserved += u.Bytes
	}
	return out, nil
}

func hex8(v uint32) string {
	s := strconv.FormatUint(uint64(v), 16)
	return strings.Repeat("0", 8-len(s)) + s
}
