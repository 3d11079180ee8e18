// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"ringo/tools/debian"
	"ringo/tools/emu"
	"ringo/tools/initramfs/rootfs"
)

// What a boot from a disk takes. KVM's is from the start of QEMU, with the same kernel,
// to a static /init on the ext4 of a virtio disk.
const (
	diskBootFigure      = "create to /init on a guest's disk, of NVMe"
	diskBootExitsFigure = "exits of that boot, with quiet"
)

// measureDiskBoot is what it takes from create to the first instruction of an init that is
// on a file system of the guest's disk, and how often the guest exits for it.
func (v values) measureDiskBoot(f files) error {
	if !f.wants(ioRows) || f.backend == onBochs {
		return nil
	}
	if err := debian.Ensure(os.Stderr, "images"); err != nil {
		return err
	}
	disk, initrd, err := f.bootDisk()
	if err != nil {
		return err
	}
	c := f.config(1, true)
	c.CPU = serverCPU
	c.Modules = append(c.Modules, emu.Modules(initrd)...)
	c.Disks = []string{disk}
	c.Args = append(c.Args, "-icount", "shift=0,sleep=on") // see measureGuestDisk
	m, err := prompted(c)
	if err != nil {
		return err
	}
	defer m.Kill()
	m.Send("disks\r")
	if _, _, err := m.Expect(deadline, "\n"+prompt); err != nil {
		return err
	}
	halted, at, err := halts(m)
	if err != nil {
		return err
	}
	before := at - halted
	m.Send("create name=boot kernel=boot:vmlinux.lz4 initrd=boot:" + filepath.Base(initrd) +
		" memory=256MiB disk=nvme0n1 cmdline=\"console=ttyS0 quiet root=/dev/vda\"\rconsole boot\r")
	if which, text, err := m.Expect(deadline, initPrint, "error: ", "no root file system"); err != nil || which != 0 {
		return fmt.Errorf("the guest did not come to its init: %v\n%s%s", err, text, m.Last(3))
	}
	m.Send("\x1d")
	if _, _, err := m.Expect(deadline, "\n"+prompt); err != nil {
		return err
	}
	if halted, at, err = halts(m); err != nil {
		return err
	}
	v[diskBootFigure] = at - halted - before // 1e9 a second, in G
	v[diskBootExitsFigure], _, _, err = exitCosts(m, "boot")
	return err
}

// bootDisk makes a file system with the timing init, and the initramfs that mounts it.
func (f files) bootDisk() (disk, initrd string, err error) {
	tree := filepath.Join(f.dir, "tree")
	for _, d := range []string{"sbin", "dev", "proc", "sys"} {
		if err := os.MkdirAll(filepath.Join(tree, d), 0o755); err != nil {
			return "", "", err
		}
	}
	if err := os.WriteFile(filepath.Join(tree, "sbin", "init"), initELF(), 0o755); err != nil {
		return "", "", err
	}
	disk, initrd = filepath.Join(f.dir, "boot.img"), filepath.Join(f.dir, "switch.gz")
	mke2fs := exec.Command("mke2fs", "-q", "-F", "-t", "ext4", "-d", tree, disk, "64M")
	if out, err := mke2fs.CombinedOutput(); err != nil {
		return "", "", fmt.Errorf("mke2fs: %w\n%s", err, out)
	}
	busybox, err := os.ReadFile(f.Busybox)
	if err != nil {
		return "", "", err
	}
	modules, err := f.Files.LoadServerModules()
	if err != nil {
		return "", "", err
	}
	b, err := rootfs.Switch(busybox, modules)
	if err != nil {
		return "", "", err
	}
	return disk, initrd, os.WriteFile(initrd, b, 0o644)
}
