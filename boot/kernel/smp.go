// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import (
	"errors"
	"sync/atomic"
	"unsafe"

	"ringo/hv/insn"
)

// trampoline starts an application processor: real mode at the start of a page
// below 1 MiB, CS being that page's, then long mode on the boot page tables in one
// step, then startAP. A test disassembles it. Offsets of what is patched in:
const (
	trJump  = 0x43 // where the 64-bit code is
	tr64    = 0x49
	trGDTR  = 0x80
	trCR3   = 0x88
	trCPU   = 0x90
	trEntry = 0x98
	trGDT   = 0xa0
	trSize  = 0xb8
)

var trampoline = [trSize]byte{
	0xfa,       // CLI
	0xfc,       // CLD
	0x8c, 0xc8, // MOV AX, CS
	0x8e, 0xd8, // MOV DS, AX
	0x66, 0x0f, 0x01, 0x16, trGDTR, 0, // LGDT [trGDTR]
	0x0f, 0x20, 0xe0, // MOV EAX, CR4
	0x66, 0x0d, 0x20, 0x06, 0x00, 0x00, // OR EAX, PAE|OSFXSR|OSXMMEXCPT
	0x0f, 0x22, 0xe0, // MOV CR4, EAX
	0x66, 0xa1, trCR3, 0, // MOV EAX, [trCR3]
	0x0f, 0x22, 0xd8, // MOV CR3, EAX
	0x66, 0xb9, 0x80, 0x00, 0x00, 0xc0, // MOV ECX, EFER
	0x0f, 0x32, // RDMSR
	0x66, 0x0d, 0x01, 0x09, 0x00, 0x00, // OR EAX, SCE|LME|NXE
	0x0f, 0x30, // WRMSR
	0x0f, 0x20, 0xc0, // MOV EAX, CR0
	0x66, 0x25, 0xf3, 0xff, 0xff, 0x9f, // AND EAX, ^(CD|NW|TS|EM)
	0x66, 0x0d, 0x23, 0x00, 0x01, 0x80, // OR EAX, PG|WP|NE|MP|PE
	0x0f, 0x22, 0xc0, // MOV CR0, EAX
	0x66, 0xea, tr64, 0x00, 0x00, 0x00, 0x08, 0x00, // JMP 0x08:page+tr64
	0x48, 0x8b, 0x3d, trCPU - 0x50, 0x00, 0x00, 0x00, // MOV RDI, [RIP+...]
	0xff, 0x25, trEntry - 0x56, 0x00, 0x00, 0x00, // JMP [RIP+...]
	trGDTR: 23, 0, trGDT, 0, 0, 0,
	trGDT + 8: 0xff, 0xff, 0, 0, 0, 0x9a, 0xaf, 0,
	0xff, 0xff, 0, 0, 0, 0x92, 0xcf, 0,
}

// StartCPU starts one application processor and returns when it takes threads.
// CPUs are to be started one after the other, from ordinary Go. The new CPU's
// index is NumCPU()-1. In a partition apicID is the number of the vCPU.
func StartCPU(apicID uint32) error {
	if booted == 0 {
		return errors.New("kernel: not booted")
	}
	// In xAPIC mode destinations have 8 bits, all of them ones for all processors (SDM
	// Vol. 3, "Determining IPI Destination").
	if apicID > 0xfe && !x2apic {
		return errors.New("kernel: no interrupt reaches it without x2APIC mode")
	}
	r := enter(sysPrepareCPU, uint64(apicID), 0, 0)
	if int64(r) < 0 {
		return errors.New("kernel: no room for another CPU")
	}
	c := cpuAt(uint32(r))
	err := startWith(c, apicID)
	// Its structures will be another CPU's. If it is only late, or refused, it must not
	// find them: this makes it wait for the next start.
	if err != nil && !inPartition() {
		sendLocked(apicID, icrInit|icrAssert|icrLevel)
		klock.disclaim(c.id + 1)
	}
	return err
}

// startWith starts a CPU with the structures c.
func startWith(c *cpu, apicID uint32) error {
	waits := 1000
	if inPartition() { // it comes when the hypervisor has a CPU for it, and cannot be started twice
		waits = 100_000
	}
	for range 2 {
		if err := kickOff(c, apicID); err != nil {
			return err
		}
		for range waits {
			if c.arrived() {
				return c.join()
			}
			sleepNS(200_000)
		}
	}
	return errors.New("kernel: the CPU does not start")
}

// arrived reports whether c runs the layer's code. A partition's vCPUs are not met:
// the hypervisor answers for their counters.
func (c *cpu) arrived() bool {
	if inPartition() {
		return isOnline(c.id)
	}
	return atomic.LoadUint64(&c.meet.answer) != 0
}

// join takes c in, which has arrived.
func (c *cpu) join() error {
	if inPartition() {
		return nil
	}
	by, err := settle(&c.meet, adjustable(), scale(meetNS, tscPerNS))
	if err != nil {
		return err
	}
	c.adjusted = by
	if _, _, ok := c.meet.put(askGoOn); !ok {
		return errSilent
	}
	for range 100_000 {
		if isOnline(c.id) {
			return nil
		}
		sleepNS(50_000)
	}
	return errSilent
}

// sendLocked is sendICR for ordinary Go.
func sendLocked(apic, cmd uint32) {
	f := cliSave()
	sendICR(apic, cmd)
	restoreFlags(f)
}

// sleepNS blocks the calling thread.
func sleepNS(ns uint64) {
	ts := [2]uint64{ns / 1_000_000_000, ns % 1_000_000_000}
	enter(35, addr(unsafe.Pointer(&ts)), 0, 0)
}

// ownPrepareCPU (APIC id) makes the structures of a CPU. A CPU that was
// prepared but did not start is prepared again.
//
//go:nosplit
func ownPrepareCPU(c *cpu, t *thread) uint64 {
	klock.lock()
	n := atomic.LoadUint32(&nCPU)
	r := uint64(n)
	if isOnline(n - 1) {
		if newCPU() == nil {
			r = neg(eNOMEM)
		} else {
			atomic.StoreUint32(&nCPU, n+1)
		}
	} else {
		r = uint64(n - 1)
	}
	if int64(r) >= 0 {
		n := cpuAt(uint32(r))
		n.apic = uint32(t.f.rdi)
		n.meet = meeting{ask: 4 + askStamp}
	}
	klock.unlock()
	return r
}

// bootAP is called on the new CPU's kernel stack, with GS set.
//
//go:nosplit
func bootAP(c *cpu) {
	cpuInit(c)
	if !inPartition() {
		c.meet.attend()
	}
	startTick()
	c.acct = insn.RDTSC()
	if c.fs != thr(c.idle).fs {
		c.fs = thr(c.idle).fs
		insn.WRMSR(0xc000_0100, c.fs)
	}
	c.fpDirty = 1
	klock.lock()
	for {
		old := atomic.LoadUint64(&online)
		if atomic.CompareAndSwapUint64(&online, old, old|1<<c.id) {
			break
		}
	}
	pollTLB(c)
	idleMask |= 1 << c.id
	reschedule(c)
	klock.unlock()
	if thr(c.cur).class == clsIdle {
		fallAsleep(&c.halts, insn.RDTSC())
	}
}
