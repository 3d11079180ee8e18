// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package debian finds and gets what the tools need from Debian: programs, by
// installing their packages, and single files (a kernel, a static busybox), by
// unpacking a package without installing it.
package debian

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// need is a package and how to see that what it gives is there: a program's
// name, or patterns of absolute paths of which one must exist. What is there
// without the package (built by hand, another distribution) is as good.
type need struct {
	pkg   string
	probe []string
}

var (
	qemu = need{"qemu-system-x86", []string{"qemu-system-x86_64"}}
	rom  = need{"ipxe-qemu", []string{"/usr/lib/ipxe/qemu/pxe-virtio.rom", "/usr/share/qemu*/pxe-virtio.rom", "/usr/share/ipxe*/*virtio*.rom"}}
	iso  = []need{
		{"grub-common", []string{"grub-mkimage"}},
		{"grub-pc-bin", []string{"/usr/lib/grub/i386-pc/multiboot2.mod"}},
		{"grub-efi-amd64-bin", []string{"/usr/lib/grub/x86_64-efi/multiboot2.mod"}},
		{"xorriso", []string{"xorriso"}},
		{"mtools", []string{"mformat"}},
	}
	// partitions and file systems to read, made by those who know them
	images = []need{
		{"e2fsprogs", []string{"mke2fs", "/sbin/mke2fs"}},
		{"fdisk", []string{"sfdisk", "/sbin/sfdisk"}},
		{"mtools", []string{"mformat"}},
		{"xorriso", []string{"xorriso"}},
	}
	// a root file system of packages
	server = []need{
		{"mmdebstrap", []string{"mmdebstrap"}},
		{"fakeroot", []string{"fakeroot"}},
		{"e2fsprogs", []string{"mke2fs", "/sbin/mke2fs"}},
		{"fdisk", []string{"sfdisk", "/sbin/sfdisk"}},
	}
	uefi  = need{"ovmf", []string{"/usr/share/ovmf/OVMF.fd"}}
	bochs = []need{
		{"bochs", []string{"bochs-bin"}},
		{"bochsbios", []string{"/usr/share/bochs/BIOS-bochs-latest"}},
		{"vgabios", []string{"/usr/share/vgabios/vgabios.bin"}},
	}
)

// tasks is what each task needs.
var tasks = map[string][]need{
	"run":    {qemu},
	"iso":    append([]need{qemu}, iso...),
	"pxe":    append([]need{qemu, rom}, iso...),
	"uefi":   append([]need{qemu, uefi}, iso...),
	"bochs":  append(bochs, iso...),
	"gdb":    {{"gdb", []string{"gdb"}}},
	"images": images,
	"server": server,
	"test":   slices.Concat([]need{qemu, rom, uefi}, iso, bochs, images, server),
}

// Tasks is the names that Missing knows, sorted.
func Tasks() []string {
	var names []string
	for n := range tasks {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// Missing is the packages to install for the tasks, sorted.
func Missing(names ...string) ([]string, error) { return missing(names, present) }

func missing(names []string, present func(probe string) bool) ([]string, error) {
	var pkgs []string
	for _, name := range names {
		needs, ok := tasks[name]
		if !ok {
			return nil, fmt.Errorf("no task %q; there are %s", name, strings.Join(Tasks(), ", "))
		}
		for _, n := range needs {
			if !slices.ContainsFunc(n.probe, present) {
				pkgs = append(pkgs, n.pkg)
			}
		}
	}
	slices.Sort(pkgs)
	return slices.Compact(pkgs), nil
}

// present looks for a program, or for a file by an absolute pattern.
func present(probe string) bool {
	if filepath.IsAbs(probe) {
		m, err := filepath.Glob(probe)
		return err == nil && len(m) > 0
	}
	_, err := exec.LookPath(probe)
	return err == nil
}

// Command is what a user types to install pkgs.
func Command(pkgs []string) string {
	return "sudo apt-get update && sudo apt-get install -y --no-install-recommends " + strings.Join(pkgs, " ")
}

// Ensure installs what the tasks lack, if this process may; else its error is
// the command to run. apt-get's output goes to log.
func Ensure(log io.Writer, names ...string) error {
	pkgs, err := Missing(names...)
	if err != nil || len(pkgs) == 0 {
		return err
	}
	_, err = exec.LookPath("apt-get")
	if err != nil {
		return fmt.Errorf("missing, by the names of their Debian packages: %s", strings.Join(pkgs, " "))
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("missing packages; run:\n    %s", Command(pkgs))
	}
	if err := install(log, pkgs); err != nil {
		return fmt.Errorf("%w; to try by hand:\n    %s", err, Command(pkgs))
	}
	if left, _ := Missing(names...); len(left) > 0 {
		return fmt.Errorf("packages installed, but what they should give is not there: %s", strings.Join(left, " "))
	}
	return nil
}

// install gets the packages. A failed update is not the end: what the lists
// know already may do.
func install(log io.Writer, pkgs []string) error {
	fmt.Fprintf(log, "installing %s\n", strings.Join(pkgs, " "))
	if err := apt(log, "", "update"); err != nil {
		fmt.Fprintf(log, "%v; going on with the package lists at hand\n", err)
	}
	return apt(log, "", append([]string{"install", "-y", "--no-install-recommends"}, pkgs...)...)
}

// apt runs apt-get without questions in the folder dir.
func apt(log io.Writer, dir string, args ...string) error {
	cmd := exec.Command("apt-get", append([]string{"-q", "-o", "Dpkg::Use-Pty=0", "-o", "APT::Sandbox::User=root"}, args...)...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "NEEDRESTART_MODE=l")
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("apt-get %s: %w", args[0], err)
	}
	return nil
}
