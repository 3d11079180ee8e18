// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package demo prepares the files of the demo guest: the distribution's own
// kernel, an initramfs around a static busybox, and a domain configuration.
package demo

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ringo/tools/debian"
	"ringo/tools/vmlinux/extract"
)

// Files are the paths of the demo guest's files. As boot modules they go by
// their base names.
type Files struct {
	Kernel string // vmlinuz: the bzImage as distributed
	Initrd string // initrd.gz
	Config string // demo.toml
	// Vmlinux is vmlinux.lz4: the same kernel without the bzImage around it, in
	// a compression that takes dom0 less time than xz.
	Vmlinux string
	Busybox string // not a boot module
	Drivers string // the folder of the kernel's modules, in the initrd
}

// Modules is the files to give to dom0.
func (f Files) Modules() []string { return []string{f.Kernel, f.Vmlinux, f.Initrd, f.Config} }

// Config is the domain configuration of the demo guest.
const Config = `# The demo guest: Debian's kernel, and a shell from busybox.
name = "demo"
vcpus = 1
memory = "256MiB"

# The kernel is the distribution's own, taken out of its bzImage (boot:vmlinuz,
# which boots as well): dom0 unpacks lz4 thirty times as fast as the bzImage's xz.
[boot]
kernel = "boot:vmlinux.lz4"
initrd = "boot:initrd.gz"
cmdline = "console=ttyS0"

[[nic]]
network = "default"
`

// Prepare makes the files in the folder dir, unless they are there and newer
// than what they are made of; downloads are told to log.
func Prepare(log io.Writer, dir string) (Files, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return Files{}, err
	}
	f := Files{
		Kernel:  filepath.Join(dir, "vmlinuz"),
		Initrd:  filepath.Join(dir, "initrd.gz"),
		Config:  filepath.Join(dir, "demo.toml"),
		Vmlinux: filepath.Join(dir, "vmlinux.lz4"),
		Busybox: filepath.Join(dir, "busybox"),
		Drivers: filepath.Join(dir, "modules"),
	}
	if err := os.WriteFile(f.Config, []byte(Config), 0o644); err != nil {
		return f, err
	}
	if err := kernel(log, f); err != nil {
		return f, err
	}
	if err := busybox(log, f.Busybox); err != nil {
		return f, err
	}
	if err := initrd(f); err != nil {
		return f, err
	}
	return f, vmlinux(f)
}

// drivers are the modules of the kernel that find the devices of a guest, in the
// order in which they are to be loaded.
var drivers = []string{
	"drivers/virtio/virtio_ring.ko", "drivers/virtio/virtio.ko", "drivers/virtio/virtio_pci_legacy_dev.ko",
	"drivers/virtio/virtio_pci_modern_dev.ko", "drivers/virtio/virtio_pci.ko",
	"drivers/char/hw_random/virtio-rng.ko", "drivers/char/virtio_console.ko", "drivers/block/virtio_blk.ko",
	"net/core/failover.ko", "drivers/net/net_failover.ko", "drivers/net/virtio_net.ko",
	"drivers/acpi/button.ko", "drivers/input/evdev.ko", // for acpid
}

// allDrivers are those, and the server's.
func allDrivers() []string { return slices.Concat(drivers, serverDrivers) }

// driver is where module m is kept.
func (f Files) driver(m string) string { return filepath.Join(f.Drivers, filepath.Base(m)) }

