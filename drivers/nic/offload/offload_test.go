// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package offload

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"ringo/drivers/nic"
	"ringo/drivers/nic/nictest"
)

// shape is what a test's segment looks like.
type shape struct {
	v6, tag      bool
	ip, tcp, pay int // options of IP and TCP, and data, in bytes
	flags        byte
}

// segment makes a frame in one piece, and says where TCP is.
func segment(rnd *rand.Rand, s shape) (b []byte, f nic.Frame) {
	for range 12 {
		b = append(b, byte(rnd.Uint32()))
	}
	b[0] &^= 1
	if s.tag {
		b = append(b, 0x81, 0, 0x20, 7)
	}
	tcp := tcpLen + s.tcp
	if s.v6 {
		b = append(b, 0x86, 0xdd)
		ip := make([]byte, ip6Len+s.ip)
		ip[0], ip[ip6Next], ip[7] = 0x60, protoTCP, 64
		if s.ip > 0 {
			ip[ip6Next], ip[ip6Len], ip[ip6Len+1] = protoDest, protoTCP, byte(s.ip/8-1)
		}
		for i := ip6From; i < ip6Len; i++ {
			ip[i] = byte(rnd.Uint32())
		}
		b = append(b, ip...)
	} else {
		b = append(b, 8, 0)
		ip := make([]byte, ip4Len+s.ip)
		ip[0], ip[8], ip[ip4Proto] = byte(0x40+len(ip)/4), 64, protoTCP
		for i := ip4From; i < len(ip); i++ {
			ip[i] = byte(rnd.Uint32())
		}
		be.PutUint16(ip[ip4ID:], uint16(rnd.Uint32()))
		b = append(b, ip...)
	}
	at := len(b)
	b = append(b, make([]byte, tcp+s.pay)...)
	for i := at; i < len(b); i++ {
		b[i] = byte(rnd.Uint32())
	}
	b[at+tcpOff], b[at+tcpFlags] = byte(tcp/4)<<4, s.flags
	clear(b[at+tcpSum : at+tcpSum+2])
	return b, nic.Frame{Sum: true, SumStart: uint16(at), SumOffset: tcpSum, Headers: uint16(at + tcp), V6: s.v6}
}

// split makes pieces of b, some of them empty.
func split(rnd *rand.Rand, b []byte) (p [][]byte) {
	for len(b) > 0 {
		n := min(rnd.IntN(1+rnd.IntN(3000)), len(b))
		p = append(p, b[:n])
		b = b[n:]
	}
	return p
}

// whole is a copy of a frame in one piece.
func whole(f *nic.Frame) []byte {
	b := make([]byte, f.Len())
	f.CopyTo(b)
	return b
}

// verify looks at a frame with gVisor's eyes, and returns its TCP segment.
func verify(t *testing.T, b []byte, s shape) header.TCP {
	t.Helper()
	at := nic.HeaderLen
	if s.tag {
		at += nic.VLANLen
	}
	if s.v6 {
		ip := header.IPv6(b[at:])
		tcp := header.TCP(ip.Payload()[s.ip:])
		if int(ip.PayloadLength()) != len(ip)-ip6Len || !tcp.IsChecksumValid(ip.SourceAddress(), ip.DestinationAddress(), checksum.Checksum(tcp.Payload(), 0), uint16(len(tcp.Payload()))) {
			t.Fatalf("%+v: a length or a checksum is wrong: % x", s, b[:at+ip6Len+s.ip+tcpLen])
		}
		return tcp
	}
	ip := header.IPv4(b[at:])
	if !ip.IsValid(len(ip)) || !ip.IsChecksumValid() || int(ip.TotalLength()) != len(ip) {
		t.Fatalf("%+v: an IP header is wrong: % x", s, b[at:at+ip4Len])
	}
	tcp := header.TCP(ip.Payload())
	if !tcp.IsChecksumValid(ip.SourceAddress(), ip.DestinationAddress(), checksum.Checksum(tcp.Payload(), 0), uint16(len(tcp.Payload()))) {
		t.Fatalf("%+v: a checksum is wrong", s)
	}
	return tcp
}

