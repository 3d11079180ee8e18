// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package api

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"

	"ringo/dom0/hardware"
	"ringo/dom0/problem"
	"ringo/drivers/block"
)

// Disk is a disk of the machine.
type Disk struct {
	Name      string `json:"name"`
	Model     string `json:"model"`
	Serial    string `json:"serial"`
	Firmware  string `json:"firmware"`
	Size      uint64 `json:"size"`
	BlockSize int    `json:"block_size"`
	ReadOnly  bool   `json:"read_only,omitempty"`
	Cache     bool   `json:"cache"` // what is written is kept when it is flushed, not before
	State     string `json:"state"` // "ok", or why it does not work any more
	Reads     uint64 `json:"reads"`
	Writes    uint64 `json:"writes"`
	Flushes   uint64 `json:"flushes"`
	Errors    uint64 `json:"errors"` // requests that have failed
}

// DiskPart is a part of a disk, in bytes. A size of 0 is all from Start on.
type DiskPart struct {
	Name  string `json:"name"`
	Start uint64 `json:"start"`
	Size  uint64 `json:"size"`
}

// DiskHash is what a part of a disk contains.
type DiskHash struct {
	SHA256 string `json:"sha256"`
	Size   uint64 `json:"size"`
}

// DiskTest asks for a test of a disk, which destroys what is on it.
type DiskTest struct {
	Name string `json:"name"`
	Seed uint64 `json:"seed"` // which of the possible tests
	Size uint64 `json:"size"` // bytes to move
	// Start is how many bytes tests before this one have moved, of which it is the next
	// part. Flush has all that is written on the medium at the end.
	Start uint64 `json:"start,omitempty"`
	Flush bool   `json:"flush,omitempty"`
}

// DiskTested is what a test has seen.
type DiskTested struct {
	Reads  int    `json:"reads"`
	Writes int    `json:"writes"`
	Failed int    `json:"failed"` // requests
	Size   uint64 `json:"size"`   // bytes moved
}

// DiskReads asks for reads at random places, to see how long they take; or for flushes.
type DiskReads struct {
	Name  string `json:"name"`
	Size  int    `json:"size"`  // of each, in bytes
	Depth int    `json:"depth"` // how many at a time
	Count int    `json:"count"`
	Flush bool   `json:"flush,omitempty"`
}

// DiskSpeed is what they took, in seconds: by the clock, and of the machine's CPUs.
type DiskSpeed struct {
	Elapsed float64 `json:"elapsed"`
	Busy    float64 `json:"busy"`
}

// Verbs of disks.
var (
	DiskList = add("disk.list", func(a *API, _ *None) ([]Disk, error) {
		out := []Disk{}
		for _, d := range a.Hardware.Disks() {
			out = append(out, disk(d))
		}
		return out, nil
	})
	DiskSum = add("disk.hash", func(a *API, in *DiskPart) (out DiskHash, err error) {
		d, err := a.disk(in.Name)
		if err != nil {
			return out, err
		}
		if all := d.Info().Blocks * uint64(d.Info().BlockSize); in.Size == 0 && in.Start < all {
			in.Size = all - in.Start
		}
		h := sha256.New()
		err = a.Hardware.Read(d, in.Start, in.Size, func(b []byte) error {
			_, err := h.Write(b)
			return err
		})
		return DiskHash{hex.EncodeToString(h.Sum(nil)), in.Size}, diskProblem(in.Name, err)
	})
	DiskMeasure = add("disk.speed", func(a *API, in *DiskReads) (out DiskSpeed, err error) {
		d, err := a.disk(in.Name)
		if err != nil {
			return out, err
		}
		op := block.Read
		if in.Flush {
			op = block.Flush
		}
		elapsed, busy, err := a.busy(func() error {
			return diskProblem(in.Name, a.Hardware.Speed(d, op, uint64(max(in.Size, 0)), in.Depth, in.Count))
		})
		return DiskSpeed{elapsed, busy}, err
	})
	DiskExercise = add("disk.test", func(a *API, in *DiskTest) (out DiskTested, err error) {
		d, err := a.disk(in.Name)
		if err != nil {
			return out, err
		}
		if a.Storage != nil {
			release, err := a.Storage.Use(in.Name, "disk-test")
			if err != nil {
				return out, err
			}
			defer release()
		}
		r, err := a.Hardware.Exercise(d, in.Seed, in.Start, in.Size, in.Flush)
		return DiskTested{r.Reads, r.Writes, r.Failed, r.Bytes}, diskProblem(in.Name, err)
	})
)

func disk(d *hardware.Disk) Disk {
	i := d.Info()
	out := Disk{
		Name: d.Name, Model: i.Model, Serial: i.Serial, Firmware: i.Firmware, Size: i.Blocks * uint64(i.BlockSize),
		BlockSize: i.BlockSize, ReadOnly: i.ReadOnly, Cache: i.Volatile, State: "ok",
		Reads: d.Count(block.Read), Writes: d.Count(block.Write), Flushes: d.Count(block.Flush), Errors: d.Errors(),
	}
	if err := d.Health(); err != nil {
		out.State = err.Error()
	}
	return out
}

// disk finds a disk.
func (a *API) disk(name string) (*hardware.Disk, error) {
	if d := a.Hardware.Disk(name); d != nil {
		return d, nil
	}
	return nil, problem.New(problem.NotFound, "disks lists those that there are", "there is no disk %q", name)
}

// busy runs f. It returns how long that took, and how long the machine's CPUs were not
// idle meanwhile, in seconds.
func (a *API) busy(f func() error) (elapsed, busy float64, err error) {
	before, err := a.HV.Host()
	if err != nil {
		return 0, 0, err
	}
	if err := f(); err != nil {
		return 0, 0, err
	}
	after, err := a.HV.Host()
	ns, idle := float64(after.UptimeNS-before.UptimeNS), float64(after.IdleNS-before.IdleNS)
	return ns / 1e9, (ns*float64(after.NumCPUs) - idle) / 1e9, err
}

// diskProblem says what is wrong with a request to a disk.
func diskProblem(name string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, hardware.ErrRange):
		return problem.New(problem.Invalid, "disks shows its size and the size of its blocks", "%s: %v", name, err)
	}
	return problem.New(problem.Internal, "", "%s: %v", name, err)
}