// kernel takes the newest installed kernel with its modules, else one from a
// package.
func kernel(log io.Writer, f Files) error {
	if err := os.MkdirAll(f.Drivers, 0o755); err != nil {
		return err
	}
	installed, err := filepath.Glob("/boot/vmlinuz-*")
	if err != nil {
		return err
	}
	slices.SortFunc(installed, func(a, b string) int { return compareVersions(b, a) })
	for _, k := range installed {
		version := strings.TrimPrefix(k, "/boot/vmlinuz-")
		if isLinux(k) == nil && installedDrivers(f, "/lib/modules/"+version+"/kernel") == nil {
			return refresh(f.Kernel, k)
		}
	}
	files := []debian.File{{Pattern: "/boot/vmlinuz-*", Dst: f.Kernel}}
	whole := isLinux(f.Kernel) == nil
	for _, m := range allDrivers() {
		files = append(files, debian.File{Pattern: "/lib/modules/*/kernel/" + m, Dst: f.driver(m)})
		_, err := os.Stat(f.driver(m))
		whole = whole && err == nil
	}
	if whole {
		return nil
	}
	if err := debian.Fetch(log, "linux-image-amd64", files...); err != nil {
		return err
	}
	return isLinux(f.Kernel)
}

// installedDrivers takes the modules of an installed kernel.
func installedDrivers(f Files, folder string) error {
	for _, m := range allDrivers() {
		if err := refresh(f.driver(m), filepath.Join(folder, m)); err != nil {
			return err
		}
	}
	return nil
}

// busybox takes the installed one if it is static, else one from a package.
func busybox(log io.Writer, dst string) error {
	for _, b := range []string{"/bin/busybox", "/usr/bin/busybox"} {
		if isStatic(b) == nil {
			return refresh(dst, b)
		}
	}
	if isStatic(dst) == nil {
		return nil
	}
	for _, pattern := range []string{"/bin/busybox", "/usr/bin/busybox"} {
		err := debian.Fetch(log, "busybox-static", debian.File{Pattern: pattern, Dst: dst})
		if err == nil {
			return isStatic(dst)
		}
		if !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return errors.New("the package busybox-static holds no busybox")
}

// initrd packs busybox and the modules with our init.
func initrd(f Files) error {
	applets, err := applets(f.Busybox)
	if err != nil {
		return err
	}
	return pack(f.Initrd, f.Busybox, applets, f.driver)
}

// vmlinux takes the kernel proper out of the bzImage, unless the one that is
// there has the bzImage's time.
func vmlinux(f Files) error {
	k, err := os.Stat(f.Kernel)
	if err != nil {
		return err
	}
	if v, err := os.Stat(f.Vmlinux); err == nil && v.ModTime().Equal(k.ModTime()) {
		return nil
	}
	b, err := os.ReadFile(f.Kernel)
	if err != nil {
		return err
	}
	if b, err = extract.ELF(f.Kernel, b); err != nil {
		return err
	}
	if b, err = extract.Pack(b, "lz4"); err != nil {
		return err
	}
	os.Remove(f.Vmlinux)
	if err := os.WriteFile(f.Vmlinux, b, 0o644); err != nil {
		return err
	}
	return os.Chtimes(f.Vmlinux, k.ModTime(), k.ModTime())
}

// isLinux checks the magic numbers of a bzImage (Linux documentation, "The
// Linux/x86 Boot Protocol").
func isLinux(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	var head [0x206]byte
	if _, err := io.ReadFull(f, head[:]); err != nil {
		return err
	}
	if string(head[0x202:0x206]) != "HdrS" || head[0x1fe] != 0x55 || head[0x1ff] != 0xaa {
		return fmt.Errorf("%s is not a Linux kernel", name)
	}
	return nil
}

// isStatic checks that an executable needs no dynamic linker.
func isStatic(name string) error {
	f, err := elf.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return fmt.Errorf("%s is linked dynamically", name)
		}
	}
	return nil
}

// refresh copies src to dst when dst is not as new and as long.
func refresh(dst, src string) error {
	s, err := os.Stat(src)
	if err != nil {
		return err
	}
	if d, err := os.Stat(dst); err == nil && d.Size() == s.Size() && d.ModTime().Equal(s.ModTime()) {
		return nil
	}
	b, err := os.ReadFile(src)
	if err != nil {
		return err
	}
	os.Remove(dst) // it may be a hard link
	if err := os.WriteFile(dst, b, 0o644); err != nil {
		return err
	}
	return os.Chtimes(dst, s.ModTime(), s.ModTime())
}
