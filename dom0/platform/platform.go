// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package platform gives every domain its device models, and connects them with
// the event ports on which the domain's accesses arrive: a serial port, whose
// other end is the domain's console, a clock, a keyboard controller, and a PCI
// host bridge with what the domain's machine has behind it. Each model is a
// package of its own with its threat table.
package platform

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"ringo/dom0/account"
	"ringo/dom0/board"
	"ringo/dom0/config"
	"ringo/dom0/console"
	"ringo/dom0/devmodel/debug"
	"ringo/dom0/devmodel/hotplug"
	"ringo/dom0/devmodel/pcihost"
	"ringo/dom0/devmodel/serial"
	"ringo/dom0/domain"
	"ringo/dom0/guestmem"
	"ringo/dom0/hcall"
	"ringo/dom0/ioreq"
	"ringo/hv/abi"
)

// Events calls handlers when event ports are raised; event.Server does.
type Events interface {
	Handle(port uint32, f func(), failed func(v any))
	// Quiet returns what reports whether no other port is pending.
	Quiet(port uint32) func() bool
	// Later returns what has f called soon where goroutines are woken from.
	Later(f func()) (call func())
}

// Pages reaches the pages of IOReqs; hcall.Direct does.
type Pages interface {
	IOReqs(addr uint64) *abi.IOReqPage
}

// guestBytes is what dom0 keeps on its Go heap for a guest at most: most of it
// is the scrollback of its console, and what is typed and not read.
const guestBytes = 192 << 10

// Platform makes the devices of every guest. It implements [domain.Devices].
type Platform struct {
	hv     *hcall.Client
	events Events
	pages  Pages
	now    func() int64 // ns since 1970
	memory *account.Account
	notify func(line string)

	mu       sync.Mutex // guards what follows
	guests   map[uint32]*guest
	consoles map[[16]byte]consoles // by UUID: they outlive restarts
}

// consoles are the consoles and ports of a domain, by their names: those of
// config.Config's Consoles.
type consoles map[string]*console.Guest

// get returns that of a name, which is made if need be.
func (c consoles) get(name string) *console.Guest {
	if c[name] == nil {
		c[name] = console.NewGuest()
	}
	return c[name]
}

// guest is the devices of one domain.
type guest struct {
	id     uint32
	port   uint32
	uuid   [16]byte
	name   string
	memory *guestmem.Memory
	com1   *serial.UART
	vcpus  int
	plug   *hotplug.Device
	host   *pcihost.Host
	log    debug.Log     // of the debug ports and the second serial port
	code   atomic.Uint64 // with which the guest ended itself, and ended; else 0
	fault  atomic.Value  // string: how its devices failed, if they did
	ends   []func()      // of devices: when they return, nothing of them is active
	// emptied is told of slots whose function the guest has given back.
	emptied func(slot int)
	work    sync.WaitGroup // on those
	// release gives back what is reserved for the guest.
	release func()

	// mu is held while accesses are answered: once gone is set under it, nothing
	// touches the page of IOReqs any more, which the hypervisor takes back.
	mu     sync.Mutex
	gone   bool
	models *ioreq.Models
	slots  [board.Places]*function
	// leaving are closed when what was last in the slots has ended.
	leaving [board.Places]chan struct{}
}

// New makes a platform without domains. What it keeps for each is reserved from
// memory. notify takes lines for people.
func New(hv *hcall.Client, events Events, pages Pages, memory *account.Account, notify func(line string)) *Platform {
	return &Platform{
		hv: hv, events: events, pages: pages, memory: memory, notify: notify, now: func() int64 { return time.Now().UnixNano() },
		guests: map[uint32]*guest{}, consoles: map[[16]byte]consoles{},
	}
}

// Room implements [domain.Devices].
func (p *Platform) Room() error { return p.memory.Check(guestBytes) }

