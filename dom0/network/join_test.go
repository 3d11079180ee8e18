// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package network

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"ringo/drivers/nic"
)

// spec is a TCP segment to be made.
type spec struct {
	v6         bool
	seq, ack   uint32
	flags      header.TCPFlags
	options    []byte
	data       string
	window     uint16
	id         uint16
	port       uint16
	ttl, tos   uint8
	pad        int // bytes behind the packet
	unverified bool
	summed     bool // TCP's sum is right
	badIP      bool
	fragment   bool
}

func (s spec) frame() nic.Frame {
	tcpLen := header.TCPMinimumSize + len(s.options)
	ipLen, proto := header.IPv4MinimumSize, header.IPv4ProtocolNumber
	if s.v6 {
		ipLen, proto = header.IPv6MinimumSize, header.IPv6ProtocolNumber
	}
	b := make([]byte, header.EthernetMinimumSize+ipLen+tcpLen+len(s.data)+s.pad)
	header.Ethernet(b).Encode(&header.EthernetFields{SrcAddr: "\x02\x00\x00\x00\x00\x02", DstAddr: "\x02\x00\x00\x00\x00\x01", Type: proto})
	ip := b[header.EthernetMinimumSize:]
	if s.v6 {
		header.IPv6(ip).Encode(&header.IPv6Fields{PayloadLength: uint16(tcpLen + len(s.data)), TransportProtocol: header.TCPProtocolNumber, HopLimit: s.ttl, TrafficClass: s.tos})
	} else {
		f := &header.IPv4Fields{TOS: s.tos, TotalLength: uint16(ipLen + tcpLen + len(s.data)), ID: s.id, TTL: s.ttl, Protocol: 6, SrcAddr: tcpip.AddrFrom4([4]byte{10, 0, 0, 2}), DstAddr: tcpip.AddrFrom4([4]byte{10, 0, 0, 1})}
		if s.fragment {
			f.Flags = header.IPv4FlagMoreFragments
		}
		header.IPv4(ip).Encode(f)
		header.IPv4(ip).SetChecksum(^header.IPv4(ip).CalculateChecksum())
		if s.badIP {
			ip[10]++
		}
	}
	tcp := ip[ipLen:]
	header.TCP(tcp).Encode(&header.TCPFields{SrcPort: 80, DstPort: 1000 + s.port, SeqNum: s.seq, AckNum: s.ack, DataOffset: uint8(tcpLen), Flags: s.flags | header.TCPFlagAck, WindowSize: 100 + s.window})
	copy(tcp[header.TCPMinimumSize:], s.options)
	copy(tcp[tcpLen:], s.data)
	if s.summed {
		tcp = tcp[:tcpLen+len(s.data)]
		src, dst := header.IPv4(ip).SourceAddress(), header.IPv4(ip).DestinationAddress()
		if s.v6 {
			src, dst = header.IPv6(ip).SourceAddress(), header.IPv6(ip).DestinationAddress()
		}
		sum := header.PseudoHeaderChecksum(header.TCPProtocolNumber, src, dst, uint16(len(tcp)))
		header.TCP(tcp).SetChecksum(^checksum.Checksum(tcp, sum))
	}
	return nic.Frame{Pieces: [][]byte{b}, Verified: !s.unverified}
}

func stamp(n byte) []byte { return []byte{1, 1, 8, 10, 0, 0, 0, n, 0, 0, 0, 1} }

