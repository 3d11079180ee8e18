// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package demo

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"ringo/tools/debian"
	"ringo/tools/initramfs/rootfs"
)

// Kind is one of Debian's kernels for x86.
type Kind struct {
	Name    string
	Package string
	Arch    string // Debian's name, "" for this machine's
	Release string // what its release ends with
}

// Kinds are all of them but that for i386 without PAE.
var Kinds = []Kind{
	{Name: "amd64", Package: "linux-image-amd64", Release: "-amd64"},
	{Name: "cloud", Package: "linux-image-cloud-amd64", Release: "-cloud-amd64"},
	{Name: "rt", Package: "linux-image-rt-amd64", Release: "-rt-amd64"},
	{Name: "i386", Package: "linux-image-686-pae", Arch: "i386", Release: "-686-pae"},
}

// Prepare gets the kernel as it is distributed and makes an initramfs like the demo
// guest's, whose files are f, with this kernel's modules: vmlinuz-NAME and
// initrd-NAME.gz in the folder dir.
func (k Kind) Prepare(log io.Writer, dir string, f Files) (kernel, initrd string, err error) {
	at := filepath.Join(dir, "kernel-"+k.Name)
	if err := os.MkdirAll(at, 0o755); err != nil {
		return "", "", err
	}
	kernel = filepath.Join(dir, "vmlinuz-"+k.Name)
	initrd = filepath.Join(dir, "initrd-"+k.Name+".gz")
	driver := func(m string) string { return filepath.Join(at, filepath.Base(m)) }
	files := []debian.File{{Pattern: "/boot/vmlinuz-*", Dst: kernel}}
	for _, m := range drivers {
		files = append(files, debian.File{Pattern: "/lib/modules/*/kernel/" + m, Dst: driver(m)})
	}
	if err := fetch(log, k.Arch, k.Package, files...); err != nil {
		return "", "", err
	}
	if err := isLinux(kernel); err != nil {
		return "", "", err
	}
	busybox := f.Busybox
	if k.Arch != "" {
		busybox = filepath.Join(at, "busybox")
		if err := fetch(log, k.Arch, "busybox-static", debian.File{Pattern: "/bin/busybox", Dst: busybox}); err != nil {
			return "", "", err
		}
	}
	list, err := applets(f.Busybox) // of the same source, and this one runs here
	if err != nil {
		return "", "", err
	}
	return kernel, initrd, pack(initrd, busybox, list, driver)
}

// fetch gets files of a package unless all are there.
func fetch(log io.Writer, arch, pkg string, files ...debian.File) error {
	for _, f := range files {
		if _, err := os.Stat(f.Dst); err != nil {
			return debian.FetchFor(log, arch, pkg, files...)
		}
	}
	return nil
}

// applets asks a busybox what it has.
func applets(busybox string) ([]string, error) {
	if err := os.Chmod(busybox, 0o755); err != nil {
		return nil, err
	}
	abs, err := filepath.Abs(busybox)
	if err != nil {
		return nil, err
	}
	list, err := exec.Command(abs, "--list").Output()
	if err != nil {
		return nil, fmt.Errorf("%s --list: %w", busybox, err)
	}
	return strings.Fields(string(list)), nil
}

// pack makes an initramfs of a busybox and the modules that driver finds.
func pack(dst, busybox string, applets []string, driver func(m string) string) error {
	data, err := os.ReadFile(busybox)
	if err != nil {
		return err
	}
	modules, err := load(drivers, driver)
	if err != nil {
		return err
	}
	img, err := rootfs.Demo(data, applets, modules)
	if err != nil {
		return err
	}
	os.Remove(dst) // it may be a hard link
	return os.WriteFile(dst, img, 0o644)
}

// load reads modules, which driver finds.
func load(names []string, driver func(m string) string) (modules []rootfs.Module, err error) {
	for _, m := range names {
		b, err := os.ReadFile(driver(m))
		if err != nil {
			return nil, err
		}
		modules = append(modules, rootfs.Module{Name: filepath.Base(m), Data: b})
	}
	return modules, nil
}
