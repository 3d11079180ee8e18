// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vnet

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/drivers/nic"
	"ringo/drivers/virtio/ring"
)

// all are the features that a driver takes which takes them all.
const all = offered | featQueues | ring.FeatureEventIndex

// with is a header, of the fields that are not 0.
func with(flags, kind byte, headers, segment, start, offset uint16) []byte {
	h := make([]byte, headerLen)
	h[hdrFlags], h[hdrKind] = flags, kind
	le.PutUint16(h[hdrHeaders:], headers)
	le.PutUint16(h[hdrSegment:], segment)
	le.PutUint16(h[hdrSumStart:], start)
	le.PutUint16(h[hdrSumOffset:], offset)
	return h
}

// TestSend has a guest send what is a frame, and what is none.
func TestSend(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	small, _ := tcp(rnd, false, 100)
	large, _ := tcp(rnd, false, 5000)
	six, _ := tcp(rnd, true, 5000)
	huge, _ := tcp(rnd, false, 70000)
	udp := bytes.Clone(large)
	udp[23] = 17
	plain := nic.Frame{}
	sum := nic.Frame{Sum: true, SumStart: 34, SumOffset: 16}
	cut := nic.Frame{Sum: true, SumStart: 34, SumOffset: 16, Segment: 1400, Headers: 54}
	cut6 := nic.Frame{Sum: true, SumStart: 54, SumOffset: 16, Segment: 1400, Headers: 74, V6: true}
	for name, c := range map[string]struct {
		head, frame []byte
		without     uint64 // features
		want        *nic.Frame
	}{
		"plain":             {with(0, 0, 0, 0, 0, 0), small, 0, &plain},
		"plain, of others":  {with(0, 0, 9, 9, 9, 9), small, offered, &plain},
		"sum":               {with(1, 0, 0, 0, 34, 16), small, 0, &sum},
		"segment":           {with(1, 1, 54, 1400, 34, 16), large, 0, &cut},
		"other hint":        {with(1, 1, 0, 1400, 34, 16), large, 0, &cut},
		"segment of IPv6":   {with(1, 4, 74, 1400, 54, 16), six, 0, &cut6},
		"short header":      {make([]byte, 11), nil, 0, nil},
		"no frame":          {make([]byte, 12), nil, 0, nil},
		"short frame":       {make([]byte, 12), small[:13], 0, nil},
		"long frame":        {make([]byte, 12), large, 0, nil},
		"sum not agreed":    {with(1, 0, 0, 0, 34, 16), small, featChecksum, nil},
		"sum of address":    {with(1, 0, 0, 0, 13, 2), small, 0, nil},
		"sum at the end":    {with(1, 0, 0, 0, 34, uint16(len(small)-35)), small, 0, nil},
		"sum behind it":     {with(1, 0, 0, 0, 0xffff, 0xffff), small, 0, nil},
		"start behind it":   {with(1, 0, 0, 0, uint16(len(small)), 0), small, 0, nil},
		"segment, no sum":   {with(0, 1, 54, 1400, 34, 16), large, 0, nil},
		"not agreed":        {with(1, 1, 54, 1400, 34, 16), large, featTSO4, nil},
		"IPv6 not agreed":   {with(1, 4, 74, 1400, 54, 16), six, featTSO6, nil},
		"other version":     {with(1, 4, 54, 1400, 34, 16), large, 0, nil},
		"UDP fragments":     {with(1, 3, 42, 1400, 34, 16), large, 0, nil},
		"UDP":               {with(1, 5, 42, 1400, 34, 16), large, 0, nil},
		"it is UDP":         {with(1, 1, 54, 1400, 34, 16), udp, 0, nil},
		"ECN":               {with(1, 0x81, 54, 1400, 34, 16), large, 0, nil},
		"sum elsewhere":     {with(1, 1, 54, 1400, 34, 6), large, 0, nil},
		"start elsewhere":   {with(1, 1, 54, 1400, 38, 16), large, 0, nil},
		"no size":           {with(1, 1, 54, 0, 34, 16), large, 0, nil},
		"tiny pieces":       {with(1, 1, 54, minSegment-1, 34, 16), large, 0, nil},
		"headers behind it": {with(1, 1, 0xffff, 1400, 34, 16), large, 0, nil},
		"no data":           {with(1, 1, 54, 1400, 34, 16), large[:54], 0, nil},
		"half a header":     {with(1, 1, 54, 1400, 34, 16), large[:50], 0, nil},
		"more than IP has":  {with(1, 1, 54, 1400, 34, 16), huge, 0, nil},
	} {
		r := newRig(t, Config{}, everything)
		g := r.start(offered &^ c.without)
		b := append(bytes.Clone(c.head), c.frame...)
		pieces := []int{len(b), 1500, 7}
		if len(b) > 7*framePieces {
			pieces = pieces[:2]
		}
		for _, n := range pieces {
			g.transmit(1, n, b)
			got := r.takeSent()
			var want []nic.Frame
			if c.want != nil {
				f := *c.want
				f.Pieces = [][]byte{c.frame}
				want = append(want, f)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: in pieces of %d (-want +got):\n%s", name, n, diff)
			}
		}
		if n := r.dev.Counters(); n.TxFrames+n.TxErrors != uint64(len(pieces)) || (n.TxErrors == 0) != (c.want != nil) || r.rd(20, 1) != 15 {
			t.Errorf("%s: %+v, status %#x", name, n, r.rd(20, 1))
		}
	}
}

