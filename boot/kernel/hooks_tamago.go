// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

//go:build tamago

package kernel

import (
	"runtime/goos"
	"unsafe"

	"ringo/boot/layout"
	"ringo/hv/insn"
	"ringo/hv/x86"
)

// The third face of the layer: the hooks of TamaGo's runtime (runtime/goos), over the
// functions that answer system calls on stock Go. An experiment: one thread only. Task,
// Idle and ProcID, a pool's size for RamSize, panics from exceptions, and the files that
// the stock runtime's poller reads are missing.

//go:linkname ramStart runtime/goos.RamStart
var ramStart uint64 = layout.UserBase

//go:linkname ramSize runtime/goos.RamSize
var ramSize uint64 = 32 << 20

//go:linkname ramStackOffset runtime/goos.RamStackOffset
var ramStackOffset uint64 = 0x1000

// hookBoot prepares the runtime's memory: one demand-zero area, from which it takes by
// moving a border.
//
//go:nosplit
func hookBoot() {
	goos.Bloc = uintptr(ramStart)
	goos.Exit = hookExit
	space.set(ramStart, ramStart+ramSize, protRead|protWrite)
}

// hookHwinit0 tells the layer the FS base that the runtime has set itself.
//
//go:linkname hookHwinit0 runtime/goos.Hwinit0
//go:nosplit
func hookHwinit0() {
	const arch = 158
	enter(arch, archSetFS, insn.RDMSR(x86.MSRFSBase), 0)
}

//go:linkname hookHwinit1 runtime/goos.Hwinit1
func hookHwinit1() {}

//go:linkname hookInitRNG runtime/goos.InitRNG
func hookInitRNG() {}

//go:linkname hookRandom runtime/goos.GetRandomData
//go:nosplit
func hookRandom(b []byte) {
	fillRandom(addr(unsafe.Pointer(unsafe.SliceData(b))), uint64(len(b)))
}

//go:linkname hookNanotime runtime/goos.Nanotime
//go:nosplit
func hookNanotime() int64 { return int64(Nanotime()) }

//go:linkname hookPrintk runtime/goos.Printk
//go:nosplit
func hookPrintk(c byte) {
	const write = 1
	b := [1]byte{c}
	enter(write, 1, addr(unsafe.Pointer(&b)), 1)
}

func hookExit(code int32) {
	const exitGroup = 231
	enter(exitGroup, uint64(uint32(code)), 0, 0)
}
