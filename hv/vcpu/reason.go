// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vcpu

var reasonNames = [NumReasons]string{
	"interrupted", "window", "cpuid", "rdmsr", "wrmsr", "hypercall", "io",
	"memory", "hlt", "pause", "xsetbv", "cr-write", "cr-read", "dr", "cache",
	"monitor", "rdpmc", "tsc", "privileged", "exception", "task-switch",
	"shutdown", "init", "invalid", "unknown", "dr-write", "apic-write", "tick",
	"bus-lock", "notify", "lost",
}

// String is the name under which exits are counted and shown, at most 15
// characters.
func (r Reason) String() string {
	if r < NumReasons {
		return reasonNames[r]
	}
	return "?"
}
