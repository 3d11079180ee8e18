// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vmx

// What an emulator wants done otherwise than a CPU does: here nothing that a CPU
// would pay for, so it is done everywhere.

// netHz is how often a guest's run ends at least, where there is the preemption
// timer: a net under Bochs 2.7, which holds back interrupts while a guest that was
// entered with IF=0 does not change it. The FIFO of a serial port at 115200 baud is full
// after 1.4 ms.
const netHz = 1000

// netTicks is the timer's value for that. It counts from this value at each entry.
func (b *Backend) netTicks() uint64 { return max(1, b.env.TSCHz/netHz>>b.f.timerShift) }
