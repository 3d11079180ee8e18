// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package storage

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"ringo/dom0/config"
	"ringo/dom0/loader"
	"ringo/drivers/block"
	"ringo/drivers/dma"
)

// table writes a partition table: where each begins, and how many blocks it has.
func (r *rig) table(parts ...[2]byte) {
	b := mbr()
	for i, p := range parts {
		copy(b[446+16*i:], []byte{0, 0, 2, 0, 0x83, 0, 0, 0, p[0], 0, 0, 0, p[1], 0, 0, 0})
	}
	r.d.Write(0, b, true)
}

// What cannot grow stays as it was.
func TestResizeRefused(t *testing.T) {
	r := newRig()
	fails := func(d *Disk, c config.Disk, want string) {
		t.Helper()
		before := d.Info().Blocks
		if _, _, err := d.Resize(&c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
		if now := d.Info().Blocks; now != before {
			t.Errorf("%d blocks, before %d", now, before)
		}
	}
	p1, p2 := config.Disk{Device: "vd0p1"}, config.Disk{Device: "vd0p2"}
	r.table([2]byte{64, 64}, [2]byte{128, 64})
	d := r.open(t, 'a', p1)
	other := r.open(t, 'b', p2)
	r.table([2]byte{64, 65}, [2]byte{128, 64})
	fails(d, p1, `vd0p2 is in use by domain "b"`)
	r.table([2]byte{64, 63})
	fails(d, p1, "vd0p1 would shrink")
	r.table([2]byte{63, 200})
	fails(d, p1, "vd0p1 is on other blocks than before")
	r.table()
	r.d.Write(0, make([]byte, 512), true)
	fails(d, p1, "")
	other.Close()
	s := config.Disk{Image: "boot:x.img", Snapshot: true, Size: config.Size{Bytes: 1 << 20}}
	sn := r.open(t, 'c', s)
	s.Size.Bytes = 1 << 19
	fails(sn, s, "boot:x.img would shrink")
	s.Size.Bytes = 0
	fails(sn, s, "boot:x.img would shrink")
	s.Size.Bytes = 1024
	fails(sn, s, "size: 1KiB are less than boot:x.img has, 2048 bytes")
	if _, err := r.Open(Owner{[16]byte{'z'}, "z"}, []config.Disk{s}); err == nil || !strings.Contains(err.Error(), "size: 1KiB are less") {
		t.Error(err)
	}
	s.Size.Bytes = 1<<20 + 1
	fails(sn, s, "no whole blocks")
	if len(r.claims) != 2 {
		t.Errorf("%d claims are left", len(r.claims))
	}
}

// A partition that has grown is as large as it is, its new blocks are its owner's, and the
// guest is told.
func TestResizePartition(t *testing.T) {
	r := newRig()
	c := config.Disk{Device: "vd0p1"}
	r.table([2]byte{64, 64})
	d := r.open(t, 'a', c)
	told := 0
	d.OnResize(func() { told++ })
	if err := do(d, block.Write, 64, fill('x', 1)); !errors.Is(err, block.ErrInvalid) {
		t.Errorf("beyond the end: %v", err)
	}
	r.table([2]byte{64, 128})
	for i, want := range []uint64{64 * 512, 128 * 512} {
		if before, now, err := d.Resize(&c); err != nil || before != want || now != 128*512 || told != 1 {
			t.Errorf("time %d: %d, %d, %v, told %d times", i, before, now, err, told)
		}
	}
	if err := do(d, block.Write, 127, fill('x', 1)); err != nil {
		t.Error(err)
	}
	r.table([2]byte{64, 128}, [2]byte{191, 10})
	if err := r.Check(Owner{[16]byte{'b'}, "b"}, []config.Disk{{Device: "vd0p2"}}); err == nil {
		t.Error("another can have blocks that were added")
	}
}

// A snapshot can be larger than what it is on, which reads as zeros there, and can be
// written; it grows with its image, and by itself.
func TestResizeSnapshot(t *testing.T) {
	r := newRig()
	content := fill('i', 4)
	r.o.Open = func(name string) (loader.Source, error) {
		return loader.Source{Name: name, R: bytes.NewReader(content), Size: int64(len(content))}, nil
	}
	c := config.Disk{Image: "boot:x.img", Snapshot: true}
	d := r.open(t, 'a', c)
	content = fill('j', 6)
	if before, now, err := d.Resize(&c); err != nil || before != 4*512 || now != 6*512 {
		t.Errorf("%d, %d, %v", before, now, err)
	}
	c.Size.Bytes = 100 * 512
	if _, now, err := d.Resize(&c); err != nil || now != 100*512 {
		t.Errorf("%d, %v", now, err)
	}
	if err := errors.Join(do(d, block.Write, 5, fill('w', 2)), do(d, block.Write, 99, fill('w', 1))); err != nil {
		t.Fatal(err)
	}
	want := fill(0, 100)
	copy(want, fill('j', 5))
	copy(want[5*512:], fill('w', 2))
	copy(want[99*512:], fill('w', 1))
	for _, x := range [][2]int{{0, 64}, {3, 5}, {4, 1}, {6, 10}, {50, 50}, {5, 2}, {98, 2}} {
		got := fill('?', x[1])
		// In pieces, the second of which begins in the middle of nothing in particular.
		q := block.Request{Op: block.Read, Start: uint64(x[0]), Blocks: uint32(x[1]), Done: func(q *block.Request, err error) {
			if err != nil || len(q.Data) != 2 || int(q.Blocks) != x[1] {
				t.Errorf("%v: %v, %d pieces, %d blocks", x, err, len(q.Data), q.Blocks)
			}
		}}
		end := make(chan bool)
		done := q.Done
		q.Done = func(q *block.Request, err error) { done(q, err); close(end) }
		q.Data = []dma.Segment{{Bytes: got[:300]}, {Bytes: got[300:]}}
		d.Submit(0, &q)
		<-end
		if !bytes.Equal(got, want[x[0]*512:][:x[1]*512]) {
			t.Errorf("%v reads other data", x)
		}
	}
	if err := do(d, block.Read, 100, fill(0, 1)); !errors.Is(err, block.ErrInvalid) {
		t.Errorf("beyond the end: %v", err)
	}
}
