// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package platform

import (
	"testing"
	"time"

	"ringo/dom0/board"
	"ringo/dom0/devmodel/hotplug"
	"ringo/dom0/devmodel/serial"
	"ringo/dom0/domain"
	"ringo/dom0/guestmem"
	"ringo/dom0/hcall"
	"ringo/dom0/hcall/hcalltest"
	"ringo/hv/abi"
)

// acpiGuest does what a system does with the registers: it gives back what it is asked
// for, and says so.
func acpiGuest(c *hcalltest.CPU) {
	c.Out(hotplug.EventBase+2, 1<<hotplug.Event)
	c.Out(serial.Base, 'r')
	for {
		c.WaitIRQ(abi.IRQSCI)
		c.Out(hotplug.EventBase, 1<<hotplug.Event)
		remove := c.Read(abi.SpacePort, hotplug.Base+8, 4)
		c.Write(abi.SpacePort, hotplug.Base+8, remove, 4)
		c.Write(abi.SpacePort, hotplug.Base+12, remove, 4)
		c.Out(serial.Base, 'd')
	}
}

// The device's registers, its interrupt and the hypervisor's vCPUs belong together.
func TestPlug(t *testing.T) {
	r := newRig(t, acpiGuest)
	args := abi.CreateArgs{VCPUs: 3, MaxBytes: 1 << 20}
	hcall.SetText(args.Name[:], "plug")
	if err := r.hv.Create(&args); err != nil {
		t.Fatal(err)
	}
	if err := r.hv.SetVCPU(args.ID, 0, &abi.VCPUContext{Online: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.hv.Trigger(args.ID, abi.TriggerUnplug, 2); err != nil {
		t.Fatal(err)
	}
	machine, err := board.New(board.Config{CPUs: 3, Present: 0b11, Memory: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	a := domain.Attachment{
		ID: args.ID, VCPUs: 3, Present: 0b11, Port: args.Port, IOReq: args.IOReq, Name: "plug", Machine: machine, Memory: guestmem.New(nil),
	}
	absent := func() uint32 {
		in, err := r.hv.Info(a.ID)
		if err != nil {
			t.Fatal(err)
		}
		return in.Absent
	}
	g := r.start(t, a)
	output(t, g, 1)
	if !r.pc.Plug(a.ID, 0b111, 0b11) || absent() != 0 {
		t.Errorf("plugged in: absent %#b", absent())
	}
	output(t, g, 2)
	if !r.pc.Plug(a.ID, 0b001, 0b11) {
		t.Error("it does not listen any more")
	}
	output(t, g, 3)
	for end := time.Now().Add(10 * time.Second); absent() != 0b110; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("given back: absent %#b", absent())
		}
	}
	if r.pc.Refused(a.ID) != 0 || r.pc.Plug(r.a.ID, 1, 1) || r.pc.Plug(999, 1, 1) {
		t.Error("a domain without the device listens, or vCPUs are refused")
	}
}
