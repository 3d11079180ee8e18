// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package platform

import (
	"ringo/dom0/config"
	"ringo/dom0/console"
	"ringo/dom0/devmodel/vcon"
	"ringo/dom0/devmodel/vpci"
	"ringo/dom0/domain"
)

// portBytes is what dom0 keeps on its Go heap for a guest's virtio console and ports at
// most: the device, and of each what it has written and what is typed.
func portBytes(a *domain.Attachment) uint64 {
	n := len(a.Ports)
	if a.HVC {
		n++
	}
	if n == 0 {
		return 0
	}
	return uint64(vcon.DeviceBytes + n*(vcon.PortBytes+console.GuestBytes))
}

// printed is the virtio console's other end: it keeps the last of what the guest prints,
// as that of the serial port does, and has always room.
type printed struct{ *console.Guest }

// Write implements vcon.Sink.
func (c printed) Write(b []byte) int {
	for i := range b {
		c.Put(b[i])
	}
	return len(b)
}

// stream is a port as its other end knows it.
type stream struct {
	*vcon.Port
	p *Platform
	g *guest
}

// Attend implements console.Stream.
func (s stream) Attend(on bool) {
	defer s.p.guard(s.g)
	s.Port.Attend(on)
}

// ports makes the console device, and connects its ports with their other ends.
func (p *Platform) ports(g *guest, a *domain.Attachment, con consoles) vpci.Kind {
	var c vcon.Config
	if a.HVC {
		c.Console = printed{con.get(config.HVC)}
	}
	for _, name := range a.Ports {
		c.Ports = append(c.Ports, con.get(name))
		c.Names = append(c.Names, name)
	}
	d := vcon.New(c)
	if a.HVC {
		con.get(config.HVC).Connect(input{d.Console(), p, g})
	}
	for i, name := range a.Ports {
		port := d.Port(i)
		con.get(name).Connect(input{port, p, g})
		con.get(name).Follow(stream{port, p, g})
	}
	return d.Kind()
}
