// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package lan is the networks that domains have, by their names, and the cards by which
// domains are in them. default leads to the outside, by dom0; private:NAME joins domains
// only, and is made when the first of them names it; bridge:UPLINK is the wire that a card
// of the machine is on; none leads nowhere.
//
// What moves frames is package bridge: here is only who is where.
//
// # Threats
//
// What a guest sends passes by on its way to a [bridge.Port], which looks at it. Names, and
// how many there are, are the administrator's, and bounded all the same.
package lan

import (
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"ringo/dom0/config"
	"ringo/dom0/network/bridge"
	"ringo/dom0/network/nat"
	"ringo/dom0/problem"
	"ringo/drivers/nic"
)

// Options are what networks lead to.
type Options struct {
	// Default is the switch of the network default, nil: there is none.
	Default *bridge.Switch
	// Uplinks are the cards of the machine, nil: there are none.
	Uplinks *Uplinks
	// Gateway gives cards in default their addresses.
	Gateway Gateway
}

// Gateway joins the network default and the world: it has guests' addresses and names, and
// leads ports of the machine to them. Errors are one line, for people.
type Gateway interface {
	// Join gives a card an address, and its guest a name, until Leave.
	Join(mac nic.MAC, host string) (netip.Addr, error)
	// Leave ends what the card has, its forwards as well.
	Leave(mac nic.MAC)
	Forward(f nat.Forward) error
	// Rename gives the guest of a card another name.
	Rename(mac nic.MAC, host string)
}

// Owner is the domain that has cards.
type Owner struct {
	UUID [16]byte
	Name string
}

// Networks is all networks that domains have. Its methods are safe for concurrent use.
type Networks struct {
	o Options

	mu    sync.Mutex // guards what follows
	nets  map[string]*network
	none  network
	cards []*Card // that are open
}

// network is a network that exists.
type network struct {
	name  string
	sw    *bridge.Switch // nil: it leads nowhere
	kept  bool           // it stays when nobody is in it
	cards int
	end   func() // nil: nothing is to be done when it is forgotten
}

// maxNetworks is how many private networks there may be: each has a table of addresses.
const maxNetworks = 64

// New returns the networks of o.
func New(o Options) *Networks {
	n := &Networks{o: o, nets: map[string]*network{}, none: network{name: config.NetworkNone}}
	if o.Default != nil {
		n.nets[config.NetworkDefault] = &network{name: config.NetworkDefault, sw: o.Default, kept: true}
	}
	return n
}

// known checks that there is a network of a name, or could be.
//
// Preconditions: n.mu is held.
func (n *Networks) known(name string) error {
	uplink, wire := strings.CutPrefix(name, config.BridgePrefix)
	switch {
	case n.nets[name] != nil || name == config.NetworkNone:
	case name == config.NetworkDefault:
		return problem.New(problem.Unsupported, "use a private network", "network: this machine has no network default")
	case wire && n.o.Uplinks.find(uplink) == nil:
		remedy := "the command nics lists what there is"
		if all := n.o.Uplinks.names(); len(all) > 0 {
			remedy = "use one of " + strings.Join(all, ", ")
		}
		return problem.New(problem.NotFound, remedy, "network: this machine has no network card %q", uplink)
	case len(n.nets) >= maxNetworks:
		return problem.New(problem.Full, "network-list shows them", "network: there are %d networks, which is all that there may be", len(n.nets))
	}
	return nil
}

// find returns the network of a name, and makes one that is not there.
//
// Preconditions: n.mu is held.
func (n *Networks) find(name string) (*network, error) {
	if err := n.known(name); err != nil {
		return nil, err
	}
	if x := n.nets[name]; x != nil {
		return x, nil
	}
	if name == config.NetworkNone {
		return &n.none, nil
	}
	x := &network{name: name, sw: bridge.New(name)}
	if uplink, ok := strings.CutPrefix(name, config.BridgePrefix); ok {
		u := n.o.Uplinks.find(uplink)
		if err := u.join(x.sw); err != nil {
			return nil, err
		}
		x.end = u.part
	}
	n.nets[name] = x
	return x, nil
}

// drop forgets a network that nobody is in any more.
//
// Preconditions: n.mu is held.
func (n *Networks) drop(x *network) {
	if x.cards == 0 && !x.kept && n.nets[x.name] == x {
		delete(n.nets, x.name)
		if x.end != nil {
			x.end()
		}
	}
}

// Create makes a private network, which stays until it is destroyed.
func (n *Networks) Create(name string) error {
	name = Full(name)
	if err := checkPrivate(name); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if x := n.nets[name]; x != nil && x.kept {
		return problem.New(problem.Exists, "choose another name", "there is a network %s already", name)
	}
	x, err := n.find(name)
	if err != nil {
		return err
	}
	x.kept = true
	return nil
}

