// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

//go:build !tamago

package kernel

import "runtime"

// The face of system calls needs no hooks: what hooks_tamago.go does for TamaGo's
// runtime the stock one asks for itself.

// sliceOrdinaryNS is the slice of an ordinary thread.
const sliceOrdinaryNS = 2_000_000

// sliceAlways says that a slice has an end also when nobody waits.
const sliceAlways = false

//go:nosplit
func hookBoot() {}

//go:nosplit
func hookCall(nr uint64) handler { return nil }

//go:nosplit
func hookTrap(c *cpu, t *thread, vec uint64) {}

//go:nosplit
func hookLeave() {}

//go:nosplit
func hookBlock(t *thread) {}

//go:nosplit
func hookUnblock(t *thread) bool { return false }

//go:nosplit
func hookSlice(t *thread, now, end uint64) uint64 { return end }

//go:nosplit
func hookLong(c *cpu) bool { return false }

//go:nosplit
func hookPanic(t *thread) bool { return false }

// Procs sets how many threads run Go code at once.
func Procs(n int) { runtime.GOMAXPROCS(n) }
