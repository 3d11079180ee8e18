// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import (
	"sync/atomic"
	"unsafe"

	"ringo/boot/layout"
	"ringo/hv/abi"
	"ringo/hv/insn"
)

// booted is 1 once the Go program runs on this layer. In an ordinary process
// it stays 0 and the functions of this package do nothing or panic.
var booted uint32

var (
	startInfo *abi.StartInfo // partition only
	mbMagic   uint64
	mbInfo    uint64
	imagePA   uint64 // where layout.ImageBase is
	procBlock [64]uint64
	auxRandom [64]byte
)

// bootBare is called from start64 with the multiboot magic and the physical
// address of the information.
//
//go:nosplit
func bootBare(magic, info uint64) {
	uartInit()
	mbMagic, mbInfo = magic, info
	imagePA = layout.ImageBase
	end := (imageEnd() + pageSize - 1) &^ (pageSize - 1)
	taken.add(imagePA, end, 0)
	taken.add(0, 1<<20, 0) // firmware, trampoline
	scanMultiboot(magic, info)
	if memMap.lost+taken.lost != 0 {
		dieEarly("the memory map or the list of modules has too many entries; load fewer modules")
	}
	a, size := placePool()
	if a == 0 {
		say("\nringo: not enough memory: need ")
		sayDec(size >> 20)
		dieEarly(" MiB in one piece below 4 GiB, modules aside; give the machine more memory or load smaller modules")
	}
	frames.init(a, a+size)
	picInit()
	bootCommon()
}

// placePool finds room for the pool: as much as the machine's RAM suggests, but
// less rather than nothing. When there is no room, a is 0 and size what is
// needed.
//
//go:nosplit
func placePool() (a, size uint64) {
	if v, ok := cmdLine.number("pool=", 4); ok {
		size = v << 20
		return memMap.place(&taken, size, 1<<20, 1<<32), size
	}
	for size = poolSize(memMap.ram()); ; size = max(size/2, layout.PoolMin) {
		a = memMap.place(&taken, size, 1<<20, 1<<32)
		if a != 0 || size == layout.PoolMin {
			return a, size
		}
	}
}

// poolSize is the pool's size in bytes, whole MiB, on a machine with that much
// RAM.
//
//go:nosplit
func poolSize(ram uint64) uint64 {
	return min(max(ram/layout.PoolShare, layout.PoolMin), layout.PoolMax) &^ (1<<20 - 1)
}

// bootPartition is called from startPartition with the GPA of StartInfo.
//
//go:nosplit
func bootPartition(gpa uint64) {
	si := (*abi.StartInfo)(ptr(phys(gpa)))
	startInfo = si
	imagePA = si.ImageStart
	if si.Magic != abi.StartMagic {
		dieEarly("\nringo: the hypervisor speaks another version of the start information")
	}
	for i := uint64(0); i < uint64(min(si.NumRanges, abi.MaxRanges)); i++ {
		r := (*abi.MemRange)(ptr(addr(unsafe.Pointer(&si.Ranges)) + i*uint64(unsafe.Sizeof(abi.MemRange{}))))
		memMap.add(r.Start, r.Start+r.Size, uint64(r.Type))
	}
	cmdLine.copy(addr(unsafe.Pointer(&si.CmdLine)), uint64(len(si.CmdLine)))
	frames.init(si.PoolStart, si.PoolEnd)
	bootCommon()
}

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
	clockInit(c)
	rngInit()
	fillRandom(addr(unsafe.Pointer(&auxRandom)), 64)
	fdInit()
	t := firstThread(c)
	c.cur = t.addr()
	c.acct = insn.RDTSC()
	makeProcBlock()
	atomic.StoreUint64(&online, 1)
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
