// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vrng

import (
	"bytes"
	"testing"
	"time"

	"ringo/dom0/devmodel/vpci"
	"ringo/drivers/virtio/ring"
)

type memory []byte

func (m memory) RAM(a, n uint64) []byte {
	if a >= uint64(len(m)) {
		return nil
	}
	return m[a:min(a+n, uint64(len(m)))]
}

// ones is a source of random bytes, all 1.
type ones struct{}

func (ones) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 1
	}
	return len(p), nil
}

func TestServe(t *testing.T) {
	m := make(memory, 1<<20)
	l := ring.Layout{Size: 8, Desc: 0, Avail: 0x1000, Used: 0x2000}
	drv, err := ring.NewDriver(m, l)
	if err != nil {
		t.Fatal(err)
	}
	dev, err := ring.NewDevice(m, l)
	if err != nil {
		t.Fatal(err)
	}
	now := int64(1)
	m[l.Avail] = 1 // no interrupts
	q := &vpci.Queue{Device: dev}
	e := Kind(ones{}, func() int64 { return now }).Open(q).(*entropy)
	ask := func(bs ...ring.Buffer) uint32 {
		t.Helper()
		clear(m[0x10000:])
		if !drv.Add(bs, nil) {
			t.Fatal("no room")
		}
		if w := e.Serve(); w != vpci.Notified && e.left >= 0 {
			t.Fatal(w, dev.Broken())
		}
		_, n, ok := drv.Next()
		if !ok {
			t.Fatal(drv.Broken())
		}
		return n
	}
	for _, c := range []struct {
		bs   []ring.Buffer
		want int
	}{
		{[]ring.Buffer{{Addr: 0x10000, Len: 64, Write: true}}, 64},
		{[]ring.Buffer{{Addr: 0x10000, Len: 64}}, 0}, // to be read
		{[]ring.Buffer{{Addr: 0x10000, Len: 64}, {Addr: 0x10040, Len: 7, Write: true}, {Addr: 0x10047, Len: 9, Write: true}}, 16},
		{[]ring.Buffer{{Addr: 0x10000, Len: 0x10000, Write: true}, {Addr: 0x20000, Len: 0x10000, Write: true}}, MaxRequest},
	} {
		if n := ask(c.bs...); int(n) != c.want || bytes.Count(m[0x10000:], []byte{1}) != c.want {
			t.Errorf("%+v: %d bytes, %d written, want %d", c.bs, n, bytes.Count(m[0x10000:], []byte{1}), c.want)
		}
	}
	// What of a second was saved up is spent.
	for e.left >= 0 {
		ask(ring.Buffer{Addr: 0x10000, Len: MaxRequest, Write: true})
	}
	drv.Add([]ring.Buffer{{Addr: 0x10000, Len: 64, Write: true}}, nil)
	if w := e.Serve(); w != vpci.Woken {
		t.Errorf("wants %d", w)
	}
	if _, _, ok := drv.Next(); ok {
		t.Error("answered at once")
	}
	for now += 1000; e.left < 0; now += 1000 { // less than the time of a byte
		if e.Serve(); now > int64(time.Second) {
			t.Fatal("nothing is saved up")
		}
	}
	if _, n, ok := drv.Next(); !ok || n != 64 {
		t.Errorf("then %d bytes", n)
	}
	now += int64(1000 * time.Hour)
	if e.owes(); e.left != BytesPerSecond {
		t.Errorf("%d bytes are saved up, %d at most", e.left, BytesPerSecond)
	}
}
