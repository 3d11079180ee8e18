// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package config

import (
	"fmt"
	"strings"
)

// Validate checks everything that needs no machine. The error is one line that
// starts with the key.
func (c *Config) Validate() error {
	if err := CheckName(c.Name); err != nil {
		return fmt.Errorf("name: %w", err)
	}
	if c.UUID != "" {
		if _, err := ParseUUID(c.UUID); err != nil {
			return fmt.Errorf("uuid: %w", err)
		}
	}
	for _, r := range []struct {
		key            string
		v, least, most int
	}{
		{"vcpus", c.VCPUs, 1, maxVCPUs},
		{"cpu_weight", c.CPUWeight, 1, maxWeight},
		{"max_vcpus", c.AllVCPUs(), c.VCPUs, maxVCPUs},
		{"cap", c.Cap, 0, 100 * c.AllVCPUs()},
	} {
		if r.v < r.least || r.v > r.most {
			return fmt.Errorf("%s: %d is out of range: use %d to %d", r.key, r.v, r.least, r.most)
		}
	}
	if _, err := ParseTopology(c.Topology, c.AllVCPUs()); err != nil {
		return fmt.Errorf("topology: %w", err)
	}
	if c.Memory.Bytes == 0 || c.Memory.Bytes%4096 != 0 {
		return fmt.Errorf("memory: %s is not a multiple of 4KiB above 0", c.Memory)
	}
	if _, err := ParseAffinity(c.CPUs, c.AllVCPUs(), maxCPU); err != nil {
		return fmt.Errorf("cpus: %w", err)
	}
	if h := c.Hypervisor; h != "" && h != Ringo && h != KVM {
		return fmt.Errorf("hypervisor: %q is not known: use ringo or kvm", short(h))
	}
	if err := c.validateActions(); err != nil {
		return err
	}
	if err := c.Boot.validate(); err != nil {
		return err
	}
	return c.validateDevices()
}

// CheckName checks the name of a domain. One of digits only would stand for an id.
func CheckName(s string) error {
	ok, digits := len(s) >= 1 && len(s) <= MaxName, true
	for _, r := range s {
		digit := r >= '0' && r <= '9'
		ok = ok && (r >= 'a' && r <= 'z' || digit || r == '-')
		digits = digits && digit
	}
	if s == "" {
		return fmt.Errorf("missing: give name=NAME")
	}
	if !ok {
		return fmt.Errorf("%q is not a name: use 1 to %d of a-z, 0-9 and -", short(s), MaxName)
	}
	if digits {
		return fmt.Errorf("%q is not a name: it would be taken for an id: add a letter", s)
	}
	return nil
}

func (c *Config) validateActions() error {
	for _, a := range []struct {
		key  string
		v    Action
		dump bool
	}{{"on_poweroff", c.OnPoweroff, false}, {"on_reboot", c.OnReboot, false}, {"on_crash", c.OnCrash, true}} {
		switch {
		case a.v == Destroy || a.v == Restart || a.v == RenameRestart || a.v == Preserve:
		case a.dump && (a.v == CoredumpDestroy || a.v == CoredumpRestart):
		case a.dump:
			return fmt.Errorf("%s: %q is not an action: use destroy, restart, rename-restart, preserve, coredump-destroy or coredump-restart", a.key, short(string(a.v)))
		default:
			return fmt.Errorf("%s: %q is not an action: use destroy, restart, rename-restart or preserve", a.key, short(string(a.v)))
		}
	}
	return nil
}

func (b *Boot) validate() error {
	switch {
	case b.Firmware != "" && b.Firmware != "bios" && b.Firmware != "uefi":
		return fmt.Errorf("firmware: %q is not known: use bios or uefi", short(b.Firmware))
	case b.Firmware != "" && (b.Kernel != "" || b.Initrd != "" || b.Cmdline != "" || len(b.Modules) > 0):
		return fmt.Errorf("boot: give either a kernel or firmware, not both")
	case b.Kernel == "" && b.Initrd != "":
		return fmt.Errorf("boot: an initrd needs a kernel")
	case b.Kernel == "" && len(b.Modules) > 0:
		return fmt.Errorf("boot: modules need a kernel")
	case len(b.Modules) > maxModules:
		return fmt.Errorf("modules: %d are too many: at most %d", len(b.Modules), maxModules)
	case len(b.Kernel) > maxFile || len(b.Initrd) > maxFile:
		return fmt.Errorf("boot: a file name is longer than %d bytes", maxFile)
	case len(b.Cmdline) > maxCmdline:
		return fmt.Errorf("cmdline: %d bytes are too long: at most %d", len(b.Cmdline), maxCmdline)
	case strings.ContainsAny(b.Cmdline, "\x00\n\r"):
		return fmt.Errorf("cmdline: must be one line")
	}
	for i, m := range b.Modules {
		name, args := CutModule(m)
		switch {
		case name == "" || name != strings.TrimSpace(name):
			return fmt.Errorf("modules: number %d names no file: write \"boot:NAME ARGUMENTS\"", i+1)
		case len(name) > maxFile || len(args) > maxCmdline:
			return fmt.Errorf("modules: number %d is too long: a name has at most %d bytes, arguments %d", i+1, maxFile, maxCmdline)
		case strings.ContainsAny(m, "\x00\n\r"):
			return fmt.Errorf("modules: number %d must be one line", i+1)
		}
	}
	return nil
}

// CutModule returns the file of a module and its arguments.
func CutModule(s string) (file, args string) {
	file, args, _ = strings.Cut(s, " ")
	return file, args
}

func (c *Config) validateDevices() error {
	if len(c.Disk) > MaxDisks {
		return fmt.Errorf("disk: %d are too many: at most %d", len(c.Disk), MaxDisks)
	}
	for i := range c.Disk {
		if err := c.Disk[i].validate(); err != nil {
			return fmt.Errorf("disk %d: %w", i+1, err)
		}
	}
	if err := checkSlots("disk", len(c.Disk), FirstSlot, MaxDisks, func(i int) int { return c.Disk[i].Slot }); err != nil {
		return err
	}
	if err := checkPorts(c.Port); err != nil {
		return err
	}
	return c.validateNICs()
}

// Unsupported names the first setting that this version of the toolstack cannot
// honour yet, "" if there is none.
func (c *Config) Unsupported() string {
	for i, d := range c.Disk {
		if d.Volume != "" {
			return fmt.Sprintf("disk %d: volume: volumes are not supported yet: give device or image", i+1)
		}
	}
	if c.Boot.Firmware != "" {
		return "firmware: booting by firmware is not supported yet: give a kernel"
	}
	return ""
}
