// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package platform

import (
	"crypto/rand"

	"ringo/dom0/board"
	"ringo/dom0/config"
	"ringo/dom0/devmodel/debug"
	"ringo/dom0/devmodel/hotplug"
	"ringo/dom0/devmodel/i8042"
	"ringo/dom0/devmodel/pcihost"
	"ringo/dom0/devmodel/rtc"
	"ringo/dom0/devmodel/serial"
	"ringo/dom0/devmodel/vrng"
	"ringo/dom0/domain"
	"ringo/dom0/hcall"
	"ringo/hv/abi"
	"ringo/hv/bus"
)

// furnish makes the devices of a machine; con is the other ends of its consoles.
func (p *Platform) furnish(g *guest, a *domain.Attachment, con consoles) error {
	m, around := a.Machine, &around{hv: p.hv, dom: g.id, eject: func(slot int) { p.ejected(g, slot) }}
	for i := range m.Devices {
		d := &m.Devices[i]
		var devs []bus.Device // of the spans
		switch d.Kind {
		case board.Serial:
			c := con.get(config.Serial)
			uart := serial.New(c, around.Line(serial.GSI))
			c.Connect(input{uart, p, g})
			cell := d.Spans[0].Cell - 1
			uart.Share(g.models.Cell(cell+serial.Data), g.models.Cell(cell+serial.Status))
			g.com1 = uart
			devs = []bus.Device{uart}
		case board.Serial2:
			devs = []bus.Device{serial.New(&g.log, around.Line(serial.GSI2))}
		case board.Debug:
			devs = []bus.Device{debug.Port{Log: &g.log}, debug.Port{Log: &g.log}}
		case board.DebugExit:
			devs = []bus.Device{debug.Exit(func(code uint32) { p.exit(g, code) })}
		case board.Clock:
			devs = []bus.Device{p.clock(g, around)}
		case board.Keyboard:
			k := i8042.New(around.Reset)
			devs = []bus.Device{i8042.Data{Controller: k}, i8042.Control{Controller: k}}
		case board.PCIHost:
			g.host = pcihost.New(around)
			functions := g.host.Functions()
			devs = []bus.Device{g.host.ConfigPorts(), g.host.IO(), g.host.Memory(), functions, functions}
		case board.Hotplug:
			g.plug = hotplug.New(a.Present, around.Line(abi.IRQSCI), around)
			devs = []bus.Device{g.plug.Events(), g.plug.Slots(), g.plug.Processors()}
		case board.RNG:
			p.virtio(g, d.Slot, vrng.Kind(rand.Reader, p.now))
		case board.Console:
			p.virtio(g, d.Slot, p.ports(g, a, con))
		case board.Disk:
			if err := p.addDisk(g, d.Slot, a.Disks); err != nil {
				return err
			}
		case board.NIC:
			if err := p.addCard(g, d.Slot, a.Cards); err != nil {
				return err
			}
		}
		for i, s := range d.Spans {
			if err := g.models.Add(s.Space, s.Start, s.Size, devs[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// exit ends a domain with a code.
func (p *Platform) exit(g *guest, code uint32) {
	g.code.CompareAndSwap(0, uint64(code)|ended)
	_ = p.hv.End(g.id, abi.ShutdownPoweroff)
}

// clock makes the CMOS clock.
func (p *Platform) clock(g *guest, around *around) bus.Device {
	var timer *rtc.AfterFunc
	c := rtc.New(p.now, around.Line(rtc.GSI), later{&timer})
	timer = rtc.NewAfterFunc(p.now, func() {
		defer p.guard(g)
		c.Tick()
	})
	g.ends = append(g.ends, c.Stop)
	return c
}

// later is a timer that is made after the clock it belongs to. The clock sets no
// timer before the guest's first access.
type later struct{ t **rtc.AfterFunc }

func (l later) Set(at int64) { (*l.t).Set(at) }

// around is what a domain's devices reach through the hypervisor. What it says of
// a domain that is gone is of no use.
type around struct {
	hv  *hcall.Client
	dom uint32
	// eject takes what the guest has given back out of a slot.
	eject func(slot int)
}

// Line implements pcihost.Platform, as do Message and Reset.
func (a *around) Line(gsi uint32) bus.Line { return a.hv.Line(a.dom, gsi) }

// Message delivers an interrupt message.
func (a *around) Message(addr uint64, data uint32) { _ = a.hv.MSI(a.dom, addr, data) }

// Plug implements hotplug.Plugger, as does Unplug.
func (a *around) Plug(cpu int) { _, _ = a.hv.Trigger(a.dom, abi.TriggerPlug, uint32(cpu)) }

// Unplug takes a vCPU that the guest has given back.
func (a *around) Unplug(cpu int) { _, _ = a.hv.Trigger(a.dom, abi.TriggerUnplug, uint32(cpu)) }

// Eject takes a PCI function that the guest has given back.
func (a *around) Eject(slot int) { a.eject(slot) }

// Reset restarts the domain.
func (a *around) Reset() { _ = a.hv.End(a.dom, abi.ShutdownReboot) }
