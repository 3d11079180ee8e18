// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package iommu

import (
	"errors"
	"strconv"
	"sync"

	"ringo/hv/abi"
	"ringo/mm"
	"ringo/mm/pt"
)

// Guard keeps devices to the memory that they were given.
type Guard struct {
	conf Config

	mu     sync.Mutex // above the frame pool's
	spaces map[abi.PCIAddr]*Space
	// regions is what firmware wants functions to have, going the marks of those that
	// were denied.
	regions map[abi.PCIAddr][]region
	going   map[abi.PCIAddr]uint32
	// tags that no space has; those of spaces that are going are not among them.
	tags     []uint16
	nextTag  uint16
	leaving  []leaving
	stopped  map[abi.PCIAddr]bool // functions that have lost their bus
	faults   uint64
	lines    limit
	deadTold bool
}

// Config is what a [Guard] works with.
type Config struct {
	Hardware Hardware
	// Tables has the frames of page tables.
	Tables pt.Allocator
	// Stop takes the bus from a function, and reports whether there is one.
	Stop func(a abi.PCIAddr) bool
	// Now is a clock, of Second ticks a second.
	Now    func() uint64
	Second uint64
	// Within calls done until it reports true, for a second.
	Within func(done func() bool) bool
	// Dead is told, once, that a unit has stopped answering.
	Dead func()
	// Told writes a warning.
	Told func(text string)
}

// Space is memory that functions reach: page tables from the addresses that they use. It
// belongs to a domain, or it is what firmware wants one function to have, and goes with
// that.
type Space struct {
	tree     *pt.Tables
	tag      uint16 // what the units remember of the tables by
	firmware bool
}

// region is memory at its own address.
type region struct {
	mm.Range[mm.HPA]
	attr pt.Attr
}

// leaving is a space whose device was detached: its frames are free when the units
// have done a mark, and never if they do not within a second.
type leaving struct {
	space *Space
	mark  uint32
	since uint64
}

// New returns a guard over hardware that is not enabled yet.
func New(c Config) *Guard {
	return &Guard{
		conf: c, nextTag: 1, spaces: map[abi.PCIAddr]*Space{}, stopped: map[abi.PCIAddr]bool{},
		regions: map[abi.PCIAddr][]region{}, going: map[abi.PCIAddr]uint32{},
	}
}

// Errors.
var (
	errTags = errors.New("iommu: no more address spaces")
	errDead = errors.New("iommu: a unit does not answer")
)

// Reserve lets a function use [r.Start, r.End) at these addresses, as firmware wants it.
// What is there of pages counts as a whole.
//
// Preconditions: nobody has been given that memory, nor will be.
func (g *Guard) Reserve(a abi.PCIAddr, r mm.Range[mm.HPA], write bool) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.spaces[a]
	if s == nil {
		var err error
		if s, err = g.newSpace(); err != nil {
			return err
		}
		if err = g.conf.Hardware.Attach(a, s.tree.Root(), s.tag); err != nil {
			s.tree.Free()
			g.tags = append(g.tags, s.tag)
			return err
		}
		s.firmware = true
		g.spaces[a] = s
	}
	attr := pt.Read
	if write {
		attr = pt.RW
	}
	p := region{r.AlignOut(mm.PageSize), attr}
	if err := g.add(s, p); err != nil {
		return err
	}
	g.regions[a] = append(g.regions[a], p)
	return nil
}

// add maps a region in a space.
func (g *Guard) add(s *Space, r region) error {
	flush, err := s.tree.Replace(pt.Addr(r.Start), r.Start, r.Size, r.attr)
	if flush.Any() {
		g.conf.Hardware.Flush(s.tag)
	}
	return err
}

// NewSpace makes a space of memory that is its domain's for good, at its own address.
func (g *Guard) NewSpace(r mm.Range[mm.HPA]) (*Space, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s, err := g.newSpace()
	if err == nil {
		err = g.add(s, region{r, pt.RW})
	}
	return s, err
}

