// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package emu runs a Ringo image in an emulator: it lays out what a boot loader
// would find (plain files, a GRUB ISO or a TFTP tree for iPXE and GRUB), QEMU or Bochs, and gives its serial console as something that a test can talk
// to.
package emu

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// Boot is the way from firmware to the hypervisor.
type Boot string

// The ways of booting. A stick is the ISO's bytes on a USB disk.
const (
	BootKernel  Boot = "kernel"   // QEMU's -kernel and -initrd, multiboot 1
	BootISO     Boot = "iso"      // BIOS, GRUB from a CD, multiboot 2
	BootUSB     Boot = "usb"      // BIOS, GRUB from a stick, multiboot 2
	BootPXE     Boot = "pxe"      // BIOS, iPXE from the NIC's option ROM over TFTP, multiboot 1
	BootUEFIISO Boot = "uefi-iso" // UEFI, GRUB from a CD, multiboot 2
	BootUEFIUSB Boot = "uefi-usb" // UEFI, GRUB from a stick, multiboot 2
	BootUEFIPXE Boot = "uefi-pxe" // UEFI, GRUB over TFTP, multiboot 2
)

var boots = []Boot{BootKernel, BootISO, BootUSB, BootPXE, BootUEFIISO, BootUEFIUSB, BootUEFIPXE}

// UEFI reports whether the firmware is UEFI and not BIOS.
func (b Boot) UEFI() bool { return strings.HasPrefix(string(b), "uefi-") }

// ParseBoot checks a BOOT value; the empty string is BootKernel.
func ParseBoot(s string) (Boot, error) {
	if s == "" {
		return BootKernel, nil
	}
	if b := Boot(s); slices.Contains(boots, b) {
		return b, nil
	}
	return "", fmt.Errorf("BOOT=%s: want one of %v", s, boots)
}

// IOMMU is what confines the machine's devices.
type IOMMU string

// The IOMMUs of QEMU. Which CPU there is does not matter to them.
const (
	NoIOMMU IOMMU = ""
	Intel   IOMMU = "intel" // VT-d
	AMD     IOMMU = "amd"   // AMD-Vi
)

// ParseIOMMU checks an IOMMU value; the empty string is none.
func ParseIOMMU(s string) (IOMMU, error) {
	switch s {
	case "", "none":
		return NoIOMMU, nil
	case string(Intel), string(AMD):
		return IOMMU(s), nil
	}
	return "", fmt.Errorf("IOMMU=%s: want intel, amd or none", s)
}

// NIC is the machine's network card, on a network that QEMU makes for it: 10.0.2.0/24,
// with this host as 10.0.2.2.
type NIC string

// The network cards of QEMU that dom0 drives.
const (
	NoNIC     NIC = "none"
	VirtioNIC NIC = "virtio"
	E1000     NIC = "e1000"  // 82540EM
	E1000E    NIC = "e1000e" // 82574L
)

// ParseNIC checks a NIC value; the empty string is otherwise.
func ParseNIC(s string, otherwise NIC) (NIC, error) {
	switch n := NIC(s); n {
	case "":
		return otherwise, nil
	case NoNIC, VirtioNIC, E1000, E1000E:
		return n, nil
	}
	return "", fmt.Errorf("NIC=%s: want virtio, e1000e, e1000 or none", s)
}

// Module is a file that the boot loader passes to the hypervisor.
type Module struct {
	Name string // what dom0 calls it: boot:<Name>
	Path string // on this host
}

// Modules makes modules of paths, named by their base names.
func Modules(paths ...string) []Module {
	var m []Module
	for _, p := range paths {
		m = append(m, Module{Name: path.Base(p), Path: p})
	}
	return m
}

