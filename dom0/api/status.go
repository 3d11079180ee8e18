// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package api

import (
	"fmt"
	"strings"

	"ringo/dom0/hcall"
)

// Status is what is to be seen of the machine at a glance. Memory is in bytes.
type Status struct {
	Name    string   `json:"name"`
	Version string   `json:"version"`
	CPUs    uint32   `json:"cpus"`
	Memory  uint64   `json:"memory"`
	Free    uint64   `json:"free_memory"`
	Running int      `json:"running"` // domains that have not stopped, without dom0
	Faults  []string `json:"faults"`  // what is not as it should be; empty is healthy
	Access  []string `json:"access"`  // how to get in
}

// HostStatus sums the machine up.
var HostStatus = add("host.status", func(a *API, _ *None) (Status, error) {
	h, err := a.HV.Host()
	if err != nil {
		return Status{}, err
	}
	all, err := a.Manager.List()
	if err != nil {
		return Status{}, err
	}
	text, _, err := a.HV.Log(0)
	s := Status{
		Name: a.Hostname, Version: hcall.Text(h.Version[:]), CPUs: h.NumCPUs, Memory: h.TotalBytes, Free: h.FreeBytes,
		Faults: faults(string(text)), Access: []string{"this console"},
	}
	for i := range all {
		switch d := &all[i]; {
		case d.Control():
		case d.Is(Crashed):
			s.Faults = append(s.Faults, fmt.Sprintf("domain %q has crashed", d.Name))
		case !d.Is(Shutdown, Dying):
			s.Running++
		}
	}
	return s, err
})

// faults are those that the hypervisor's log tells of.
func faults(log string) []string {
	out := []string{}
	for _, level := range []string{"error", "warning"} {
		n := 0
		for line := range strings.Lines(log) {
			if strings.Contains(line, "ringo: "+level+": ") {
				n++
			}
		}
		switch {
		case n == 1:
			out = append(out, "a "+level+" in dmesg")
		case n > 1:
			out = append(out, fmt.Sprintf("%d %ss in dmesg", n, level))
		}
	}
	return out
}
