// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import (
	"sync/atomic"
	"unsafe"

	"ringo/boot/layout"
	"ringo/hv/insn"
)

// booted is 1 once the Go program runs on this layer. In an ordinary process
// it stays 0 and the functions of this package do nothing or panic.
var booted uint32

var (
	mbMagic   uint64
	mbInfo    uint64
	imagePA   uint64 // where layout.ImageBase is
	procBlock [64]uint64
	auxRandom [64]byte
)

// dieEarly is for what can be wrong before there are interrupts.
//
//go:nosplit
func dieEarly(msg string) {
	say(msg)
	say("\n")
	if tscHz == 0 {
		setTSCRate(1_000_000_000) // only for the delay
	}
	endWorld(true)
}

// bootCommon makes CPU 0 and thread 0 and leaves everything ready for the Go
// runtime.
//
//go:nosplit
func bootCommon() {
	quirkDetect()
	apicDetect()
	fpDetect()
	if !buildTables() {
		dieEarly("\nringo: the runtime's pool is too small for the page tables of this machine's memory; use pool=64")
	}
	insn.SetCR3(rootTable)
	poolBase = layout.PoolMap
	idtInit()
	c := newCPU()
	if c == nil {
		dieEarly("\nringo: the runtime's pool is too small")
	}
	atomic.StoreUint32(&nCPU, 1)
	cpuInit(c)
	clockInit()
	rngInit()
	fillRandom(addr(unsafe.Pointer(&auxRandom)), 64)
	fdInit()
	t := firstThread(c)
	c.cur = t.addr()
	c.acct = insn.RDTSC()
	makeProcBlock()
	atomic.StoreUint64(&online, 1)
	hookBoot()
	booted = 1
	startTick()
}

// firstThread is the boot context.
//
//go:nosplit
func firstThread(c *cpu) *thread {
	t := newThread()
	t.state = stRunning
	t.fs = c.fs
	return t
}

// makeProcBlock lays out what Linux puts on the stack of a new process. Words
// of the command line that begin with GO are the environment, for GODEBUG,
// GOGC and the like.
//
//go:nosplit
func makeProcBlock() {
	const (
		atPagesz = 6
		atSecure = 23
		atRandom = 25
	)
	b := addr(unsafe.Pointer(&procBlock))
	*p64(b) = 1
	*p64(b + 8) = addr(unsafe.Pointer(unsafe.StringData(progName)))
	at := b + 24 // behind the NULL of argv
	for i, n := uint64(0), 0; i < cmdLine.n && n < 16; i++ {
		if (i == 0 || cmdLine.at(i-1) == ' ') && cmdLine.at(i) == 'G' && cmdLine.at(i+1) == 'O' {
			*p64(at) = envWord(i)
			at += 8
			n++
		}
	}
	if !cmdLine.has("GOMEMLIMIT=") {
		*p64(at) = memLimit()
		at += 8
	}
	at += 8
	for _, v := range [...]uint64{atPagesz, pageSize, atRandom, addr(unsafe.Pointer(&auxRandom)), atSecure, 0, 0, 0} {
		*p64(at) = v
		at += 8
	}
}

// memLimit makes the environment variable by which the runtime knows how much
// memory there is: the pool less an eighth, for page tables, threads and what
// the collector is late by.
//
//go:nosplit
func memLimit() uint64 {
	const name = "GOMEMLIMIT="
	a := addr(unsafe.Pointer(&limitBuf))
	for i := uint64(0); i < uint64(len(name)); i++ {
		*p8(a + i) = name[i]
	}
	v := (frames.end - frames.start) / 8 * 7
	div := uint64(1)
	for v/div > 9 {
		div *= 10
	}
	p := a + uint64(len(name))
	for ; div != 0; div /= 10 {
		*p8(p) = '0' + byte(v/div%10)
		p++
	}
	*p8(p) = 0
	return a
}

var limitBuf [40]byte

const progName = "ringo\x00"

var (
	envBuf  [maxCmdLine]byte
	envUsed uint64
)

// envWord copies the word at i of the command line, NUL-terminated.
//
//go:nosplit
func envWord(i uint64) uint64 {
	a := addr(unsafe.Pointer(&envBuf)) + envUsed
	for ; cmdLine.at(i) != ' ' && envUsed < maxCmdLine-1; i++ {
		*p8(addr(unsafe.Pointer(&envBuf)) + envUsed) = cmdLine.at(i)
		envUsed++
	}
	envUsed++
	return a
}
