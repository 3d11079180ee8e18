// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vnet

import (
	"fmt"
	"testing"

	"ringo/dom0/devmodel/vpci"
	"ringo/drivers/nic"
	"ringo/drivers/virtio/ring"
)

// quiet is a queue whose driver wants no interrupts, on memory in one piece.
func quiet(b *testing.B, m flat, features uint64) (*ring.Driver, *vpci.Queue) {
	l := ring.Layout{Size: 256, Desc: 0, Avail: 0x1000, Used: 0x2000, Features: features}
	drv, err := ring.NewDriver(m, l)
	if err != nil {
		b.Fatal(err)
	}
	dev, err := ring.NewDevice(m, l)
	if err != nil {
		b.Fatal(err)
	}
	le.PutUint16(m[l.Avail:], 1)
	return drv, &vpci.Queue{Device: dev, Features: features}
}

// BenchmarkReceive delivers frames in batches: the time is that of a frame, the driver's
// side with it.
func BenchmarkReceive(b *testing.B) {
	for _, c := range []struct{ size, each int }{{60, 1}, {60, 64}, {1514, 1}, {1514, 64}, {60000, 1}} {
		b.Run(fmt.Sprintf("%d/%d", c.size, c.each), func(b *testing.B) {
			m := make(flat, 4<<20)
			drv, q := quiet(b, m, featMerge|featMAC)
			d := New(Config{MAC: mac, MTU: nic.MTU, Pairs: 1})
			d.begin(q.Features)
			d.receive[0].q = q
			data := make([]byte, c.size)
			copy(data, mac[:])
			frames := make([]nic.Frame, c.each)
			for i := range frames {
				frames[i] = nic.Frame{Pieces: [][]byte{data}}
			}
			buffers := make([][1]ring.Buffer, 256)
			for i := range buffers {
				buffers[i][0] = ring.Buffer{Addr: 0x4000 + uint64(i)*1536, Len: 1536, Write: true}
				drv.Add(buffers[i][:], &buffers[i])
			}
			b.ReportAllocs()
			for i := 0; i < b.N; i += c.each {
				d.Deliver(frames)
				for {
					token, _, ok := drv.Next()
					if !ok {
						break
					}
					drv.Add(token.(*[1]ring.Buffer)[:], token)
				}
			}
			if n := d.Counters(); n.RxDropped > 0 {
				b.Errorf("%+v", n)
			}
		})
	}
}

// BenchmarkTransmit takes frames in batches, and gives them to nobody.
func BenchmarkTransmit(b *testing.B) {
	for _, c := range []struct{ size, each int }{{60, 1}, {60, 64}, {1514, 64}, {60000, 64}} {
		b.Run(fmt.Sprintf("%d/%d", c.size, c.each), func(b *testing.B) {
			m := make(flat, 4<<20)
			drv, q := quiet(b, m, featMerge|featMAC)
			d := New(Config{MAC: mac, MTU: 65000, Pairs: 1, Send: func([]nic.Frame) {}})
			d.begin(q.Features)
			out := []ring.Buffer{{Addr: 0x4000, Len: 12}, {Addr: 0x400c, Len: uint32(c.size)}}
			b.ReportAllocs()
			for i := 0; i < b.N; i += c.each {
				for range c.each {
					drv.Add(out, nil)
				}
				d.send[0].pass(q)
				for {
					if _, _, ok := drv.Next(); !ok {
						break
					}
				}
			}
			if n := d.Counters(); n.TxErrors > 0 {
				b.Errorf("%+v", n)
			}
		})
	}
}
