// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package event

import (
	"testing"

	"ringo/hv/abi"
)

func TestRaise(t *testing.T) {
	var page abi.SharedInfo
	n := 0
	vector := uint8(0)
	c := New(&page, func(v uint8) { n++; vector = v })
	c.Raise(70)
	c.Raise(70)
	if page.Pending[1] != 1<<6 || n != 1 {
		t.Errorf("pending %#x, %d upcalls; want %#x, 1", page.Pending[1], n, 1<<6)
	}
	c.Raise(71)
	c.Raise(abi.PortConsole)
	if page.Ready != 3 || n != 1 {
		t.Errorf("ready %#x, %d upcalls; want 3, and dom0 has been told", page.Ready, n)
	}
	page = abi.SharedInfo{Masked: 1}
	c.Raise(70)
	if page.Pending[1] != 1<<6 || n != 1 {
		t.Errorf("masked: pending %#x, %d upcalls; want set, still 1", page.Pending[1], n)
	}
	page = abi.SharedInfo{}
	c.Raise(abi.PortConsole)
	if n != 2 || vector != abi.UpcallVector {
		t.Errorf("%d upcalls, the last by %#x; want 2, %#x", n, vector, abi.UpcallVector)
	}
	page = abi.SharedInfo{Masked: 1, Ready: 1}
	c.Raise(abi.PortDevice + 63)
	c.Raise(abi.PortDevice)
	if page.Devices != 1<<63|1 || page.Ready != 1 || n != 3 || vector != abi.DeviceVector {
		t.Errorf("devices %#x, ready %#x, %d upcalls, the last by %#x", page.Devices, page.Ready, n, vector)
	}
	if a := testing.AllocsPerRun(100, func() { page = abi.SharedInfo{}; c.Raise(1) }); a != 0 {
		t.Errorf("Raise allocates %v times", a)
	}
	defer func() {
		if recover() == nil {
			t.Error("a port out of range was accepted")
		}
	}()
	c.Raise(abi.MaxPorts)
}
