// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package storage is the disks that domains have: disks of the machine and partitions,
// images, and snapshots of both. Who writes one has it alone.
//
// # Threats
//
//	somebody does                         what happens
//	------------------------------------  ---------------------------------------
//	asks for what is not on the disk      the request fails, before the disk below
//	                                      or the partition beside it sees it
//	writes a snapshot without end         its memory is reserved from dom0's budget,
//	                                      and writes fail when that is used up
//	gives an image that cannot be read    errors of reads are I/O errors
//	asks for more than its limits         its requests wait, others' do not; they end
//	                                      when the disk is taken away
package storage

import (
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"

	"ringo/dom0/account"
	"ringo/dom0/config"
	"ringo/dom0/loader"
	"ringo/dom0/problem"
	"ringo/drivers/block"
	"ringo/drivers/dma"
)

// Source is a disk of the machine. R is what it contains, nil if that cannot be read.
type Source struct {
	Name   string
	Device block.Device
	R      io.ReaderAt
}

// Options are where disks come from.
type Options struct {
	Disks func() []Source
	// Open finds the file of an image.
	Open func(name string) (loader.Source, error)
	// Snapshots is what snapshots reserve memory from; they have Most bytes at most, all
	// together.
	Snapshots *account.Account
	Most      uint64
	// Confined says that disks of the machine reach dom0's memory only, of which Memory
	// takes whole pages for good.
	Confined bool
	Memory   func(size int) (addr uint64, b []byte, ok bool)
	Notify   func(line string)
}

// Owner is who has a disk.
type Owner struct {
	UUID [16]byte
	Name string // of a domain, or what dom0 does with it
}

// Storage is all disks that domains have. Its methods are safe for concurrent use.
type Storage struct {
	o Options

	mu     sync.Mutex // guards what follows
	claims []*claim
	open   map[[16]byte][]*Disk
	kept   uint64          // bytes of snapshots
	spare  [][]dma.Segment // memory to pass through that nobody has
}

// New returns the disks of o.
func New(o Options) *Storage {
	if o.Notify == nil {
		o.Notify = func(string) {}
	}
	return &Storage{o: o, open: map[[16]byte][]*Disk{}}
}

// Disk is a disk of a domain.
type Disk struct {
	block.Device
	Name     string // what the configuration calls it
	Slot     int    // of the guest's PCI bus
	Snapshot bool
	Serial   string
	// Bounce returns memory for a queue to pass its data through, nil: the disk reaches
	// the guest's.
	Bounce func() []dma.Segment

	s     *Storage
	limit *limiter
	have  *claim // guarded by s.mu
	// snapshot is nil if it is none; changed tells the guest of another size.
	snapshot *snapshot
	changed  atomic.Pointer[func()]

	stop   stop
	ended  func(*block.Request, error) // count, made once
	failed func(v any)                 // is told of panics
	unit   uint64                      // bytes of a block
	counts [block.WriteZeroes + 1]atomic.Uint64
	bytes  [block.Write + 1]atomic.Uint64
	errors atomic.Uint64
	ends   []func()
	once   sync.Once
}

// Submit implements [block.Device]. It counts what has ended.
func (d *Disk) Submit(queue int, r *block.Request) {
	r.Driver = nil
	r.Wrap(d.ended)
	defer rescue(r, d.failed)
	d.Device.Submit(queue, r)
}

// rescue is deferred where the disk below is given a request. If that panics before a
// driver has taken it, nobody else ends it.
func rescue(r *block.Request, failed func(v any)) {
	if v := recover(); v != nil {
		failed(v)
		if r.Driver == nil {
			r.Done(r, fmt.Errorf("%w: %v", block.ErrDevice, v))
		}
	}
}

// count counts a request that has ended, and ends it.
func (d *Disk) count(r *block.Request, err error) {
	r.Driver = d // if somebody panics now, it has ended
	d.counts[r.Op].Add(1)
	if err != nil {
		d.errors.Add(1)
	} else if r.Op <= block.Write {
		d.bytes[r.Op].Add(uint64(r.Blocks) * d.unit)
	}
	r.Unwrap(err)
}

// Counted is how many requests of a kind have ended, and how many bytes those of Read or
// Write have moved.
func (d *Disk) Counted(op block.Op) (requests, bytes uint64) {
	if op <= block.Write {
		bytes = d.bytes[op].Load()
	}
	return d.counts[op].Load(), bytes
}

