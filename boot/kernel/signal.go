// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import (
	"math/bits"
	"sync/atomic"
	"unsafe"

	"ringo/hv/insn"
)

// Signals and codes (Linux, asm-generic/siginfo.h).
const (
	sigILL  = 4
	sigTRAP = 5
	sigBUS  = 7
	sigFPE  = 8
	sigSEGV = 11
	sigURG  = 23
	nSig    = 65

	siKernel = 0x80
	siTkill  = ^uint64(5) // -6

	sigDfl = 0
	sigIgn = 1

	saOnStack = 0x0800_0000
	saNoDefer = 0x4000_0000
	ssDisable = 2
)

// sigact is the kernel's struct sigaction.
type sigact struct{ handler, flags, restorer, mask uint64 }

var sigacts [nSig]sigact

//go:nosplit
func sigactAt(sig uint64) *sigact {
	return (*sigact)(ptr(addr(unsafe.Pointer(&sigacts)) + sig%nSig*uint64(unsafe.Sizeof(sigact{}))))
}

// sigframe is what a handler finds at its RSP: return address, struct ucontext,
// siginfo (Linux, arch/x86 rt_sigframe). The FPU state lies above it.
type sigframe struct {
	restorer uint64

	ucFlags, ucLink       uint64
	ssSP, ssFlags, ssSize uint64
	r8, r9, r10, r11      uint64
	r12, r13, r14, r15    uint64
	rdi, rsi, rbp, rbx    uint64
	rdx, rax, rcx, rsp    uint64
	rip, rflags           uint64
	cs, gs, fs, sseg      uint16
	err, trapno           uint64
	oldmask, cr2, fpstate uint64
	reserved              [8]uint64
	mask                  uint64
	signo, errno, code, _ uint32
	siAddr                uint64
	_                     [13]uint64
}

// Offsets that the Go runtime relies on, from the ucontext on.
var (
	_ = [1]struct{}{}[unsafe.Offsetof(sigframe{}.r8)-8-40]
	_ = [1]struct{}{}[unsafe.Offsetof(sigframe{}.rip)-8-168]
	_ = [1]struct{}{}[unsafe.Offsetof(sigframe{}.fpstate)-8-224]
	_ = [1]struct{}{}[unsafe.Offsetof(sigframe{}.mask)-8-296]
	_ = [1]struct{}{}[unsafe.Offsetof(sigframe{}.siAddr)-unsafe.Offsetof(sigframe{}.signo)-16]
)

//go:nosplit
func sysSigaction(c *cpu, t *thread) uint64 {
	sig := t.f.rdi
	if sig == 0 || sig >= nSig {
		return neg(eINVAL)
	}
	klock.lock()
	old := *sigactAt(sig)
	klock.unlock()
	if t.f.rsi != 0 {
		var n sigact
		if !copyIn(unsafe.Pointer(&n), t.f.rsi, 32) {
			return neg(eFAULT)
		}
		klock.lock()
		*sigactAt(sig) = n
		klock.unlock()
	}
	if t.f.rdx != 0 && !copyOut(t.f.rdx, unsafe.Pointer(&old), 32) {
		return neg(eFAULT)
	}
	return 0
}

//go:nosplit
func sysSigprocmask(c *cpu, t *thread) uint64 {
	old := t.mask
	if t.f.rsi != 0 {
		m, ok := userLoad64(t.f.rsi)
		if !ok {
			return neg(eFAULT)
		}
		switch t.f.rdi {
		case 0:
			m |= old
		case 1:
			m = old &^ m
		}
		klock.lock()
		t.mask = m
		klock.unlock()
	}
	if t.f.rdx != 0 && !userStore64(t.f.rdx, old) {
		return neg(eFAULT)
	}
	return 0
}

