// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package event

import (
	"sync/atomic"

	"ringo/hv/abi"
)

// Device answers accesses to a claimed range, with offsets from its start.
type Device interface {
	Read(off uint64, size uint8) uint64
	Write(off uint64, size uint8, val uint64)
}

// Range is a device and where a domain sees it.
type Range struct {
	Space abi.Space
	Start uint64
	Size  uint64
	Dev   Device
}

// Models answers the accesses of one domain.
type Models struct {
	Dom    uint32
	VCPUs  int
	Page   *abi.IOReqPage
	Ranges []Range
	// Done tells the hypervisor that a slot is answered.
	Done func(dom, vcpu uint32)
}

// Serve answers every slot that is ready. It is the handler of the domain's
// port.
func (m *Models) Serve() {
	for i := range m.VCPUs {
		q := &m.Page.Slot[i]
		if atomic.LoadUint32(&q.State) != abi.IOReqReady {
			continue
		}
		m.answer(q)
		atomic.StoreUint32(&q.State, abi.IOReqDone)
		m.Done(m.Dom, uint32(i))
	}
}

// answer finds the device and lets it read or write. An access that straddles
// the end of a range reads all ones, as does one that no device claims.
func (m *Models) answer(q *abi.IOReq) {
	for i := range m.Ranges {
		r := &m.Ranges[i]
		off := q.Addr - r.Start
		if uint8(r.Space) != q.Space || off >= r.Size || uint64(q.Size) > r.Size-off {
			continue
		}
		if q.Read != 0 {
			q.Data = r.Dev.Read(off, q.Size)
		} else {
			r.Dev.Write(off, q.Size, q.Data)
		}
		return
	}
	if q.Read != 0 {
		q.Data = ^uint64(0)
	}
}
