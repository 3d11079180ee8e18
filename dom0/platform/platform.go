// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package platform gives every domain its device models, and connects them with
// the event ports on which the domain's accesses arrive: a serial port, whose
// other end is the domain's console, and a clock. Each model is a package of its
// own with its threat table.
package platform

import (
	"sync"
	"time"

	"ringo/dom0/account"
	"ringo/dom0/console"
	"ringo/dom0/devmodel/rtc"
	"ringo/dom0/devmodel/serial"
	"ringo/dom0/domain"
	"ringo/dom0/hcall"
	"ringo/dom0/ioreq"
	"ringo/hv/abi"
	"ringo/hv/bus"
)

// Events calls handlers when event ports are raised; event.Server does.
type Events interface {
	Handle(port uint32, f func())
}

// Pages reaches the pages of IOReqs; hcall.Direct does.
type Pages interface {
	IOReqs(addr uint64) *abi.IOReqPage
}

// guestBytes is what dom0 keeps on its Go heap for a guest at most: most of it
// is the scrollback of its console, and what is typed and not read.
const guestBytes = 176 << 10

// Platform makes the devices of every guest. It implements [domain.Devices].
type Platform struct {
	hv     *hcall.Client
	events Events
	pages  Pages
	now    func() int64 // ns since 1970
	memory *account.Account

	mu       sync.Mutex // guards what follows
	guests   map[uint32]*guest
	consoles map[[16]byte]*console.Guest // by UUID: they outlive restarts
}

// guest is the devices of one domain.
type guest struct {
	port  uint32
	uuid  [16]byte
	clock *rtc.RTC
	// release gives back what is reserved for the guest.
	release func()

	// mu is held while accesses are answered: once gone is set under it, nothing
	// touches the page of IOReqs any more, which the hypervisor takes back.
	mu     sync.Mutex
	gone   bool
	models *ioreq.Models
}

// New makes a platform without domains. What it keeps for each is reserved from
// memory.
func New(hv *hcall.Client, events Events, pages Pages, memory *account.Account) *Platform {
	return &Platform{
		hv: hv, events: events, pages: pages, memory: memory, now: func() int64 { return time.Now().UnixNano() },
		guests: map[uint32]*guest{}, consoles: map[[16]byte]*console.Guest{},
	}
}

// Room implements [domain.Devices].
func (p *Platform) Room() error { return p.memory.Check(guestBytes) }

// Attach implements [domain.Devices].
func (p *Platform) Attach(a domain.Attachment) ([]domain.Claim, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	release, err := p.memory.Reserve(guestBytes)
	if err != nil {
		return nil, err
	}
	con := p.consoles[a.UUID]
	if con == nil {
		con = console.NewGuest()
		p.consoles[a.UUID] = con
	}
	uart := serial.New(con, p.hv.Line(a.ID, serial.GSI))
	con.Connect(uart)
	g := &guest{port: a.Port, uuid: a.UUID, release: release}
	var timer *rtc.AfterFunc
	g.clock = rtc.New(p.now, p.hv.Line(a.ID, rtc.GSI), later{&timer})
	timer = rtc.NewAfterFunc(p.now, g.clock.Tick)
	g.models = ioreq.New(a.ID, a.VCPUs, p.pages.IOReqs(a.IOReq), p.done)
	var claims []domain.Claim
	for _, r := range []struct {
		start, size uint64
		dev         bus.Device
	}{
		{serial.Base, serial.Size, uart},
		{rtc.Base, rtc.Size, g.clock},
	} {
		if err := g.models.Add(abi.SpacePort, r.start, r.size, r.dev); err != nil {
			return nil, err
		}
		claims = append(claims, domain.Claim{Space: abi.SpacePort, Start: r.start, Size: r.size})
	}
	p.guests[a.ID] = g
	p.events.Handle(a.Port, g.serve)
	// An adopted domain may wait for an answer to what it asked before.
	return claims, p.hv.EventSend(a.Port)
}

// later is a timer that is made after the clock it belongs to. The clock sets no
// timer before the guest's first access.
type later struct{ t **rtc.AfterFunc }

func (l later) Set(at int64) { (*l.t).Set(at) }

// serve runs on the thread of events.
func (g *guest) serve() {
	g.mu.Lock()
	if !g.gone {
		g.models.Serve()
	}
	g.mu.Unlock()
}

// done tells the hypervisor; a domain that is gone has nobody waiting.
func (p *Platform) done(dom, vcpu uint32) { _ = p.hv.IOReqDone(dom, vcpu) }

// Detach implements [domain.Devices]. When it returns, the domain's page of
// IOReqs is not used any more.
func (p *Platform) Detach(id uint32, again bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	g := p.guests[id]
	if g == nil {
		return
	}
	p.events.Handle(g.port, nil)
	g.mu.Lock()
	g.gone = true
	g.mu.Unlock()
	g.clock.Stop()
	delete(p.guests, id)
	g.release()
	if !again {
		p.close(g.uuid)
	}
}

// Forget closes the console of a domain that was to be attached again and will
// not be.
func (p *Platform) Forget(uuid [16]byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.close(uuid)
}

// close ends a console, unless a domain has it. Preconditions: p.mu is held.
func (p *Platform) close(uuid [16]byte) {
	for _, g := range p.guests {
		if g.uuid == uuid {
			return
		}
	}
	if c := p.consoles[uuid]; c != nil {
		c.Close()
		delete(p.consoles, uuid)
	}
}

// Console returns the console of a domain, nil if it has none.
func (p *Platform) Console(id uint32) *console.Guest {
	p.mu.Lock()
	defer p.mu.Unlock()
	if g := p.guests[id]; g != nil {
		return p.consoles[g.uuid]
	}
	return nil
}