// Destroy forgets a private network, in which no domain is.
func (n *Networks) Destroy(name string) error {
	name = Full(name)
	if err := checkPrivate(name); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	x := n.nets[name]
	if x == nil {
		return problem.New(problem.NotFound, "network-list lists those that there are", "there is no network %s", name)
	}
	for _, c := range n.cards {
		if c.net == x {
			return problem.New(problem.Busy, "destroy "+c.owner.Name, "domain %q is in the network %s", c.owner.Name, name)
		}
	}
	x.kept = false
	n.drop(x)
	return nil
}

// Full is what a configuration calls the private network that a verb names.
func Full(name string) string {
	if name == config.NetworkDefault || name == config.NetworkNone || strings.Contains(name, ":") {
		return name
	}
	return config.PrivatePrefix + name
}

// checkPrivate checks that a name is that of a private network.
func checkPrivate(name string) error {
	if err := config.CheckNetwork(name); err != nil {
		return problem.Of(problem.Invalid, err)
	}
	if !strings.HasPrefix(name, config.PrivatePrefix) {
		return problem.New(problem.Invalid, "give the name of a private one", "the network %s is always there", name)
	}
	return nil
}

// Network is a network, and who is in it.
type Network struct {
	Name  string
	Kept  bool // it stays when nobody is in it
	Cards []*Card
}

// List returns all networks by name, default first.
func (n *Networks) List() (all []Network) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for x := range n.each() {
		l := Network{Name: x.name, Kept: x.kept}
		for _, c := range n.cards {
			if c.net == x {
				l.Cards = append(l.Cards, c)
			}
		}
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b Network) int { return strings.Compare(order(a.Name), order(b.Name)) })
	return all
}

// each yields all networks, and none if somebody is in it.
//
// Preconditions: n.mu is held.
func (n *Networks) each() iter.Seq[*network] {
	return func(yield func(*network) bool) {
		for _, x := range n.nets {
			if !yield(x) {
				return
			}
		}
		if n.none.cards > 0 {
			yield(&n.none)
		}
	}
}

// order is what networks are sorted by.
func order(name string) string {
	if name == config.NetworkDefault {
		return ""
	}
	return name
}

// Of returns the cards that a domain has, in the order of its configuration.
func (n *Networks) Of(uuid [16]byte) (all []*Card) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.cards {
		if c.owner.UUID == uuid {
			all = append(all, c)
		}
	}
	return all
}

// Rename says that a domain is called otherwise now.
func (n *Networks) Rename(uuid [16]byte, name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.cards {
		if c.owner.UUID != uuid {
			continue
		}
		if c.owner.Name = name; c.Address.IsValid() {
			n.o.Gateway.Rename(c.MAC, name)
		}
	}
}

// Find returns the card of a name: DOMAIN.NUMBER, as network-list has it.
func (n *Networks) Find(name string) (*Card, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.cards {
		if c.name() == name {
			return c, nil
		}
	}
	return nil, problem.New(problem.NotFound, "network-list lists those that there are", "there is no card %q", name)
}

// wanted is a card of a configuration, with the address that it is to have.
type wanted struct {
	*config.NIC
	mac nic.MAC
}

func want(o Owner, all []config.NIC) (out []wanted) {
	all = config.PlaceNICs(all)
	for i := range all {
		out = append(out, wanted{&all[i], all[i].Address(o.UUID)})
	}
	return out
}

// conflict says why a domain cannot have card i of those that it wants, or nil. Those that
// it has already count with again only.
//
// Preconditions: n.mu is held.
func (n *Networks) conflict(o Owner, all []wanted, i int, again bool) error {
	w := all[i]
	for j := range i {
		if all[j].mac == w.mac {
			return fmt.Errorf("nic %d: mac: nic %d has %v already: choose another", i+1, j+1, w.mac)
		}
	}
	for _, c := range n.cards {
		if again && c.owner.UUID == o.UUID {
			continue
		}
		if c.MAC == w.mac {
			return fmt.Errorf("nic %d: %w", i+1, problem.New(problem.Busy, "choose another", "mac: %v is that of card %s", w.mac, c.name()))
		}
		for _, f := range w.Forwards() {
			if slices.ContainsFunc(c.Forwards, func(g config.Forward) bool { return g.Protocol == f.Protocol && g.From == f.From }) {
				return fmt.Errorf("nic %d: %w", i+1, problem.New(problem.Busy, "choose another port", "forward: %s port %d leads to card %s", f.Protocol, f.From, c.name()))
			}
		}
	}
	return nil
}

// Check returns why a domain cannot have the cards of its configuration, or nil.
func (n *Networks) Check(o Owner, all []config.NIC) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	cards := want(o, all)
	for i, w := range cards {
		if err := n.known(w.On()); err != nil {
			return fmt.Errorf("nic %d: %w", i+1, err)
		}
		if err := n.conflict(o, cards, i, true); err != nil {
			return err
		}
		if _, err := w.rules(i); err != nil {
			return err
		}
	}
	return nil
}