// Config is one machine and what it boots.
type Config struct {
	HV      string   // path of the hypervisor's multiboot image
	HVArgs  string   // its command line
	Modules []Module // the first one is dom0; none is allowed, to see what happens
	Boot    Boot     // default BootKernel

	SMP    int    // CPUs, default 1
	MemMiB int    // RAM, default 1024
	CPU    string // CPU model of the emulator; default max, host under KVM, BochsCPU in Bochs
	Accel  Accel  // default TCG

	// COM is the machine's one serial port, 1 to 4, default 1; QEMU only.
	COM int

	// IOMMU is the machine's, default none; QEMU only.
	IOMMU IOMMU

	// Disks are files that are its disks, on DiskBus, default NVMe; in Bochs IDE.
	Disks   []string
	DiskBus Bus
	// Volatile are those of Disks to which nothing is written: what the machine writes to
	// them is gone when it ends. QEMU only.
	Volatile []string
	// NIC is the machine's network card, default none. A machine that boots over the
	// network has its own. QEMU only.
	NIC NIC
	// Forwards are ports of this host that lead to the machine's: "2222:22".
	Forwards []string

	// ICount makes one executed instruction one tick of the time-stamp
	// counter, and a nanosecond; two runs then give the same figures. In Bochs it
	// is a tick in any case, but of 50 MHz.
	ICount bool
	// Args are further QEMU arguments, after ours, so that they win. Bochs takes
	// none.
	Args []string

	// Debugger is commands for Bochs' debugger, one a line, instead of those that let
	// the machine run; what it prints goes to the file "debugger" in Dir.
	Debugger string

	// Dir is where files of the run go; it must exist. Start does not empty it.
	Dir string
	// MaxTranscript bounds the kept console output in bytes; default 64 MiB.
	MaxTranscript int
}

// withDefaults fills zero fields and checks the others.
func (c Config) withDefaults() (Config, error) {
	if c.Boot == "" {
		c.Boot = BootKernel
	}
	if c.Accel == "" {
		c.Accel = TCG
	}
	if c.SMP == 0 {
		c.SMP = 1
	}
	if c.MemMiB == 0 {
		c.MemMiB = 1024
	}
	if c.CPU == "" {
		c.CPU = map[Accel]string{TCG: "max", Parallel: "max", KVM: "host", InBochs: BochsCPU}[c.Accel]
	}
	if c.COM == 0 {
		c.COM = 1
	}
	if c.MaxTranscript == 0 {
		c.MaxTranscript = 64 << 20
	}
	if c.COM < 1 || c.COM > 4 || c.COM > 1 && c.Accel == InBochs {
		return c, errors.New("emu: no such serial port")
	}
	if c.SMP < 0 || c.MemMiB < 0 {
		return c, errors.New("emu: negative SMP or MEM")
	}
	if c.HV == "" || c.Dir == "" {
		return c, errors.New("emu: Config needs HV and Dir")
	}
	if c.ICount && c.Accel != TCG && c.Accel != InBochs {
		return c, errors.New("emu: instruction counting needs TCG or Bochs")
	}
	if c.NIC == "" {
		c.NIC = NoNIC
	}
	if c.Accel == InBochs && (c.NIC != NoNIC && c.NIC != E1000 || len(c.Forwards) > 0) {
		return c, errors.New("emu: Bochs has an 82540EM only, and forwards nothing")
	}
	if c.NIC == NoNIC && len(c.Forwards) > 0 {
		return c, errors.New("emu: forwards without a NIC")
	}
	if c.Accel == InBochs && c.IOMMU != NoIOMMU {
		return c, errors.New("emu: Bochs has no IOMMU")
	}
	if err := c.checkDisks(); err != nil {
		return c, err
	}
	if c.Accel == InBochs && (c.Boot != BootISO || len(c.Args) > 0) {
		return c, errors.New("emu: Bochs boots from a CD and takes no arguments")
	}
	return c, checkModules(c.Modules)
}

// checkModules refuses names that a boot loader's command line cannot carry,
// and duplicates, which would hide each other in the stage folder.
func checkModules(mods []Module) error {
	seen := []string{"hv", isoName, ScriptName, grubConfigName, EFIName, "grub"}
	for _, m := range mods {
		switch {
		case m.Name == "" || strings.ContainsAny(m.Name, " \t\n'\"\\/$"):
			return fmt.Errorf("boot module %q: a name may not hold spaces, quotes, slashes or $; rename the file", m.Name)
		case slices.Contains(seen, m.Name):
			return fmt.Errorf("boot module %q: the name is taken; rename the file", m.Name)
		}
		seen = append(seen, m.Name)
	}
	return nil
}
