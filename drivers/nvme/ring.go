// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package nvme

import (
	"fmt"
	"sync/atomic"

	"ringo/drivers/dma"
	"ringo/drivers/reg"
)

// ring is a pair of a submission and a completion queue, as the device sees it. Whoever
// uses it has a lock.
type ring struct {
	sq, cq   dma.Segment
	entries  int // of each
	regs     reg.Window
	sqBell   uint32
	cqBell   uint32
	tail     int
	head     int    // of the completion queue
	phase    uint32 // of the next new completion: 1<<16 or 0
	unrung   bool   // commands wait for the bell
	freed    bool   // completions were taken
	id       uint16
	protocol string // what the device did that it must not, "" if nothing
}

// newRing makes a pair of queues with the given number of entries, a power of two.
func newRing(a dma.Arena, regs reg.Window, id uint16, entries int, stride uint32) (ring, error) {
	sq, err := a.Alloc(entries*sqeSize, dma.Page)
	if err != nil {
		return ring{}, err
	}
	cq, err := a.Alloc(entries*cqeSize, dma.Page)
	r := ring{
		sq: sq, cq: cq, entries: entries, regs: regs, id: id,
		sqBell: regBell + uint32(2*id)*stride, cqBell: regBell + uint32(2*id+1)*stride,
	}
	r.reset()
	return r, err
}

// name is what people call it.
func (r *ring) name() string { return fmt.Sprintf("queue %d", r.id) }

// reset is both queues as a device that is about to be enabled finds them.
func (r *ring) reset() {
	clear(r.cq.Bytes)
	r.tail, r.head, r.phase = 0, 0, 1<<16
	r.unrung, r.freed, r.protocol = false, false, ""
}

// push adds a command; ring tells the device.
//
// Preconditions: fewer than entries-1 commands are with the device.
func (r *ring) push(c *command, id uint16) {
	c.put((*[sqeSize]byte)(r.sq.Bytes[r.tail*sqeSize:]), id)
	if r.tail++; r.tail == r.entries {
		r.tail = 0
	}
	r.unrung = true
}

// ring tells the device of new commands, and of completions that were taken.
func (r *ring) ring() {
	if r.freed {
		r.regs.Write32(r.cqBell, uint32(r.head))
		r.freed = false
	}
	if r.unrung {
		r.regs.Write32(r.sqBell, uint32(r.tail))
		r.unrung = false
	}
}

// completion is an entry of the completion queue.
type completion struct {
	result uint32
	id     uint16
	status status
}

// next takes a completion. What cannot be one is a reason to reset the device
// (r.protocol), and nothing more is taken.
func (r *ring) next() (c completion, ok bool) {
	at := r.head * cqeSize
	// The phase is in the last word, which the device writes last.
	last := atomic.LoadUint32(r.cq.Word32(at + 12))
	if last&(1<<16) != r.phase || r.protocol != "" {
		return c, false
	}
	sq := atomic.LoadUint32(r.cq.Word32(at + 8))
	c = completion{result: atomic.LoadUint32(r.cq.Word32(at)), id: uint16(last), status: status(last >> 17)}
	if uint16(sq>>16) != r.id || int(uint16(sq)) >= r.entries {
		r.broken("queue %d: a completion of queue %d, head %d", r.id, sq>>16, uint16(sq))
		return c, false
	}
	if r.head++; r.head == r.entries {
		r.head, r.phase = 0, r.phase^1<<16
	}
	r.freed = true
	return c, true
}

// broken notes what the device did that it must not.
func (r *ring) broken(format string, a ...any) {
	if r.protocol == "" {
		r.protocol = fmt.Sprintf(format, a...)
	}
}
