// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package api

import (
	"io"
	"time"

	"ringo/dom0/domain"
	"ringo/dom0/problem"
)

// Dump is a core file of a domain that is kept.
type Dump struct {
	Name    string    `json:"name"` // of the domain, and the dump's
	ID      uint32    `json:"id"`
	Made    time.Time `json:"made"`
	Why     string    `json:"why,omitempty"`
	Size    int64     `json:"size"` // of the file
	Zero    uint64    `json:"zero"` // bytes of it that are not kept
	Kept    uint64    `json:"kept"` // bytes of dom0's memory
	Release string    `json:"release,omitempty"`
	CPUs    []DumpCPU `json:"cpus"`
	RAM     []DumpRAM `json:"ram"`
}

// DumpCPU is a vCPU in a dump; it has more registers in the file.
type DumpCPU struct {
	RIP uint64 `json:"rip"`
	RSP uint64 `json:"rsp"`
	CR3 uint64 `json:"cr3"`
}

// DumpRAM is a range of the guest's memory in a dump.
type DumpRAM struct {
	Address uint64 `json:"address"` // of the guest
	Size    uint64 `json:"size"`
	Offset  int64  `json:"offset"` // in the file
}

// DumpPart names bytes of a dump, at most MaxPart.
type DumpPart struct {
	Name   string `json:"name"`
	Offset int64  `json:"offset"`
	Length int    `json:"length"`
}

// MaxPart is how many bytes DumpRead gives at once.
const MaxPart = 256 << 10

// Bytes are bytes.
type Bytes struct {
	Bytes []byte `json:"bytes"`
}

// Dumped names a dump.
type Dumped struct {
	Name string `json:"name"`
}

// Verbs of dumps.
var (
	DomainDump = add("domain.dump", func(a *API, in *Ref) (Dump, error) {
		d, err := a.Manager.DumpCore(in.Domain)
		if err != nil {
			return Dump{}, err
		}
		return newDump(&d), nil
	})
	DumpList = add("dump.list", func(a *API, _ *None) ([]Dump, error) {
		out := []Dump{}
		for _, d := range a.Manager.AllDumps() {
			out = append(out, newDump(&d))
		}
		return out, nil
	})
	DumpRead   = add("dump.read", readDump)
	DumpDelete = act("dump.delete", func(a *API, in *Dumped) error { return a.Manager.ForgetDump(in.Name) })
)

func newDump(d *domain.Dump) Dump {
	out := Dump{
		Name: d.Name, ID: d.ID, Made: d.Made, Why: d.Why, Size: d.Size(), Zero: d.Zero, Kept: d.Kept(), Release: d.Release,
		CPUs: []DumpCPU{}, RAM: []DumpRAM{},
	}
	for _, x := range d.VCPUs {
		out.CPUs = append(out.CPUs, DumpCPU{x.RIP, x.GPR[4], x.CR3})
	}
	for _, l := range d.Loads {
		out.RAM = append(out.RAM, DumpRAM{l.Start, l.Size, l.Offset})
	}
	return out
}

func readDump(a *API, in *DumpPart) (Bytes, error) {
	d, err := a.Manager.FindDump(in.Name)
	if err != nil {
		return Bytes{}, err
	}
	if in.Length < 0 || in.Length > MaxPart || in.Offset < 0 || in.Offset > d.Size() {
		return Bytes{}, problem.New(problem.Invalid, "", "bytes %d to %d are not there, or too many at once: the dump has %d", in.Offset, in.Offset+int64(in.Length), d.Size())
	}
	b := make([]byte, in.Length)
	n, err := d.ReadAt(b, in.Offset)
	if err == io.EOF {
		err = nil
	}
	return Bytes{b[:n]}, err
}
