// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vmx

import "ringo/hv/x86"

// What an emulator wants done otherwise than a CPU does: here little that a CPU
// would pay for, so it is done everywhere.

// The net: where there is the preemption timer, it ends a guest's run that is longer
// than this. Bochs 2.7 holds back interrupts while a guest that was entered with IF=0
// does not change it, and the FIFO of a serial port at 115200 baud is full after 1.4 ms.
//
// Entries do not look at IF, which would cost each of them a VMREAD. But when the net has
// ended a run, and IF is 1, then it is at the next entry, and that run needs no net: it
// is out until an exit that is not an interrupt's, or with IF=0 (todoNet). So guests that
// compute are not interrupted a thousand times a second.
const netHz = 1000

// netTicks is the timer's value for that. It counts from this value at each entry.
// noNet is the longest time that there is: a minute or more.
func (b *Backend) netTicks() uint64 { return max(1, b.env.TSCHz/netHz>>b.f.timerShift) }

const noNet = 1<<32 - 1

// takeNet takes the net out for the next run, if that begins with IF=1.
func (v *VCPU) takeNet() {
	switch {
	case v.b.f.pin&pinTimer == 0:
	case v.get(sRFLAGS)&x86.FlagIF == 0:
		v.spreadNet()
	case v.todo&todoNet == 0:
		v.todo |= todoNet
		v.on.p.write(uint32(guestPreemptionTimer), noNet)
	}
}

// spreadNet brings it back.
func (v *VCPU) spreadNet() {
	if v.todo&todoNet != 0 {
		v.todo &^= todoNet
		v.on.p.write(uint32(guestPreemptionTimer), v.b.netTicks())
	}
}