// TestJoin: what is joined, what is left out, and what is not touched.
func TestJoin(t *testing.T) {
	sack := []byte{1, 1, 5, 10, 0, 0, 0, 9, 0, 0, 0, 12}
	for name, c := range map[string]struct {
		all  []spec
		n    int
		data string // of the packet
	}{
		"two":                             {[]spec{{data: "abc"}, {seq: 3, id: 7, data: "de"}}, 2, "abcde"},
		"IPv6":                            {[]spec{{v6: true, data: "abc"}, {v6: true, seq: 3, data: "de"}, {v6: true, seq: 9, data: "x"}}, 2, "abcde"},
		"padded":                          {[]spec{{data: "abc", pad: 3}, {seq: 3, data: "de", pad: 4}}, 2, "abcde"},
		"one":                             {[]spec{{data: "abc"}}, 0, ""},
		"a hole":                          {[]spec{{data: "abc"}, {seq: 4, data: "de"}}, 0, ""},
		"again":                           {[]spec{{data: "abc"}, {data: "abc"}}, 0, ""},
		"pushed":                          {[]spec{{data: "a", flags: header.TCPFlagPsh}, {seq: 1, data: "b"}}, 0, ""},
		"the last pushed":                 {[]spec{{data: "a"}, {seq: 1, data: "b", flags: header.TCPFlagPsh}, {seq: 2, data: "c"}}, 2, "ab"},
		"an end":                          {[]spec{{data: "a"}, {seq: 1, data: "b", flags: header.TCPFlagFin}}, 0, ""},
		"urgent":                          {[]spec{{data: "a", flags: header.TCPFlagUrg}, {seq: 1, data: "b", flags: header.TCPFlagUrg}}, 0, ""},
		"another port":                    {[]spec{{data: "a"}, {seq: 1, data: "b", port: 1}}, 0, ""},
		"another window":                  {[]spec{{data: "a"}, {seq: 1, data: "b", window: 1}}, 0, ""},
		"another acknowledgement":         {[]spec{{data: "a"}, {seq: 1, ack: 1, data: "b"}}, 0, ""},
		"congestion":                      {[]spec{{data: "a"}, {seq: 1, tos: 3, data: "b"}}, 0, ""},
		"another time to live":            {[]spec{{data: "a"}, {seq: 1, ttl: 3, data: "b"}}, 0, ""},
		"the same time":                   {[]spec{{data: "a", options: stamp(1)}, {seq: 1, data: "b", options: stamp(1)}}, 2, "ab"},
		"another time":                    {[]spec{{data: "a", options: stamp(1)}, {seq: 1, data: "b", options: stamp(2)}}, 0, ""},
		"other versions":                  {[]spec{{data: "a"}, {v6: true, seq: 1, data: "b"}}, 0, ""},
		"not looked at, right":            {[]spec{{data: "abc", unverified: true, summed: true}, {seq: 3, data: "b", unverified: true, summed: true}}, 2, "abcb"},
		"not looked at, right, IPv6":      {[]spec{{data: "abc", v6: true, unverified: true, summed: true}, {seq: 3, v6: true, data: "b", unverified: true, summed: true}}, 2, "abcb"},
		"not looked at, right, with time": {[]spec{{data: "abcd", options: stamp(9), unverified: true, summed: true}, {seq: 4, data: "b", options: stamp(9), unverified: true, summed: true}}, 2, "abcdb"},
		"not looked at":                   {[]spec{{data: "a", unverified: true}, {seq: 1, data: "b"}}, 0, ""},
		"not looked at, then":             {[]spec{{data: "a"}, {seq: 1, data: "b", unverified: true}}, 0, ""},
		"a wrong sum":                     {[]spec{{data: "a"}, {seq: 1, data: "b", badIP: true}}, 0, ""},
		"fragments":                       {[]spec{{data: "a", fragment: true}, {seq: 1, data: "b", fragment: true}}, 0, ""},
		"outdated":                        {[]spec{{ack: 5}, {ack: 6, window: 8}}, 1, ""},
		"outdated, with time":             {[]spec{{ack: 5, options: stamp(1)}, {ack: 6, options: stamp(2)}}, 1, ""},
		"outdated, around 0":              {[]spec{{ack: 1<<32 - 1}, {ack: 6}}, 1, ""},
		"repeated":                        {[]spec{{ack: 5}, {ack: 5}}, 0, ""},
		"an older one":                    {[]spec{{ack: 5}, {ack: 4}}, 0, ""},
		"of a loss":                       {[]spec{{ack: 5, options: sack}, {ack: 6}}, 0, ""},
		"of a loss, then":                 {[]spec{{ack: 5, options: stamp(1)}, {ack: 6, options: sack}}, 0, ""},
		"somebody else's":                 {[]spec{{ack: 5}, {ack: 6, port: 1}}, 0, ""},
		"data in between":                 {[]spec{{ack: 5}, {ack: 6, data: "a"}}, 0, ""},
		"data before":                     {[]spec{{ack: 5, data: "a"}, {ack: 6, seq: 1}}, 0, ""},
	} {
		var frames []nic.Frame
		for _, s := range c.all {
			frames = append(frames, s.frame())
		}
		var j joiner
		n, v := j.take(frames)
		got := ""
		if v != nil {
			got = string(checkJoined(t, v.AsSlice()))
		}
		if n != c.n || got != c.data {
			t.Errorf("%s: %d frames, %q", name, n, got)
		}
	}
}

