// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package ioreq answers the accesses of one domain that the hypervisor leaves to
// dom0: it takes them from the domain's access slots and gives each to the
// device model that has its address.
//
// What a hostile guest can do here:
//
//	access any address with any size  -> at most one device sees it, with an
//	                                     offset inside its range; what nobody
//	                                     has reads all ones and ignores writes
//	access from all its vCPUs         -> one slot each, answered in turn
//	post writes without end           -> the ring holds abi.MaxPosts; those beyond
//	                                     wait for dom0 like any other access
//	ring doorbells without end        -> what it rings while dom0 looks the other
//	                                     way is one ring; a bell wakes whoever
//	                                     serves its queue, no more
package ioreq

import (
	"math/bits"
	"sync/atomic"

	"ringo/hv/abi"
	"ringo/hv/bus"
)

// Models answers the accesses of one domain.
//
// Add is for the thread that makes the domain; it comes before the first Serve. AddBell
// and RemoveBell may come later, but not while Serve runs.
type Models struct {
	dom   uint32
	page  *abi.IOReqPage
	slots []abi.IOReq
	bells []func()
	free  []uint32 // of them
	rung  []uint64 // the words of the page that have their bits
	host  Host
	quiet func() bool
	ports bus.Bus[uint16]
	mem   bus.Bus[uint64]
	// config is configuration space.
	config bus.Bus[uint64]
	last   found
	out    uint32 // posted writes that were carried out
}

// is reports whether it answers q.
func (l *found) is(q *abi.IOReq) bool {
	return l.dev != nil && l.port == q.Addr && l.size == q.Size && q.Space == uint8(abi.SpacePort)
}

// Host is told that the slot of a vCPU is answered; hcall.Client is one. If the error is
// not nil, nobody waits for the answer.
type Host interface {
	IOReqDone(dom, vcpu uint32) error
}

// found is the answer to the last search for a port: a driver asks one register again
// and again.
type found struct {
	dev  bus.Device // nil: there was none yet
	port uint64
	size uint8
	off  uint64
}

// New returns the models of a domain with vcpus vCPUs, whose slots are in page.
// quiet reports whether nobody but this domain asks for the thread that serves all.
//
// Preconditions: vcpus is at most abi.MaxVCPUs.
func New(dom uint32, vcpus int, page *abi.IOReqPage, host Host, quiet func() bool) *Models {
	return &Models{
		dom: dom, page: page, slots: page.Slot[:vcpus], host: host, quiet: quiet, out: atomic.LoadUint32(&page.PostOut),
	}
}

// Add registers dev for size bytes from start. The errors are those of
// [bus.Bus.Add].
func (m *Models) Add(s abi.Space, start, size uint64, dev bus.Device) error {
	switch {
	case s == abi.SpaceMemory:
		return m.mem.Add(start, size, dev)
	case s == abi.SpaceConfig:
		return m.config.Add(start, size, dev)
	case start > 0xffff:
		return bus.ErrRange
	}
	return m.ports.Add(uint16(start), size, dev)
}

// AddBell makes ring the answer to a doorbell and returns the doorbell's number,
// or false when there is none left. ring must not block.
func (m *Models) AddBell(ring func()) (bell uint32, ok bool) {
	if n := len(m.free); n > 0 {
		bell, m.free = m.free[n-1], m.free[:n-1]
		m.bells[bell] = ring
		return bell, true
	}
	if len(m.bells) == abi.MaxBells {
		return 0, false
	}
	m.bells = append(m.bells, ring)
	m.rung = m.page.Bell[:(len(m.bells)+63)/64]
	return uint32(len(m.bells) - 1), true
}

// RemoveBell gives back a doorbell, which the hypervisor does not ring any more. What it
// has rung before may still be the next one's.
func (m *Models) RemoveBell(bell uint32) {
	m.bells[bell] = func() {}
	m.free = append(m.free, bell)
}

// Cell says what the hypervisor may do by itself with accesses of one byte to a port.
type Cell struct{ word *uint32 }

