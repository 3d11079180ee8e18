// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package mce judges machine checks: from what a CPU has logged in its banks it
// tells whether memory was lost, which, and whether anything can go on.
//
// It decides for containment only where the manual promises it: everything that
// it does not know for certain is fatal. Its functions run on the stack of the
// machine-check handler, over whatever was interrupted: they take no lock,
// allocate nothing and call nothing that could.
//
// Manuals: SDM Vol. 3, "Machine-Check Architecture", with "Uncorrected Error
// Recovery" (UCR) on CPUs that have it; APM Vol. 2, "Machine Check Architecture".
package mce

// MSRs (SDM Vol. 4, "Architectural MSRs"). A bank has four from MSRBank0 on.
const (
	MSRCap    = 0x179 // IA32_MCG_CAP
	MSRStatus = 0x17a // IA32_MCG_STATUS
	MSRCtl    = 0x17b // IA32_MCG_CTL
	MSRBank0  = 0x400

	BankCtl, BankStatus, BankAddr, BankMisc = 0, 1, 2, 3
)

// IA32_MCG_CAP: number of banks 7:0, IA32_MCG_CTL exists 8, UCR 24.
const (
	capCtl      = 1 << 8
	capRecovery = 1 << 24
)

// IA32_MCG_STATUS.
const (
	StatusRIPV = 1 << 0 // the interrupted program can go on
	StatusEIPV = 1 << 1 // it is what caused the error
	StatusMCIP = 1 << 2 // while set, another machine check resets the machine
)

// IA32_MCi_STATUS. Bits 56 and 55 are Intel's S and AR; 55, 44 and 43 are AMD's
// TCC, deferred and poison.
const (
	Valid        = 1 << 63
	Overflow     = 1 << 62
	Uncorrected  = 1 << 61
	Enabled      = 1 << 60
	MiscValid    = 1 << 59
	AddrValid    = 1 << 58
	Corrupt      = 1 << 57 // PCC: the processor's context
	Signaled     = 1 << 56
	Required     = 1 << 55 // an action of software
	amdDeferred  = 1 << 44
	amdPoison    = 1 << 43
	codeMask     = 0xffff
	codeLoad     = 0x134 // data load from memory that has failed
	codeFetch    = 0x150 // instruction fetch from it
	codeExplicit = 0x17a // explicit write-back out of the last-level cache
	codeScrub    = 0xc0  // memory scrubbing, channel in 3:0
)

// CPU is what processors of a machine say about their machine-check architecture.
type CPU struct {
	Banks    int  // number of banks, at most MaxBanks
	Control  bool // IA32_MCG_CTL exists
	Recovery bool // Intel's UCR
	Contain  bool // AMD's SUCCOR: uncorrected data is poisoned, and its use reported
}

// MaxBanks is the number of banks that are looked at.
const MaxBanks = 32

// NewCPU decodes IA32_MCG_CAP, and EBX of CPUID leaf 8000_0007, 0 where there is
// none (APM Vol. 3, "CPUID Fn8000_0007_EBX RAS Capabilities").
//
//go:nosplit
func NewCPU(mcgCap uint64, rasEBX uint32) CPU {
	return CPU{
		Banks: min(int(mcgCap&0xff), MaxBanks), Control: mcgCap&capCtl != 0,
		Recovery: mcgCap&capRecovery != 0, Contain: rasEBX>>1&1 != 0,
	}
}

// Verdict is what a machine check means, in ascending severity.
type Verdict uint8

// The verdicts.
const (
	Harmless Verdict = iota // nothing is lost, or it is another CPU's to handle
	Lost                    // pages are lost, and nobody has used them yet
	Used                    // the interrupted program has used a page that is lost
	Fatal                   // the machine cannot go on
)

// MaxPages is the number of lost pages that one report holds; more are fatal.
const MaxPages = 4

