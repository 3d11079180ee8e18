// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ringo/tools/emu"
	"ringo/tools/image"
)

// The test programs of boot/kernel, in tests/guests/kerneltest, run the Go
// runtime on the bare machine, without hv and dom0, or as a partition in dom0's
// place. They print SUCCESS or FAILURE and switch the machine off. By hand, for
// example:
//
//	go build -trimpath -ldflags "-T 0x101000 -E ringo/boot/kernel.startBare" \
//		-o build/torture.elf ./tests/guests/kerneltest/torture
//	go run ./tools/mkimage build/torture.elf build/torture.img
//	qemu-system-x86_64 -M q35 -cpu max -m 512 -smp 2 -accel tcg,thread=multi \
//		-display none -serial stdio -no-reboot -kernel build/torture.img \
//		-append "cpus=2 pool=64 secs=60"
//
// QEMU 7.2 starves all but one CPU under -icount with -smp above 1: use one.

// kernelProgram compiles one of them for the bare machine.
func kernelProgram(t *testing.T, name string) string {
	t.Helper()
	img, err := image.Bare(built.root, "./tests/guests/kerneltest/"+name, filepath.Join(t.TempDir(), name+".img"))
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// startKernel runs one on the machine c, in Bochs if c.Accel says so.
func startKernel(t *testing.T, img string, c emu.Config) *host {
	t.Helper()
	c.HV, c.Modules = img, []emu.Module{}
	if c.Accel == emu.InBochs {
		return bochs(t, c)
	}
	return start(t, c)
}

// succeeds waits for a program's verdict, SUCCESS, and for the end of the machine.
func (h *host) succeeds(d time.Duration) {
	h.t.Helper()
	if which, _, err := h.Expect(d, "\nSUCCESS\n", "FAILURE", "FATAL", "panic: "); err != nil || which != 0 {
		where := h.registers()
		h.Wait(3 * time.Second) // let it say all
		h.t.Fatalf("%v\n%s\n%s", err, h.Last(60), where)
	}
	if s, err := h.Wait(endTime); err != nil || s.End != emu.Poweroff {
		h.t.Errorf("%+v, %v", s, err)
	}
	h.Drain()
	if strings.Contains(h.Transcript(), "is not implemented") {
		h.t.Error("a system call is missing")
	}
}

func TestKernelBasic(t *testing.T) {
	t.Parallel()
	img := kernelProgram(t, "basic")
	for _, c := range []struct {
		name string
		emu.Config
	}{
		{"1 CPU", emu.Config{SMP: 1, HVArgs: "cpus=1"}},
		// QEMU's emulation cannot adjust a time-stamp counter: one that is ahead is refused.
		{"2 CPUs", emu.Config{SMP: 2, HVArgs: "cpus=2 skew=2"}},
		{"4 CPUs, memory above 4 GiB", emu.Config{SMP: 4, MemMiB: 6144, HVArgs: "cpus=4"}},
		{"no XSAVE, no 1 GiB pages", emu.Config{SMP: 2, CPU: "qemu64", HVArgs: "cpus=2"}},
		{"system calls by UD", emu.Config{SMP: 2, HVArgs: "cpus=2 ud=1"}},
		{"counted instructions", emu.Config{SMP: 1, ICount: true, HVArgs: "cpus=1"}},
		{"multiboot 2", emu.Config{SMP: 2, Boot: emu.BootISO, HVArgs: "cpus=2"}},
		{"network boot", emu.Config{SMP: 2, Boot: emu.BootPXE, HVArgs: "cpus=2"}},
		// x2APIC, a TSC-deadline timer and IA32_TSC_ADJUST, which QEMU's emulation lacks.
		{"Bochs", emu.Config{Accel: emu.InBochs, SMP: 2, HVArgs: "cpus=2 skew=1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.HVArgs += " pool=32"
			startKernel(t, img, c.Config).succeeds(5 * time.Minute)
		})
	}
}

// TestKernelTorture: collections, threads, migration, signals, NMIs, page faults
// and interrupts at once, on more CPUs than the host may have.
func TestKernelTorture(t *testing.T) {
	t.Parallel()
	secs, cpus := 15, []int{2, 4}
	if *long {
		secs, cpus = 180, []int{1, 2, 4}
	}
	img := kernelProgram(t, "torture")
	for _, n := range cpus {
		for _, accel := range []emu.Accel{emu.Parallel, emu.TCG} {
			if accel == emu.TCG && n != 2 && !*long {
				continue
			}
			t.Run(fmt.Sprintf("%d-%s", n, accel), func(t *testing.T) {
				h := startKernel(t, img, emu.Config{SMP: n, MemMiB: 512, Accel: accel, HVArgs: fmt.Sprintf("cpus=%d pool=64 secs=%d", n, secs)})
				h.succeeds(time.Duration(secs)*3*time.Second + 5*time.Minute)
			})
		}
	}
}

// TestKernelPartition runs the same programs in guest mode, in dom0's place.
func TestKernelPartition(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"basic", "torture"} {
		elf, err := image.Partition(built.root, "./tests/guests/kerneltest/"+name, filepath.Join(t.TempDir(), name))
		if err != nil {
			t.Fatal(err)
		}
		for _, vcpus := range []int{1, 2} {
			t.Run(fmt.Sprintf("%s-%d", name, vcpus), func(t *testing.T) {
				h := start(t, emu.Config{SMP: 2, Modules: emu.Modules(elf), HVArgs: fmt.Sprint("dom0_max_vcpus=", vcpus)})
				h.succeeds(5 * time.Minute)
			})
		}
	}
}
