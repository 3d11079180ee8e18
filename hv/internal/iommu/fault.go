// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package iommu

import (
	"strconv"

	"ringo/hv/abi"
)

const (
	// linesMost is how many lines about faults there are in a second.
	linesMost = 8
	// stoppedMost bounds what is remembered of functions: a device may use the
	// identity of others.
	stoppedMost = 2048
)

// limit lets so many lines pass in a second, and counts the others.
type limit struct {
	since  uint64
	lines  int
	hidden uint64
}

// pass reports whether there is a line left, and how many were hidden before it.
func (l *limit) pass(now, second uint64) (hidden uint64, ok bool) {
	if l.lines == 0 || now-l.since >= second {
		l.since, l.lines = now, 0
	}
	if l.lines == linesMost {
		l.hidden++
		return 0, false
	}
	l.lines++
	hidden, l.hidden = l.hidden, 0
	return hidden, true
}

// fault is called for each access that was refused. Who made it has lost its bus, and
// whatever memory it had: a device that asks for what is not its own is broken, or a
// tool of somebody.
func (g *Guard) fault(f Fault) {
	g.faults++
	end := ""
	if f.Known && !g.stopped[f.From] && len(g.stopped) < stoppedMost {
		g.stopped[f.From] = true
		end = "; there is no such function"
		if g.conf.Stop(f.From) {
			end = "; it is no bus master any more"
		}
		g.deny(f.From)
	}
	hidden, ok := g.lines.pass(g.conf.Now(), g.conf.Second)
	if !ok {
		return
	}
	if hidden > 0 {
		g.conf.Told("iommu: " + strconv.FormatUint(hidden, 10) + " more accesses were refused that are not listed")
	}
	g.conf.Told("iommu: " + f.text() + end)
}

// text is a line without its beginning and end.
func (f *Fault) text() string {
	if !f.Known {
		s := "refused: " + f.Reason
		if f.Code != 0 {
			s += " (" + strconv.Itoa(int(f.Code)) + ", at 0x" + strconv.FormatUint(f.Addr, 16) + ")"
		}
		return s
	}
	s := "PCI " + Name(f.From)
	switch {
	case f.Interrupt:
		s += " raised interrupt " + strconv.FormatUint(f.Addr, 10)
	case f.Write:
		s += " wrote to 0x" + strconv.FormatUint(f.Addr, 16)
	default:
		s += " read from 0x" + strconv.FormatUint(f.Addr, 16)
	}
	return s + ", refused: " + f.Reason + " (" + strconv.Itoa(int(f.Code)) + ")"
}

// Name is a function's address as people write it: 0000:03:1f.7.
func Name(a abi.PCIAddr) string {
	const digits = "0123456789abcdef"
	hex := func(b []byte, v uint64, n int) []byte {
		for i := n - 1; i >= 0; i-- {
			b = append(b, digits[v>>(4*i)&15])
		}
		return b
	}
	b := append(hex(nil, uint64(a.Segment()), 4), ':')
	b = append(hex(b, uint64(a.Bus()), 2), ':')
	b = append(hex(b, uint64(a.Device()), 2), '.', '0'+a.Function())
	return string(b)
}