// TestCut cuts segments of all shapes: gVisor finds each frame right, and together they
// are the segment; a receiver that computes sums by itself gets the same.
func TestCut(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	var sc, sc2 Scratch
	for range 4000 {
		s := shape{v6: rnd.IntN(2) == 0, tag: rnd.IntN(3) == 0, tcp: 4 * rnd.IntN(11), pay: 1 + rnd.IntN(1+rnd.IntN(20000)), flags: byte(rnd.Uint32())}
		if rnd.IntN(3) == 0 {
			s.ip = 8 * rnd.IntN(6)
		}
		b, f := segment(rnd, s)
		f.Segment = uint16(1 + rnd.IntN(3000))
		f.Pieces = split(rnd, b)
		before, tcp0 := bytes.Clone(b), header.TCP(b[f.SumStart:])
		var all [][]byte
		if n := sc.Resolve([]nic.Frame{f}, false, false, func(frames []nic.Frame) {
			for i := range frames {
				all = append(all, whole(&frames[i]))
			}
		}); n > 0 {
			t.Fatalf("%+v: lost", s)
		}
		if !bytes.Equal(before, b) {
			t.Fatal("what is not ours was changed")
		}
		if n := (s.pay + int(f.Segment) - 1) / int(f.Segment); len(all) != n {
			t.Fatalf("%+v: %d frames, want %d", s, len(all), n)
		}
		sent := 0
		for i, b := range all {
			tcp := verify(t, b, s)
			want := s.flags
			if i > 0 {
				want &^= 0x80
			}
			if i+1 < len(all) {
				want &^= 9
			}
			if tcp.SequenceNumber() != tcp0.SequenceNumber()+uint32(sent) || byte(tcp.Flags()) != want || !bytes.Equal(tcp.Options(), tcp0.Options()) {
				t.Fatalf("%+v: frame %d: sequence number %d, flags %#x, want %#x", s, i, tcp.SequenceNumber()-tcp0.SequenceNumber(), byte(tcp.Flags()), want)
			}
			if !s.v6 {
				ip := int(f.SumStart) - ip4Len - s.ip
				if be.Uint16(b[ip+ip4ID:]) != be.Uint16(before[ip+ip4ID:])+uint16(i) {
					t.Fatal("not its own identification")
				}
			}
			if p := tcp.Payload(); !bytes.Equal(p, before[int(f.Headers)+sent:][:len(p)]) {
				t.Fatalf("%+v: frame %d has other data", s, i)
			}
			sent += len(tcp.Payload())
		}
		if sent != s.pay {
			t.Fatalf("%+v: %d bytes, want %d", s, sent, s.pay)
		}
		i := 0
		sc2.Resolve([]nic.Frame{f}, true, false, func(frames []nic.Frame) {
			for j := range frames {
				f := &frames[j]
				b := whole(f)
				if !f.Sum || f.Segment != 0 || !Checksum(b, int(f.SumStart), int(f.SumOffset)) || !bytes.Equal(b, all[i]) {
					t.Fatalf("%+v: frame %d with its sum to be computed", s, i)
				}
				i++
			}
		})
	}
}

