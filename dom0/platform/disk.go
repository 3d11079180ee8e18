// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package platform

import (
	"slices"

	"ringo/dom0/devmodel/vblk"
	"ringo/dom0/devmodel/vpci"
	"ringo/dom0/problem"
	"ringo/dom0/storage"
	"ringo/drivers/dma"
)

// queues is how many queues a guest with so many vCPUs has to a disk.
func queues(d *storage.Disk, vcpus int) int { return min(d.Queues(), vcpus, vblk.MaxQueues) }

// diskBytes is what dom0 keeps on its Go heap for a disk of a guest at most.
func diskBytes(d *storage.Disk, vcpus int) uint64 { return uint64(queues(d, vcpus) * vblk.QueueBytes) }

func closeDisks(all []*storage.Disk) {
	for _, d := range all {
		d.Close()
	}
}

// addDisk puts that of some disks that belongs into a slot there, in a guest that has not
// run.
func (p *Platform) addDisk(g *guest, slot int, all []*storage.Disk) error {
	i := slices.IndexFunc(all, func(d *storage.Disk) bool { return d.Slot == slot })
	if i < 0 {
		return problem.New(problem.Internal, "", "there is no disk for slot %d", slot)
	}
	d := all[i]
	release, err := p.memory.Reserve(diskBytes(d, g.vcpus))
	if err != nil {
		return err
	}
	k, err := g.disk(d)
	if err != nil {
		release()
		return err
	}
	p.virtio(g, slot, k, release, d.Close)
	g.plug.Fill(slot, false)
	return nil
}

// kick has the queues of the device in a slot look for something to do.
func (g *guest) kick(slot int) {
	g.mu.Lock()
	f := g.slots[slot]
	g.mu.Unlock()
	if f != nil {
		for q := range f.bells {
			f.dev.Kick(q)
		}
	}
}

// reconfigured tells the guest that the device in a slot has another configuration.
func (g *guest) reconfigured(slot int) {
	g.mu.Lock()
	f := g.slots[slot]
	g.mu.Unlock()
	if f != nil {
		f.dev.Changed()
	}
}

// disk is the device that a disk is for the guest.
func (g *guest) disk(d *storage.Disk) (vpci.Kind, error) {
	c := vblk.Config{Disk: d, Memory: g.memory, Serial: d.Serial, Queues: queues(d, g.vcpus), Drop: d.Drop, Slow: d.Slow()}
	d.OnResize(func() { g.reconfigured(d.Slot) })
	if d.Stops() {
		c.Stop = &vblk.Stop{Failed: d.Fail}
		d.OnRetry(func() {
			c.Stop.Again()
			g.kick(d.Slot)
		})
	}
	if d.Bounce == nil {
		return vblk.Kind(c), nil
	}
	var all [][]dma.Segment
	for range c.Queues {
		pages := d.Bounce()
		if pages == nil { // its requests would wait without end
			return vpci.Kind{}, problem.New(problem.Full, "boot with a larger dom0_mem= on the hypervisor's command line",
				"dom0 has no memory for the data of disk %s to pass through", d.Name)
		}
		all = append(all, pages)
	}
	c.Bounce = func() []dma.Segment {
		pages := all[0]
		all = all[1:]
		return pages
	}
	return vblk.Kind(c), nil
}