// Attach implements [domain.Devices].
func (p *Platform) Attach(a domain.Attachment) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	release, err := p.memory.Reserve(guestBytes + portBytes(&a))
	if err != nil {
		closeCards(a.Cards)
		closeDisks(a.Disks)
		return err
	}
	con := p.consoles[a.UUID]
	if con == nil {
		con = consoles{}
		p.consoles[a.UUID] = con
	}
	g := &guest{id: a.ID, port: a.Port, uuid: a.UUID, name: a.Name, memory: a.Memory, vcpus: a.VCPUs, emptied: a.Emptied, release: release}
	g.models = ioreq.New(a.ID, a.VCPUs, p.pages.IOReqs(a.IOReq), p.hv, p.events.Quiet(a.Port))
	if err := p.furnish(g, &a, con); err != nil {
		g.stop()
		closeCards(a.Cards) // those that no device has
		closeDisks(a.Disks)
		return err
	}
	p.guests[a.ID] = g
	p.events.Handle(a.Port, g.serve, func(v any) { p.failedServing(g, v) })
	// An adopted domain may wait for an answer to what it asked before.
	return p.hv.EventSend(a.Port)
}

// serve runs on the thread of events. It defers nothing: see failedServing.
func (g *guest) serve() {
	g.mu.Lock()
	if !g.gone {
		g.models.Serve()
	}
	g.mu.Unlock()
}

// stop ends the devices and gives back what is reserved. When it returns, neither
// the domain's page of IOReqs nor its memory is used any more.
func (g *guest) stop() {
	g.mu.Lock()
	if g.models != nil && !g.gone {
		g.models.Drain() // the last words on its console
	}
	g.gone = true
	g.mu.Unlock()
	for _, f := range g.slots { // nobody changes them now
		if f != nil {
			f.end()
		}
	}
	g.work.Wait()
	for _, f := range g.ends {
		f()
	}
	g.memory.Close()
	g.release()
}

// Detach implements [domain.Devices].
func (p *Platform) Detach(id uint32, again bool) {
	p.mu.Lock()
	g := p.guests[id]
	p.mu.Unlock()
	if g == nil {
		return
	}
	p.events.Handle(g.port, nil, nil)
	g.stop() // it waits for its disks, which other guests need not
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.guests, id)
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
	for _, c := range p.consoles[uuid] {
		c.Close()
	}
	delete(p.consoles, uuid)
}

// ended is set in guest.code.
const ended = 1 << 32

// ExitCode implements [domain.Devices].
func (p *Platform) ExitCode(id uint32) (code uint32, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	g := p.guests[id]
	if g == nil {
		return 0, false
	}
	c := g.code.Load()
	return uint32(c), c&ended != 0
}

// Renew implements [domain.Devices].
func (p *Platform) Renew(id uint32, generation [board.GenerationSize]byte) (listens bool) {
	g := p.guest(id)
	if g == nil || !g.memory.Pin() {
		return false
	}
	defer g.memory.Unpin()
	copy(g.memory.RAM(board.GenerationAt, board.GenerationSize), generation[:])
	g.plug.Renewed()
	return g.plug.Listens(hotplug.GenerationEvent)
}

// SysRq implements [domain.Devices].
func (p *Platform) SysRq(id uint32, key byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	g := p.guests[id]
	return g != nil && g.com1 != nil && g.com1.Break(key)
}

// Plug implements [domain.Devices].
func (p *Platform) Plug(id uint32, want, running uint32) bool {
	d := p.plugs(id)
	if d == nil || !d.Listens(hotplug.Event) {
		return false
	}
	d.Ask(want, running)
	return true
}

// Refused implements [domain.Devices].
func (p *Platform) Refused(id uint32) uint32 {
	if d := p.plugs(id); d != nil {
		return d.Refused()
	}
	return 0
}

// plugs returns what plugs the vCPUs of a domain, nil if nothing does.
func (p *Platform) plugs(id uint32) *hotplug.Device {
	p.mu.Lock()
	defer p.mu.Unlock()
	if g := p.guests[id]; g != nil {
		return g.plug
	}
	return nil
}

// Output implements [domain.Devices].
func (p *Platform) Output(id uint32) uint64 {
	if c := p.Console(id, config.Serial); c != nil {
		return c.End()
	}
	return 0
}

// Log implements [domain.Devices].
func (p *Platform) Log(id uint32) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	if g := p.guests[id]; g != nil {
		return g.log.Text()
	}
	return nil
}

// names returns the names of a domain's consoles and ports, in order.
func (p *Platform) names(id uint32) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	g := p.guests[id]
	if g == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(p.consoles[g.uuid]))
}

// Console returns a console or port of a domain by its name, nil if there is none.
func (p *Platform) Console(id uint32, name string) *console.Guest {
	p.mu.Lock()
	defer p.mu.Unlock()
	if g := p.guests[id]; g != nil {
		return p.consoles[g.uuid][name]
	}
	return nil
}
