// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package platform

import (
	"ringo/dom0/devmodel/hotplug"
	"ringo/dom0/devmodel/vpci"
	"ringo/dom0/problem"
	"ringo/dom0/storage"
	"ringo/hv/abi"
)

// function is a virtio device in a slot of a guest's PCI bus, with what it takes.
type function struct {
	dev   *vpci.Device
	bells []uint32
	// ends are called, the last first, when nothing of the device is active any more.
	ends []func()
	over chan struct{} // closed by finish
}

// end ends the device. When it returns, nothing of it is active.
func (f *function) end() {
	f.dev.Stop()
	for i := range f.ends {
		f.ends[len(f.ends)-1-i]()
	}
}

// function makes a virtio device of a kind. Its queues have doorbells, which follow its
// base address register.
//
// Preconditions: g.mu is held, or the guest has not run.
func (p *Platform) function(g *guest, k vpci.Kind, ends ...func()) *function {
	f := &function{bells: make([]uint32, len(k.Queues)), ends: ends, over: make(chan struct{})}
	for q := range f.bells {
		kick := func() { f.dev.Kick(q) }
		if !k.Prompt { // it wakes a goroutine
			kick = p.events.Later(kick)
		}
		n, ok := g.models.AddBell(kick)
		if !ok {
			n = abi.MaxBells // refused by the hypervisor: notifications are forwarded
		}
		f.bells[q] = n
	}
	f.dev = vpci.New(k, g.memory, func(q int, port uint64, on bool) {
		size := uint64(vpci.BellSize)
		if !on {
			port, size = 0, 0
		}
		_ = p.hv.SetBell(g.id, f.bells[q], abi.SpacePort, port, size)
	}, func(v any) { p.broken(g, v) })
	return f
}

// virtio puts a device of a kind into a slot of a guest that has not run.
func (p *Platform) virtio(g *guest, slot int, k vpci.Kind, ends ...func()) {
	f := p.function(g, k, ends...)
	g.host.Add(slot, f.dev.Function)
	g.slots[slot] = f
}

// insert puts a device of a kind into a slot of a guest that runs, and tells it. Should
// that fail, none of its ends is called.
func (p *Platform) insert(g *guest, slot int, k vpci.Kind, ends ...func()) (listens bool, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.gone || g.slots[slot] != nil {
		return false, problem.New(problem.Busy, "", "slot %d of the guest cannot be used", slot)
	}
	f := p.function(g, k, ends...)
	g.slots[slot] = f
	g.host.Plug(slot, f.dev.Function)
	g.plug.Fill(slot, true)
	return g.plug.Listens(hotplug.SlotEvent), nil
}

// remove takes the device in a slot off the bus, nil if there is none; finish does the
// rest.
//
// Preconditions: g.mu is held.
func (g *guest) remove(slot int) *function {
	f := g.slots[slot]
	if f != nil {
		g.slots[slot], g.leaving[slot] = nil, f.over
		g.host.Remove(slot)
	}
	return f
}

// finish ends a device that is off the bus.
func (g *guest) finish(f *function) {
	defer close(f.over)
	f.end()
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, n := range f.bells {
		if n != abi.MaxBells {
			g.models.RemoveBell(n)
		}
	}
}

// ejected is what the guest does to a slot, on the thread of events.
//
// Preconditions: g.mu is held.
func (p *Platform) ejected(g *guest, slot int) {
	f := g.remove(slot)
	if f == nil {
		return
	}
	g.work.Go(func() {
		defer p.guard(g)
		g.finish(f)
		if g.emptied != nil {
			g.emptied(slot)
		}
	})
}

// guest returns that of a domain, nil if it has none.
func (p *Platform) guest(id uint32) *guest {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.guests[id]
}

// PlugDisk implements [domain.Devices].
func (p *Platform) PlugDisk(id uint32, d *storage.Disk) (listens bool, err error) {
	return p.plugIn(id, d.Slot, d.Close, func(g *guest) (vpci.Kind, error) { return g.disk(d) },
		func(g *guest) uint64 { return diskBytes(d, g.vcpus) })
}

// plugIn puts a device that is made of something into a slot of a guest that runs; bytes
// is what it keeps on the heap. What it is made of is closed when the device has ended,
// and when this fails.
func (p *Platform) plugIn(id uint32, slot int, closed func(), kind func(*guest) (vpci.Kind, error), bytes func(*guest) uint64) (listens bool, err error) {
	back := []func(){closed}
	defer func() {
		if err != nil {
			for i := range back {
				back[len(back)-1-i]()
			}
		}
	}()
	g := p.guest(id)
	if g == nil {
		return false, problem.New(problem.NotFound, "", "domain %d has no devices", id)
	}
	release, err := p.memory.Reserve(bytes(g))
	if err != nil {
		return false, err
	}
	back = []func(){release, closed}
	k, err := kind(g)
	if err != nil {
		return false, err
	}
	return p.insert(g, slot, k, back...)
}

// AskBack implements [domain.Devices].
func (p *Platform) AskBack(id uint32, slot int) (listens bool) {
	g := p.guest(id)
	if g == nil || !g.plug.Listens(hotplug.SlotEvent) {
		return false
	}
	g.plug.Request(slot)
	return true
}

// Pull implements [domain.Devices].
func (p *Platform) Pull(id uint32, slot int) {
	g := p.guest(id)
	if g == nil {
		return
	}
	g.mu.Lock()
	f := g.remove(slot)
	if f != nil {
		g.plug.Empty(slot)
	}
	last := g.leaving[slot]
	g.mu.Unlock()
	if f != nil {
		g.finish(f)
	} else if last != nil {
		<-last // the guest has given it back itself
	}
}
