// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

//go:build tamago

package kernel

import (
	"runtime"
	"runtime/debug"
	_ "runtime/goos" // the variables above
	"sync/atomic"
	"unsafe"

	"ringo/boot/layout"
	"ringo/hv/insn"
	"ringo/hv/x86"
)

// The third face of the layer: the hooks of TamaGo's runtime (package runtime/goos),
// over the functions that answer the system calls of the stock one. What that runtime
// does without asking anybody, waiting above all, is in wait_tamago.go.

// The layer's calls of this face, behind those of ownTable.
const (
	sysTask = sysRunner + 16 + iota
	sysIdle
	sysLull
)

//go:nosplit
func hookCall(nr uint64) handler {
	switch nr {
	case sysTask:
		return ownTask
	case sysIdle:
		return ownIdle
	case sysLull:
		return ownLull
	}
	return nil
}

// The runtime's memory: one area of demand-zero pages below 4 GiB, since this runtime
// has 32 bits for addresses. It is larger than any pool: address space costs nothing.

//go:linkname ramStart runtime/goos.RamStart
var ramStart uint64 = layout.UserBase

//go:linkname ramSize runtime/goos.RamSize
var ramSize uint64 = 0xb000_0000

//go:linkname ramStackOffset runtime/goos.RamStackOffset
var ramStackOffset uint64 = 0x1000

// bloc is where the runtime begins to take memory: shortly before a border of its 4 MiB
// arenas, since it writes to what it skips in front of one.
//
//go:linkname bloc runtime/goos.Bloc
var bloc uintptr = layout.UserBase + 4<<20 - 512<<10

// The hooks that are variables.

//go:linkname exit runtime/goos.Exit
var exit = hookExit

//go:linkname procID runtime/goos.ProcID
var procID = hookProcID

//go:linkname task runtime/goos.Task
var task = hookTask

//go:linkname idle runtime/goos.Idle
var idle = hookIdle

// hookBoot comes before the runtime's first instruction.
//
//go:nosplit
func hookBoot() {
	space.set(ramStart, ramStart+ramSize, protRead|protWrite)
	findWaits()
}

// hookHwinit0 tells the layer the FS base that the runtime has set itself.
//
//go:linkname hookHwinit0 runtime/goos.Hwinit0
//go:nosplit
func hookHwinit0() {
	const archPrctl = 158
	enter(archPrctl, archSetFS, insn.RDMSR(x86.MSRFSBase), 0)
}

//go:linkname hookHwinit1 runtime/goos.Hwinit1
func hookHwinit1() {}

// hookInitRNG is the first hook after the runtime knows where its memory starts: from
// now on it need not clear what it has not had before.
//
//go:linkname hookInitRNG runtime/goos.InitRNG
func hookInitRNG() { blocMax = uintptr(ramStart + ramSize - ramStackOffset - 64<<10) }

//go:linkname blocMax runtime.blocMax
var blocMax uintptr

// Addresses of assembly entry points.
func addrThreadEnd() uint64
func addrSigpanic() uint64

//go:linkname hookRandom runtime/goos.GetRandomData
//go:nosplit
func hookRandom(b []byte) {
	const getrandom = 318
	a, n := addr(unsafe.Pointer(unsafe.SliceData(b))), uint64(len(b))
	for n > 0 {
		k := enter(getrandom, a, n, 0)
		if k > n { // an error
			panic("kernel: no random numbers")
		}
		a, n = a+k, n-k
	}
}

// hookPrintk is what the runtime and package os print: standard error.
//
//go:linkname hookPrintk runtime/goos.Printk
//go:nosplit
func hookPrintk(c byte) {
	b := [1]byte{c}
	enter(nrWrite, 2, addr(unsafe.Pointer(&b)), 1)
}

//go:nosplit
func hookExit(code int32) {
	const exitGroup = 231
	enter(exitGroup, uint64(uint32(code)), 0, 0)
}

//go:nosplit
func hookProcID() uint64 {
	const gettid = 186
	return enter(gettid, 0, 0, 0)
}

