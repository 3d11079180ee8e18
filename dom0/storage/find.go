// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package storage

import (
	"fmt"
	"strings"

	"ringo/dom0/config"
	"ringo/dom0/config/near"
	"ringo/dom0/files/part"
	"ringo/dom0/problem"
	"ringo/dom0/storage/format"
	"ringo/drivers/block"
)

// imageBlock is the block size of an image.
const imageBlock = 512

// find finds what a disk of a configuration is on.
func (s *Storage) find(c *config.Disk) (*place, error) {
	if c.Image != "" {
		return s.image(c.Image, c.Format != "")
	}
	p, err := s.device(strings.TrimPrefix(c.Device, "disk:"))
	if err != nil {
		return nil, err
	}
	if p.write = !c.ReadOnly && !c.Snapshot; p.write && p.device.Info().ReadOnly {
		return nil, problem.New(problem.Refused, "add readonly = true or snapshot = true", "%s is read-only", p.name)
	}
	if !p.write {
		p.device = readOnly{p.device}
	}
	return p, nil
}

// source returns a disk of the machine, and the number of the partition that a name
// names of it, 0 for the whole.
func (s *Storage) source(name string) (*Source, int) {
	base, number := part.Cut(name)
	all := s.o.Disks()
	for i := range all {
		if all[i].Name == name {
			return &all[i], 0
		}
	}
	for i := range all {
		if all[i].Name == base {
			return &all[i], number
		}
	}
	return nil, 0
}

// device finds a disk or a partition of the machine.
func (s *Storage) device(name string) (*place, error) {
	d, number := s.source(name)
	if d == nil {
		var known []string
		for _, d := range s.o.Disks() {
			known = append(known, d.Name)
		}
		if w, ok := near.Word(name, known); ok {
			return nil, problem.New(problem.NotFound, fmt.Sprintf("did you mean %q?", w), "device: this machine has no disk %q", name)
		}
		return nil, problem.New(problem.NotFound, "disks -v lists disks and partitions", "device: this machine has no disk %q", name)
	}
	info := d.Device.Info()
	unit := uint64(info.BlockSize)
	p := &place{name: name, disk: d.Name, end: info.Blocks * unit, real: true, device: d.Device}
	if number == 0 {
		return p, nil
	}
	q, err := partition(d, info, number)
	if err != nil {
		return nil, err
	}
	p.start, p.end = uint64(q.Start), uint64(q.Start)+uint64(q.Size)
	if p.start%unit != 0 || p.end > info.Blocks*unit {
		return nil, problem.New(problem.Refused, "partition the disk anew", "device: %s is not made of whole blocks of its disk", name)
	}
	p.window = newWindow(d.Device, p.start/unit, (p.end-p.start)/unit)
	p.device = p.window
	return p, nil
}

// partition reads where a partition lies.
func partition(d *Source, info block.Info, number int) (q part.Partition, err error) {
	if d.R == nil {
		return q, problem.New(problem.Refused, "give the whole disk, "+d.Name, "device: dom0 has no memory to read the partition table of %s", d.Name)
	}
	if forget, ok := d.R.(interface{ Forget() }); ok {
		forget.Forget() // somebody may have written it since
	}
	t, err := part.Read(d.R, int64(info.Blocks)*int64(info.BlockSize), info.BlockSize)
	if err != nil {
		return q, problem.New(problem.Refused, "", "device: %s cannot be read: %v", d.Name, err)
	}
	q, ok := t.Find(number)
	if !ok {
		return q, problem.New(problem.NotFound, "disks -v lists those that there are", "device: %s has no partition %d", d.Name, number)
	}
	return q, nil
}

// image finds an image, which raw says is in no format. What lies on a disk of the machine has that part of it, which
// nobody must write meanwhile.
func (s *Storage) image(name string, raw bool) (*place, error) {
	f, err := s.o.Open(name)
	if err != nil {
		return nil, fmt.Errorf("image: %w", err)
	}
	d := format.Disk{R: f.R, Size: f.Size}
	if !raw {
		if d, err = format.Open(f, s.o.Open); err != nil {
			return nil, fmt.Errorf("image: %w", err)
		}
	}
	if d.Size == 0 || d.Size%imageBlock != 0 {
		return nil, problem.New(problem.Invalid, "pad it with zeros", "image: %q is no image of a disk: its %d bytes are no whole sectors of %d", name, d.Size, imageBlock)
	}
	m := newImage(d.R, d.Size)
	p := &place{name: name, device: m, image: m, memory: d.Memory}
	if rest, ok := strings.CutPrefix(name, "disk:"); ok {
		volume, _, _ := strings.Cut(rest, "/")
		on, err := s.device(volume)
		if err != nil {
			return nil, err
		}
		p.disk, p.start, p.end = on.disk, on.start, on.end
	}
	return p, nil
}
