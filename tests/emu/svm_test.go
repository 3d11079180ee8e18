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

// TestSVM runs the AMD-V backend alone, with the software oracle for flushes:
// the conformance suite, self-checking and hostile guests, more vCPUs than
// address-space identifiers.
func TestSVM(t *testing.T) {
	img, err := image.Bare(built.root, "./tests/guests/svmtest", filepath.Join(t.TempDir(), "svm.img"), "invariants")
	if err != nil {
		t.Fatal(err)
	}
	secs := 3
	if *long {
		secs = 60
	}
	for _, tt := range []struct {
		cpu  string
		cpus int
	}{
		{"max", 1},
		{"max", 2},
		{"max", 4},
		{"phenom", 1}, // no XSAVE
	} {
		t.Run(fmt.Sprint(tt.cpu, tt.cpus), func(t *testing.T) {
			h := start(t, emu.Config{
				HV: img, Modules: []emu.Module{}, SMP: tt.cpus, CPU: tt.cpu, MemMiB: 512,
				HVArgs: fmt.Sprintf("cpus=%d secs=%d", tt.cpus, secs),
			})
			which, _, err := h.Expect(time.Duration(120+2*secs)*time.Second, "SUCCESS", "FAILURE", "FATAL", "panic: ")
			if err != nil || which != 0 || strings.Contains(h.Transcript(), "ERROR") {
				t.Fatalf("%v\n%s", err, h.Transcript())
			}
			if s, err := h.Wait(endTime); err != nil || s.End != emu.Poweroff {
				t.Errorf("%+v, %v", s, err)
			}
		})
	}
}