// checkJoined looks at lengths and sums, and returns the data.
func checkJoined(t *testing.T, b []byte) []byte {
	t.Helper()
	ip := b[header.EthernetMinimumSize:]
	if header.Ethernet(b).Type() == header.IPv6ProtocolNumber {
		if h := header.IPv6(ip); !h.IsValid(len(ip)) || int(h.PayloadLength()) != len(ip)-header.IPv6MinimumSize {
			t.Errorf("%x", b)
		}
		return header.TCP(ip[header.IPv6MinimumSize:]).Payload()
	}
	if h := header.IPv4(ip); !h.IsValid(len(ip)) || !h.IsChecksumValid() || int(h.TotalLength()) != len(ip) {
		t.Errorf("%x", b)
	}
	return header.TCP(ip[header.IPv4MinimumSize:]).Payload()
}

// TestJoinStream cuts a stream into segments, and has all of it come out, in its order,
// whatever the lengths are.
func TestJoinStream(t *testing.T) {
	rnd := rand.New(rand.NewPCG(8, 8))
	for range 50 {
		var want, got bytes.Buffer
		var frames []nic.Frame
		size := 1 + rnd.IntN(1448)
		for range 200 {
			if rnd.IntN(20) == 0 {
				size = 1 + rnd.IntN(1448)
			}
			data := make([]byte, size)
			for i := range data {
				data[i] = byte(rnd.Uint32())
			}
			frames = append(frames, spec{seq: uint32(want.Len()), data: string(data)}.frame())
			want.Write(data)
		}
		packets := 0
		for j := new(joiner); len(frames) > 0; packets++ {
			n, v := j.take(frames)
			var b []byte
			if v != nil {
				b = v.AsSlice()
			} else if n == 0 {
				n, b = 1, frames[0].Pieces[0]
			}
			if len(b) > joinMost {
				t.Fatalf("%d bytes", len(b))
			}
			if seq := binary.BigEndian.Uint32(b[38:]); seq != uint32(got.Len()) {
				t.Fatalf("%d after %d", seq, got.Len())
			}
			got.Write(checkJoined(t, b))
			frames = frames[n:]
		}
		if !bytes.Equal(got.Bytes(), want.Bytes()) {
			t.Fatal("it is not what was sent")
		}
		if most := want.Len()/(joinMost-2*1448) + 2; packets > most {
			t.Errorf("%d packets for %d bytes", packets, want.Len())
		}
	}
}

// TestJoinHostile: what is not TCP, or cut short anywhere, is left alone or whole.
func TestJoinHostile(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		f := spec{v6: v6, data: "abcdef", options: stamp(1)}.frame()
		next := spec{v6: v6, seq: 6, data: "gh", options: stamp(1)}.frame()
		b := f.Pieces[0]
		for n := range b {
			for at := range b[:n] {
				c := bytes.Clone(b[:n])
				c[at] ^= 0xff
				var j joiner
				if k, v := j.take([]nic.Frame{{Pieces: [][]byte{c}, Verified: true}, next}); k == 2 && v == nil || k > 2 {
					t.Fatal(fmt.Sprint(n, at, k))
				}
			}
		}
	}
}
