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
	c := New(&page, func() { n++ })
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
	if n != 2 {
		t.Errorf("%d upcalls, want 2", n)
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
