// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import (
	"ringo/hv/abi"
	"ringo/hv/insn"
)

// Power is how the machine is switched off and reset, from the ACPI FADT. A
// zero field is skipped.
type Power struct {
	// PM1a and PM1b are the ports of the PM1 control registers, SleepA and
	// SleepB the SLP_TYP values of the S5 state (ACPI 6.5, "PM1 Control
	// Registers").
	PM1a, PM1b     uint16
	SleepA, SleepB uint8
	// ResetPort is the I/O port of the reset register, ResetValue what to
	// write (ACPI 6.5, "Reset Register").
	ResetPort  uint16
	ResetValue uint8
}

const slpEnable = 1 << 13

var power Power

// SetPower tells the layer how to switch the machine off and how to reset it.
func SetPower(p Power) { power = p }

// powerOff never returns.
//
//go:nosplit
func powerOff() {
	if inPartition() {
		partitionEnd(abi.ShutdownPoweroff)
	}
	drainUART()
	if power.PM1a != 0 {
		insn.OUT16(power.PM1a, uint16(power.SleepA)<<10|slpEnable)
	}
	if power.PM1b != 0 {
		insn.OUT16(power.PM1b, uint16(power.SleepB)<<10|slpEnable)
	}
	for i := 0; i < len(quirks.offPorts) && power.PM1a == 0; i++ {
		if p := quirks.offPorts[i]; p != 0 {
			insn.OUT16(p, slpEnable)
		}
	}
	delay(offNS)
	for s, i := "Shutdown", 0; i < len(s); i++ {
		insn.OUT8(bochsOff, s[i])
	}
	delay(10_000_000)
	say("ringo: this machine cannot be switched off by software; halted\n")
	haltForever()
}

// reset never returns.
//
//go:nosplit
func reset() {
	drainUART()
	if power.ResetPort != 0 {
		insn.OUT8(power.ResetPort, power.ResetValue)
		delay(10_000_000)
	}
	insn.OUT8(0xcf9, 2) // chipset reset control: hard reset, then trigger
	insn.OUT8(0xcf9, 6)
	delay(10_000_000)
	for i := 0; i < 1000 && insn.IN8(0x64)&2 != 0; i++ {
		insn.PAUSE()
	}
	insn.OUT8(0x64, 0xfe) // keyboard controller: pulse the reset line
	delay(10_000_000)
	tripleFault()
}

//go:nosplit
func drainUART() {
	for i := 0; i < uartPatience && uartDead == 0 && insn.IN8(comPort+regLSR)&lsrTEMT == 0; i++ {
		insn.PAUSE()
	}
}

// PowerOff switches the machine (in a partition: the partition) off. It does
// not return.
func PowerOff() {
	mustBoot()
	cliSave()
	var f frame
	seizeFloor(&f)
	powerOff()
}

// Reboot resets the machine (in a partition: the partition). It does not return.
func Reboot() {
	mustBoot()
	cliSave()
	var f frame
	seizeFloor(&f)
	endWorld(false)
}

// Fatal reports msg with the caller's stack and ends the world as a failure of
// the layer does: reboot after 5 s, or halt with "noreboot". It does not return.
func Fatal(msg string) {
	mustBoot()
	cliSave()
	fatalHere(msg)
}

func mustBoot() {
	if booted == 0 {
		panic("kernel: not booted")
	}
}

// Crash is a way in which the layer itself fails.
type Crash uint64

const (
	CrashFault Crash = iota // an access to a page that is not there
	CrashStack              // its stack is full
	CrashHang               // it loops with interrupts off
	CrashLock               // it loops with its lock held
)

// CrashForTest makes the layer fail, to test what it says then.
func CrashForTest(how Crash) {
	mustBoot()
	enter(sysCrash, uint64(how), 0, 0)
}

//go:nosplit
func ownCrash(c *cpu, t *thread) uint64 {
	switch Crash(t.f.rdi) {
	case CrashStack:
		fillStack()
	case CrashLock:
		klock.lock()
		spin()
	case CrashHang:
		spin()
	}
	return *p64(0x30)
}

//go:nosplit
func spin() {
	for {
		insn.PAUSE()
	}
}