// Attach lets a function that is quiet use a space, with what firmware wants it to have.
func (g *Guard) Attach(a abi.PCIAddr, s *Space) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, r := range g.regions[a] {
		if err := g.add(s, r); err != nil {
			return err
		}
	}
	g.deny(a)
	if mark := g.going[a]; !g.conf.Within(func() bool { return g.conf.Hardware.Done(mark) }) {
		g.dead()
		return errDead
	}
	delete(g.going, a)
	delete(g.stopped, a)
	if err := g.conf.Hardware.Attach(a, s.tree.Root(), s.tag); err != nil {
		return err
	}
	g.spaces[a] = s
	return nil
}

// Detach takes all memory from a function, and reports whether the units have forgotten
// what it had; else it is to be called again.
func (g *Guard) Detach(a abi.PCIAddr) (done bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.spaces[a] != nil {
		g.deny(a)
	}
	mark, ok := g.going[a]
	if ok && !g.conf.Hardware.Done(mark) {
		return false
	}
	delete(g.going, a)
	return true
}

// newSpace makes an empty space.
func (g *Guard) newSpace() (*Space, error) {
	var tag uint16
	switch n := len(g.tags); {
	case n > 0:
		tag, g.tags = g.tags[n-1], g.tags[:n-1]
	case int(g.nextTag) > g.conf.Hardware.Tags() || g.nextTag == 0:
		return nil, errTags
	default:
		tag = g.nextTag
		g.nextTag++
	}
	tree, err := pt.New(g.conf.Hardware.Format(), g.conf.Hardware.Memory(), g.conf.Tables)
	if err != nil {
		g.tags = append(g.tags, tag)
		return nil, err
	}
	return &Space{tree: tree, tag: tag}, nil
}

// deny takes all memory from a function.
func (g *Guard) deny(a abi.PCIAddr) {
	g.conf.Hardware.Deny(a)
	s := g.spaces[a]
	delete(g.spaces, a)
	mark := g.conf.Hardware.Mark()
	g.going[a] = mark
	if s != nil && s.firmware {
		g.leaving = append(g.leaving, leaving{s, mark, g.conf.Now()})
	}
}

// Look takes what the units have recorded, and frees what they have forgotten. It is
// to be called when a unit interrupts, and now and then.
func (g *Guard) Look() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.conf.Hardware.Faults(g.fault)
	kept := g.leaving[:0]
	for _, l := range g.leaving {
		switch {
		case g.conf.Hardware.Done(l.mark):
			l.space.tree.Free()
			g.tags = append(g.tags, l.space.tag)
		case g.conf.Now()-l.since > g.conf.Second:
			g.dead() // its frames are nobody's from now on
		default:
			kept = append(kept, l)
		}
	}
	clear(g.leaving[len(kept):])
	g.leaving = kept
	for a, mark := range g.going {
		if g.conf.Hardware.Done(mark) {
			delete(g.going, a)
		}
	}
}

// dead says that what a unit remembers cannot be known any more.
func (g *Guard) dead() {
	if !g.deadTold {
		g.deadTold = true
		g.conf.Told("iommu: a unit has stopped answering: what it may still use of memory is never used again")
		g.conf.Dead()
	}
}

// String is a few words for info: what there is, and what was refused.
func (g *Guard) String() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.conf.Hardware.String()
	if n := len(g.spaces); n > 0 {
		s += "; " + strconv.Itoa(n) + " have memory"
	}
	if g.faults > 0 {
		s += "; " + strconv.FormatUint(g.faults, 10) + " refused"
	}
	if g.deadTold {
		s += "; stopped answering"
	}
	return s
}

// Remaps reports whether devices cannot forge interrupts.
func (g *Guard) Remaps() bool { return g.conf.Hardware.Remaps() }

// Pin is [Hardware.Pin].
func (g *Guard) Pin(chip, vector uint8, apic uint32, level bool) (low, high uint32, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.conf.Hardware.Pin(chip, vector, apic, level)
}

// Message is [Hardware.Message].
func (g *Guard) Message(a abi.PCIAddr, vector uint8, apic uint32) (addr, data uint32, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.conf.Hardware.Message(a, vector, apic)
}

// Silence is [Hardware.Silence].
func (g *Guard) Silence(a abi.PCIAddr, vector uint8) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.conf.Hardware.Silence(a, vector)
}