// Report is the outcome for one CPU. Begin, Bank for each bank, and End fill it.
type Report struct {
	Verdict Verdict
	// Pages are the host physical addresses of lost pages, N of them.
	Pages [MaxPages]uint64
	N     int
	// What to show: MCG_STATUS, and the bank that decided.
	Global, Status, Addr, Misc uint64
	Worst                      int // its number, -1 for none
}

// Begin starts a report with IA32_MCG_STATUS.
//
//go:nosplit
func (r *Report) Begin(global uint64) { *r = Report{Global: global, Worst: -1} }

// Bank judges one bank of c. It reports whether the bank is this CPU's to clear.
// addr and misc are only looked at if status says that they are valid.
//
//go:nosplit
func (r *Report) Bank(c *CPU, n int, status, addr, misc uint64) (clear bool) {
	if status&Valid == 0 {
		return false
	}
	v := Harmless
	switch {
	case c.Recovery:
		v, clear = r.intel(status, misc)
	default:
		v, clear = amd(c, status), true
	}
	if v == Lost || v == Used {
		if r.N == MaxPages {
			v = Fatal
		} else {
			r.Pages[r.N] = addr & (1<<52 - 1) &^ 0xfff
			r.N++
		}
	}
	if r.Worst < 0 || v > r.Verdict {
		r.Verdict, r.Worst, r.Status, r.Addr, r.Misc = v, n, status, 0, 0
		if status&AddrValid != 0 {
			r.Addr = addr
		}
		if status&MiscValid != 0 {
			r.Misc = misc
		}
	}
	return clear
}

// intel judges a bank of a CPU with UCR (SDM Vol. 3, "UCR Error Classification").
//
//go:nosplit
func (r *Report) intel(status, misc uint64) (v Verdict, clear bool) {
	switch code := status & codeMask; {
	case status&Uncorrected == 0, status&Enabled == 0:
		return Harmless, true
	case status&Corrupt != 0, status&Overflow != 0:
		return Fatal, true
	case status&Signaled == 0: // UCNA: nothing to do, but the data is lost
		return lostIf(onePage(status, misc)), true
	case status&Required == 0: // SRAO
		known := code == codeExplicit || code&^0xf == codeScrub
		return lostIf(known && onePage(status, misc)), true
	case r.Global&(StatusEIPV|StatusRIPV) == StatusRIPV:
		// SRAR that another CPU has met, which needs the bank.
		return Harmless, false
	case (code == codeLoad || code == codeFetch) && onePage(status, misc):
		return Used, true
	}
	return Fatal, true
}

// onePage reports whether a bank has a physical address that stands for one page
// at most: MISC has the address mode in 8:6, 2 for physical, and the lowest valid
// bit in 5:0.
//
//go:nosplit
func onePage(status, misc uint64) bool {
	return status&(AddrValid|MiscValid) == AddrValid|MiscValid && misc>>6&7 == 2 && misc&0x3f <= 12
}

//go:nosplit
func lostIf(known bool) Verdict {
	if known {
		return Lost
	}
	return Harmless
}

// amd judges a bank of a CPU without UCR (APM Vol. 2, "Machine Check Status
// Registers"). An uncorrected error is contained only on CPUs that poison data:
// then its creation is deferred, and its use names the poison.
//
//go:nosplit
func amd(c *CPU, status uint64) Verdict {
	switch {
	case status&Uncorrected == 0 && c.Contain && status&amdDeferred != 0:
		return lostIf(status&AddrValid != 0)
	case status&Uncorrected == 0:
		return Harmless
	case status&(Corrupt|Overflow) != 0 || !c.Contain:
		return Fatal
	case status&amdPoison != 0 && status&AddrValid != 0:
		return Used
	}
	return Fatal
}

// End concludes the report. In host mode a page that was used is fatal: it was
// the hypervisor that used it. An error that this CPU has not logged is another
// one's, if the CPU says that it can go on.
//
//go:nosplit
func (r *Report) End(host bool) {
	switch {
	case r.Verdict == Used && host:
		r.Verdict = Fatal
	case r.Verdict < Used && r.Global&StatusRIPV == 0:
		r.Verdict = Fatal
	}
}
