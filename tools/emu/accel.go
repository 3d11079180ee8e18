// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// Accel is what executes the emulated machine's instructions.
type Accel string

// accelerator is QEMU's -accel. The emulator runs its CPUs in turn: with a host
// thread per CPU, QEMU 7.2 now and then ends a guest's run twice, and the second
// time writes the host's state over the guest's in the VMCB. Tests that want
// parallel CPUs say so in QEMUArgs, which win.
func (c *Config) accelerator() string {
	if c.Accel == TCG {
		return "tcg,thread=single"
	}
	return string(c.Accel)
}

// The two accelerators.
const (
	TCG Accel = "tcg" // emulation; has AMD-V with nested paging on every host
	KVM Accel = "kvm" // nested virtualization
)

// PickAccel checks an ACCEL value. The empty string means KVM if the host's
// CPUs have an extension that hv can use and /dev/kvm opens, else TCG. A
// /dev/kvm alone proves nothing: software implementations of it exist, which
// give their guests no virtualization.
func PickAccel(s string) (Accel, error) {
	switch a := Accel(s); a {
	case TCG, KVM:
		return a, nil
	case "":
	default:
		return "", fmt.Errorf("ACCEL=%s: want tcg or kvm", s)
	}
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return TCG, nil // not a Linux host
	}
	defer f.Close()
	if !hasFlag(f, "svm") {
		return TCG, nil
	}
	kvm, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err != nil {
		return TCG, nil
	}
	kvm.Close()
	return KVM, nil
}

// hasFlag reports whether the first "flags" line of a /proc/cpuinfo has flag.
func hasFlag(cpuinfo io.Reader, flag string) bool {
	s := bufio.NewScanner(cpuinfo)
	for s.Scan() {
		if key, val, ok := strings.Cut(s.Text(), ":"); ok && strings.TrimSpace(key) == "flags" {
			return slices.Contains(strings.Fields(val), flag)
		}
	}
	return false
}
