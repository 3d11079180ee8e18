// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vnet

import (
	"testing"

	"ringo/dom0/devmodel/vpci"
	"ringo/drivers/nic"
	"ringo/drivers/virtio/ring"
)

// counted is memory that counts how often it is looked at.
type counted struct {
	flat
	looks *int
}

func (m counted) RAM(a, n uint64) []byte { *m.looks++; return m.flat.RAM(a, n) }

// TestEmptyBuffers: buffers without a byte are as good as others when it is counted how
// many a frame may have.
func TestEmptyBuffers(t *testing.T) {
	looks := 0
	m := counted{make(flat, 1<<20), &looks}
	const size, avail, table = 1024, 0x4000, 0x1_0000
	for i := range size { // all requests but the first one have a table of empty buffers
		le.PutUint64(m.flat[i*16:], table)
		le.PutUint32(m.flat[i*16+8:], size*16)
		le.PutUint16(m.flat[i*16+12:], 4)
		le.PutUint16(m.flat[avail+4+2*i:], uint16(i))
		p := m.flat[table+16*i:]
		le.PutUint16(p[12:], 2)
		if i < size-1 {
			le.PutUint16(p[12:], 3)
		}
		le.PutUint16(p[14:], uint16(i+1))
	}
	le.PutUint64(m.flat, 0x2_0000)
	le.PutUint32(m.flat[8:], headerLen)
	le.PutUint16(m.flat[12:], 2)
	le.PutUint16(m.flat[avail:], 1)
	le.PutUint16(m.flat[avail+2:], size)
	dev, err := ring.NewDevice(m, ring.Layout{Size: size, Avail: avail, Used: 0x6000, Features: ring.FeatureIndirect})
	if err != nil {
		t.Fatal(err)
	}
	d := New(Config{MAC: mac, MTU: nic.MTU, Pairs: 1})
	q := &vpci.Queue{Device: dev, Features: ring.FeatureIndirect | featMerge | featMAC}
	d.begin(q.Features)
	d.receive[0].q = q
	data := make([]byte, 60)
	copy(data, mac[:])
	d.Deliver([]nic.Frame{{Pieces: [][]byte{data}}})
	if n := d.Counters().RxDropped; n != 1 || looks > 20*maxPieces {
		t.Errorf("%d lost, the memory was looked at %d times", n, looks)
	}
}
