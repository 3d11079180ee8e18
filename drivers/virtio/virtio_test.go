// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package virtio_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"ringo/drivers/virtio"
	"ringo/drivers/virtio/ring"
	"ringo/drivers/virtio/virtiotest"
)

const features = ring.FeatureIndirect | ring.FeatureEventIndex

// echo is a device that answers with what it got.
func echo(r *virtiotest.Request) { r.Done(uint32(r.Write(0, r.Out))) }

// start brings a device with an echo up to its queue 0.
func start(dev *virtiotest.Device, came func()) (*virtio.Device, *virtio.Queue, error) {
	d, err := virtio.Open(dev.Function(func(string) {}))
	if err != nil {
		return nil, nil, err
	}
	if _, err := d.Negotiate(features); err != nil {
		return nil, nil, err
	}
	q, err := d.NewQueue(0, 64, 4)
	if err != nil {
		return nil, nil, err
	}
	if err := q.Bind(1, came); err != nil {
		return nil, nil, err
	}
	if err := q.Enable(); err != nil {
		return nil, nil, err
	}
	d.Ready()
	return d, q, nil
}

func TestEcho(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dev := virtiotest.New(echo, 256, 256)
		dev.Settings = make([]byte, 4)
		came := make(chan bool, 100)
		d, q, err := start(dev, func() { came <- true })
		if err != nil {
			t.Fatal(err)
		}
		changed := make(chan bool, 9)
		if err := d.Listen(func() { changed <- true }); err != nil {
			t.Fatal(err)
		}
		m, _ := dev.Alloc(4096, 4096)
		for round := range 3 { // each after a reset
			for i := range 200 {
				copy(m.Bytes, "hello there")
				clear(m.Bytes[100:200])
				if !q.Add([]ring.Buffer{{Addr: m.Addr, Len: 5}, {Addr: m.Addr + 5, Len: 6}, {Addr: m.Addr + 100, Len: 100, Write: true}}, i) {
					t.Fatal("no room")
				}
				q.Kick()
				<-came
				token, n, ok := q.Next()
				if !ok || token != i || n != 11 || string(m.Bytes[100:111]) != "hello there" || !q.Sleep() {
					t.Fatalf("%v, %d bytes, %v: %q; %v", token, n, ok, m.Bytes[100:111], q.Broken())
				}
			}
			dev.Change(func(b []byte) { copy(b, "\x01\x09\x03\x04") })
			<-changed
			b := make([]byte, 2)
			if err := d.Settings(1, b); err != nil || b[0] != 9 || b[1] != 3 || d.Settings(3, b) == nil {
				t.Errorf("%v %v", b, err)
			}
			if h := d.Health(); h != "" {
				t.Error(h)
			}
			dev.Die()
			<-changed
			if h := d.Health(); !strings.Contains(h, "needs a reset") {
				t.Errorf("%q", h)
			}
			if _, err := d.Negotiate(features); err != nil {
				t.Fatal(err)
			}
			if err := q.Enable(); err != nil {
				t.Fatal(err)
			}
			d.Ready()
			if dev.Resets() != round+2 {
				t.Errorf("%d resets", dev.Resets())
			}
		}
		if w := dev.Wrongs(); len(w) > 0 {
			t.Error(w)
		}
		dev.Vanish()
		if d.Health() == "" || d.Reset() == nil {
			t.Error("a device that is gone is healthy")
		}
	})
}

// Devices that say strange things about themselves are refused, with a reason.
func TestStrange(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*virtiotest.Device)
		want   string
	}{
		"good":             {func(*virtiotest.Device) {}, ""},
		"legacy":           {func(d *virtiotest.Device) { d.Patch = map[uint16]uint32{0x34: 0} }, "legacy"},
		"legacy features":  {func(d *virtiotest.Device) { d.Features = 1 << 28 }, "legacy"},
		"a loop":           {func(d *virtiotest.Device) { d.Patch = map[uint16]uint32{0x40: 9 | 0x40<<8 | 3<<24} }, "legacy"},
		"beyond its BAR":   {func(d *virtiotest.Device) { d.Patch = map[uint16]uint32{0x90: 0xffff_fffc} }, "not within"},
		"too long":         {func(d *virtiotest.Device) { d.Patch = map[uint16]uint32{0x94: 0xffff_fffc} }, "not within"},
		"odd":              {func(d *virtiotest.Device) { d.Patch = map[uint16]uint32{0x90: 1} }, "not within"},
		"short":            {func(d *virtiotest.Device) { d.Patch = map[uint16]uint32{0x94: 8} }, "8 bytes"},
		"no such BAR":      {func(d *virtiotest.Device) { d.Patch = map[uint16]uint32{0x8c: 3} }, "no such base address"},
		"BAR 200":          {func(d *virtiotest.Device) { d.Patch = map[uint16]uint32{0x8c: 200} }, "legacy"},
		"far bells":        {func(d *virtiotest.Device) { d.Patch = map[uint16]uint32{0x6c: 0} }, "notifications at"},
		"no queues":        {func(d *virtiotest.Device) { d.Sizes = nil }, "no queue 0"},
		"size 0":           {func(d *virtiotest.Device) { d.Sizes[0] = 0 }, "no queue 0"},
		"size 3":           {func(d *virtiotest.Device) { d.Sizes[0] = 3 }, "3 entries"},
		"large":            {func(d *virtiotest.Device) { d.Sizes[0] = 32768 }, ""},
		"one message":      {func(d *virtiotest.Device) { d.Messages = 1 }, "1 interrupt messages"},
		"no MSI-X":         {func(d *virtiotest.Device) { d.Messages = 0 }, "0 interrupt messages"},
		"stuck":            {func(d *virtiotest.Device) { d.Stick() }, "does not stop"},
		"gone":             {func(d *virtiotest.Device) { d.Vanish() }, "legacy"},
		"refuses features": {refuses(0x14, 3), "refuses the features"},
		"refuses messages": {refuses(0x1a, 0xffff), "refuses interrupt message 1"},
		"all ones":         {refuses(0x14, 0xff), "does not stop"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dev := virtiotest.New(echo, 256)
				c.change(dev)
				if _, _, err := start(dev, func() {}); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
					t.Errorf("%v, want %q", err, c.want)
				}
			})
		})
	}
}

// refuses makes a register keep a value, but for the status when it is 0.
func refuses(reg, value uint32) func(*virtiotest.Device) {
	return func(d *virtiotest.Device) {
		d.Read = func(off, v uint32) uint32 {
			if off == reg && (off != 0x14 || v != 0 || value == 0xff) {
				return value
			}
			return v
		}
	}
}

// Settings that change while they are read are read again, for some time.
func TestSettingsChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dev := virtiotest.New(echo, 256)
		dev.Settings = make([]byte, 8)
		d, _, err := start(dev, func() {})
		if err != nil {
			t.Fatal(err)
		}
		n, most := uint32(0), uint32(5)
		dev.Read = func(off, v uint32) uint32 {
			if off == 0x15 {
				if n++; n < most {
					return n
				}
			}
			return v
		}
		b := make([]byte, 8)
		if err := d.Settings(0, b); err != nil {
			t.Error(err)
		}
		if most = 1 << 30; d.Settings(0, b) == nil {
			t.Error("no end")
		}
	})
}
