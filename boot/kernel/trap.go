// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import (
	"sync/atomic"
	"unsafe"

	"ringo/hv/insn"
	"ringo/hv/x86"
)

// leave is the last thing before the current thread's registers are loaded: it
// switches threads when asked to, and delivers signals.
//
//go:nosplit
func leave(c *cpu) {
	hookLeave()
	if overdue(c) {
		klock.lock()
		limit(c, insn.RDTSC())
		klock.unlock()
	}
	for {
		if c.resched != 0 {
			klock.lock()
			reschedule(c)
			klock.unlock()
		}
		t := thr(c.cur)
		if atomic.LoadUint64(&t.pending)&^t.mask == 0 {
			if t.class == clsIdle {
				fallAsleep(&c.halts, insn.RDTSC())
			}
			return
		}
		deliver(c, t)
		if c.resched == 0 {
			return
		}
	}
}

// trapEntry serves an interrupt or an exception other than a page fault that
// came while a thread ran; its registers are saved.
//
//go:nosplit
func trapEntry() {
	c := self()
	t := thr(c.cur)
	vec := t.f.vec
	if t.class == clsIdle {
		wakeUp(&c.halts, insn.RDTSC())
	}
	if t.f.rip == addrIdle()+1 {
		t.f.rip++ // between STI and HLT: do not sleep
	}
	switch {
	case vec < 32:
		exception(c, t, vec, 0)
	case vec == vecTimer:
		eoi()
		c.nIRQs++
		timerIRQ(c)
	case vec == vecResched:
		eoi()
		c.resched = 1
	case vec == vecSignal:
		eoi()
	case vec == vecTLB:
		eoi()
		pollTLB(c)
	case vec == vecKick:
		eoi()
		kickIRQ(c)
	case vec == vecSpur:
	default:
		maskPin(vec)
		if !autoEOI(vec) {
			eoi()
		}
		c.nIRQs++
		if isPosted(vec) {
			postIRQ(c, vec)
		} else {
			deviceIRQ(vec)
		}
	}
	hookTrap(c, t, vec)
	leave(c)
}

// faultEntry is called on the kernel stack after a thread's page fault was not
// served; pfEntry has saved its registers.
//
//go:nosplit
func faultEntry() {
	c := self()
	t := thr(c.cur)
	exception(c, t, x86.VecPF, t.fcode)
	leave(c)
}

// exception turns a CPU exception of the current thread into a signal.
//
//go:nosplit
func exception(c *cpu, t *thread, vec, code uint64) {
	sig, code := signalOf(vec, code)
	if sig == 0 || t.class == clsIdle {
		fatalFrame(&t.f, exceptionName(vec))
	}
	if vec != x86.VecPF {
		t.faultAddr = t.f.rip
		if vec == x86.VecGP || vec == x86.VecSS {
			t.faultAddr = 0
		}
	}
	t.fcode, t.ferr, t.fvec = code, t.f.err, vec
	if hookPanic(t) {
		return
	}
	a := sigactAt(sig)
	if t.mask>>(sig-1)&1 != 0 || a.handler <= sigIgn {
		fatalFrame(&t.f, exceptionName(vec))
	}
	klock.lock()
	t.pending |= 1 << (sig - 1)
	klock.unlock()
}

// signalOf returns the signal for a CPU exception and its si_code, which must
// not be 0: the Go runtime takes that for a signal from outside.
//
//go:nosplit
func signalOf(vec, pfCode uint64) (sig, code uint64) {
	switch vec {
	case x86.VecDE:
		return sigFPE, 1 // FPE_INTDIV
	case x86.VecMF, x86.VecXM:
		return sigFPE, 8 // FPE_FLTUNK
	case x86.VecDB:
		return sigTRAP, 2 // TRAP_TRACE
	case x86.VecBP:
		return sigTRAP, siKernel
	case x86.VecUD:
		return sigILL, 2 // ILL_ILLOPN
	case x86.VecGP:
		return sigSEGV, siKernel
	case x86.VecTS, x86.VecNP, x86.VecSS:
		return sigBUS, siKernel
	case x86.VecAC:
		return sigBUS, 1 // BUS_ADRALN
	case x86.VecPF:
		return sigSEGV, pfCode
	}
	return 0, 0
}

//go:nosplit
func exceptionName(vec uint64) string {
	switch vec {
	case x86.VecDE:
		return "divide error"
	case x86.VecDB:
		return "debug exception"
	case 2:
		return "NMI"
	case x86.VecBP:
		return "breakpoint"
	case x86.VecUD:
		return "invalid opcode"
	case x86.VecDF:
		return "double fault"
	case x86.VecGP:
		return "general protection fault"
	case x86.VecPF:
		return "page fault"
	case x86.VecMC:
		return "machine check"
	}
	return "CPU exception"
}

// Results of the handlers that run on stacks of their own.
const (
	actResume = 0
	actThread = 1 // go on in faultEntry with the thread's registers saved
)

// pfHandler serves a page fault on its own stack, with the registers of what
// was interrupted in f and the FPU's in fp. The layer itself faults when it
// touches memory of the Go program (under klock, perhaps), so this takes mmlock
// only.
//
//go:nosplit
func pfHandler(f *frame, fp uint64) (act uint64) {
	c := self()
	va := insn.CR2()
	c.nFaults++
	r := pageFault(va, f.err)
	if r == faultOK {
		return actResume
	}
	if r == faultNoMem {
		fatalFrame(f, noMemory())
	}
	if f.rsp-c.self < blockSize {
		if f.rip == addrUcopy() || f.rip == addrUload32() {
			f.rip += 2
			if f.rcx == 0 {
				f.rcx = 1
			}
			return actResume
		}
		if va-c.self < blockSize { // only what keeps the stacks apart is not mapped there
			fatalFrame(f, "stack overflow in the kernel layer")
		}
		fatalFrame(f, "page fault in the kernel layer")
	}
	t := thr(c.cur)
	if t.class == clsIdle {
		fatalFrame(f, "page fault in the idle loop")
	}
	movsq(t.addr(), addr(unsafe.Pointer(f)), frameWords)
	movsq(addr(unsafe.Pointer(&t.fp)), fp, fpSize/8)
	t.fpValid = 1
	t.faultAddr = va
	t.fcode = 1 // SEGV_MAPERR
	if r == faultAccErr {
		t.fcode = 2 // SEGV_ACCERR
	}
	return actThread
}

// kernelTrap is an exception in the layer itself, other than a page fault.
//
//go:nosplit
func kernelTrap(f *frame, fp uint64) (act uint64) {
	fatalFrame(f, exceptionName(f.vec))
	return actResume
}

// dfHandler never returns.
//
//go:nosplit
func dfHandler(f *frame, fp uint64) (act uint64) {
	fatalFrame(f, "double fault")
	return actResume
}

// nmiHandler stops this CPU when another one is in the fatal path. Any other
// NMI is the watchdog's: whoever set it up wants to know where the CPU is.
//
//go:nosplit
func nmiHandler(f *frame, fp uint64) (act uint64) {
	c := self()
	if atomic.LoadUint32(&fatalOwner) != 0 {
		stopHere(c, f)
	}
	if f.rip == addrIdle()+1 {
		f.rip++
	}
	atomic.AddUint64(&nNMI, 1)
	return actResume
}

var nNMI uint64
