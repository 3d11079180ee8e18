// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import "ringo/hv/insn"

// quirk is what an emulator wants done otherwise than a machine does.
type quirk struct {
	signature uint32 // EBX of CPUID leaf 0x40000000
	// losesIRQs: QEMU's VMRUN with V_IRQ (helper_vmrun, 7.2) changes
	// CPUState.interrupt_request without the lock under which its other
	// threads say there that the local APIC has something to deliver. An
	// interrupt whose news was overwritten stays in IRR until the APIC has a
	// reason to look, as at the next tick of its timer; see ticking.
	losesIRQs bool
	// offPorts switch the machine off where firmware's tables are not read: the
	// PM1a control registers of q35 and i440fx.
	offPorts [2]uint16
}

var quirkTable = [...]quirk{
	{signature: 0x54474354, losesIRQs: true, offPorts: [2]uint16{0x604, 0xb004}}, // "TCGT", QEMU's own emulation
	{signature: 0x4b4d564b, offPorts: [2]uint16{0x604, 0xb004}},                  // "KVMK", QEMU with KVM
}

// quirks are those of this machine, none on a real one.
var quirks quirk

// What cannot be told by a signature, or does no harm elsewhere:
const (
	// pauseEvery is how often a spinning CPU executes PAUSE: each one makes
	// QEMU's emulator leave the CPU loop and queue for its global lock.
	pauseEvery = 32
	// tickNS and tickLeastNS bound how often a CPU ticks whose interrupts get
	// lost; more often, QEMU would be busy with nothing but catching up.
	tickNS      = 4_000_000
	tickLeastNS = 20_000
	// holdMostNS bounds for how long a thread goes on before the next preemption,
	// see hold: where a handler takes longer than the 5 µs after which the
	// runtime asks again, as in an emulator, it would do nothing else.
	holdMostNS = 500_000
	// bochsOff is the port that ends Bochs, by the word "Shutdown"; others have
	// nothing there, and it comes after what machines have.
	bochsOff = 0x8900
	// offNS is how long an emulator on a busy host may take to switch off.
	offNS = 2_000_000_000
)

// quirkDetect looks for the emulator, once.
//
//go:nosplit
func quirkDetect() {
	if _, _, c, _ := insn.CPUID(1, 0); c>>31 == 0 {
		return
	}
	_, sig, _, _ := insn.CPUID(0x4000_0000, 0)
	for i := range quirkTable {
		if quirkTable[i].signature == sig {
			quirks = quirkTable[i]
		}
	}
}
