// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package config

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pelletier/go-toml/v2"
)

// What a disk may be asked for cannot be set, or is refused.
func TestDiskLimitsRefused(t *testing.T) {
	for words, want := range map[string]string{
		"iops":                     `"iops" is not known`,
		"iops=many":                `iops: "many" is not a whole number`,
		"bps=fast":                 `bps: "fast" is not a size`,
		"iops=-1":                  "iops: -1 is out of range: use 1 to 1000000",
		"iops=1000001":             "iops: 1000001 is out of range",
		"bps=2KiB":                 "bps: 2KiB is out of range: use 4KiB to 1TiB",
		"bps=2TiB":                 "bps: 2TiB is out of range",
		"iops_burst=5":             "iops_burst: there is no iops",
		"bps_burst=5":              "bps_burst: there is no bps",
		"iops=5,iops_burst=-1":     "iops_burst: -1 is out of range",
		"bps=5,bps_burst=2TiB":     "bps_burst: 2TiB is out of range",
		"iops=5,iops_burst=5,iops": "is not known",
		"format=raw":               `format: "raw" is not known: use raw, for an image`,
		"size=5":                   "size: only snapshots have another size",
		"snapshot,size=big":        `size: "big" is not a size`,
		"snapshot,size=65TiB":      "size: 65TiB is out of range",
		"on_error=ignore":          `on_error: "ignore" is not known: use report or stop`,
	} {
		c := Default()
		c.Name = "a"
		err := c.Set("disk", "vd0,"+words)
		if err == nil {
			err = c.Validate()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", words, err, want)
		}
	}
	if err := new(Disk).SetLimit("serial=x"); err == nil || !strings.Contains(err.Error(), `"serial=x" is no limit`) {
		t.Error(err)
	}
	_, err := Parse("d.toml", []byte("memory = 64\n[[disk]]\nbps = \"quick\""))
	if want := `d.toml:3: disk.bps: "quick" is not a size: write 512MiB, 1GiB or a number of MiB`; err == nil || err.Error() != want {
		t.Errorf("%v, want %q", err, want)
	}
}

// Limits are the same in a file, on the command line, and in what is stored.
func TestDiskLimits(t *testing.T) {
	c, err := Parse("d.toml", []byte("[[disk]]\ndevice = \"vd0\"\niops = 100\niops_burst = 7\nbps = \"1MiB\"\nbps_burst = \"64KiB\"\non_error = \"stop\"\n[[disk]]\ndevice = \"vd1\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []Disk{{Device: "vd0", IOPS: 100, IOPSBurst: 7, BPS: Size{1 << 20}, BPSBurst: Size{64 << 10}, OnError: Stop}, {Device: "vd1"}}
	if d := cmp.Diff(want, c.Disk); d != "" {
		t.Error(d)
	}
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	b, err := json.Marshal(c)
	again := new(Config)
	if err != nil || json.Unmarshal(b, again) != nil || !strings.Contains(string(b), `{"device":"vd1"}`) {
		t.Error(err, string(b))
	}
	if d := cmp.Diff(want, again.Disk); d != "" {
		t.Error("JSON:", d)
	}
	b, err = toml.Marshal(c)
	if err != nil || strings.Count(string(b), "bps") != 2 {
		t.Error(err, string(b))
	}
	if again, err = Parse("d.toml", b); err != nil {
		t.Error(err)
	}
	if d := cmp.Diff(want, again.Disk); d != "" {
		t.Error("TOML:", d)
	}
	line := Default()
	if err := line.Set("disk", "vd0,iops=100,iops_burst=7,bps=1MiB,bps_burst=64KiB,on_error=stop"); err != nil {
		t.Error(err)
	}
	if d := cmp.Diff(want[:1], line.Disk); d != "" {
		t.Error("on the command line:", d)
	}
	for _, w := range []string{"iops=0", "bps=0"} {
		if err := line.Disk[0].SetLimit(w); err != nil {
			t.Error(err)
		}
	}
	if d := cmp.Diff(Disk{Device: "vd0", OnError: Stop}, line.Disk[0]); d != "" {
		t.Error("taken away:", d)
	}
}
