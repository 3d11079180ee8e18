// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Command run builds Ringo and runs it in an emulator with the demo guest's files
// as boot modules. The serial console is this process's standard input and output.
// It takes its settings from the environment, as make passes them:
//
//	SMP        CPUs, default 2
//	MEM        RAM in MiB, default 2048
//	FILES      further boot modules, separated by spaces
//	HVARGS     the hypervisor's command line
//	BACKEND    svm or vmx; default what this host can do fastest
//	BOOT       kernel (default), iso, usb, pxe, uefi-iso, uefi-usb or uefi-pxe;
//	           in Bochs iso
//	ACCEL      tcg, kvm or bochs; default kvm where it has nested virtualization
//	           of that kind, else Bochs for vmx and QEMU's tcg for svm
//	DISKS      images of disks, separated by spaces
//	DISKBUS    nvme (default), ahci, virtio or ide: what they are attached to; in
//	           Bochs ide
//	SERVER     none leaves out the server, a Debian on a disk of its own, which is
//	           the last one; in Bochs there is none
//	IOMMU      intel, amd or none (default): QEMU's VT-d or AMD-Vi
//	NIC        virtio (default), e1000e, e1000 or none: QEMU's network card
//	HOSTFWD    ports of this host that lead to the machine's, as "2222:22 8080:80"
//	QEMU_ARGS  further arguments for QEMU, quoted as in a shell
//
// The exit status is 0 when the machine switched itself off, 3 when it reset, 1
// when something else went wrong, and 128 + n after signal n.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"ringo/tools/debian"
	"ringo/tools/demo"
	"ringo/tools/emu"
	"ringo/tools/image"
)

// Exit statuses.
const (
	statusFailed = 1
	statusReset  = 3
)

func main() {
	status, err := run(os.Getenv)
	if err != nil {
		fmt.Fprintln(os.Stderr, "run:", err)
	}
	os.Exit(status)
}