// Errors is how many requests have failed.
func (d *Disk) Errors() uint64 { return d.errors.Load() }

// Close gives the disk up, and forgets what a snapshot has. Nothing is under way.
func (d *Disk) Close() {
	d.once.Do(func() {
		for _, f := range slices.Backward(d.ends) {
			f()
		}
	})
}

// Check returns why a domain cannot have the disks of its configuration, or nil.
func (s *Storage) Check(o Owner, all []config.Disk) error {
	var found []*place
	for i := range all {
		p, err := s.find(&all[i])
		if err != nil {
			return fmt.Errorf("disk %d: %w", i+1, err)
		}
		found = append(found, p)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, p := range found {
		if err := s.conflict(p, func(c *claim) bool { return c.owner.UUID == o.UUID }); err != nil {
			return fmt.Errorf("disk %d: %w", i+1, err)
		}
		for j, q := range found[:i] {
			if p.overlaps(q) {
				return fmt.Errorf("disk %d: %w", i+1, problem.New(problem.Invalid, "give each once", "disk %d is on the same blocks", j+1))
			}
		}
	}
	return nil
}

// Open takes the disks of a domain's configuration.
func (s *Storage) Open(o Owner, all []config.Disk) (disks []*Disk, err error) {
	defer func() {
		if err != nil {
			for _, d := range disks {
				d.Close()
			}
			disks = nil
		}
	}()
	for i := range all {
		d, err := s.Take(o, &all[i])
		if err != nil {
			return disks, fmt.Errorf("disk %d: %w", i+1, err)
		}
		disks = append(disks, d)
	}
	return disks, nil
}

// Of returns the disks that an owner has.
func (s *Storage) Of(uuid [16]byte) []*Disk {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.open[uuid])
}

// Take takes one disk.
func (s *Storage) Take(o Owner, c *config.Disk) (*Disk, error) {
	p, err := s.find(c)
	if err != nil {
		return nil, err
	}
	have, release, err := s.claim(o, p)
	if err != nil {
		return nil, err
	}
	unread, err := s.unpacking(p)
	if err != nil {
		release()
		return nil, err
	}
	d := &Disk{Device: p.device, Name: p.name, Slot: c.Slot, Snapshot: c.Snapshot, Serial: c.Serial, s: s, ends: []func(){release, unread}, have: have}
	if c.Snapshot {
		var mine uint64 // one must not have all of what there is
		if err := checkSize(c, p); err != nil {
			release()
			unread()
			return nil, err
		}
		sn := newSnapshot(p.device, func(n uint64) (func(), error) { return s.reserve(&mine, n) }, func() {
			s.o.Notify(fmt.Sprintf("error: domain %q: the snapshot of %s has no room in dom0's memory: writes fail", o.Name, p.name))
		})
		sn.resize(c.Size.Bytes)
		d.Device, d.snapshot = sn, sn
		d.ends = append(d.ends, sn.close)
	}
	d.limit = newLimiter(d.Device, c)
	d.Device, d.ended, d.unit = d.limit, d.count, uint64(d.Info().BlockSize)
	var once sync.Once // one line for all
	d.failed = func(v any) {
		once.Do(func() { s.o.Notify(fmt.Sprintf("error: domain %q: disk %s: %v", o.Name, p.name, problem.Panic(v))) })
	}
	d.limit.failed = d.failed
	if p.real && s.o.Confined {
		d.Bounce = d.pass
	}
	s.mu.Lock()
	s.open[o.UUID] = append(s.open[o.UUID], d)
	s.mu.Unlock()
	d.ends = append(d.ends, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		left := slices.DeleteFunc(s.open[o.UUID], func(x *Disk) bool { return x == d })
		if s.open[o.UUID] = left; len(left) == 0 {
			delete(s.open, o.UUID)
		}
	})
	return d, nil
}

// reserve takes memory for a snapshot, which has mine: half of what all may have at most.
func (s *Storage) reserve(mine *uint64, n uint64) (release func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n > s.o.Most-min(s.kept, s.o.Most) || *mine+n > s.o.Most/2 {
		return nil, errRoom
	}
	back, err := s.o.Snapshots.Reserve(n)
	if err != nil {
		return nil, err
	}
	s.kept += n
	*mine += n
	return func() {
		back()
		s.mu.Lock()
		s.kept -= n
		*mine -= n
		s.mu.Unlock()
	}, nil
}
