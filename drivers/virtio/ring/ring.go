// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package ring is the split virtqueue of virtio (Virtual I/O Device (VIRTIO)
// Version 1.2, "Split Virtqueues"), both sides: [Device] takes requests out of a
// ring that somebody else fills, [Driver] puts them in.
//
// The memory behind a ring is shared with the other side, which writes it at any
// time. All accesses go through functions that the compiler does not look into,
// one access each; on amd64 loads and stores then happen in the order of the
// program, but for a load after a store, where [fence] stands.
//
// What a hostile driver can do here:
//
//	give a descriptor index beyond the queue    -> ErrChain
//	chain descriptors in a loop                 -> a chain has at most as many
//	                                               as the queue, then ErrChain
//	name buffers that are not RAM, or wrap      -> ErrBuffer, before a byte is used
//	put readable buffers behind writable ones   -> ErrChain
//	nest or misplace indirect tables            -> ErrChain; their number of
//	                                               descriptors is bounded as well
//	advance the index by more than the queue    -> ErrIndex
//	change descriptors while they are used      -> each is read once, and what was
//	                                               checked is what is used
//	take back the available index               -> ErrIndex
//
// After an error the queue is [Device.Broken]: it answers nothing until it is set
// up anew. Work per call is bounded by the size of the queue.
package ring

import (
	"encoding/binary"
	"errors"
	"sync/atomic"
)

// Memory is RAM by the addresses that stand in a ring.
type Memory interface {
	// RAM returns the RAM at a: at least one byte, at most n, and fewer than n
	// where it is not contiguous. It returns nil when a is not RAM.
	RAM(a, n uint64) []byte
}

// Errors of a ring. The other side breaks the rules: it needs a reset.
var (
	ErrIndex  = errors.New("virtqueue: the available index has jumped")
	ErrChain  = errors.New("virtqueue: a descriptor chain is malformed")
	ErrBuffer = errors.New("virtqueue: a buffer or the ring itself is not in memory")
	ErrLayout = errors.New("virtqueue: size or alignment is not allowed")
)

// MaxSize is the largest number of descriptors of a split virtqueue.
const MaxSize = 32768

// Feature bits that change a ring (VIRTIO 1.2, "Reserved Feature Bits").
const (
	FeatureIndirect   = 1 << 28 // VIRTIO_F_INDIRECT_DESC
	FeatureEventIndex = 1 << 29 // VIRTIO_F_EVENT_IDX
)

// Layout says where a ring lies and how it works.
type Layout struct {
	Size     int    // descriptors, a power of two
	Desc     uint64 // address of the descriptor table, aligned to 16
	Avail    uint64 // of the available ring, aligned to 2
	Used     uint64 // of the used ring, aligned to 4
	Features uint64 // those above count
}

// Lengths in bytes and flags (VIRTIO 1.2, "The Virtqueue Descriptor Table" to
// "The Virtqueue Used Ring").
const (
	descLen  = 16
	usedLen  = 8
	ringHead = 4 // flags and index before the elements

	flagNext     = 1
	flagWrite    = 2
	flagIndirect = 4

	noInterrupt = 1 // in the available ring's flags
	noNotify    = 1 // in the used ring's flags
)

// Buffer is one piece of a request, in place.
type Buffer struct {
	Addr  uint64
	Len   uint32
	Write bool // the device writes it
}

// parts are the three areas of a ring in memory.
type parts struct {
	Layout
	desc, avail, used area
}

// area is memory that is contiguous for the other side only. What is accessed is
// aligned to its size, so that it is in one piece of page-grained memory.
type area []piece

type piece struct {
	from int // offset in the area
	b    []byte
}

// at returns what lies at an offset of the area.
func (a area) at(off int) []byte {
	i := len(a) - 1
	for i > 0 && off < a[i].from {
		i--
	}
	return a[i].b[off-a[i].from:]
}

// findArea returns n bytes at addr, or nothing if they are not all RAM.
func findArea(m Memory, addr, n uint64) (a area) {
	for off := uint64(0); off < n; {
		b := m.RAM(addr+off, n-off)
		if addr+off < addr || len(b) == 0 || uint64(len(b)) > n-off {
			return nil
		}
		a = append(a, piece{int(off), b})
		off += uint64(len(b))
	}
	return a
}

// find checks a layout and finds its areas in memory.
func (l Layout) find(m Memory) (p parts, err error) {
	if l.Size < 1 || l.Size > MaxSize || l.Size&(l.Size-1) != 0 || l.Desc%16 != 0 || l.Avail%2 != 0 || l.Used%4 != 0 {
		return p, ErrLayout
	}
	p.Layout = l
	n := uint64(l.Size)
	for _, a := range []struct {
		area *area
		at   uint64
		size uint64
	}{
		{&p.desc, l.Desc, n * descLen},
		{&p.avail, l.Avail, ringHead + n*2 + 2}, // with used_event
		{&p.used, l.Used, ringHead + n*usedLen + 2},
	} {
		if *a.area = findArea(m, a.at, a.size); *a.area == nil {
			return p, ErrBuffer
		}
	}
	return p, nil
}

// usedEventAt is the offset of used_event in the available ring.
func (p *parts) usedEventAt() int { return ringHead + p.Size*2 }

// availEventAt is the offset of avail_event in the used ring.
func (p *parts) availEventAt() int { return ringHead + p.Size*usedLen }

// due reports whether somebody who asked to hear of index event must hear of a
// step from old to now (VIRTIO 1.2, "Used Buffer Notification Suppression").
func due(event, now, old uint16) bool { return now-event-1 < now-old }

// load16, load32, load64 and the stores are one access to shared memory each. The other side
// is a machine of its own, where only a test's race detector sees it.
//
//go:noinline
//go:norace
func load16(b []byte) uint16 { return binary.LittleEndian.Uint16(b) }

//go:noinline
//go:norace
func load32(b []byte) uint32 { return binary.LittleEndian.Uint32(b) }

//go:noinline
//go:norace
func load64(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }

//go:noinline
//go:norace
func store16(b []byte, v uint16) { binary.LittleEndian.PutUint16(b, v) }

//go:noinline
//go:norace
func store32(b []byte, v uint32) { binary.LittleEndian.PutUint32(b, v) }

//go:noinline
//go:norace
func store64(b []byte, v uint64) { binary.LittleEndian.PutUint64(b, v) }

// fence orders a load behind a store before it: a locked instruction does on
// amd64 (SDM Vol. 3, "Memory Ordering in P6 and More Recent Processor Families").
func fence(word *atomic.Uint32) { word.Add(1) }
