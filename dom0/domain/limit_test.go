// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package domain

import (
	"testing"
	"time"

	"ringo/dom0/config"
)

// limits returns those that a disk's configuration and the open disk have.
func (r *rig) limits(name string, slot int) (configured, open config.Disk) {
	r.t.Helper()
	in, err := r.Find(name)
	r.must(err)
	for _, x := range in.Config.Settled() {
		if x.Slot == slot {
			configured = x
		}
	}
	return configured, r.opened(in.Config, slot).Limits()
}

// Limits that cannot be change nothing; others count for the open disk and are kept.
func TestLimitDisk(t *testing.T) {
	r := withDisks(t)
	for _, c := range []struct {
		disk  string
		words []string
		want  string
	}{
		{"boot:b.img", []string{"iops=5"}, "has no disk boot:b.img"},
		{"8", []string{"iops=5", "serial=x"}, `"serial=x" is no limit`},
		{"8", []string{"iops=5", "bps=1"}, ""},
		{"8", []string{"bps=2KiB"}, "disk 1: bps: 2KiB is out of range"},
		{"boot:a.img", []string{"iops=0", "iops_burst=4"}, "iops_burst: there is no iops"},
	} {
		err := r.LimitDisk("web", c.disk, c.words)
		if c.want == "" {
			r.must(err)
		} else {
			r.fails(err, c.want)
		}
	}
	r.fails(r.LimitDisk("Domain-0", "8", []string{"iops=5"}), "cannot be told of its disks")
	configured, open := r.limits("web", 8)
	if configured != open || open.IOPS != 5 || open.BPS.Bytes != 1<<20 {
		t.Errorf("configured %+v, open %+v", configured, open)
	}
	c := r.cfg("off", 16)
	r.must(c.Set("disk", "boot:b.img,readonly,iops=9"))
	_, err := r.Define(c)
	r.must(err)
	r.must(r.LimitDisk("off", "boot:b.img", []string{"iops=0", "bps=4KiB"}))
	d, err := r.Definition("off")
	r.must(err)
	if x := d.Config.Disk[0]; x.IOPS != 0 || x.BPS.Bytes != 4096 {
		t.Errorf("%+v", x)
	}
}

// A disk whose limits change while its guest is asked for it is not given back.
func TestLimitWhileDetached(t *testing.T) {
	r := withDisks(t)
	r.Patience = 3 * time.Second
	asked := make(chan bool, 1)
	r.dev.ack = func() bool { asked <- true; return false }
	end := make(chan error)
	go func() { end <- r.DetachDisk("web", "8", false) }()
	<-asked
	r.must(r.LimitDisk("web", "8", []string{"iops=5"}))
	r.fails(<-end, "has not given back boot:a.img")
}
