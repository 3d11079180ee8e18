// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import "ringo/hv/insn"

const clockRealtime = 0

// sysClockGettime serves the clocks that the assembly fast path does not.
//
//go:nosplit
func sysClockGettime(c *cpu, t *thread) uint64 {
	ns := Nanotime()
	switch t.f.rdi {
	case 0, 5: // CLOCK_REALTIME, CLOCK_REALTIME_COARSE
		ns += wallOff
	case 1, 4, 6, 7: // CLOCK_MONOTONIC, _RAW, _COARSE, CLOCK_BOOTTIME
	default:
		return neg(eINVAL)
	}
	if !userStore64(t.f.rsi, ns/1_000_000_000) || !userStore64(t.f.rsi+8, ns%1_000_000_000) {
		return neg(eFAULT)
	}
	return 0
}

// TSC reads the time-stamp counter.
//
//go:nosplit
func TSC() uint64 { return insn.RDTSC() }

// TSCHz is the rate of the time-stamp counter, 0 when not booted.
func TSCHz() uint64 { return tscHz }

// Nanotime is the time since the layer started in nanoseconds, monotonic and
// the same on every CPU.
//
//go:nosplit
func Nanotime() uint64 { return scale(insn.RDTSC()-tscZero, nsPerTSC) }

// SetWall sets the wall clock, in nanoseconds since 1970.
func SetWall(ns uint64) { wallOff = ns - Nanotime() }
