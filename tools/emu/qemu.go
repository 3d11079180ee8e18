// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// QEMU is the emulator's program name.
const QEMU = "qemu-system-x86_64"

// qmpFD is the file descriptor on which QEMU finds its machine protocol: the
// first of exec.Cmd.ExtraFiles.
const qmpFD = 3

// qemuArgs is QEMU's command line for c, whose files are staged in s.
func (c Config) qemuArgs(s stage) []string {
	machine := "q35"
	if c.IOMMU != NoIOMMU && c.Accel == KVM {
		machine += ",kernel-irqchip=split" // else KVM itself delivers what the IOMMU should remap
	}
	a := []string{
		"-machine", machine, "-accel", c.accelerator(), "-cpu", c.CPU,
		"-m", strconv.Itoa(c.MemMiB), "-smp", strconv.Itoa(c.SMP),
		"-display", "none", "-no-reboot",
		"-chardev", "stdio,id=com1,signal=off,mux=off",
		"-chardev", fmt.Sprintf("socket,id=qmp,fd=%d", qmpFD), "-mon", "chardev=qmp,mode=control",
	}
	// Devices behind it come later on the line.
	switch c.IOMMU {
	case Intel:
		a = append(a, "-device", "intel-iommu,intremap=on")
	case AMD:
		a = append(a, "-device", "amd-iommu,intremap=on")
	}
	for range c.COM - 1 {
		a = append(a, "-serial", "none")
	}
	a = append(a, "-serial", "chardev:com1")
	if c.ICount {
		a = append(a, "-icount", "shift=0,sleep=off")
	}
	return slices.Concat(a, c.bootArgs(s), c.diskArgs(), c.Args)
}

// OVMF is UEFI for QEMU without secure boot, as Debian has it, with its variables
// in RAM.
const OVMF = "/usr/share/ovmf/OVMF.fd"

// bootArgs is what firmware finds to boot from.
func (c Config) bootArgs(s stage) (a []string) {
	if c.Boot.UEFI() {
		a = append(a, "-bios", OVMF)
	}
	switch c.Boot {
	case BootKernel:
		a = append(append(a, c.nicArgs()...), "-kernel", s.kernel)
		if len(s.modules) > 0 {
			var m []string
			for _, p := range s.modules {
				m = append(m, escapeComma(p))
			}
			a = append(a, "-initrd", strings.Join(m, ","))
		}
		if c.HVArgs != "" {
			a = append(a, "-append", c.HVArgs)
		}
	case BootISO, BootUEFIISO:
		a = append(append(a, c.nicArgs()...), "-drive", "if=ide,media=cdrom,readonly=on,format=raw,file="+escapeComma(s.iso), "-boot", "d")
	case BootUSB, BootUEFIUSB:
		a = append(append(a, c.nicArgs()...), "-drive", "if=none,id=stick,readonly=on,format=raw,file="+escapeComma(s.iso),
			"-device", "qemu-xhci", "-device", "usb-storage,drive=stick,bootindex=0")
	case BootPXE:
		a = append(a, "-netdev", "user,id=pxe,tftp="+escapeComma(s.tftp)+",bootfile="+ScriptName,
			"-device", "virtio-net-pci,netdev=pxe,bootindex=0")
	case BootUEFIPXE: // the firmware's own driver, not that of iPXE in the NIC's ROM
		a = append(a, "-netdev", "user,id=pxe,tftp="+escapeComma(s.tftp)+",bootfile="+EFIName,
			"-device", "virtio-net-pci,netdev=pxe,bootindex=0,romfile=",
			"-fw_cfg", "name=opt/org.tianocore/IPv6PXESupport,string=n")
	}
	return a
}

// nicArgs is the network card of a machine that does not boot by it.
func (c Config) nicArgs() []string {
	if c.NIC == NoNIC {
		return []string{"-nic", "none"}
	}
	net := "user,id=net0"
	for _, f := range c.Forwards {
		from, to, _ := strings.Cut(f, ":")
		net += ",hostfwd=tcp:127.0.0.1:" + from + "-:" + to
	}
	card := string(c.NIC)
	if c.NIC == VirtioNIC {
		card = "virtio-net-pci"
		if c.IOMMU != NoIOMMU {
			card += ",iommu_platform=on" // else it goes around the IOMMU
		}
	}
	return []string{"-netdev", net, "-device", card + ",netdev=net0,romfile="}
}

// escapeComma writes a value so that QEMU's option parser takes it as one.
func escapeComma(s string) string { return strings.ReplaceAll(s, ",", ",,") }

// shortest is p relative to the working directory when that is below it: the
// boot loader's command lines split at spaces, which the way to a working
// directory may hold.
func shortest(p string) (string, error) {
	abs, err := filepath.Abs(p)
	if err != nil {
		return "", err
	}
	if wd, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(wd, abs); err == nil && filepath.IsLocal(rel) {
			abs = rel
		}
	}
	if strings.ContainsAny(abs, " \t\n") {
		return "", fmt.Errorf("%s: a path with a space cannot be given to a boot loader", abs)
	}
	return abs, nil
}

// SplitArgs splits a command line at white space; single and double quotes
// keep words together, as in a shell, and nothing is expanded.
func SplitArgs(s string) ([]string, error) {
	var words []string
	var word strings.Builder
	var quote rune
	open := false
	for _, r := range s {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, open = r, true
		case strings.ContainsRune(" \t\n", r):
			if open {
				words = append(words, word.String())
				word.Reset()
				open = false
			}
		default:
			word.WriteRune(r)
			open = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("no closing %c in %q", quote, s)
	}
	if open {
		words = append(words, word.String())
	}
	return words, nil
}
