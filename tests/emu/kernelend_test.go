// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"fmt"
	"strings"
	"testing"

	"ringo/tools/emu"
)

// ways are the modes of tests/guests/kerneltest/crash.
var ways = []struct {
	name string
	mode int
	end  emu.End
	want []string
}{
	{"panic", 0, emu.Reset, []string{"panic: on purpose", "goroutine ", "main.inner", "ringo: the Go program ended with status 2", "CPU 0  rip", "CPU 1  rip", "reboot in 5 s"}},
	{"fatal", 1, emu.Reset, []string{"FATAL: on purpose on CPU", "rip ", "main.inner+0x", "main.outer+0x", "crash/main.go:", "reboot in 5 s"}},
	{"memory", 2, emu.Reset, []string{"FATAL: out of memory", "main.inner"}},
	{"reboot", 3, emu.Reset, nil},
	{"poweroff", 4, emu.Poweroff, nil},
	{"map", 5, emu.Reset, []string{"concurrent map"}},
	{"fault", 6, emu.Reset, []string{"FATAL: page fault in the kernel layer", "cr2 0000000000000030", "kernel.ownCrash+0x", "kernel.syscallEntry", "before that:", "main.inner"}},
	{"kernel stack", 8, emu.Reset, []string{"FATAL: stack overflow in the kernel layer", "kernel.fillStack+0x", "before that:", "main.inner"}},
	{"hang", 9, emu.Reset, []string{"the watchdog is content", "FATAL: watchdog: CPU ", " takes no interrupts", "kernel.ownCrash+0x"}},
	{"lock", 10, emu.Reset, []string{"the watchdog is content", "FATAL: watchdog: ", "klock is held by CPU ", "kernel.ownCrash+0x"}},
	{"runner", 11, emu.Reset, []string{"the watchdog is content", "FATAL: watchdog: CPU 0 has a runner that gets nowhere", "CPU 0  rip"}},
	{"stack", 7, emu.Reset, []string{"FATAL: out of memory", "  stack:"}},
}

// TestKernelCrash ends the program in each way: it says what happened where, and
// then the machine ends as it should.
func TestKernelCrash(t *testing.T) {
	t.Parallel()
	img := kernelProgram(t, "crash")
	for _, c := range ways {
		t.Run(c.name, func(t *testing.T) {
			h := startKernel(t, img, emu.Config{SMP: 2, MemMiB: 512, HVArgs: fmt.Sprint("cpus=2 mode=", c.mode)})
			if s, err := h.Wait(endTime); err != nil || s.End != c.end {
				t.Errorf("%+v, %v; want %s", s, err, c.end)
			}
			h.Drain()
			for _, want := range c.want {
				if !strings.Contains(h.Transcript(), want) {
					t.Errorf("it does not say %q:\n%s", want, h.Last(60))
				}
			}
		})
	}
}

// TestKernelEndsInBochs: how a machine in Bochs ends is known, as in QEMU.
func TestKernelEndsInBochs(t *testing.T) {
	t.Parallel()
	img := kernelProgram(t, "crash")
	for _, c := range ways[3:5] {
		t.Run(c.name, func(t *testing.T) {
			h := startKernel(t, img, emu.Config{Accel: emu.InBochs, SMP: 2, MemMiB: 512, HVArgs: fmt.Sprint("cpus=2 mode=", c.mode)})
			if s, err := h.Wait(bootTime); err != nil || s.End != c.end {
				t.Errorf("%+v, %v; want %s", s, err, c.end)
			}
		})
	}
}

// TestKernelNoReboot: the machine halts and stays.
func TestKernelNoReboot(t *testing.T) {
	t.Parallel()
	h := startKernel(t, kernelProgram(t, "crash"), emu.Config{SMP: 2, HVArgs: "cpus=2 mode=0 noreboot"})
	h.see(bootTime, "ringo: halted (noreboot)")
	if s, err := h.Wait(lingers); err == nil {
		t.Errorf("it ended: %+v", s)
	}
}

// TestKernelMistakes: machines on which it cannot run get one clear line, then a
// reset.
func TestKernelMistakes(t *testing.T) {
	t.Parallel()
	img := kernelProgram(t, "hello")
	for _, c := range []struct {
		name, want string
		emu.Config
	}{
		{"no NX", "ringo: this CPU does not offer NX; enable", emu.Config{CPU: "max,-nx"}},
		{"32-bit CPU", "ringo: this CPU has no 64-bit mode", emu.Config{CPU: "qemu32"}},
		{"little memory", "ringo: not enough memory: need 12 MiB", emu.Config{MemMiB: 12}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := startKernel(t, img, c.Config)
			if s, err := h.Wait(bootTime); err != nil || s.End != emu.Reset {
				t.Errorf("%+v, %v; want a reset", s, err)
			}
			h.Drain()
			if out := h.Transcript(); !strings.Contains(out, c.want) || strings.Count(strings.TrimSpace(out), "\n") > 1 {
				t.Errorf("want one line with %q, got\n%s", c.want, out)
			}
		})
	}
}