// TestSendPieces: what is looked at is a copy, and a frame has a bounded number of pieces.
func TestSendPieces(t *testing.T) {
	r := newRig(t, Config{}, everything)
	g := r.start(all)
	at := uint64(framesAt + headerLen)
	r.sent = func(frames []nic.Frame) {
		r.m.b[at], r.m.b[at+HeadLen-1], r.m.b[at+HeadLen] = 0xaa, 0xaa, 0xaa
		for i := range frames {
			p := frames[i].Pieces
			if len(p[0]) != min(HeadLen, frames[i].Len()) || p[0][0] == 0xaa || p[0][len(p[0])-1] == 0xaa || len(p) > 1 && p[1][0] != 0xaa {
				t.Errorf("%d pieces, the first one of %d bytes", len(p), len(p[0]))
			}
		}
	}
	b := make([]byte, headerLen+1000)
	for i := range b[headerLen:] {
		b[headerLen+i] = byte(i%100 + 1)
	}
	for _, n := range []int{1012, 12, 100, 139, 141} {
		g.transmit(1, n, b)
	}
	for _, n := range []int{100, HeadLen} {
		g.transmit(1, headerLen, b[:headerLen+n])
	}
	if n := r.dev.Counters(); n.TxFrames != 6 || n.TxErrors != 1 { // 85 pieces are too many
		t.Errorf("%+v", n)
	}
}

// deliver has frames of these sizes, filled with their numbers, come for mac.
func (r *rig) deliver(change func(f *nic.Frame), sizes ...int) (all [][]byte) {
	var frames []nic.Frame
	for i, n := range sizes {
		b := bytes.Repeat([]byte{byte(i + 1)}, n)
		copy(b, mac[:])
		all = append(all, b)
		f := nic.Frame{Pieces: [][]byte{b[:min(n, 54)], b[min(n, 54):]}}
		if change != nil {
			change(&f)
		}
		frames = append(frames, f)
	}
	r.dev.Deliver(frames)
	return all
}

// TestReceive has frames come into buffers that are merged, and ones that are not: each is
// what was delivered, what has no room is lost, and leaves the buffers.
func TestReceive(t *testing.T) {
	for _, c := range []struct {
		features      uint64
		buffers, size int
		frames        []int
		want          []int // buffers of those that come, 0: of one that does not
	}{
		{all, 10, 1526, []int{60, 1514, 1515}, []int{1, 1, 2}},
		{all, 10, 600, []int{60, 1514, 588, 589, 9000}, []int{1, 3, 1, 2, 0}},
		{all, 10, 600, []int{9000, 2000, 4000, 100}, []int{0, 4, 0, 1}},
		{all, 100, 660, []int{60000, 100}, []int{91, 1}},
		{all, 120, 10, []int{100, 1400, 1000, 40}, []int{0, 0, 0, 0}}, // a header has to be in the first
		{offered &^ featMerge, 10, 1526, []int{60, 1514, 1515, 60}, []int{1, 1, 0, 1}},
		{offered &^ featMerge, 2, 1526, []int{60, 1514, 60}, []int{1, 1, 0}},
		{featMAC, 0, 0, []int{60}, []int{0}},
		{featMAC, 4, 1526, []int{13, maxFrame + 1, 14}, []int{0, 0, 1}},
	} {
		r := newRig(t, Config{MTU: MaxMTU}, everything)
		g := r.start(c.features)
		g.fill(0, c.buffers, max(c.size, 6))
		before := r.messages
		sent := r.deliver(nil, c.frames...)
		lost, frames := 0, 0
		for i, n := range c.want {
			if n == 0 {
				lost++
				continue
			}
			frames++
			h, b, got := g.take(0)
			if got != n || !bytes.Equal(b, sent[i]) || !bytes.Equal(h[:10], make([]byte, 10)) {
				t.Errorf("%+v: frame %d: %d bytes in %d buffers, header % x", c, i, len(b), got, h)
			}
		}
		if _, b, _ := g.take(0); b != nil {
			t.Errorf("%+v: a frame too many, of %d bytes", c, len(b))
		}
		n := r.dev.Counters()
		if int(n.RxFrames) != frames || int(n.RxDropped+n.RxErrors) != lost || r.messages-before != min(frames, 1) {
			t.Errorf("%+v: %+v, %d interrupts", c, n, r.messages-before)
		}
	}
}

