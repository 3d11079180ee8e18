// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vnet

import (
	"sync/atomic"

	"ringo/drivers/nic"
)

// counters are those of a device, as the guest sees them: it receives what is delivered.
type counters struct {
	rxFrames, rxBytes, rxErrors, rxDropped atomic.Uint64
	txFrames, txBytes, txErrors, txDropped atomic.Uint64
	changes, resets                        atomic.Uint64
}

// Counters count since the device was made. Received frames have no errors but those that
// the driver had not agreed to take; dropped are those that had no room, or no link. What
// filters keep away is not counted.
func (d *Device) Counters() nic.Counters {
	c := &d.counters
	return nic.Counters{
		RxFrames: c.rxFrames.Load(), RxBytes: c.rxBytes.Load(), RxErrors: c.rxErrors.Load(), RxDropped: c.rxDropped.Load(),
		TxFrames: c.txFrames.Load(), TxBytes: c.txBytes.Load(), TxErrors: c.txErrors.Load(), TxDropped: c.txDropped.Load(),
		LinkChanges: c.changes.Load(), Resets: c.resets.Load(),
	}
}

// count adds what there is to add: mostly it is nothing.
func count(c *atomic.Uint64, n int) {
	if n > 0 {
		c.Add(uint64(n))
	}
}
