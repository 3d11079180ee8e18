// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"encoding/binary"
	"sync/atomic"
	"time"

	"ringo/boot/kernel"
	"ringo/hv/vcpu"
	"ringo/hv/vcpu/vcputest"
	"ringo/hv/x86"
)

// nmis sends NMIs to this CPU while guests run on it: they are the host's. Each
// ends a run and gets to the host's handler, once; no guest sees one, whether it
// has interrupts on or off. The next is sent when the one before was handled: two
// that come at once are one.
func nmis(h *harness) {
	if kernel.NumCPU() < 2 {
		h.Logf("nmi: one CPU: skipped")
		return
	}
	for _, flags := range []uint64{x86.FlagReserved, x86.FlagReserved | x86.FlagIF} {
		g := h.private()
		// inc qword [dataPage]; jmp back. There is no IDT: an NMI would be a
		// triple fault.
		vcputest.Boot64(g, g.v, []byte{0x48, 0xff, 0x04, 0x25, 0, 0, 2, 0, 0xeb, 0xf6})
		g.v.Set(x86.RFLAGS, flags)
		g.v.Set(x86.IDTRLimit, 0)
		clear(g.RAM()[dataPage : dataPage+8])
		before := kernel.ReadStats().NMIs
		const n = 100
		var done atomic.Bool
		go func() {
			for sent := range uint64(n) {
				time.Sleep(200 * time.Microsecond)
				kernel.SendNMI(0)
				for kernel.ReadStats().NMIs-before == sent {
					time.Sleep(100 * time.Microsecond)
				}
			}
			done.Store(true)
		}()
		var x vcpu.Exit
		runs := 0
		for ; !done.Load(); runs++ {
			g.v.Run(0, &x)
			if x.Reason != vcpu.Interrupted && x.Reason != vcpu.Tick {
				h.Errorf("exit %+v", x)
				break
			}
		}
		rounds := binary.LittleEndian.Uint64(g.RAM()[dataPage:])
		got := kernel.ReadStats().NMIs - before
		h.Logf("nmi: %d of %d NMIs reached the host in %d runs, %d rounds of the guest", got, n, runs, rounds)
		if got != n || rounds == 0 {
			h.Errorf("%d NMIs were sent, %d reached the host, %d rounds of the guest", n, got, rounds)
		}
		g.free()
	}
}
