// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Conformance runs the backend of a bare (emulated) machine, AMD-V or VT-x: the
// conformance suite of the vCPU seam, guests that check their own registers while
// the host collects garbage, hostile guests and hostile state, and a count of the
// instructions per exit.
//
// Options of the command line: tests=NAME,NAME (default: all but bench; caps: say
// what the CPU can do), cpus=N, secs=N for the tests that take time, entries=N of
// the test random, hardened=1 for the entry code of CPUs that leak. For each case of the suite and each other test there is a line
// "row NAME: pass" or "row NAME: fail"; the last line is SUCCESS or FAILURE.
package main

import (
	"fmt"
	"runtime"
	"strings"

	"ringo/boot/kernel"
	"ringo/tests/guests/kerneltest/args"
)

// tests in the order in which they run.
var tests = []struct {
	name string
	long bool // only when named
	run  func(h *harness)
}{
	{"conformance", false, nil},
	{"isolation", false, isolation},
	{"hostile", false, hostile},
	{"invalid", false, invalid},
	{"asid", false, asids},
	{"random", false, random},
	{"preempt", false, preempt},
	{"nmi", false, nmis},
	{"torture", false, torture},
	{"migrate", false, migrate},
	{"bench", true, bench},
}

func main() {
	only := ""
	for _, word := range strings.Fields(kernel.Boot().CmdLine) {
		if v, ok := strings.CutPrefix(word, "tests="); ok {
			only = v
		}
	}
	if isIntel() {
		if err := kernel.UseUDSyscalls(); err != nil {
			args.Fail(err.Error())
		}
	}
	// GC work must not wait for the goroutines that enter guests.
	runtime.GOMAXPROCS(args.StartCPUs() + 1)
	done := make(chan bool)
	go func() { done <- everything(only, args.Get("secs", 3)) }()
	if !<-done {
		args.Fail("see above")
	}
	args.Pass()
}

// everything runs on the runner thread of CPU 0.
func everything(only string, secs int) bool {
	runtime.LockOSThread()
	if only == "caps" {
		printCaps()
		return true
	}
	if err := kernel.Runner(0); err != nil {
		fmt.Println("runner:", err)
		return false
	}
	h, err := newHarness(secs)
	if err != nil {
		fmt.Println("harness:", err)
		return false
	}
	fmt.Printf("%+v, %d CPUs\n", *h.b.Caps(), kernel.NumCPU())
	for _, test := range tests {
		if only == "" && test.long || only != "" && !strings.Contains(","+only+",", ","+test.name+",") {
			continue
		}
		if test.name == "conformance" {
			conformance(h)
		} else {
			h.row(test.name, test.run)
		}
	}
	return h.failures == 0
}

// row runs one test and says what came of it.
func (h *harness) row(name string, run func(h *harness)) {
	h.name = name
	before := h.failures
	run(h)
	h.checkHost()
	verdict := "pass"
	if h.failures != before {
		verdict = "fail"
	}
	fmt.Printf("row %s: %s\n", name, verdict)
}