// TestSum compares sums with gVisor's, and frames with those of the model of a card.
func TestSum(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	var sc Scratch
	b := make([]byte, 9000)
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	for i := range 20000 {
		at, n, v := rnd.IntN(100), rnd.IntN(1+rnd.IntN(8000)), uint16(rnd.Uint32())
		p := b[at : at+n]
		if i%10 == 0 { // carries
			p = bytes.Repeat([]byte{0xff}, n)
			v |= 0xff00
		}
		if got, want := Sum(p, v), checksum.Checksum(p, v); got != want {
			t.Fatalf("%d bytes and %#x: %#x, want %#x", n, v, got, want)
		}
	}
	for range 5000 {
		p := bytes.Clone(b[:60+rnd.IntN(1500)])
		start := rnd.IntN(len(p) - 2)
		offset := rnd.IntN(len(p) - 1 - start)
		f := nic.Frame{Pieces: split(rnd, p), Sum: true, SumStart: uint16(start), SumOffset: uint16(offset)}
		got := "lost"
		n := sc.Resolve([]nic.Frame{f}, false, true, func(frames []nic.Frame) { got = string(whole(&frames[0])) })
		want := string(nictest.Finish(bytes.Clone(p), &f)[0])
		if start+offset+2 > MaxHeaders {
			want = "lost"
		}
		if got != want || (n == 1) != (want == "lost") {
			t.Fatalf("sum from %d at %d of %d bytes: % x", start, start+offset, len(p), got)
		}
		if !Checksum(p, start, offset) || want != "lost" && string(p) != want {
			t.Fatal("in one piece it is another")
		}
	}
	if Checksum(b[:10], 8, 1) || Checksum(b[:10], -1, 2) || Checksum(b[:10], 1, -1) {
		t.Error("a sum beyond the end")
	}
}

// TestResolve keeps frames in their order and does no more than what the receiver needs.
func TestResolve(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 8))
	b, seg := segment(rnd, shape{pay: 5000})
	seg.Segment, seg.Pieces = 1000, [][]byte{b}
	c, sum := segment(rnd, shape{v6: true, pay: 100})
	sum.Pieces, sum.Headers = [][]byte{c}, 0
	plain := nic.Frame{Pieces: [][]byte{b[:60]}, Verified: true}
	bad := seg
	bad.Headers++
	var sc Scratch
	for _, c := range []struct {
		checksum, segment bool
		want              string
		lost              int
	}{
		{false, false, "60v 174 1054 1054 1054 1054 1054 60v ", 1},
		{false, true, "60v 174 1054 1054 1054 1054 1054 60v ", 1},
		{true, false, "60v 174s 1054s 1054s 1054s 1054s 1054s 60v ", 1},
		{true, true, "60v 174s 5054sg 5054sg 60v ", 0},
	} {
		got := ""
		lost := sc.Resolve([]nic.Frame{plain, sum, seg, bad, plain}, c.checksum, c.segment, func(frames []nic.Frame) {
			for i := range frames {
				f := &frames[i]
				got += fmt.Sprint(f.Len())
				for _, x := range []struct {
					on   bool
					mark string
				}{{f.Sum, "s"}, {f.Segment > 0, "g"}, {f.Verified, "v"}} {
					if x.on {
						got += x.mark
					}
				}
				got += " "
			}
		})
		if diff := cmp.Diff(c.want, got); diff != "" || lost != c.lost {
			t.Errorf("%v, %v: %d lost, %s", c.checksum, c.segment, lost, diff)
		}
	}
}

