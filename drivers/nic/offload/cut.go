// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package offload

import (
	"math/bits"

	"ringo/drivers/nic"
)

// cutter is a segment that is cut.
type cutter struct {
	head    []byte // all headers
	ip, tcp int    // where those are in it
	v6      bool
	id      uint16
	seq     uint32
	flags   byte
	pseudo  uint64 // sum of the pseudo header but for the length, in the other byte order
}

// cut makes frames of a segment, whose sums are computed or, with checksum, left to who
// receives them. It reports false for what is no segment.
func (s *Scratch) cut(f *nic.Frame, checksum bool) bool {
	size := f.Len()
	if int(f.Headers) > MaxHeaders || int(f.Headers) >= size || f.SumOffset != tcpSum {
		return false
	}
	c := cutter{head: s.head[:f.Headers], tcp: int(f.SumStart), v6: f.V6}
	f.CopyTo(c.head)
	var n int
	var ok bool
	if c.ip, n, ok = Headers(c.head, c.tcp, f.V6); !ok || n != len(c.head) || n-c.ip+min(int(f.Segment), size-n) > 0xffff {
		return false
	}
	c.begin()
	for at, i := n, 0; at < size; i++ {
		k := min(int(f.Segment), size-at)
		to, head := s.next(n)
		copy(head, c.head)
		c.fit(head, i, at-n, k, at+k == size)
		appendRange(to, f, at, k)
		if to.Verified = f.Verified; checksum {
			to.Sum, to.SumStart, to.SumOffset = true, f.SumStart, f.SumOffset
		} else {
			var sum summed
			sum.frame(to, c.tcp)
			put(head[c.tcp+tcpSum:], sum.sum())
		}
		at += k
	}
	return true
}

// begin reads what the frames have in turn, and sums up what they have in common.
func (c *cutter) begin() {
	ip, tcp := c.head[c.ip:], c.head[c.tcp:]
	c.seq, c.flags = be.Uint32(tcp[tcpSeq:]), tcp[tcpFlags]
	proto := uint64(bits.ReverseBytes16(protoTCP))
	if c.v6 {
		c.pseudo = uint64(fold(add(ip[ip6From:ip6Len], proto)))
		return
	}
	c.pseudo = uint64(fold(add(ip[ip4From:ip4Len], proto)))
	c.id = be.Uint16(ip[ip4ID:])
}

// fit puts into the headers of frame i, with n bytes of data from byte at of all data on,
// what is its own. Only the first has CWR (RFC 3168, "The Congestion Window Reduced"), only
// the last FIN and PSH.
func (c *cutter) fit(head []byte, i, at, n int, last bool) {
	ip, tcp := head[c.ip:c.tcp], head[c.tcp:]
	if c.v6 {
		be.PutUint16(ip[ip6Payload:], uint16(len(ip)-ip6Len+len(tcp)+n))
	} else {
		be.PutUint16(ip[ip4Total:], uint16(len(ip)+len(tcp)+n))
		be.PutUint16(ip[ip4ID:], c.id+uint16(i))
		be.PutUint16(ip[ip4Sum:], 0)
		be.PutUint16(ip[ip4Sum:], ^Sum(ip, 0))
	}
	be.PutUint32(tcp[tcpSeq:], c.seq+uint32(at))
	flags := c.flags
	if i > 0 {
		flags &^= flagCWR
	}
	if !last {
		flags &^= flagFIN | flagPSH
	}
	tcp[tcpFlags] = flags
	length := uint64(bits.ReverseBytes16(uint16(len(tcp) + n)))
	be.PutUint16(tcp[tcpSum:], bits.ReverseBytes16(fold(c.pseudo+length)))
}
