// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package args is what the kernel layer's test programs share: options from the
// command line, more CPUs, and a verdict that the runner looks for.
package args

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"

	"ringo/boot/kernel"
)

// TamaGo says that this program has TamaGo's runtime: no files, no poller, no signals,
// and no memory given back.
const TamaGo = runtime.GOOS == "tamago"

// Get returns the number behind name= on the command line, or def.
func Get(name string, def int) int {
	line := ""
	if b := kernel.Boot(); b != nil {
		line = b.CmdLine
	} else if s := kernel.StartInfo(); s != nil {
		line = strings.TrimRight(string(s.CmdLine[:]), "\x00")
	}
	for _, w := range strings.Fields(line) {
		if v, ok := strings.CutPrefix(w, name+"="); ok {
			if n, err := strconv.Atoi(v); err == nil {
				return n
			}
		}
	}
	return def
}

// StartCPUs starts the CPUs that cpus= asks for; their APIC ids are 0, 1, ...
func StartCPUs() int {
	if Get("ud", 0) != 0 {
		if err := kernel.UseUDSyscalls(); err != nil {
			Fail("%v", err)
		}
	}
	n := Get("cpus", 1)
	if s := kernel.StartInfo(); s != nil {
		n = int(s.NumCPUs)
	}
	if Get("skew", 0) != 0 {
		skewed()
	}
	for i := kernel.NumCPU(); i < n; i++ {
		if err := kernel.StartCPU(uint32(i)); err != nil {
			Fail("CPU %d: %v", i, err)
		}
	}
	procs := max(n, Get("procs", n))
	if TamaGo {
		procs++ // a thread that waits keeps its P, and no monitor looks for those of others
	}
	runtime.GOMAXPROCS(procs)
	return n
}

// skewed starts CPU 1 with a time-stamp counter that is ahead. Where the processor can
// adjust it (skew=1), that is what happens; elsewhere (skew=2) the CPU is refused, and
// can be started once its counter is right.
func skewed() {
	const ticks = 1 << 40
	kernel.SkewForTest(ticks)
	err := kernel.StartCPU(1)
	kernel.SkewForTest(0)
	switch Get("skew", 0) {
	case 1:
		if by := kernel.Adjusted(1); err != nil || by > -ticks/2 || by < -ticks*2 {
			Fail("a counter that is %d ticks ahead was adjusted by %d, %v", ticks, by, err)
		}
	case 2:
		if err == nil || kernel.NumCPU() != 1 || !strings.Contains(err.Error(), " ticks ahead of the others'") {
			Fail("a counter that is ahead: %v, %d CPUs", err, kernel.NumCPU())
		}
	}
	fmt.Printf("skewed: %v, adjusted by %d\n", err, kernel.Adjusted(1))
}

// Fail prints the verdict of a failed test and ends the program.
func Fail(format string, v ...any) {
	fmt.Printf("FAILURE: "+format+"\n", v...)
	os.Exit(1)
}

// Pass prints the verdict of a test that succeeded and ends the program.
func Pass() {
	fmt.Println("SUCCESS")
	os.Exit(0)
}
