// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Command bench measures Ringo in an emulator and compares it with its targets and
// with its peers: AMD-V in QEMU, or with BACKEND=vmx in the environment VT-x in
// Bochs. In both (in QEMU with -icount) one executed instruction is one tick of
// the time-stamp counter, whoever executes it, so that the figures do not depend
// on the machine that runs this and two runs agree. The result is a Markdown table
// on the standard output, and build/bench.json or build/bench-vmx.json. ROWS in the
// environment leaves rows out: ROWS="guest" is what the small guest measures, life what
// domains take to come and go, linux what takes a Debian, memory what takes four, disk
// what takes a machine with disks, net what takes one with a network card, idle what
// takes eight guests.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ringo/tests/guests/micro/guest"
	"ringo/tools/debian"
	"ringo/tools/demo"
	"ringo/tools/emu"
	"ringo/tools/image"
)

func main() {
	if err := bench(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// files are what the measurements boot.
type files struct {
	image.Images
	demo.Files
	micro  string // the measuring guest, tests/guests/micro
	initrd string // initramfs of the timing init
	dir    string

	backend string   // onQEMU or onBochs
	rows    []string // what is measured, see rowNames
	// micros is everything that guests measure, by the names that they print.
	micros map[string]float64
}

// backendName checks a value of BACKEND.
func backendName(s string) (string, error) {
	switch s {
	case "":
		return onQEMU, nil
	case onQEMU, onBochs:
		return s, nil
	}
	return "", fmt.Errorf("BACKEND=%s: want svm or vmx", s)
}

// Parts of the table, by their names in ROWS.
const (
	guestRows  = "guest"
	lifeRows   = "life"
	linuxRows  = "linux"
	memoryRows = "memory"
	idleRows   = "idle"
	diskRows   = "disk" // of dom0
	ioRows     = "io"   // of a guest
	netRows    = "net"
)

// rowNames checks a value of ROWS, by default all parts; in Bochs eight guests take too
// long to be among them.
func rowNames(s, backend string) ([]string, error) {
	all := []string{guestRows, lifeRows, linuxRows, memoryRows, diskRows, ioRows, netRows, idleRows}
	if s == "" && backend == onBochs {
		return all[:4], nil
	}
	if s == "" {
		return all, nil
	}
	rows := strings.Fields(s)
	for _, r := range rows {
		if !slices.Contains(all, r) {
			return nil, fmt.Errorf("ROWS=%s: want some of %s", s, strings.Join(all, ", "))
		}
	}
	return rows, nil
}

func bench() error {
	backend, err := backendName(os.Getenv("BACKEND"))
	if err != nil {
		return err
	}
	rows, err := rowNames(os.Getenv("ROWS"), backend)
	if err != nil {
		return err
	}
	task, name := "run", "bench.json"
	if backend == onBochs {
		task, name = "bochs", "bench-vmx.json"
	}
	if err := debian.Ensure(os.Stderr, task); err != nil {
		return err
	}
	root, err := image.Root()
	if err != nil {
		return err
	}
	out := filepath.Join(root, "build")
	f, err := prepare(root, out)
	if err != nil {
		return err
	}
	defer os.RemoveAll(f.dir)
	f.backend, f.rows, f.micros = backend, rows, map[string]float64{}
	// One that fails does not keep the others from being measured.
	v, failed := values{}, []error{}
	for _, step := range []struct {
		name    string
		measure func(values, files) error
	}{
		{"size of the image", values.measureImage},
		{"instructions", values.countInstructions},
		{"a quiet boot", values.measureQuiet},
		{"domains that come and go", values.measureLife},
		{"memory", values.weighMemory},
		{"disks", values.measureDisks},
		{"a guest's disk", values.measureGuestDisk},
		{"a boot from it", values.measureDiskBoot},
		{"the network", values.measureNetwork},
		{"a guest's network", values.measureGuestNetwork},
		{"an interrupt", values.measureInterrupt},
		{"idle guests", values.measureIdle},
	} {
		fmt.Fprintln(os.Stderr, "measuring:", step.name)
		if err := step.measure(v, f); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", step.name, err))
		}
	}
	b, err := v.json(backend)
	if err != nil {
		return err
	}
	v.table(os.Stdout, backend)
	fmt.Fprintln(os.Stdout)
	again(os.Stdout, f.micros)
	failed = append(failed, os.WriteFile(filepath.Join(out, name), b, 0o644))
	return errors.Join(failed...)
}

// prepare builds everything into the folder out.
func prepare(root, out string) (f files, err error) {
	if f.Images, err = image.Build(root, out); err != nil {
		return f, err
	}
	if f.Files, err = demo.Prepare(os.Stderr, filepath.Join(out, "demo")); err != nil {
		return f, err
	}
	if f.dir, err = os.MkdirTemp(out, "bench-"); err != nil {
		return f, err
	}
	f.micro = filepath.Join(f.dir, "micro.elf")
	if err := os.WriteFile(f.micro, guest.Build().ELF(), 0o644); err != nil {
		return f, err
	}
	rd, err := initrd()
	if err != nil {
		return f, err
	}
	f.initrd = filepath.Join(f.dir, "init.gz")
	return f, os.WriteFile(f.initrd, rd, 0o644)
}

// wants reports whether a part of the table is to be measured.
func (f files) wants(rows string) bool { return slices.Contains(f.rows, rows) }

// config is a machine for measurements. Bochs always counts instructions.
func (f files) config(smp int, icount bool) emu.Config {
	mods := []emu.Module{{Name: "dom0", Path: f.Dom0}}
	c := emu.Config{
		HV: f.HV, SMP: smp, MemMiB: 1024, ICount: icount, Dir: f.dir,
		Modules: append(mods, emu.Modules(f.Vmlinux, f.initrd, f.micro)...),
	}
	if f.backend == onBochs {
		c.Accel = emu.InBochs
	}
	return c
}

// measureImage is the size of hv's file.
func (v values) measureImage(f files) error {
	st, err := os.Stat(f.HV)
	if err != nil {
		return err
	}
	v[imageFigure] = float64(st.Size()) / (1 << 20)
	return nil
}
