// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// Accel is what executes the emulated machine's instructions.
type Accel string

// The three ways.
const (
	TCG     Accel = "tcg"   // QEMU's emulation; has AMD-V with nested paging on every host
	KVM     Accel = "kvm"   // nested virtualization, in QEMU
	InBochs Accel = "bochs" // the emulator Bochs; has VT-x with EPT on every host
)

// Parallel is TCG with a host thread for each CPU. The hypervisor must then be
// told hv_cpus=1. In QEMU 7.2 an XRSTOR, FXRSTOR or FNINIT on any CPU clears IGNNE#
// of the first CPU (cpu_clear_ignne, target/i386/tcg/sysemu/fpu_helper.c) by an
// unlocked read-modify-write of its hflags2, in the middle of its own: the word
// that says whether nested paging is on, and GIF. So the first CPU now and then
// looks up host addresses in a guest's nested page table just behind #VMEXIT, or
// a guest's without one. Where that CPU runs no guest, hflags2 does not change.
const Parallel Accel = "tcg,thread=multi"

// accelerator is QEMU's -accel. Plain TCG runs the CPUs in turn, so that guests
// may run on all of them, see Parallel.
func (c *Config) accelerator() string {
	if c.Accel == TCG {
		return "tcg,thread=single"
	}
	return string(c.Accel)
}

// The values of BACKEND, which are also the CPU flags in /proc/cpuinfo.
const (
	amdV = "svm"
	vtX  = "vmx"
)

// host is what this machine's CPUs can do for a hypervisor in a KVM guest.
type host struct {
	flag string // amdV, vtX or empty
	kvm  bool   // /dev/kvm opens
}

// Choose checks the values of BACKEND (svm, vmx or empty) and ACCEL (tcg, kvm,
// bochs or empty) and says what runs the machine. Without ACCEL that is KVM where
// this host has nested virtualization of the wanted kind, or of any kind if
// BACKEND is empty; else Bochs for VT-x and QEMU's emulation for AMD-V, which is
// also the choice if both are empty. A /dev/kvm alone proves nothing: software
// implementations of it exist, which give their guests no virtualization.
func Choose(backend, accel string) (Accel, error) { return thisHost().choose(backend, accel) }

func (h host) choose(backend, accel string) (Accel, error) {
	if backend != "" && backend != amdV && backend != vtX {
		return "", fmt.Errorf("BACKEND=%s: want svm or vmx", backend)
	}
	nested := h.kvm && h.flag != "" && (backend == "" || backend == h.flag)
	switch a := Accel(accel); {
	case a == "" && nested:
		return KVM, nil
	case a == "" && backend == vtX:
		return InBochs, nil
	case a == "":
		return TCG, nil
	case a == TCG && backend == vtX:
		return "", errors.New("BACKEND=vmx ACCEL=tcg: QEMU emulates AMD-V only; without ACCEL, Bochs emulates VT-x")
	case a == InBochs && backend == amdV:
		return "", errors.New("BACKEND=svm ACCEL=bochs: Bochs runs VT-x only here; without ACCEL, QEMU emulates AMD-V")
	case a == KVM && !nested:
		return "", fmt.Errorf("ACCEL=kvm: %s; leave ACCEL out to emulate", h.lacks(backend))
	case a == TCG, a == KVM, a == InBochs:
		return a, nil
	}
	return "", fmt.Errorf("ACCEL=%s: want tcg, kvm or bochs", accel)
}

// lacks says why KVM is of no use for a backend.
func (h host) lacks(backend string) string {
	switch {
	case h.flag == "":
		return "this host's CPUs have neither svm nor vmx (/proc/cpuinfo)"
	case backend != "" && backend != h.flag:
		return fmt.Sprintf("this host's CPUs have %s, not %s", h.flag, backend)
	}
	return "/dev/kvm does not open"
}

// thisHost asks the kernel; a host that is not Linux has nothing.
func thisHost() (h host) {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return h
	}
	for _, flag := range []string{amdV, vtX} {
		if hasFlag(bytes.NewReader(b), flag) {
			h.flag = flag
		}
	}
	if f, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0); err == nil {
		f.Close()
		h.kvm = true
	}
	return h
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
