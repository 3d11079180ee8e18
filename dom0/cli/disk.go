// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package cli

import (
	"fmt"
	"strconv"
	"strings"

	"ringo/dom0/api"
)

const (
	diskTestHelp = `All that is on its first 128 MiB is lost: random pieces of them are written and read
back, until so many MiB have been moved. NUMBER makes another test, or the same again.
With -f the disk flushes now and then, and after each MiB a line says that what has been
moved so far is on the medium.`
	diskSpeedHelp = `Reads at random places: 1000 of 4096 bytes, one at a time, unless -n, -s and -d say
otherwise. With -f it does not read, but has the disk flush what it has cached. Other work
of the machine counts as well.`
	diskHashHelp = `START and SIZE are in bytes, and whole blocks. Without them it is all of the disk.`
)

// disks prints the machine's disks.
func disks(c *call) error {
	all, err := api.DiskList.Call(c.API, api.None{})
	if err != nil {
		return err
	}
	var volumes []api.File
	if c.given('v') {
		if volumes, err = api.FileList.Call(c.API, api.Folder{Name: "disk:"}); err != nil {
			return err
		}
	}
	c.printf("%-12s %-24s %-20s %10s %6s %7s %s\n", "Name", "Model", "Serial", "Size(MiB)", "Block", "Errors", "State")
	for _, d := range all {
		c.printf("%-12s %-24s %-20s %10d %6d %7d %s\n", d.Name, d.Model, d.Serial, d.Size>>20, d.BlockSize, d.Errors, d.State)
		for _, v := range volumes {
			name := strings.TrimSuffix(strings.TrimPrefix(v.Name, "disk:"), "/")
			if part := strings.TrimPrefix(name, d.Name); name == d.Name && v.Note != "" {
				c.printf("  %-10s %s\n", "", v.Note)
			} else if part != name && strings.HasPrefix(part, "p") {
				c.printf("  %-10s %-45s %10d\n", name, v.Note, v.Size>>20)
			}
		}
	}
	return nil
}

// diskHash prints the hash of what a disk contains.
func diskHash(c *call) error {
	in := api.DiskPart{Name: c.args[0]}
	for i, p := range []*uint64{&in.Start, &in.Size} {
		if len(c.args) > i+1 {
			v, err := strconv.ParseUint(c.args[i+1], 0, 64)
			if err != nil {
				return fmt.Errorf("%q is not a number; %w", c.args[i+1], c.usage())
			}
			*p = v
		}
	}
	h, err := api.DiskSum.Call(c.API, in)
	if err != nil {
		return err
	}
	c.printf("sha256 %s of %d bytes\n", h.SHA256, h.Size)
	return nil
}

// diskSpeed reads or flushes a disk and says how long that takes.
func diskSpeed(c *call) error {
	in := api.DiskReads{Name: c.args[0], Size: 4096, Depth: 1, Count: 1000, Flush: c.given('f')}
	for flag, to := range map[byte]*int{'s': &in.Size, 'd': &in.Depth, 'n': &in.Count} {
		if !c.given(flag) {
			continue
		}
		v, err := strconv.ParseUint(c.opt[flag], 0, 31)
		if err != nil || v == 0 {
			return c.usage()
		}
		*to = int(v)
	}
	r, err := api.DiskMeasure.Call(c.API, in)
	if err != nil {
		return err
	}
	n, what := float64(in.Count), fmt.Sprintf("reads of %d bytes", in.Size)
	if in.Flush {
		what = "flushes"
	}
	c.printf("%d %s, %d at a time: %.3f us each, %.3f us of the CPUs\n", in.Count, what, in.Depth, r.Elapsed*1e6/n, r.Busy*1e6/n)
	return nil
}

// diskTest tests a disk.
func diskTest(c *call) error {
	seed, err := strconv.ParseUint(c.args[1], 0, 64)
	mib, err2 := strconv.ParseUint(c.args[2], 0, 32)
	if err != nil || err2 != nil {
		return c.usage()
	}
	size := mib << 20
	in := api.DiskTest{Name: c.args[0], Seed: seed, Size: size, Flush: c.given('f')}
	var all api.DiskTested
	for {
		if in.Flush {
			in.Size = min(1<<20, size-in.Start)
		}
		r, err := api.DiskExercise.Call(c.API, in)
		if err != nil {
			return err
		}
		all.Reads, all.Writes, all.Failed, all.Size = all.Reads+r.Reads, all.Writes+r.Writes, all.Failed+r.Failed, all.Size+r.Size
		if in.Start = all.Size; all.Size >= size || all.Failed > 0 {
			break
		}
		c.printf("%d bytes, flushed\n", all.Size)
		c.flush()
	}
	c.printf("%d reads, %d writes, %d bytes, %d failed\n", all.Reads, all.Writes, all.Size, all.Failed)
	return nil
}
