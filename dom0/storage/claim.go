// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package storage

import (
	"fmt"
	"slices"
	"sync"

	"ringo/dom0/problem"
	"ringo/drivers/block"
)

// place is a part of a disk of the machine, in bytes, or what is no disk's.
type place struct {
	name       string
	disk       string // "" for what is no disk's
	start, end uint64
	write      bool
	real       bool // device is that disk
	device     block.Device
	// What device is made of: a window of a disk, or an image, or neither.
	window *window
	image  *image
	memory uint64 // that the image takes of the heap
}

// claim is a part that somebody uses.
type claim struct {
	place
	owner Owner
}

// overlaps reports whether two parts have a block in common, which one of them writes.
func (p *place) overlaps(q *place) bool {
	return p.disk != "" && p.disk == q.disk && p.start < q.end && q.start < p.end && (p.write || q.write)
}

// conflict says who has a part that somebody wants, but for claims of its own.
//
// Preconditions: s.mu is held.
func (s *Storage) conflict(p *place, own func(c *claim) bool) error {
	for _, c := range s.claims {
		if !p.overlaps(&c.place) || own(c) {
			continue
		}
		who, remedy := fmt.Sprintf("domain %q", c.owner.Name), "destroy "+c.owner.Name+", or use another disk"
		if c.owner.UUID == [16]byte{} {
			who, remedy = "dom0 for "+c.owner.Name, "wait until that has ended"
		}
		how := "which writes it"
		if !c.write {
			how = "which reads it, and it would change below it"
		}
		return problem.New(problem.Busy, remedy, "%s is in use by %s, %s", c.name, who, how)
	}
	return nil
}

// claim takes a part for o.
func (s *Storage) claim(o Owner, p *place) (c *claim, release func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.conflict(p, func(*claim) bool { return false }); err != nil {
		return nil, nil, err
	}
	c = &claim{place: *p, owner: o}
	s.claims = append(s.claims, c)
	return c, sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.claims = slices.DeleteFunc(s.claims, func(x *claim) bool { return x == c })
	}), nil
}

// Use takes a whole disk for dom0, which writes it, until release is called.
func (s *Storage) Use(disk, what string) (release func(), err error) {
	_, release, err = s.claim(Owner{Name: what}, &place{name: disk, disk: disk, end: 1<<64 - 1, write: true})
	return release, err
}