// Cell returns the cell of a number below abi.MaxCells.
func (m *Models) Cell(n uint64) Cell { return Cell{&m.page.Cell[n]} }

// Answer has reads answered with v, until the next call.
func (c Cell) Answer(v byte) { atomic.StoreUint32(c.word, abi.CellRead|uint32(v)) }

// Post has writes posted.
func (c Cell) Post() { atomic.StoreUint32(c.word, abi.CellPost) }

// Forward has all accesses come here.
func (c Cell) Forward() { atomic.StoreUint32(c.word, 0) }

// passes is how often Serve looks, at most: others want the locks that its caller holds.
const passes = 16

// Serve carries out posted writes, looks at the doorbells and answers every slot that is
// ready. It is the handler of the domain's port.
//
// While it answers, the hypervisor lets the guest run, and often the guest's next access
// is there when that returns. So it looks again, as long as it finds something and
// nobody else waits: that spares the way through the event ports.
func (m *Models) Serve() {
	for n := 0; m.pass() && n < passes-1 && m.quiet(); n++ {
	}
}

// pass looks once, and reports whether it has answered an access.
func (m *Models) pass() (answered bool) {
	page := m.page
	if m.out != atomic.LoadUint32(&page.PostIn) {
		m.Drain()
	}
	for w := range m.rung {
		if atomic.LoadUint64(&m.rung[w]) != 0 {
			m.ring(w)
		}
	}
	slots := m.slots
	for i := range slots {
		q := &slots[i]
		if atomic.LoadUint32(&q.State) != abi.IOReqReady {
			continue
		}
		if m.out != atomic.LoadUint32(&page.PostIn) {
			m.Drain() // what its vCPU has posted before
		}
		m.answer(q)
		atomic.StoreUint32(&q.State, abi.IOReqDone)
		_ = m.host.IOReqDone(m.dom, uint32(i)) // a domain that is gone has nobody waiting
		answered = true
	}
	return answered
}

// Drain carries out the posted writes.
func (m *Models) Drain() {
	in := atomic.LoadUint32(&m.page.PostIn)
	if m.out == in {
		return
	}
	for ; m.out != in; m.out++ {
		e := &m.page.Post[m.out%abi.MaxPosts]
		if dev, off, ok := m.ports.Find(e.Port, 1); ok {
			dev.Write(off, 1, uint64(e.Value), e.Time)
		}
	}
	atomic.StoreUint32(&m.page.PostOut, in)
}

// ring takes word w of the doorbells.
func (m *Models) ring(w int) {
	for b := atomic.SwapUint64(&m.rung[w], 0); b != 0; b &= b - 1 {
		if n := w*64 + bits.TrailingZeros64(b); n < len(m.bells) {
			m.bells[n]()
		}
	}
}

// answer finds the device and lets it read or write. An access that straddles
// the end of a range reads all ones, as does one that no device claims.
func (m *Models) answer(q *abi.IOReq) {
	l := &m.last
	dev, off, ok := l.dev, l.off, true
	if !l.is(q) {
		dev, off, ok = m.find(q)
	}
	switch {
	case ok && q.Read != 0:
		q.Data = dev.Read(off, q.Size, q.Time)
	case ok:
		dev.Write(off, q.Size, q.Data, q.Time)
	case q.Read != 0:
		q.Data = ^uint64(0)
	}
}

func (m *Models) find(q *abi.IOReq) (dev bus.Device, off uint64, ok bool) {
	switch abi.Space(q.Space) {
	case abi.SpacePort:
		if dev, off, ok = m.ports.Find(uint16(q.Addr), q.Size); ok {
			m.last = found{dev, q.Addr, q.Size, off}
		}
		return dev, off, ok
	case abi.SpaceMemory:
		return m.mem.Find(q.Addr, q.Size)
	case abi.SpaceConfig:
		return m.config.Find(q.Addr, q.Size)
	}
	return nil, 0, false
}
