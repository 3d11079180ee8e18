// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package lan

import (
	"maps"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"ringo/dom0/network/bridge"
	"ringo/drivers/nic"
)

// Uplinks are the network cards of the machine, which dom0's own stack uses, and guests
// can be on the wire of. Its methods are safe for concurrent use.
type Uplinks struct {
	mu  sync.Mutex // guards what follows
	all map[string]*uplink
}

// Add puts something between a card and whoever uses it, so that guests can be on its wire
// as well. While none is, frames pass as they are.
func (u *Uplinks) Add(name string, dev nic.Device) nic.Device {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.all == nil {
		u.all = map[string]*uplink{}
	}
	x := &uplink{Device: dev, name: name}
	u.all[name] = x
	return x
}

// names are those of all cards.
func (u *Uplinks) names() []string {
	if u == nil {
		return nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Sorted(maps.Keys(u.all))
}

// find returns the card of a name, or nil.
func (u *Uplinks) find(name string) *uplink {
	if u == nil {
		return nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.all[name]
}

// Own says which addresses dom0 has on the wire of a card: guests there may not say that
// they have them.
func (u *Uplinks) Own(name string, all []netip.Addr) {
	x := u.find(name)
	if x == nil {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.addresses = all; x.wire != nil {
		x.sw.Reserve(all...)
	}
}

// uplink is a card of the machine. With guests on its wire it is a port of a switch, as is
// dom0's stack, which has the card's address.
type uplink struct {
	nic.Device
	name string
	own  nic.Handler   // dom0's stack
	lost atomic.Uint64 // frames that the card did not take from the switch

	// mu is held for reading while frames come from the card, so that the stack is called
	// by one goroutine, when who calls it changes.
	mu   sync.RWMutex
	wire *bridge.Port // nil: no guests
	sw   *bridge.Switch
	// addresses are dom0's there.
	addresses []netip.Addr
	card      atomic.Pointer[nic.Device]
}

// Start implements [nic.Device].
func (u *uplink) Start(h nic.Handler) {
	u.own = h
	h.Receive = u.receive
	u.Device.Start(h)
}

// Send implements [nic.Device]: dom0's stack sends.
func (u *uplink) Send(frames []nic.Frame) int {
	if c := u.card.Load(); c != nil {
		return (*c).Send(frames)
	}
	return u.Device.Send(frames)
}

// receive gets what comes from the wire.
func (u *uplink) receive(frames []nic.Frame) {
	u.mu.RLock()
	defer u.mu.RUnlock()
	if u.wire != nil {
		u.wire.Send(frames)
		return
	}
	u.own.Receive(frames)
}

// join makes the card a port of a switch, and dom0's stack another.
func (u *uplink) join(sw *bridge.Switch) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	wire, err := sw.Join(u, bridge.Options{Name: u.name, Uplink: true})
	if err != nil {
		return err
	}
	c := bridge.NewCard(sw, "dom0", u.Info().MAC)
	if err := c.Dead(); err != nil {
		wire.Leave()
		return err
	}
	c.Start(nic.Handler{Receive: u.own.Receive})
	u.promiscuous(true)
	u.wire, u.sw = wire, sw
	sw.Reserve(u.addresses...)
	u.card.Store(&c)
	return nil
}

// part is the end of that: nobody but dom0 is on the wire.
func (u *uplink) part() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.wire == nil {
		return
	}
	c := u.card.Swap(nil)
	u.wire.Leave()
	(*c).Close() // and when it returns, the stack is not called from there
	u.wire = nil
	u.promiscuous(false)
}

// promiscuous has the card receive frames for all addresses, if it can be told.
func (u *uplink) promiscuous(on bool) {
	if d, ok := u.Device.(interface{ Promiscuous(on bool) }); ok {
		d.Promiscuous(on)
	}
}

// Accepts implements [bridge.Receiver]: what the card computes. One that does not cut the
// longest frames is given none to cut.
func (u *uplink) Accepts() (checksum, segment bool) {
	i := u.Info()
	return i.Checksum, i.Checksum && i.Segment && i.MaxSegmented >= longest
}

// longest is how long a frame can be that is cut later, in bytes: what IP has at most,
// behind Ethernet's header and a tag.
const longest = nic.HeaderLen + nic.VLANLen + 1<<16 - 1

// Deliver implements [bridge.Receiver]: to the wire. What it has no room for is lost, as is
// what is too long for it.
func (u *uplink) Deliver(frames []nic.Frame) {
	most := nic.HeaderLen + nic.VLANLen + u.Info().MTU
	first := 0
	for i := range frames {
		if frames[i].Segment == 0 && frames[i].Len() > most {
			u.pass(frames[first:i])
			u.lost.Add(1)
			first = i + 1
		}
	}
	u.pass(frames[first:])
}

// pass sends frames to the wire.
func (u *uplink) pass(frames []nic.Frame) {
	if len(frames) > 0 {
		u.lost.Add(uint64(len(frames) - u.Device.Send(frames)))
	}
}
