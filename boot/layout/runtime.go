// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package layout

// Where fields of TamaGo's runtime are, which the kernel layer reads to know what a
// thread waits for (boot/kernel/wait_tamago.go). tools/image compares them with what the
// compiler says of the image.
const (
	GoM        = 48   // g.m
	GoPanics   = 181  // g.paniconfault
	GoP        = 160  // m.p
	GoSpinning = 228  // m.spinning
	GoSema     = 1264 // m.mOS, whose first field is waitsemacount
	GoRunHead  = 400  // p.runqhead, and behind it runqtail
	GoRunNext  = 2456 // p.runnext
	GoTick     = 16   // p.schedtick
	GoTimers   = GoPTimers + GoWhen

	GoPTimers    = 13672 // p.timers
	GoWhen       = 48    // timers.minWhenHeap, and behind it minWhenModified
	GoMapped     = 312   // gcController.mappedReady
	GoStacks     = 3520  // memstats.stacks_sys
	GoSchedQueue = 128   // sched.runq, whose first word is its head
)
