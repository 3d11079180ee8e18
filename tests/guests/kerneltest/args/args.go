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
	for i := 1; i < n; i++ {
		if err := kernel.StartCPU(uint32(i)); err != nil {
			Fail("CPU %d: %v", i, err)
		}
	}
	runtime.GOMAXPROCS(max(n, Get("procs", n)))
	return n
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
