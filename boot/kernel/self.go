// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import "math/bits"

// currentThread is the address of the calling thread's structure: one load, so
// that the thread cannot be moved to another CPU in between.
func currentThread() uint64

// RunnerCPU is the CPU whose runner the calling thread is, -1 for every other
// thread. Unlike [CPU] it does not age: runners stay where they are, and it
// tells a runner from a thread that has interrupted it.
func RunnerCPU() int {
	if booted == 0 {
		return -1
	}
	t := thr(currentThread())
	if t.class != clsRunner {
		return -1
	}
	return bits.TrailingZeros64(t.aff)
}

// Quit ends the world with one line, for what is not a failure of the program:
// a machine or a boot configuration that cannot work. It does not return.
func Quit(msg string) {
	mustBoot()
	cliSave()
	var f frame
	f.rip, f.rsp, f.rbp = callerRegs()
	seizeFloor(&f)
	say("\n")
	say(msg)
	say("\n")
	endWorld(true)
}
