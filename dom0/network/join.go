// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package network

import (
	"bytes"
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"ringo/drivers/nic"
)

// Most of what the stack does with a frame it does for each, however short it is. So
// segments of a TCP connection that come one after the other become one packet, before it
// sees them (what Linux calls GRO); and of acknowledgements that come one after the other
// it sees the last, as if the others had been lost: that one says all that they say (RFC
// 3449, "ACK Filtering"). Repeated ones, which tell of a loss, it sees all.

// joinMost is how long such a packet is at most, with its headers: a piece of the stack's
// memory, whose lengths are powers of two.
const joinMost = 32 << 10

// segment is a frame that may be joined with others: TCP over IPv4 without options or over
// IPv6 without more headers, whole, with no flags but ACK and PSH, whose sums are right.
type segment struct {
	head []byte // Ethernet's, IP's and TCP's headers
	tcp  int    // where TCP's begins in it
	data []byte
}

// segmentOf takes a frame apart. It is one that is not joined if ok is false.
func segmentOf(f *nic.Frame) (s segment, ok bool) {
	if len(f.Pieces) != 1 {
		return s, false
	}
	b := f.Pieces[0]
	if len(b) < header.EthernetMinimumSize+header.IPv4MinimumSize {
		return s, false
	}
	end := header.EthernetMinimumSize
	switch proto := header.Ethernet(b).Type(); proto {
	case header.IPv4ProtocolNumber:
		ip := header.IPv4(b[end:])
		if ip[0] != 0x45 || ip.Protocol() != uint8(header.TCPProtocolNumber) || !ipHeaderRight(proto, ip) {
			return s, false
		}
		s.tcp, end = end+header.IPv4MinimumSize, end+int(ip.TotalLength())
	case header.IPv6ProtocolNumber:
		ip := header.IPv6(b[end:])
		if len(ip) < header.IPv6MinimumSize || ip[0]>>4 != 6 || ip.NextHeader() != uint8(header.TCPProtocolNumber) {
			return s, false
		}
		s.tcp, end = end+header.IPv6MinimumSize, end+header.IPv6MinimumSize+int(ip.PayloadLength())
	default:
		return s, false
	}
	if end > len(b) || end < s.tcp+header.TCPMinimumSize {
		return s, false
	}
	tcp := header.TCP(b[s.tcp:end])
	n := s.tcp + int(tcp.DataOffset())
	if n < s.tcp+header.TCPMinimumSize || n > end || tcp.Flags()&^header.TCPFlagPsh != header.TCPFlagAck {
		return s, false
	}
	s.head, s.data = b[:n], b[n:end]
	return s, f.Verified || s.sumRight()
}

// sumRight reports whether TCP's sum is.
func (s *segment) sumRight() bool {
	tcp, addresses := header.TCP(s.head[s.tcp:]), s.head[26:34]
	if s.tcp == header.EthernetMinimumSize+header.IPv6MinimumSize {
		addresses = s.head[22:54]
	}
	sum := checksum.Checksum(addresses, uint16(header.TCPProtocolNumber)+uint16(len(tcp)+len(s.data)))
	return checksum.Combine(checksum.Checksum(tcp, sum), checksum.Checksum(s.data, 0)) == 0xffff
}

// sameFlow reports whether two segments are of one connection, and their headers differ at
// most in lengths, IPv4's identification, sums, and what is behind TCP's ports.
func (s *segment) sameFlow(t *segment) bool {
	a, b := s.head, t.head
	if len(a) != len(b) || s.tcp != t.tcp || !bytes.Equal(a[s.tcp:s.tcp+4], b[s.tcp:s.tcp+4]) {
		return false
	}
	if s.tcp == header.EthernetMinimumSize+header.IPv6MinimumSize {
		return bytes.Equal(a[:18], b[:18]) && bytes.Equal(a[20:54], b[20:54])
	}
	// To the type of service; flags to protocol; addresses.
	return bytes.Equal(a[:16], b[:16]) && bytes.Equal(a[20:24], b[20:24]) && bytes.Equal(a[26:34], b[26:34])
}

// follows reports whether the data of s is what comes after that of before, and nothing
// else was said in between.
func (s *segment) follows(before *segment) bool {
	if len(s.data) == 0 || len(before.data) == 0 || !s.sameFlow(before) {
		return false
	}
	x, y := before.head[s.tcp:], s.head[s.tcp:]
	return header.TCPFlags(x[13]) == header.TCPFlagAck && // not after one with PSH
		bytes.Equal(x[8:13], y[8:13]) && bytes.Equal(x[14:16], y[14:16]) && bytes.Equal(x[18:], y[18:]) &&
		binary.BigEndian.Uint32(y[4:]) == binary.BigEndian.Uint32(x[4:])+uint32(len(before.data))
}

// onlyTime is how the options of a segment begin that are a time stamp (RFC 7323,
// appendix A).
var onlyTime = []byte{1, 1, 8, 10}

// outdates reports whether s acknowledges more than before does, and neither says anything
// else.
func (s *segment) outdates(before *segment) bool {
	if len(s.data)+len(before.data) != 0 || !s.sameFlow(before) {
		return false
	}
	x, y := before.head[s.tcp:], s.head[s.tcp:]
	timed := func(o []byte) bool { return len(o) == 0 || len(o) == 12 && bytes.HasPrefix(o, onlyTime) }
	return timed(x[20:]) && timed(y[20:]) && bytes.Equal(x[4:8], y[4:8]) && x[13] == y[13] &&
		int32(binary.BigEndian.Uint32(y[8:])-binary.BigEndian.Uint32(x[8:])) > 0
}

// joiner is what is joined: size bytes of data in all, of list.
type joiner struct {
	list []segment
	size int
}

// take begins with frames[0]. It returns how many frames became one packet, which is nil
// if nothing is left of them; or 0 if the first is to be taken as it is, whose sums may
// have been looked at then (list is not empty).
func (j *joiner) take(frames []nic.Frame) (n int, packet *buffer.View) {
	j.list, j.size = j.list[:0], 0
	for i := range frames {
		s, ok := segmentOf(&frames[i])
		if !ok {
			break
		}
		if i == 1 && s.outdates(&j.list[0]) {
			return 1, nil
		}
		if i > 0 && (!s.follows(&j.list[i-1]) || len(s.head)+j.size+len(s.data) > joinMost) {
			break
		}
		j.list, j.size = append(j.list, s), j.size+len(s.data)
	}
	if len(j.list) < 2 {
		return 0, nil
	}
	return len(j.list), j.packet()
}

// packet is what was taken, as one frame.
func (j *joiner) packet() *buffer.View {
	first, last := &j.list[0], &j.list[len(j.list)-1]
	v := buffer.NewViewSize(len(first.head) + j.size)
	b := v.AsSlice()
	n := copy(b, first.head)
	for i := range j.list {
		n += copy(b[n:], j.list[i].data)
	}
	if ip := b[header.EthernetMinimumSize:]; first.tcp == header.EthernetMinimumSize+header.IPv4MinimumSize {
		h := header.IPv4(ip)
		h.SetTotalLength(uint16(len(ip)))
		h.SetChecksum(0)
		h.SetChecksum(^h.CalculateChecksum())
	} else {
		header.IPv6(ip).SetPayloadLength(uint16(len(ip) - header.IPv6MinimumSize))
	}
	b[first.tcp+13] = last.head[first.tcp+13] // PSH
	return v
}
