// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"ringo/tools/emu"
	"ringo/tools/image"
)

// kernelTests are the test programs of boot/kernel, in tests/guests/kerneltest,
// with what is added to the command line. They need neither hv nor dom0, print
// SUCCESS, and switch the machine off.
var kernelTests = []struct {
	program string
	cpus    []int
	long    bool
}{
	{"basic", []int{1, 2, 4}, false},
}

// TestKernel runs the Go runtime on the bare machine.
func TestKernel(t *testing.T) {
	for _, k := range kernelTests {
		t.Run(k.program, func(t *testing.T) {
			if k.long && !*long {
				t.Skip("needs -long")
			}
			img, err := image.Bare(built.root, "./tests/guests/kerneltest/"+k.program, filepath.Join(t.TempDir(), "k.img"))
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range k.cpus {
				t.Run(fmt.Sprint(n), func(t *testing.T) { kernelTest(t, img, n) })
			}
		})
	}
}

func kernelTest(t *testing.T, img string, cpus int) {
	h := start(t, emu.Config{HV: img, Modules: []emu.Module{}, SMP: cpus, MemMiB: 512, HVArgs: fmt.Sprintf("cpus=%d pool=192", cpus)})
	if which, _, err := h.Expect(5*time.Minute, "SUCCESS", "FAILURE", "FATAL", "panic: "); err != nil || which != 0 {
		h.Expect(2*time.Second, "never printed") // let it finish
		t.Fatalf("%v\n%s", err, h.Transcript())
	}
	if s, err := h.Wait(endTime); err != nil || s.End != emu.Poweroff {
		t.Errorf("%+v, %v", s, err)
	}
}