// TestMalformed has segments that are none.
func TestMalformed(t *testing.T) {
	rnd := rand.New(rand.NewPCG(9, 10))
	v4, v6 := shape{pay: 3000, ip: 8}, shape{pay: 3000, v6: true, ip: 16}
	var sc Scratch
	for name, c := range map[string]struct {
		s      shape
		change func(b []byte, f *nic.Frame)
	}{
		"no sum":           {v4, func(_ []byte, f *nic.Frame) { f.Sum = false }},
		"no data":          {v4, func(b []byte, f *nic.Frame) { f.Pieces[0] = b[:f.Headers] }},
		"other sum":        {v4, func(_ []byte, f *nic.Frame) { f.SumOffset = 6 }},
		"short headers":    {v4, func(_ []byte, f *nic.Frame) { f.Headers -= 4 }},
		"long headers":     {v4, func(_ []byte, f *nic.Frame) { f.Headers += 4 }},
		"huge headers":     {v4, func(_ []byte, f *nic.Frame) { f.Headers = MaxHeaders + 1 }},
		"no headers":       {v4, func(_ []byte, f *nic.Frame) { f.Headers = 0 }},
		"start":            {v4, func(_ []byte, f *nic.Frame) { f.SumStart += 4 }},
		"start at once":    {v4, func(_ []byte, f *nic.Frame) { f.SumStart = 0 }},
		"other version":    {v4, func(_ []byte, f *nic.Frame) { f.V6 = true }},
		"other type":       {v4, func(b []byte, _ *nic.Frame) { b[13] = 6 }},
		"three tags":       {v4, func(b []byte, _ *nic.Frame) { copy(b[12:], "\x81\x00\x00\x01\x81\x00\x00\x01\x81\x00") }},
		"header of IP":     {v4, func(b []byte, _ *nic.Frame) { b[14]-- }},
		"version of IP":    {v4, func(b []byte, _ *nic.Frame) { b[14] ^= 0x20 }},
		"protocol":         {v4, func(b []byte, _ *nic.Frame) { b[23] = 17 }},
		"fragment":         {v4, func(b []byte, _ *nic.Frame) { b[20] = 0x20 }},
		"short TCP":        {v4, func(b []byte, f *nic.Frame) { b[f.SumStart+tcpOff] = 0x40 }},
		"v6 version":       {v6, func(b []byte, _ *nic.Frame) { b[14] ^= 0x20 }},
		"v6 protocol":      {v6, func(b []byte, _ *nic.Frame) { b[54] = 17 }},
		"v6 other header":  {v6, func(b []byte, _ *nic.Frame) { b[20] = 43 }},
		"v6 long options":  {v6, func(b []byte, _ *nic.Frame) { b[55] = 255 }},
		"v6 short options": {v6, func(b []byte, _ *nic.Frame) { b[55] = 0 }},
		"longer than IP":   {shape{pay: 70000}, func(_ []byte, f *nic.Frame) { f.Segment = 65510 }},
	} {
		b, f := segment(rnd, c.s)
		f.Segment, f.Pieces = 1000, [][]byte{b}
		if n := sc.Resolve([]nic.Frame{f}, false, false, func([]nic.Frame) {}); n != 0 {
			t.Fatalf("%s: the good one is lost", name)
		}
		c.change(b, &f)
		if n := sc.Resolve([]nic.Frame{f}, true, false, func([]nic.Frame) { t.Errorf("%s: it was cut", name) }); n != 1 {
			t.Errorf("%s: %d lost", name, n)
		}
	}
	// Bytes at random: nothing panics, whatever is asked for.
	for range 200_000 {
		b, f := segment(rnd, shape{v6: rnd.IntN(2) == 0, tag: rnd.IntN(2) == 0, ip: 8 * rnd.IntN(4), pay: rnd.IntN(300)})
		f.Segment = uint16(rnd.IntN(100))
		for range 1 + rnd.IntN(3) {
			b[rnd.IntN(min(len(b), 80))] = byte(rnd.Uint32())
		}
		for _, x := range []*uint16{&f.SumStart, &f.SumOffset, &f.Headers, &f.Segment} {
			if rnd.IntN(8) == 0 {
				*x = uint16(rnd.IntN(1 << rnd.IntN(17)))
			}
		}
		f.Pieces = [][]byte{b[:rnd.IntN(len(b)+1)]}
		sc.Resolve([]nic.Frame{f}, rnd.IntN(2) == 0, false, func([]nic.Frame) {})
	}
}

func TestAllocations(t *testing.T) {
	rnd := rand.New(rand.NewPCG(11, 12))
	b, f := segment(rnd, shape{pay: 60000})
	f.Segment, f.Pieces = 1448, split(rnd, b)
	c, g := segment(rnd, shape{pay: 1000})
	g.Pieces = [][]byte{c}
	var sc Scratch
	frames, n := []nic.Frame{f, g}, 0
	emit := func(out []nic.Frame) { n += len(out) }
	if a := testing.AllocsPerRun(100, func() { sc.Resolve(frames, false, false, emit) }); a != 0 || n == 0 {
		t.Errorf("%v allocations", a)
	}
}

func BenchmarkSum1500(b *testing.B) {
	p := make([]byte, 1500)
	b.SetBytes(1500)
	for range b.N {
		Sum(p, 0)
	}
}
