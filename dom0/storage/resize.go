// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package storage

import (
	"cmp"

	"ringo/dom0/config"
	"ringo/dom0/problem"
)

// checkSize returns why a snapshot cannot have the size that its configuration says, or nil.
func checkSize(c *config.Disk, p *place) error {
	i := p.device.Info()
	size := i.Blocks * uint64(i.BlockSize)
	switch n := c.Size.Bytes; {
	case n == 0:
	case n < size:
		return problem.New(problem.Invalid, "leave size out, or give a larger one", "size: %s are less than %s has, %d bytes", c.Size, p.name, size)
	case n%uint64(i.BlockSize) != 0:
		return problem.New(problem.Invalid, "give whole KiB", "size: %s are no whole blocks of %d bytes", c.Size, i.BlockSize)
	}
	return nil
}

// size is how many bytes there are.
func (d *Disk) size() uint64 {
	i := d.Info()
	return i.Blocks * uint64(i.BlockSize)
}

// Slow reports whether requests are done, or data is copied, before Submit returns, or when
// they end: snapshots, images, and data that passes through dom0's memory.
func (d *Disk) Slow() bool { return d.snapshot != nil || d.have.place.image != nil || d.Bounce != nil }

// OnResize has f called when the disk has got another size.
func (d *Disk) OnResize(f func()) { d.changed.Store(&f) }

// Resize gives an open disk the size that what it is on has now, or if it is a snapshot that
// which its configuration says, and tells its guest. Disks do not shrink. Sizes are in bytes.
func (d *Disk) Resize(c *config.Disk) (before, now uint64, err error) {
	q, err := d.s.find(c)
	if err != nil {
		return 0, 0, err
	}
	if d.snapshot != nil {
		if err := checkSize(c, q); err != nil {
			return 0, 0, err
		}
	}
	before = d.size()
	if err := d.s.grow(d, q, c.Size.Bytes); err != nil {
		return 0, 0, err
	}
	if now = d.size(); now != before {
		if f := d.changed.Load(); f != nil {
			(*f)()
		}
	}
	return before, now, nil
}

// grow takes what has been found anew of a disk.
func (s *Storage) grow(d *Disk, q *place, size uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &d.have.place
	was, is := p.device.Info().Blocks, q.device.Info().Blocks
	switch {
	case p.disk != q.disk || p.start != q.start && p.image == nil:
		return problem.New(problem.Refused, "detach and attach it again", "%s is on other blocks than before", p.name)
	case is < was || d.snapshot != nil && cmp.Or(size, is*uint64(q.device.Info().BlockSize)) < d.size():
		return problem.New(problem.Refused, "shrink file systems in the guest, then detach and attach it", "%s would shrink", p.name)
	}
	if q.memory > p.memory {
		return problem.New(problem.Refused, "detach and attach it again", "%s takes more of dom0's memory than before", p.name)
	}
	if err := s.conflict(q, func(c *claim) bool { return c == d.have }); err != nil {
		return err
	}
	switch {
	case p.window != nil:
		p.window.blocks.Store(q.window.blocks.Load())
	case p.image != nil:
		p.image.file.Store(q.image.file.Load())
	}
	p.start, p.end = q.start, q.end
	if d.snapshot != nil {
		d.snapshot.resize(size)
	}
	return nil
}
