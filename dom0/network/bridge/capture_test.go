// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package bridge

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// record is a frame of a file.
type record struct {
	At   int64 // in microseconds
	Size uint32
	Data string
}

// read takes a file apart.
func read(t *testing.T, b []byte) (all []record) {
	t.Helper()
	const head = "\xd4\xc3\xb2\xa1\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x04\x00\x01\x00\x00\x00"
	if string(b[:24]) != head {
		t.Fatalf("it begins with %x", b[:24])
	}
	le := binary.LittleEndian
	for b = b[24:]; len(b) > 0; {
		n := le.Uint32(b[8:])
		all = append(all, record{int64(le.Uint32(b))*1e6 + int64(le.Uint32(b[4:])), le.Uint32(b[12:]), string(b[16 : 16+n])})
		b = b[16+n:]
	}
	return all
}

// TestCapture: a port's frames both ways, as they are there, also those that are dropped;
// or the switch's, each once.
func TestCapture(t *testing.T) {
	s := New("lan")
	now := time.UnixMicro(1_700_000_000_123_456)
	s.now = func() time.Time { return now }
	p, _ := join(t, s, Options{MAC: mac(1), VLAN: 10})
	up, _ := join(t, s, Options{Uplink: true})
	begin := func(o CaptureOptions) *Capture {
		t.Helper()
		c, err := s.Capture(o)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	port, trunk, all := begin(CaptureOptions{Port: p, Bytes: 1 << 16}), begin(CaptureOptions{Port: up, Bytes: 1 << 16}), begin(CaptureOptions{Bytes: 1 << 16})
	short, few, small := begin(CaptureOptions{Bytes: 1 << 16, Snap: 16}), begin(CaptureOptions{Bytes: 1 << 16, Frames: 1}), begin(CaptureOptions{Bytes: 1 << 12})
	a := frame(broadcast, mac(1), 0x88b5, make([]byte, 2000)...)
	b := tagged(frame(mac(1), mac(9), 0x88b5, make([]byte, 2100)...), 10)
	bad := frame(broadcast, mac(2), 0x88b5, 9)
	p.Send(whole(a))
	up.Send(whole(b))
	p.Send(whole(bad))
	for _, c := range []*Capture{port, trunk, all, short, few, small} {
		c.Stop()
	}
	p.Send(whole(a))
	untag := append(append([]byte(nil), b[:12]...), b[16:]...)
	rec := func(b []byte, n int) record { return record{now.UnixMicro(), uint32(len(b)), string(b[:n])} }
	for name, r := range map[string]struct {
		c    *Capture
		want []record
		did  Captured
	}{
		"port":  {port, []record{rec(a, 2014), rec(untag, 2114), rec(bad, 15)}, Captured{Frames: 3, Bytes: 24 + 48 + 2014 + 2114 + 15}},
		"trunk": {trunk, []record{rec(tagged(a, 10), 2018), rec(b, 2118)}, Captured{Frames: 2, Bytes: 24 + 32 + 2018 + 2118}},
		"all":   {all, []record{rec(a, 2014), rec(b, 2118)}, Captured{Frames: 2, Bytes: 24 + 32 + 2014 + 2118}},
		"short": {short, []record{rec(a, 16), rec(b, 16)}, Captured{Frames: 2, Bytes: 24 + 64, Cut: 2}},
		"few":   {few, []record{rec(a, 2014)}, Captured{Frames: 1, Bytes: 24 + 16 + 2014, Lost: 1}},
		"small": {small, []record{rec(a, 2014)}, Captured{Frames: 1, Bytes: 24 + 16 + 2014, Lost: 1}},
	} {
		file, did := r.c.File()
		if diff := cmp.Diff(r.want, read(t, file)); diff != "" || did != r.did {
			t.Errorf("%s: %+v, want %+v\n%s", name, did, r.did, diff)
		}
	}
	for _, n := range []int{0, 100, CaptureMost + 1} {
		if _, err := s.Capture(CaptureOptions{Bytes: n}); err == nil {
			t.Errorf("%d bytes", n)
		}
	}
	for range capturesMost {
		begin(CaptureOptions{Bytes: 1 << 12})
	}
	if _, err := s.Capture(CaptureOptions{Bytes: 1 << 12}); err == nil || err.Error() != `network "lan" has 8 captures: end one` {
		t.Error(err)
	}
}