// TestReceiveHeaders: what a frame asks for is in its header, where the driver has agreed
// to that; else the frame is lost.
func TestReceiveHeaders(t *testing.T) {
	sum := func(f *nic.Frame) { f.Sum, f.SumStart, f.SumOffset = true, 34, 16 }
	cut := func(f *nic.Frame) { sum(f); f.Segment, f.Headers = 1000, 54 }
	cut6 := func(f *nic.Frame) { cut(f); f.V6 = true }
	verified := func(f *nic.Frame) { f.Verified = true }
	const sums = featMAC | featGuestChecksum | featMerge
	for i, c := range []struct {
		features uint64
		change   func(f *nic.Frame)
		want     []byte
	}{
		{all, sum, with(1, 0, 0, 0, 34, 16)},
		{all, cut, with(1, 1, 54, 1000, 34, 16)},
		{all, cut6, with(1, 4, 54, 1000, 34, 16)},
		{all, verified, with(2, 0, 0, 0, 0, 0)},
		{sums, sum, with(1, 0, 0, 0, 34, 16)},
		{sums, cut, nil},
		{sums | featGuestTSO4, cut, nil}, // no half agreements
		{featMAC, sum, nil},
		{featMAC, cut, nil},
		{featMAC, verified, with(0, 0, 0, 0, 0, 0)},
		{featMAC | featGuestTSO4 | featGuestTSO6, cut, nil},
	} {
		r := newRig(t, Config{}, everything)
		g := r.start(c.features)
		g.fill(0, 10, 1600)
		r.deliver(c.change, 1500)
		h, _, _ := g.take(0)
		if h != nil && h[hdrBuffers] == 1 {
			h[hdrBuffers] = 0
		}
		if diff := cmp.Diff(c.want, h); diff != "" || (r.dev.Counters().RxErrors == 0) != (c.want != nil) {
			t.Errorf("%d: (-want +got)\n%s", i, diff)
		}
		checksum, segment := r.dev.Accepts()
		if checksum != (c.features&featGuestChecksum != 0) || segment != (c.features&offloads == offloads) {
			t.Errorf("%d: accepts %v, %v", i, checksum, segment)
		}
	}
}

// TestConfig is what the driver reads of the device.
func TestConfig(t *testing.T) {
	r := newRig(t, Config{MTU: 4000, Pairs: 3}, everything)
	g := r.start(all)
	settings := func() (s string) {
		for i := range uint64(cfgLen + 1) {
			s += fmt.Sprintf("%02x", r.rd(0x3000+i, 1))
		}
		return s
	}
	if s := settings(); s != "525400123456"+"0100"+"0300"+"a00f"+"00" {
		t.Error(s)
	}
	if f := r.dev.Kind(); f.Features != offered|featQueues || len(f.Queues) != 7 || f.Queues[6] != controlSize {
		t.Errorf("%+v", f)
	}
	gen, before := r.rd(21, 1), r.messages
	r.dev.SetLink(false)
	r.eventually("an interrupt", func() bool { r.mu.Lock(); defer r.mu.Unlock(); return r.messages > before })
	if s := settings(); s[12:16] != "0000" || r.rd(21, 1) == gen {
		t.Errorf("%s, generation %d", s, gen)
	}
	g.transmit(1, 100, make([]byte, 72))
	if n := r.dev.Counters(); n.TxDropped != 1 || n.TxFrames != 0 || n.LinkChanges != 1 {
		t.Errorf("%+v", n)
	}
	r.dev.Announce()
	if s := settings(); s[12:16] != "0200" {
		t.Error(s)
	}
	if a := g.command(classAnnounce, 0); a != ackOK || settings()[12:16] != "0000" {
		t.Errorf("answer %d, %s", a, settings())
	}
	if f := New(Config{MAC: mac, Pairs: 1}).Kind(); f.Features != offered || len(f.Queues) != 3 {
		t.Errorf("%+v", f)
	}
	g = r.start(featMAC)
	r.dev.Announce()
	if s := settings(); s[12:16] != "0000" {
		t.Errorf("a driver that cannot announce is asked to: %s", s)
	}
}
