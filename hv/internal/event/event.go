// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package event raises event ports in dom0: a bit in the page that hv and dom0
// share, and an interrupt when none was set and dom0 does not look by itself. dom0 can
// write the page at any time; hv therefore keeps no state in it.
package event

import (
	"sync/atomic"

	"ringo/hv/abi"
)

// Channel is dom0's end of all event ports. Raise may be called from any CPU;
// it does not allocate, block or lock.
type Channel struct {
	page   *abi.SharedInfo
	upcall func(vector uint8)
}

// New makes the channel over the shared page. upcall delivers
// [abi.UpcallVector] or [abi.DeviceVector] to dom0's vCPU 0.
//
// Preconditions: page is a zeroed frame that is never freed.
func New(page *abi.SharedInfo, upcall func(vector uint8)) *Channel {
	return &Channel{page: page, upcall: upcall}
}

// Raise sets port pending. Ports out of range are a broken invariant.
func (c *Channel) Raise(port uint32) {
	if port >= abi.MaxPorts {
		panic("event: port out of range")
	}
	if n := port - abi.PortDevice; n < abi.NumDevicePorts {
		if atomic.OrUint64(&c.page.Devices, 1<<n) == 0 {
			c.upcall(abi.DeviceVector)
		}
		return
	}
	w, bit := port/64, uint64(1)<<(port%64)
	if atomic.OrUint64(&c.page.Pending[w], bit)&bit != 0 {
		return // dom0 has not looked yet: it will see this one as well
	}
	if atomic.OrUint64(&c.page.Ready, 1<<w) == 0 && atomic.LoadUint64(&c.page.Masked) == 0 {
		c.upcall(abi.UpcallVector)
	}
}
