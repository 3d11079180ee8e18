// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package run

import (
	"testing"

	"ringo/hv/abi"
	"ringo/hv/internal/event"
	"ringo/hv/internal/pci"
)

// Interrupts of devices become dom0's events before anything else runs.
func TestDeviceInterrupts(t *testing.T) {
	g := newRig(t)
	shared := new(abi.SharedInfo)
	g.m.Events = event.New(shared, func(uint8) {})
	none := ^uint32(0)
	function := [64]uint32{0: 0x1234_8086, 2: 0x01080200, 0x34 / 4: 0x40, 0x40 / 4: 0x0005}
	g.r.pci = pci.NewTable(pci.NewSpace(nil, []pci.Window{{Register: func(_, device, fn uint8, reg uint16) *uint32 {
		if reg == 4 {
			command := uint32(1 << 20)
			return &command
		}
		if device == 1 && fn == 0 && reg < 256 {
			return &function[reg/4]
		}
		return &none
	}}}))
	g.r.pci.Connect(pci.Host{Vector: func() uint8 { return 0x77 }, Target: func() uint32 { return 0 }, Message: pci.Message,
		Attach: func(abi.PCIAddr) abi.Status { return abi.OK }, Raise: g.m.Events.Raise})
	a := abi.NewPCIAddr(0, 0, 1, 0)
	if st := g.r.pci.Assign(a); st != abi.OK {
		t.Fatal(st)
	}
	if _, st := g.r.pci.Bind(a, abi.IRQMSI, 0, abi.PortDevice+3); st != abi.OK {
		t.Fatal(st)
	}
	g.irqs, g.raised = []uint8{0x76, 0x77}, 1
	g.r.turn()
	if len(g.irqs) != 0 || shared.Devices != 1<<3 {
		t.Errorf("left %v, of devices %#x", g.irqs, shared.Devices)
	}
}
