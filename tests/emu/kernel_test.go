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
// runtime on the bare machine and need neither hv nor dom0. They print SUCCESS
// or FAILURE and switch the machine off.

// buildKernelTest compiles one of them.
func buildKernelTest(t *testing.T, program string) string {
	t.Helper()
	img, err := image.Bare(built.root, "./tests/guests/kerneltest/"+program, filepath.Join(t.TempDir(), program+".img"))
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// kernelTest runs one to its verdict.
func kernelTest(t *testing.T, img string, cpus int, args string, d time.Duration) {
	t.Helper()
	h := start(t, emu.Config{HV: img, Modules: []emu.Module{}, SMP: cpus, MemMiB: 512, HVArgs: fmt.Sprintf("cpus=%d %s", cpus, args)})
	if which, _, err := h.Expect(d, "SUCCESS", "FAILURE", "FATAL", "panic: "); err != nil || which != 0 {
		h.Wait(3 * time.Second) // let it say all
		t.Fatalf("%v\n%s", err, h.Last(60))
	}
	if s, err := h.Wait(endTime); err != nil || s.End != emu.Poweroff {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestKernelBasic(t *testing.T) {
	img := buildKernelTest(t, "basic")
	for _, n := range []int{1, 2, 4} {
		t.Run(fmt.Sprint(n), func(t *testing.T) { kernelTest(t, img, n, "pool=192", 5*time.Minute) })
	}
}

// TestKernelTorture: collections, threads, migration, signals, NMIs, page faults
// and interrupts at once, on more CPUs than the host may have.
func TestKernelTorture(t *testing.T) {
	secs := 15
	if *long {
		secs = 180
	}
	img := buildKernelTest(t, "torture")
	for _, n := range []int{2, 4} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			kernelTest(t, img, n, fmt.Sprint("pool=192 secs=", secs), time.Duration(secs)*time.Second+5*time.Minute)
		})
	}
}

// TestKernelCrash ends the program in each bad way: what it says, and then a
// reset, or with noreboot a halt.
func TestKernelCrash(t *testing.T) {
	img := buildKernelTest(t, "crash")
	for _, c := range []struct {
		name  string
		mode  int
		texts []string
	}{
		{"panic", 0, []string{"panic: ", "goroutine ", "main."}},
		{"fatal", 1, []string{"ringo: "}},
		{"memory", 2, []string{"out of memory"}},
		{"reboot", 3, nil},
		{"map", 5, []string{"concurrent map"}},
		{"fault", 6, []string{"FATAL", "rip ", "rsp "}},
		{"stack", 7, []string{"main.deep"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := start(t, emu.Config{HV: img, Modules: []emu.Module{}, SMP: 2, MemMiB: 512, HVArgs: fmt.Sprint("cpus=2 mode=", c.mode)})
			if s, err := h.Wait(endTime); err != nil || s.End != emu.Reset {
				t.Errorf("%+v, %v; want a reset", s, err)
			}
			h.Drain()
			for _, want := range c.texts {
				if !strings.Contains(h.Transcript(), want) {
					t.Errorf("it does not say %q:\n%s", want, h.Last(60))
				}
			}
		})
	}
}