// hookTask starts a thread. Of the two stacks that the runtime has made for it only
// the smaller one has the bounds that it checks: that one is used, as on an operating
// system.
//
//go:nosplit
func hookTask(_, _, gp, fn unsafe.Pointer) {
	if int64(enter(sysTask, addr(gp), addr(fn), 0)) < 0 {
		panic("kernel: no room for another thread")
	}
	// The other one is address space without a page. The runtime counts it as memory,
	// in two places that it compares, and would be at its limit with a few threads.
	const stack = 8 << 20
	atomic.AddUint64(&gcController[layout.GoMapped/8], ^uint64(stack-1))
	atomic.AddUint64(&memStats[layout.GoStacks/8], ^uint64(stack-1))
}

// gcController and memStats are the runtime's.
//
//go:linkname gcController runtime.gcController
var gcController [layout.GoMapped/8 + 1]uint64

//go:linkname memStats runtime.memstats
var memStats [layout.GoStacks/8 + 1]uint64

// ownTask (g, function) is clone(2) for a thread that starts with the stack of g.
//
//go:nosplit
func ownTask(c *cpu, t *thread) uint64 {
	const stackHi = 8 // in a g
	top, ok := userLoad64(t.f.rdi + stackHi)
	if !ok || !userStore64(top-64, addrThreadEnd()) {
		return neg(eFAULT)
	}
	klock.lock()
	n := newThread()
	if n == nil {
		klock.unlock()
		return neg(eAGAIN)
	}
	n.f = t.f
	n.f.rsp, n.f.rip = top-64, t.f.rsi
	n.tls = t.f.rdi
	n.fs = addr(unsafe.Pointer(&n.tls)) + 8
	n.cpu = c.id
	id := uint64(n.tid)
	ready(n, false)
	klock.unlock()
	return id
}

// hookPanic makes a thread that has used a nil pointer, divided by zero, or used an
// address that there is not where debug.SetPanicOnFault wants that, panic, as the runtime
// does where it has signals, and reports whether it does. Preconditions: t is current.
//
//go:nosplit
func hookPanic(t *thread) bool {
	switch {
	case t.systemStack():
		return false // the runtime itself has failed
	case t.fvec == x86.VecDE, t.fvec == x86.VecPF && t.faultAddr < pageSize:
	case t.fvec == x86.VecPF || t.fvec == x86.VecGP || t.fvec == x86.VecSS:
		v, ok := userLoad64(t.g() + layout.GoPanics)
		if !ok || v&0xff == 0 {
			return false
		}
	default:
		return false
	}
	if t.f.rip >= imageText() && t.f.rip < imageEtext() { // else a nil function was called, and has its caller there
		t.f.rsp -= 8
		if !userStore64(t.f.rsp, t.f.rip) {
			return false
		}
	}
	t.f.rip = addrSigpanic()
	t.f.rflags &^= 0x500 // TF, DF
	return true
}

// sigpanic is the function of that name that this runtime lacks: the stack looks as if
// what raised the exception had called it. Until it has read what the exception was, it
// stays on its thread.
//
//go:linkname sigpanic runtime.sigpanic
//go:nosplit
func sigpanic() {
	t := thr(currentThread())
	switch {
	case t.fvec == x86.VecDE:
		panicdivide()
	case t.fvec != x86.VecPF || t.faultAddr >= pageSize:
		panicmemAddr(uintptr(t.faultAddr))
	}
	panicmem()
}

//go:linkname panicdivide runtime.panicdivide
func panicdivide()

//go:linkname panicmem runtime.panicmem
func panicmem()

//go:linkname panicmemAddr runtime.panicmemAddr
func panicmemAddr(address uintptr)

// Procs sets how many threads run Go code at once, and how much memory there is: the
// pool but for a quarter. GOMEMLIMIT on the other face leaves an eighth, but this runtime
// gives no page back.
func Procs(n int) {
	debug.SetMemoryLimit(int64((frames.end - frames.start) / 4 * 3))
	runtime.GOMAXPROCS(n)
}
