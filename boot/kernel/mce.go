// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import (
	"sync/atomic"

	"ringo/boot/mce"
	"ringo/hv/insn"
	"ringo/hv/x86"
)

// mcCPU is what the CPUs say about machine checks: no banks in a partition.
var mcCPU mce.CPU

// mcLost are pages that machine checks took away from code that can go on
// without them, until hv takes notice: the address, with bit 0 set; 0 is none.
// mcWaits is not 0 when there may be one.
var (
	mcLost  [16]uint64
	mcWaits uint32
)

// mcInit makes the CPU report machine checks, which firmware leaves to the
// operating system. What it has logged from before is cleared: nobody can tell
// any more whose it was.
//
//go:nosplit
func mcInit() {
	const mceBit, mcaBit = 1 << 7, 1 << 14
	if _, _, _, d := insn.CPUID(1, 0); d&mceBit == 0 || d&mcaBit == 0 {
		return
	}
	ras := uint32(0)
	if top, _, _, _ := insn.CPUID(0x8000_0000, 0); top >= 0x8000_0007 && top <= 0x8000_ffff {
		_, ras, _, _ = insn.CPUID(0x8000_0007, 0)
	}
	mcCPU = mce.NewCPU(insn.RDMSR(mce.MSRCap), ras)
	if mcCPU.Control {
		insn.WRMSR(mce.MSRCtl, ^uint64(0))
	}
	for n := range mcCPU.Banks {
		insn.WRMSR(bankMSR(n, mce.BankCtl), ^uint64(0))
		insn.WRMSR(bankMSR(n, mce.BankStatus), 0)
	}
	insn.SetCR4(insn.CR4() | x86.CR4MCE)
}

//go:nosplit
func bankMSR(n int, reg uint32) uint32 { return mce.MSRBank0 + 4*uint32(n) + reg }

// takeMC reads and judges what this CPU has logged, into c.mc. Unless that is
// fatal, the banks and MCIP are clear afterwards: another machine check would
// reset the machine otherwise. What is fatal stays logged over the reset.
//
//go:nosplit
func takeMC(c *cpu, host bool) {
	r := &c.mc
	r.Begin(insn.RDMSR(mce.MSRStatus))
	clear := uint32(0)
	for n := range mcCPU.Banks {
		status := insn.RDMSR(bankMSR(n, mce.BankStatus))
		if status&mce.Valid == 0 {
			continue
		}
		var at, misc uint64
		if status&mce.AddrValid != 0 {
			at = insn.RDMSR(bankMSR(n, mce.BankAddr))
		}
		if status&mce.MiscValid != 0 {
			misc = insn.RDMSR(bankMSR(n, mce.BankMisc))
		}
		if r.Bank(&mcCPU, n, status, at, misc) {
			clear |= 1 << n
		}
	}
	if r.End(host); r.Verdict == mce.Fatal {
		return
	}
	for n := range mcCPU.Banks {
		if clear>>n&1 != 0 {
			insn.WRMSR(bankMSR(n, mce.BankStatus), 0)
		}
	}
	insn.WRMSR(mce.MSRStatus, 0)
}

// mcHandler serves a machine check of the hypervisor or of what it interrupted
// outside of guests. It goes on only if the CPU says that it can, and nothing
// that has run used what is lost.
//
//go:nosplit
func mcHandler(f *frame, fp uint64) (act uint64) {
	c := self()
	takeMC(c, true)
	if c.mc.Verdict == mce.Fatal {
		fatalFrame(f, "machine check")
	}
	for i := range c.mc.N {
		if !mcPost(c.mc.Pages[i&(mce.MaxPages-1)]) {
			c.mc.Verdict = mce.Fatal
			fatalFrame(f, "machine check: more memory fails than can be handled")
		}
	}
	if f.rip == addrIdle()+1 {
		f.rip++ // between STI and HLT: do not sleep
	}
	return actResume
}

// mcPost hands a lost page over. It reports false when there is no room.
//
//go:nosplit
func mcPost(page uint64) bool {
	for i := range mcLost {
		if atomic.CompareAndSwapUint64(&mcLost[i], 0, page|1) {
			atomic.StoreUint32(&mcWaits, 1)
			return true
		}
	}
	return false
}

// sayMC prints what made c's machine check fatal.
//
//go:nosplit
func sayMC(c *cpu) {
	r := &c.mc
	if r.Verdict != mce.Fatal {
		return
	}
	say("  machine check: MCG_STATUS ")
	sayHex(r.Global)
	if r.Worst >= 0 {
		say(" bank ")
		sayDec(uint64(r.Worst))
		say(" status ")
		sayHex(r.Status)
		say(" address ")
		sayHex(r.Addr)
		say(" misc ")
		sayHex(r.Misc)
	}
	say("\n")
}

// MachineCheck judges the machine check that has just ended the run of a guest on
// the calling CPU, and clears it. It does not return if that is fatal.
//
// Preconditions: the caller is the CPU's runner.
func MachineCheck() mce.Report {
	mustBoot()
	flags := cliSave()
	c := self()
	takeMC(c, false)
	if c.mc.Verdict == mce.Fatal {
		fatalHere("machine check in a guest")
	}
	r := c.mc
	restoreFlags(flags)
	return r
}

// LostPage returns the host physical address of a page of memory that has failed
// and that nobody has used since, once; ok is false when there is none.
func LostPage() (page uint64, ok bool) {
	if atomic.LoadUint32(&mcWaits) == 0 {
		return 0, false
	}
	atomic.StoreUint32(&mcWaits, 0)
	for i := range mcLost {
		if w := atomic.SwapUint64(&mcLost[i], 0); w != 0 {
			atomic.StoreUint32(&mcWaits, 1) // perhaps another one
			return w &^ 1, true
		}
	}
	return 0, false
}