// run is the whole program: settings, images, machine, session.
func run(getenv func(string) string) (int, error) {
	c, err := settings(getenv)
	if err != nil {
		return statusFailed, err
	}
	root, err := image.Root()
	if err != nil {
		return statusFailed, err
	}
	work := filepath.Join(root, "build")
	if err := prepare(&c, root, work, getenv("SERVER") != "none"); err != nil {
		return statusFailed, err
	}
	if c.Dir, err = os.MkdirTemp(work, "run-"); err != nil {
		return statusFailed, err
	}
	defer os.RemoveAll(c.Dir)
	m, err := emu.Start(c)
	if err != nil {
		return statusFailed, err
	}
	defer m.Kill()
	fmt.Fprintln(os.Stderr, m.CommandLine())
	for _, f := range c.Forwards {
		from, to, _ := strings.Cut(f, ":")
		fmt.Fprintf(os.Stderr, "run: 127.0.0.1:%s leads to the machine's port %s (and to a guest with nic=default,forward=tcp:%s:PORT)\n", from, to, to)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	return session(m, os.Stdin, os.Stdout, signals)
}

// settings reads the environment; c.Modules holds FILES only.
func settings(getenv func(string) string) (c emu.Config, err error) {
	if c.Boot, err = emu.ParseBoot(getenv("BOOT")); err != nil {
		return c, err
	}
	if c.Accel, err = emu.Choose(getenv("BACKEND"), getenv("ACCEL")); err != nil {
		return c, err
	}
	if c.Accel == emu.InBochs {
		if getenv("BOOT") != "" && c.Boot != emu.BootISO {
			return c, fmt.Errorf("BOOT=%s: Bochs, which emulates VT-x here, boots by BOOT=iso only", c.Boot)
		}
		if getenv("QEMU_ARGS") != "" {
			return c, errors.New("QEMU_ARGS: it is Bochs that emulates VT-x here, not QEMU")
		}
		c.Boot = emu.BootISO
	}
	if c.IOMMU, err = emu.ParseIOMMU(getenv("IOMMU")); err != nil {
		return c, err
	}
	if c.Accel == emu.InBochs && c.IOMMU != emu.NoIOMMU {
		return c, fmt.Errorf("IOMMU=%s: Bochs, which emulates VT-x here, has none", c.IOMMU)
	}
	if err := disks(&c, getenv); err != nil {
		return c, err
	}
	if err := network(&c, getenv); err != nil {
		return c, err
	}
	if s := getenv("SERVER"); s != "" && s != "none" {
		return c, fmt.Errorf("SERVER=%s: want none, or nothing", s)
	}
	if c.SMP, err = number(getenv, "SMP", 2); err != nil {
		return c, err
	}
	if c.MemMiB, err = number(getenv, "MEM", 2048); err != nil {
		return c, err
	}
	if c.Args, err = emu.SplitArgs(getenv("QEMU_ARGS")); err != nil {
		return c, fmt.Errorf("QEMU_ARGS: %w", err)
	}
	c.HVArgs = getenv("HVARGS")
	c.Modules = emu.Modules(strings.Fields(getenv("FILES"))...)
	return c, nil
}

// disks reads what is about disks.
func disks(c *emu.Config, getenv func(string) string) (err error) {
	bus := getenv("DISKBUS")
	if c.DiskBus, err = emu.ParseBus(bus); err != nil {
		return err
	}
	for _, name := range strings.Fields(getenv("DISKS")) {
		if _, err := os.Stat(name); err != nil {
			return fmt.Errorf("DISKS: %w", err)
		}
		c.Disks = append(c.Disks, name)
	}
	if c.Accel == emu.InBochs && c.Disks != nil {
		if bus != "" && c.DiskBus != emu.IDE {
			return fmt.Errorf("DISKBUS=%s: Bochs, which emulates VT-x here, has ide only", bus)
		}
		c.DiskBus = emu.IDE
	}
	return nil
}

// network reads what is about the network card.
func network(c *emu.Config, getenv func(string) string) (err error) {
	otherwise := emu.VirtioNIC
	if c.Accel == emu.InBochs {
		otherwise = ""
	}
	if c.NIC, err = emu.ParseNIC(getenv("NIC"), otherwise); err != nil {
		return err
	}
	if c.Accel == emu.InBochs && c.NIC != "" && c.NIC != emu.NoNIC {
		return fmt.Errorf("NIC=%s: Bochs, which emulates VT-x here, is run without one", c.NIC)
	}
	for _, f := range strings.Fields(getenv("HOSTFWD")) {
		c.Forwards = append(c.Forwards, f)
		from, to, ok := strings.Cut(f, ":")
		for _, p := range []string{from, to} {
			if n, err := strconv.ParseUint(p, 10, 16); !ok || err != nil || n == 0 {
				return fmt.Errorf("HOSTFWD=%s: want ports, as 2222:22", f)
			}
		}
	}
	if len(c.Forwards) > 0 && (c.NIC == emu.NoNIC || c.NIC == "") {
		return errors.New("HOSTFWD: there is no network card")
	}
	return nil
}

// number is a positive decimal from the environment.
func number(getenv func(string) string, name string, otherwise int) (int, error) {
	s := getenv(name)
	if s == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%s=%s: want a positive number", name, s)
	}
	return n, nil
}

// task is what package debian calls what c needs.
func task(c emu.Config) string {
	switch {
	case c.Accel == emu.InBochs:
		return "bochs"
	case c.Boot.UEFI():
		return "uefi"
	case c.Boot == emu.BootKernel:
		return "run"
	case c.Boot == emu.BootPXE:
		return "pxe"
	}
	return "iso"
}

// prepare gets all that c boots into the folder work, and names it in c; with the server,
// if it is wanted.
func prepare(c *emu.Config, root, work string, wanted bool) error {
	if err := debian.Ensure(os.Stderr, task(*c)); err != nil {
		return err
	}
	img, err := image.Build(root, work)
	if err != nil {
		return err
	}
	files, err := demo.Prepare(os.Stderr, filepath.Join(work, "demo"))
	if err != nil {
		return err
	}
	c.HV = img.HV
	mods := []emu.Module{{Name: "dom0", Path: img.Dom0}}
	mods = append(mods, emu.Modules(files.Modules()...)...)
	if wanted && c.Accel != emu.InBochs {
		if s, err := server(c, files); err != nil {
			fmt.Fprintf(os.Stderr, "run: there is no server.toml: %v\n", err)
		} else {
			mods = append(mods, emu.Modules(s.Modules()...)...)
		}
	}
	c.Modules = append(mods, c.Modules...)
	return nil
}

// server prepares the server, whose disk comes behind all others. What it writes is gone
// with the emulator: several can run at once.
func server(c *emu.Config, files demo.Files) (demo.Server, error) {
	name, err := c.DiskName(len(c.Disks))
	if err != nil {
		return demo.Server{}, err
	}
	s, err := files.Server(os.Stderr, name)
	if err == nil {
		c.Disks, c.Volatile = append(c.Disks, s.Disk), append(c.Volatile, s.Disk)
	}
	return s, err
}