//go:nosplit
func sysSigaltstack(c *cpu, t *thread) uint64 {
	old := [3]uint64{t.sigsp, 0, t.sigsz}
	if t.sigsp == 0 {
		old[1] = ssDisable
	}
	if t.f.rdi != 0 {
		var n [3]uint64
		if !copyIn(unsafe.Pointer(&n), t.f.rdi, 24) {
			return neg(eFAULT)
		}
		if uint32(n[1])&ssDisable != 0 {
			n[0], n[2] = 0, 0
		}
		t.sigsp, t.sigsz = n[0], n[2]
	}
	if t.f.rsi != 0 && !copyOut(t.f.rsi, unsafe.Pointer(&old), 24) {
		return neg(eFAULT)
	}
	return 0
}

//go:nosplit
func sysTgkill(c *cpu, t *thread) uint64 {
	sig := t.f.rdx
	if sig >= nSig {
		return neg(eINVAL)
	}
	klock.lock()
	n := threadByID(t.f.rsi)
	r := uint64(0)
	if n == nil {
		r = neg(eSRCH)
	} else if sig != 0 {
		post(n, 1<<(sig-1))
	}
	klock.unlock()
	return r
}

// post makes signals pending for a thread and sees to it that it soon notices.
// Preconditions: klock.
//
//go:nosplit
func post(n *thread, bit uint64) {
	told := n.pending&bit&^n.mask != 0
	atomic.StoreUint64(&n.pending, n.pending|bit)
	if n.pending&^n.mask != 0 {
		nudge(n, told)
	}
}

// nudge makes n look: it leaves what it runs or waits in. One that has been told
// already needs no second interrupt. Preconditions: klock.
//
//go:nosplit
func nudge(n *thread, told bool) {
	switch n.state {
	case stRunning:
		if o := cpuAt(n.cpu); o != self() && !told {
			sendIPI(o.apic, vecSignal)
		}
	case stFutex, stSleep, stWait, stEpoll:
		unblock(n, neg(eINTR), true)
	}
}

// deliver makes the current thread, which is about to leave the layer, run the
// handlers of its pending signals. Preconditions: no lock is held.
//
//go:nosplit
func deliver(c *cpu, t *thread) {
	for {
		klock.lock()
		set := t.pending &^ t.mask
		if set&(1<<(sigURG-1)) != 0 && held(c, t) {
			set &^= 1 << (sigURG - 1)
		}
		if set == 0 {
			klock.unlock()
			return
		}
		sig := uint64(bits.TrailingZeros64(set)) + 1
		atomic.StoreUint64(&t.pending, t.pending&^(1<<(sig-1)))
		a := *sigactAt(sig)
		klock.unlock()
		switch {
		case a.handler == sigIgn, a.handler == sigDfl && sig == sigURG:
			continue
		case a.handler == sigDfl:
			exitGroup(c, t, 128+int32(sig))
		}
		c.nSignals++
		if sig == sigURG {
			t.urgFrom = insn.RDTSC()
		}
		pushSignal(t, sig, &a)
	}
}

// hold notes that the handler of a preemption has returned: the thread may now
// run for as long as that took before the next one. The Go runtime asks again
// every 5 µs (runtime, suspendG), and where a handler takes longer than that, as
// in an emulator, the thread would do nothing else. A system call ends it.
//
//go:nosplit
func hold(t *thread) {
	if t.urgFrom == 0 {
		return
	}
	now := insn.RDTSC()
	t.urgHold = now + min(now-t.urgFrom, scale(holdMostNS, tscPerNS))
	t.urgFrom = 0
}

// held reports whether t, which has a preemption pending, goes on without it for
// now; the timer brings it. Preconditions: klock, t is current.
//
//go:nosplit
func held(c *cpu, t *thread) bool {
	now := insn.RDTSC()
	if t.urgHold <= now {
		t.urgHold = 0
		return false
	}
	c.holdEnd = t.urgHold
	rearm(c, now)
	return true
}

