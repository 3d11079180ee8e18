// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package bus

// Ports is the [Bus] of I/O ports, with a way to find a device in a few
// instructions: what a guest does with a port is mostly an exit.
type Ports struct {
	Bus[uint16]
	pages [256]*portPage // by the high byte of a port; after Freeze
}

// portPage has the span of each port by its low byte; nil where nothing is.
type portPage [256]*Span

// noPorts is every page without a device; nobody writes to it.
var noPorts portPage

// Freeze ends registration. It must happen before the first vCPU runs.
func (p *Ports) Freeze() {
	if p.frozen {
		return
	}
	p.Bus.Freeze()
	for i := range p.pages {
		p.pages[i] = &noPorts
	}
	for i := range p.spans {
		p.enter(&p.spans[i])
	}
}

// enter puts s into the index. All pages that s fills share one.
func (p *Ports) enter(s *Span) {
	var whole *portPage
	for a := s.first; a <= s.last; {
		page := &p.pages[a>>8]
		if a&0xff == 0 && s.last-a >= 0xff {
			if whole == nil {
				whole = new(portPage)
				for j := range whole {
					whole[j] = s
				}
			}
			*page = whole
			a += 0x100
			continue
		}
		if *page == &noPorts {
			*page = new(portPage)
		}
		(*page)[a&0xff] = s
		a++
	}
}

// Grows is how many pages of 256 entries more the index will have when a range of size
// ports from start is added. What lies beyond the last port does not count.
//
// Preconditions: Freeze was not called.
func (p *Ports) Grows(start, size uint64) (pages uint64) {
	const top = 1<<16 - 1
	first := min(start, top)
	last := min(first+min(max(size, 1), 1<<16)-1, top)
	low, high := first>>8, last>>8
	// The pages at the ends, if the range leaves room there for others.
	if first&0xff != 0 || last < first|0xff {
		pages += p.vacant(low)
		low++
	}
	if low <= high && last&0xff != 0xff {
		pages += p.vacant(high)
		high--
	}
	if low <= high { // one for all in the middle
		pages++
	}
	return pages
}

// vacant is 1 if no range has a port of the page yet.
func (p *Ports) vacant(page uint64) uint64 {
	if p.Overlaps(uint16(page<<8), 0x100) {
		return 0
	}
	return 1
}

// At returns the range that port belongs to, nil when there is none.
//
// Preconditions: Freeze was called.
func (p *Ports) At(port uint16) *Span {
	a := uint64(port)
	return p.pages[a>>8&0xff][a&0xff] // with these masks no index needs a check
}

// Holds reports whether all size bytes from port are in s, one of which is port. It
// is false when size is 0.
func (s *Span) Holds(port uint16, size uint8) bool { return uint64(size)-1 <= s.last-uint64(port) }

// Off is the offset of port in s, as its device wants it.
func (s *Span) Off(port uint16) uint64 { return uint64(port) - s.first }
