// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package platform

import (
	"testing"

	"ringo/dom0/board"
	"ringo/dom0/devmodel/hotplug"
	"ringo/dom0/devmodel/serial"
	"ringo/dom0/guestmem"
	"ringo/dom0/hcall/hcalltest"
	"ringo/hv/abi"
)

// Another generation identifier is in the guest's memory when the event comes.
func TestRenew(t *testing.T) {
	mem := guestmem.New([]guestmem.Extent{{GPA: 0xc0000, Bytes: make([]byte, 0x20000)}})
	r := newRig(t, func(c *hcalltest.CPU) {
		c.Out(hotplug.EventBase+2, 1<<hotplug.GenerationEvent)
		c.Out(serial.Base, 'r')
		c.WaitIRQ(abi.IRQSCI)
		c.Out(hotplug.EventBase, 1<<hotplug.GenerationEvent)
		c.Out(serial.Base, mem.RAM(board.GenerationAt, 1)[0])
	})
	r.a.Memory = mem
	g := r.start(t, r.a)
	output(t, g, 1)
	if r.pc.Renew(999, [16]byte{}) {
		t.Error("a domain that does not exist listens")
	}
	want := [16]byte{'0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'}
	if !r.pc.Renew(r.a.ID, want) {
		t.Error("the guest does not listen")
	}
	var b [2]byte
	output(t, g, 2)
	if g.Read(b[:], 0); string(b[:]) != "r0" {
		t.Errorf("the guest says %q", b)
	}
	if got := [16]byte(mem.RAM(board.GenerationAt, 16)); got != want {
		t.Errorf("the identifier is %q", got)
	}
}
