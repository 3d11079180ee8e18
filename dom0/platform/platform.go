// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package platform gives every domain its device models, and connects them with
// the event ports on which the domain's accesses arrive: a serial port, whose
// other end is the domain's console, and a clock.
package platform

import (
	"sync"
	"time"

	"ringo/dom0/console"
	"ringo/dom0/devmodel/rtc"
	"ringo/dom0/devmodel/serial"
	"ringo/dom0/domain"
	"ringo/dom0/event"
	"ringo/dom0/hcall"
	"ringo/hv/abi"
)

// Pages reaches the pages of access slots.
type Pages interface {
	IOReqs(addr uint64) *abi.IOReqPage
}

// Platform implements domain.Devices.
type Platform struct {
	hv     *hcall.Client
	events *event.Server
	pages  Pages

	mu       sync.Mutex // a leaf; guards what follows
	ports    map[uint32]uint32
	uuids    map[uint32][16]byte
	consoles map[[16]byte]*console.Guest
}

// New makes a platform without domains.
func New(hv *hcall.Client, events *event.Server, pages Pages) *Platform {
	return &Platform{
		hv: hv, events: events, pages: pages,
		ports: map[uint32]uint32{}, uuids: map[uint32][16]byte{}, consoles: map[[16]byte]*console.Guest{},
	}
}

// Attach implements domain.Devices.
func (p *Platform) Attach(a domain.Attachment) ([]domain.Claim, error) {
	con := p.console(a.UUID)
	uart := serial.New(&con.Ring, p.hv.Line(a.ID, serial.GSI))
	con.Connect(uart)
	m := &event.Models{
		Dom: a.ID, VCPUs: a.VCPUs, Page: p.pages.IOReqs(a.IOReq),
		Ranges: []event.Range{
			{Space: abi.SpacePort, Start: serial.Base, Size: serial.Size, Dev: uart},
			{Space: abi.SpacePort, Start: rtc.Base, Size: rtc.Size, Dev: p.clock(a.ID)},
		},
		Done: func(dom, vcpu uint32) { _ = p.hv.IOReqDone(dom, vcpu) },
	}
	p.mu.Lock()
	p.ports[a.ID], p.uuids[a.ID] = a.Port, a.UUID
	p.mu.Unlock()
	p.events.Handle(a.Port, m.Serve)
	var claims []domain.Claim
	for _, r := range m.Ranges {
		claims = append(claims, domain.Claim{Space: r.Space, Start: r.Start, Size: r.Size})
	}
	return claims, nil
}

// clock makes a domain's clock, which has no alarm while nobody sets one.
func (p *Platform) clock(id uint32) *rtc.RTC {
	now := func() int64 { return time.Now().UnixNano() }
	var c *rtc.RTC
	c = rtc.New(now, p.hv.Line(id, rtc.GSI), rtc.NewAfterFunc(now, func() { c.Tick() }))
	return c
}

// Detach implements domain.Devices. The console of a domain that comes again
// keeps what it has shown.
func (p *Platform) Detach(id uint32, again bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	port, ok := p.ports[id]
	if !ok {
		return
	}
	p.events.Handle(port, nil)
	uuid := p.uuids[id]
	delete(p.ports, id)
	delete(p.uuids, id)
	if !again {
		p.consoles[uuid].Close()
		delete(p.consoles, uuid)
	}
}

func (p *Platform) console(uuid [16]byte) *console.Guest {
	p.mu.Lock()
	defer p.mu.Unlock()
	g := p.consoles[uuid]
	if g == nil {
		g = console.NewGuest()
		p.consoles[uuid] = g
	}
	return g
}

// Console returns the console of a domain, nil when it has none.
func (p *Platform) Console(id uint32) *console.Guest {
	p.mu.Lock()
	defer p.mu.Unlock()
	uuid, ok := p.uuids[id]
	if !ok {
		return nil
	}
	return p.consoles[uuid]
}
