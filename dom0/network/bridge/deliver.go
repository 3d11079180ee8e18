// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package bridge

import "ringo/drivers/nic"

// deliver gives frames to the receiver at w.to. If that panics, they are lost, and that
// is all.
func (w *work) deliver(frames []nic.Frame) {
	q := w.to
	if !q.gate.enter() {
		return
	}
	bytes, done := uint64(0), false
	for i := range frames {
		bytes += uint64(frames[i].Len())
	}
	defer func() {
		q.gate.leave()
		if done {
			return
		}
		v := recover()
		q.count[faults].Add(uint64(len(frames)))
		if q.o.Fault != nil {
			q.o.Fault(v)
		}
	}()
	q.r.Deliver(frames)
	done = true
	q.count[outFrames].Add(uint64(len(frames)))
	q.count[outBytes].Add(bytes)
}

// accepts asks the receiver what it takes: nothing, if it is gone or panics.
func (q *Port) accepts() (checksum, segment bool) {
	if !q.gate.enter() {
		return false, false
	}
	defer func() {
		q.gate.leave()
		if v := recover(); v != nil {
			checksum, segment = false, false
			if q.o.Fault != nil {
				q.o.Fault(v)
			}
		}
	}()
	checksum, segment = q.r.Accepts()
	return checksum, segment && checksum
}
