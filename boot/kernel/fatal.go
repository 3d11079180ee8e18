// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import (
	"sync/atomic"

	"ringo/hv/insn"
	"ringo/hv/x86"
)

// The end of the world. There are two ways here: the Go program ended with a
// status other than 0, after its own report (exitGroup), or the layer met what
// must not happen (fatalFrame). One CPU gets the floor, the others are stopped
// by NMI; a second failure on the way says one line and resets the machine.

// fatalOwner is the CPU index + 1 of who has the floor.
var fatalOwner uint32

// stopHere parks a CPU for good, after noting where it was.
//
//go:nosplit
func stopHere(c *cpu, f *frame) {
	if c.id+1 == atomic.LoadUint32(&fatalOwner) {
		return
	}
	c.nmiRIP, c.nmiRSP, c.nmiRBP, c.nmiRFlags = f.rip, f.rsp, f.rbp, f.rflags
	c.nmiRAX, c.nmiCX = f.rax, f.rcx
	atomic.StoreUint32(&c.stopped, 1)
	haltForever()
}

// seizeFloor makes this CPU the only one that runs.
//
//go:nosplit
func seizeFloor(f *frame) {
	c := self()
	for !atomic.CompareAndSwapUint32(&fatalOwner, 0, c.id+1) {
		if atomic.LoadUint32(&fatalOwner) == c.id+1 {
			say("\nringo: a second failure in the crash dump: ")
			sayAt(f.rip)
			say("\n")
			endWorld(true)
		}
		stopHere(c, f)
	}
	atomic.StoreUint32(&polled, 1)
	for i := uint32(0); i < atomic.LoadUint32(&nCPU); i++ {
		if o := cpuAt(i); o != c && isOnline(i) {
			sendICR(o.apic, icrAssert|icrNMI)
		}
	}
	end := deadlineIn(50_000_000)
	for i := uint32(0); i < atomic.LoadUint32(&nCPU); i++ {
		for o := cpuAt(i); o != c && isOnline(i) && atomic.LoadUint32(&o.stopped) == 0 && insn.RDTSC() < end; {
			insn.PAUSE()
		}
	}
}

// fatalReport reports a failure of the layer with the registers in f and a
// symbolized stack, and does not return.
//
//go:nosplit
func fatalReport(f *frame, msg string) {
	seizeFloor(f)
	say("\nringo: FATAL: ")
	say(msg)
	say(" on CPU ")
	sayDec(uint64(self().id))
	say("\n")
	sayMC(self())
	dumpFrame(f)
	say("  stack:\n")
	sayStack(f.rip, f.rsp)
	if c := self(); f.rsp-c.self < blockSize {
		t := thr(c.cur)
		say("  thread ")
		sayDec(uint64(t.tid))
		say(" before that:\n")
		sayStack(t.f.rip, t.f.rsp)
	}
	dumpOthers()
	endWorld(true)
}

// fatalHere is fatalFrame for a failure without a trap frame: registers are
// those of the caller.
//
//go:nosplit
func fatalHere(msg string) {
	f := &self().here
	f.rip, f.rsp, f.rbp = callerRegs()
	f.cs, f.sseg = selCode, selData
	fatalFrame(f, msg)
}

// exitGroup ends the Go program.
//
//go:nosplit
func exitGroup(c *cpu, t *thread, status int32) {
	if status == 0 {
		seizeFloor(&t.f)
		powerOff()
	}
	seizeFloor(&t.f)
	say("ringo: the Go program ended with status ")
	sayDec(uint64(uint32(status)))
	say("\n")
	sayCPU(uint64(c.id), t.f.rip, t.f.rsp, t.f.rflags)
	dumpOthers()
	endWorld(true)
}

//go:nosplit
func dumpFrame(f *frame) {
	say("  vec ")
	sayDec(f.vec)
	sayReg("  err ", f.err)
	sayReg("  cr2 ", insn.CR2())
	sayReg("  cr3 ", insn.CR3())
	sayReg("\n  rip ", f.rip)
	sayReg("  rsp ", f.rsp)
	sayReg("  rfl ", f.rflags)
	sayReg("  rbp ", f.rbp)
	sayReg("\n  rax ", f.rax)
	sayReg("  rbx ", f.rbx)
	sayReg("  rcx ", f.rcx)
	sayReg("  rdx ", f.rdx)
	sayReg("\n  rsi ", f.rsi)
	sayReg("  rdi ", f.rdi)
	sayReg("  r8  ", f.r8)
	sayReg("  r9  ", f.r9)
	sayReg("\n  r10 ", f.r10)
	sayReg("  r11 ", f.r11)
	sayReg("  r12 ", f.r12)
	sayReg("  r13 ", f.r13)
	sayReg("\n  r14 ", f.r14)
	sayReg("  r15 ", f.r15)
	sayReg("  fs  ", insn.RDMSR(x86.MSRFSBase))
	sayReg("  gs  ", insn.RDMSR(x86.MSRGSBase))
	say("\n")
}

//go:nosplit
func sayReg(name string, v uint64) {
	say(name)
	sayHex(v)
}

// sayCPU writes the register line of one CPU.
//
//go:nosplit
func sayCPU(id, rip, rsp, rflags uint64) {
	say("  CPU ")
	sayDec(id)
	sayReg("  rip ", rip)
	sayReg("  rsp ", rsp)
	sayReg("  rfl ", rflags)
	say("  ")
	sayAt(rip)
	say("\n")
}

//go:nosplit
func sayLock(name string, l *spinlock) {
	if v := atomic.LoadUint32(&l.v); v != 0 {
		say("  ")
		say(name)
		say(" is held by CPU ")
		sayDec(uint64(l.owner) - 1)
		say("\n")
	}
}

//go:nosplit
func dumpOthers() {
	sayLock("klock", &klock)
	sayLock("mmlock", &mmlock)
	for i := uint32(0); i < atomic.LoadUint32(&nCPU); i++ {
		o := cpuAt(i)
		switch {
		case o == self() || !isOnline(i):
		case atomic.LoadUint32(&o.stopped) == 0:
			say("  CPU ")
			sayDec(uint64(i))
			say("  does not answer the NMI\n")
		default:
			sayCPU(uint64(i), o.nmiRIP, o.nmiRSP, o.nmiRFlags)
			sayStack(o.nmiRIP, o.nmiRSP)
		}
	}
}