// pushSignal builds the signal frame and points the thread at the handler.
//
//go:nosplit
func pushSignal(t *thread, sig uint64, a *sigact) {
	sp := t.f.rsp
	if a.flags&saOnStack != 0 && t.sigsp != 0 && sp-t.sigsp > t.sigsz {
		sp = t.sigsp + t.sigsz
	}
	fp := (sp - fpSize) &^ 63
	sp = (fp-uint64(unsafe.Sizeof(sigframe{})))&^15 - 8
	if t.fpValid == 0 {
		movsq(addr(unsafe.Pointer(&t.fp)), fpInit, fpSize/8)
	}
	if !copyOut(fp, unsafe.Pointer(&t.fp), fpSize) || !writeFrame(t, sig, sp, fp, a) {
		fatalFrame(&t.f, "no stack for a signal")
	}
	t.mask |= a.mask
	if a.flags&saNoDefer == 0 {
		t.mask |= 1 << (sig - 1)
	}
	t.fcode, t.faultAddr = 0, 0
	t.f.rdi = sig
	t.f.rsi = sp + uint64(unsafe.Offsetof(sigframe{}.signo))
	t.f.rdx = sp + uint64(unsafe.Offsetof(sigframe{}.ucFlags))
	t.f.rsp = sp
	t.f.rip = a.handler
	t.f.rflags &^= 0x500 // TF, DF
}

//go:nosplit
func writeFrame(t *thread, sig, sp, fp uint64, a *sigact) bool {
	s := &self().sig
	*s = sigframe{}
	f := &t.f
	s.restorer = a.restorer
	s.ssSP, s.ssSize = t.sigsp, t.sigsz
	s.r8, s.r9, s.r10, s.r11 = f.r8, f.r9, f.r10, f.r11
	s.r12, s.r13, s.r14, s.r15 = f.r12, f.r13, f.r14, f.r15
	s.rdi, s.rsi, s.rbp, s.rbx = f.rdi, f.rsi, f.rbp, f.rbx
	s.rdx, s.rax, s.rcx, s.rsp = f.rdx, f.rax, f.rcx, f.rsp
	s.rip, s.rflags, s.cs, s.sseg = f.rip, f.rflags, selCode, selData
	s.err, s.trapno, s.cr2 = t.ferr, t.fvec, t.faultAddr
	s.fpstate, s.mask, s.oldmask = fp, t.mask, t.mask
	s.signo, s.siAddr = uint32(sig), t.faultAddr
	s.code = uint32(t.fcode)
	if t.fcode == 0 {
		tk := siTkill
		s.code, s.siAddr = uint32(tk), 1
	}
	return copyOut(sp, unsafe.Pointer(s), uint64(unsafe.Sizeof(*s)))
}

// sysSigreturn: RSP is behind the return address of the signal frame.
//
//go:nosplit
func sysSigreturn(c *cpu, t *thread) uint64 {
	s := &c.sig
	f := &t.f
	if !copyIn(unsafe.Pointer(s), f.rsp-8, uint64(unsafe.Sizeof(*s))) ||
		!copyIn(unsafe.Pointer(&t.fp), s.fpstate, fpSize) {
		fatalFrame(f, "bad signal frame")
	}
	t.fpValid = 1
	sanitizeFP(t)
	f.r8, f.r9, f.r10, f.r11 = s.r8, s.r9, s.r10, s.r11
	f.r12, f.r13, f.r14, f.r15 = s.r12, s.r13, s.r14, s.r15
	f.rdi, f.rsi, f.rbp, f.rbx = s.rdi, s.rsi, s.rbp, s.rbx
	f.rdx, f.rax, f.rcx, f.rsp = s.rdx, s.rax, s.rcx, s.rsp
	f.rip = s.rip
	f.rflags = s.rflags&0xcd5 | 0x202 // arithmetic flags and DF
	if s.signo == sigURG {
		hold(t)
	}
	klock.lock()
	t.mask = s.mask
	klock.unlock()
	return keepRAX
}
