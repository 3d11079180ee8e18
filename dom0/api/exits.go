// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package api

import (
	"strconv"

	"ringo/dom0/hcall"
	"ringo/dom0/problem"
	"ringo/hv/abi"
)

// ExitCount is how often guests left for a reason, and what that cost: cycles of the
// time-stamp counter from the exit to the next entry.
type ExitCount struct {
	Reason string `json:"reason"`
	Count  uint64 `json:"count"`
	Cycles uint64 `json:"cycles"`     // in all
	P99    uint64 `json:"cycles_p99"` // that 99 % of the exits did not exceed
}

// Exits are those of a domain, or of all.
type Exits struct {
	Reasons []ExitCount `json:"reasons"`
	Cycles  uint64      `json:"cycles"` // during which its vCPUs had a CPU
}

// CPU names a CPU of the machine, from 0 on.
type CPU struct {
	CPU uint64 `json:"cpu"`
}

// TraceRecord is an exit on a CPU.
type TraceRecord struct {
	Before float64 `json:"before_seconds"` // the newest record, in time
	Domain uint64  `json:"domain"`
	VCPU   uint64  `json:"vcpu"`
	Reason string  `json:"reason"`
	RIP    uint64  `json:"rip"`
	Info   uint64  `json:"info"` // depends on the reason
}

// Verbs about exits.
var (
	// DomainExits counts those of a domain, or of all domains since power-on where
	// none is named. Reasons without exits are left out.
	DomainExits = add("domain.exits", func(a *API, in *Ref) (out Exits, err error) {
		id := abi.AllDomains
		if in.Domain != "" {
			d, err := a.Manager.Find(in.Domain)
			if err != nil {
				return out, err
			}
			id = uint64(d.ID)
		}
		e, err := a.HV.ExitCounts(id)
		out.Reasons, out.Cycles = []ExitCount{}, e.Time
		for i, n := range e.Count {
			if n > 0 {
				out.Reasons = append(out.Reasons, ExitCount{reason(&e, i), n, e.Cycles[i], e.P99[i]})
			}
		}
		return out, err
	})
	// HostTrace returns the last exits on a CPU, oldest first.
	HostTrace = add("host.trace", trace)
)

// reason is the name of an exit reason.
func reason(e *abi.ExitCounts, i int) string {
	if i < len(e.Name) {
		if s := hcall.Text(e.Name[i][:]); s != "" {
			return s
		}
	}
	return strconv.Itoa(i)
}

func trace(a *API, in *CPU) ([]TraceRecord, error) {
	h, err := a.HV.Host()
	if err != nil {
		return nil, err
	}
	if in.CPU >= uint64(h.NumCPUs) {
		return nil, problem.New(problem.NotFound, "this machine has CPUs 0 to "+strconv.Itoa(int(h.NumCPUs)-1), "there is no CPU %d", in.CPU)
	}
	recs, err := a.HV.Trace(uint32(in.CPU))
	if err != nil {
		return nil, err
	}
	e, err := a.HV.ExitCounts(abi.AllDomains)
	if err != nil {
		return nil, err
	}
	out := make([]TraceRecord, len(recs))
	for i, r := range recs {
		out[i] = TraceRecord{
			Before: float64(recs[len(recs)-1].TSC-r.TSC) / float64(max(h.TSCHz, 1)),
			Domain: uint64(r.Domain), VCPU: uint64(r.VCPU), Reason: reason(&e, int(r.Reason)), RIP: r.RIP, Info: r.Info,
		}
	}
	return out, nil
}
