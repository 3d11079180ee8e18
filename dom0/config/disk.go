// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// addDisk adds a disk that is written as SOURCE, and words with commas between them. A
// source with a colon is an image, one without a device.
func (c *Config) addDisk(value string) error {
	source, rest, _ := strings.Cut(value, ",")
	d := Disk{Device: source}
	if strings.Contains(source, ":") {
		d = Disk{Image: source}
	}
	for rest != "" {
		var word string
		word, rest, _ = strings.Cut(rest, ",")
		if err := d.set(word); err != nil {
			return fmt.Errorf("disk: %w", err)
		}
	}
	c.Disk = append(slices.Clip(c.Disk), d)
	return nil
}

// set sets what a word of the short form says.
func (d *Disk) set(word string) error {
	name, text, given := strings.Cut(word, "=")
	switch {
	case name == "readonly" && !given:
		d.ReadOnly = true
	case name == "snapshot" && !given:
		d.Snapshot = true
	case name == "serial" && given:
		d.Serial = text
	case name == "slot" && given:
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("slot: %q is not a whole number", short(text))
		}
		d.Slot = n
	case name == "format" && given:
		d.Format = text
	case name == "size" && given:
		return d.SetSize(text)
	case name == "on_error" && given:
		d.OnError = ErrorAction(text)
	case given && slices.Contains(limits, name):
		return d.SetLimit(word)
	default:
		return fmt.Errorf("%q is not known: write SOURCE,readonly or SOURCE,snapshot or SOURCE,serial=TEXT,iops=NUMBER,bps=SIZE", short(word))
	}
	return nil
}

// SetSize sets the size that a snapshot has.
func (d *Disk) SetSize(text string) (err error) {
	if d.Size, err = ParseSize(text); err != nil {
		return fmt.Errorf("size: %w", err)
	}
	return nil
}

// formatRaw is the only value of Disk.Format.
const formatRaw = "raw"

// limits are the words that SetLimit takes.
var limits = []string{"iops", "iops_burst", "bps", "bps_burst"}

// What limits may be: less than the least would leave a disk that seems to be dead.
const (
	maxIOPS  = 1_000_000
	minBPS   = 4 << 10
	maxBPS   = 1 << 40
	maxBurst = 1 << 40
	maxSize  = 64 << 40
)

// SetLimit sets a limit that is written as iops=NUMBER, bps=SIZE, iops_burst=NUMBER or
// bps_burst=SIZE. A 0 takes it away, and its burst with it.
func (d *Disk) SetLimit(word string) error {
	name, text, given := strings.Cut(word, "=")
	if !given || !slices.Contains(limits, name) {
		return fmt.Errorf("%q is no limit: write iops=NUMBER, bps=SIZE, iops_burst=NUMBER or bps_burst=SIZE", short(word))
	}
	var size Size
	number, err := 0, error(nil)
	if strings.HasPrefix(name, "iops") {
		if number, err = strconv.Atoi(text); err != nil {
			return fmt.Errorf("%s: %q is not a whole number", name, short(text))
		}
	} else if size, err = ParseSize(text); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	switch name {
	case "iops":
		if d.IOPS = number; number == 0 {
			d.IOPSBurst = 0
		}
	case "iops_burst":
		d.IOPSBurst = number
	case "bps":
		if d.BPS = size; size.Bytes == 0 {
			d.BPSBurst = size
		}
	default:
		d.BPSBurst = size
	}
	return nil
}

// checkLimits returns why the limits of a disk cannot be, or nil.
func (d *Disk) checkLimits() error {
	switch {
	case d.IOPS < 0 || d.IOPS > maxIOPS:
		return fmt.Errorf("iops: %d is out of range: use 1 to %d, or 0 for no limit", d.IOPS, maxIOPS)
	case d.BPS.Bytes != 0 && (d.BPS.Bytes < minBPS || d.BPS.Bytes > maxBPS):
		return fmt.Errorf("bps: %s is out of range: use 4KiB to 1TiB, or 0 for no limit", d.BPS)
	case d.IOPSBurst < 0 || d.IOPSBurst > maxIOPS:
		return fmt.Errorf("iops_burst: %d is out of range: use 1 to %d, or 0 for a tenth of iops", d.IOPSBurst, maxIOPS)
	case d.BPSBurst.Bytes > maxBurst:
		return fmt.Errorf("bps_burst: %s is out of range: use up to 1TiB, or 0 for a tenth of bps", d.BPSBurst)
	case d.IOPSBurst != 0 && d.IOPS == 0:
		return fmt.Errorf("iops_burst: there is no iops")
	case d.BPSBurst.Bytes != 0 && d.BPS.Bytes == 0:
		return fmt.Errorf("bps_burst: there is no bps")
	}
	return nil
}

func (d *Disk) validate() error {
	given := 0
	for _, s := range []string{d.Device, d.Image, d.Volume} {
		if s != "" {
			given++
		}
		if len(s) > maxFile {
			return fmt.Errorf("a name is longer than %d bytes", maxFile)
		}
	}
	printable := strings.IndexFunc(d.Serial, func(r rune) bool { return r < ' ' || r > '~' }) < 0
	switch {
	case given != 1:
		return fmt.Errorf("give one of device, image and volume")
	case d.ReadOnly && d.Snapshot:
		return fmt.Errorf("give readonly or snapshot, not both")
	case d.Image != "" && !d.ReadOnly && !d.Snapshot:
		return fmt.Errorf("image: files cannot be written: add readonly = true, or snapshot = true to keep what is written in memory")
	case len(d.Serial) > maxSerial || !printable:
		return fmt.Errorf("serial: %q is none: use 1 to %d letters of ASCII", short(d.Serial), maxSerial)
	case d.Format != "" && (d.Format != formatRaw || d.Image == ""):
		return fmt.Errorf("format: %q is not known: use raw, for an image, or leave it out", short(d.Format))
	case d.Size.Bytes != 0 && !d.Snapshot:
		return fmt.Errorf("size: only snapshots have another size than what they are on: add snapshot = true")
	case d.Size.Bytes > maxSize:
		return fmt.Errorf("size: %s is out of range: use up to 64TiB", d.Size)
	case d.OnError != "" && d.OnError != Report && d.OnError != Stop:
		return fmt.Errorf("on_error: %q is not known: use report or stop", short(string(d.OnError)))
	}
	return d.checkLimits()
}
