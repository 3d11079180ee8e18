// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package storage

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"ringo/dom0/account"
	"ringo/dom0/config"
	"ringo/dom0/loader"
	"ringo/drivers/block"
	"ringo/drivers/block/blocktest"
	"ringo/drivers/dma"
)

// disk is a disk in memory, of which a block is bad.
type disk struct {
	*blocktest.Medium
	bad uint64
}

const blocks = 4096

func (d disk) Info() block.Info {
	return block.Info{Blocks: blocks, BlockSize: 512, MaxBlocks: 64, Volatile: true}
}
func (d disk) Queues() int { return 1 }

func (d disk) Submit(_ int, r *block.Request) {
	i := d.Info()
	if err := block.Check(&i, r); err != nil {
		r.Done(r, err)
		return
	}
	at := r.Start
	for _, s := range r.Data {
		if at <= d.bad && d.bad < at+uint64(len(s.Bytes)/512) {
			r.Done(r, block.ErrMedia)
			return
		}
		if r.Op == block.Write {
			d.Write(at, s.Bytes, true)
		} else {
			d.Read(at, s.Bytes)
		}
		at += uint64(len(s.Bytes) / 512)
	}
	r.Done(r, nil)
}

// do makes a request for data and waits for its end.
func do(d *Disk, op block.Op, at uint64, b []byte) error {
	end := make(chan error, 1)
	r := block.Request{Op: op, Start: at, Blocks: uint32(len(b) / 512), Done: func(_ *block.Request, err error) { end <- err }}
	if len(b) > 0 {
		r.Data = []dma.Segment{{Bytes: b}}
	}
	d.Submit(0, &r)
	return <-end
}

func fill(c byte, sectors int) []byte { return bytes.Repeat([]byte{c}, 512*sectors) }

// mbr is a partition table of one that begins at block 64 and has 128.
func mbr() []byte {
	b := make([]byte, 512)
	copy(b[446:], []byte{0, 0, 2, 0, 0x83, 0, 0, 0, 64, 0, 0, 0, 128, 0, 0, 0})
	b[510], b[511] = 0x55, 0xaa
	return b
}

type content struct{ d disk }

// ReadAt implements io.ReaderAt, of whole disks.
func (c content) ReadAt(p []byte, off int64) (int, error) {
	all := make([]byte, blocks*512)
	c.d.Read(0, all)
	return bytes.NewReader(all).ReadAt(p, off)
}

type rig struct {
	*Storage
	d     disk
	lines []string
}

func newRig() *rig {
	r := &rig{d: disk{blocktest.NewMedium(blocks, 512), 1000}}
	r.d.Write(0, mbr(), true)
	r.Storage = New(Options{
		Disks: func() []Source { return []Source{{"vd0", r.d, content{r.d}}} },
		Open: func(name string) (loader.Source, error) {
			b := fill('i', 4)
			if name == "boot:q.img" {
				copy(b, "QFI\xfb")
			}
			return loader.Source{Name: name, R: bytes.NewReader(b), Size: int64(len(b))}, nil
		},
		Snapshots: account.New(64 << 20).Account("a snapshot"), Most: 3 * cellReserve * cellPrice,
		Notify: func(l string) { r.lines = append(r.lines, l) },
	})
	return r
}

func (r *rig) open(t *testing.T, name byte, c config.Disk) *Disk {
	t.Helper()
	all, err := r.Open(Owner{[16]byte{name}, string(name)}, []config.Disk{c})
	if err != nil {
		t.Fatal(err)
	}
	return all[0]
}

// Who writes a disk has it alone, be it the whole or a partition; readers share.
func TestClaims(t *testing.T) {
	r := newRig()
	whole, p1, ro := config.Disk{Device: "vd0"}, config.Disk{Device: "vd0p1"}, config.Disk{Device: "vd0", ReadOnly: true}
	fails := func(c config.Disk, want string) {
		t.Helper()
		other := Owner{[16]byte{'z'}, "z"}
		err := r.Check(other, []config.Disk{c})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Check: %v, want %q", err, want)
		}
		if all, err := r.Open(other, []config.Disk{c}); err == nil || all != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Open: %v, want %q", err, want)
		}
	}
	a := r.open(t, 'a', p1)
	fails(whole, `vd0p1 is in use by domain "a"`)
	fails(p1, `vd0p1 is in use by domain "a"`)
	fails(ro, `vd0p1 is in use by domain "a"`)
	fails(config.Disk{Device: "vd0p2"}, "vd0 has no partition 2")
	fails(config.Disk{Device: "vd1"}, `no disk "vd1" (did you mean "vd0"?)`)
	fails(config.Disk{Image: "boot:q.img", ReadOnly: true}, "is qcow2, and uses what cannot be read here: version 1768515945")
	r.open(t, 'q', config.Disk{Image: "boot:q.img", ReadOnly: true, Format: "raw"}).Close()
	if err := r.Check(Owner{[16]byte{'a'}, "a"}, []config.Disk{p1}); err != nil { // its own, after a restart
		t.Error(err)
	}
	if err := r.Check(Owner{[16]byte{'a'}, "a"}, []config.Disk{p1, whole}); err == nil {
		t.Error("one domain has the same blocks twice")
	}
	if _, err := r.Use("vd0", "disk-test"); err == nil {
		t.Error("dom0 writes what a domain has")
	}
	a.Close()
	a.Close()
	b, c := r.open(t, 'b', ro), r.open(t, 'c', ro)
	fails(p1, "it would change below it")
	b.Close()
	c.Close()
	release, err := r.Use("vd0", "disk-test")
	if err != nil {
		t.Fatal(err)
	}
	fails(ro, "in use by dom0 for disk-test")
	release()
	r.open(t, 'd', whole).Close()
	if len(r.claims) != 0 || len(r.Storage.open) != 0 {
		t.Errorf("left: %v, %v", r.claims, r.Storage.open)
	}
}

// A partition is what lies in it, and nothing else can be reached through it.
func TestPartition(t *testing.T) {
	r := newRig()
	d := r.open(t, 'a', config.Disk{Device: "vd0p1"})
	if err := do(d, block.Write, 127, fill('x', 1)); err != nil {
		t.Fatal(err)
	}
	if err := do(d, block.Write, 128, fill('y', 1)); !errors.Is(err, block.ErrInvalid) {
		t.Errorf("beyond its end: %v", err)
	}
	got := fill(0, 3)
	r.d.Read(190, got)
	if want := append(append(fill(0, 1), fill('x', 1)...), fill(0, 1)...); !bytes.Equal(got, want) {
		t.Errorf("the disk has %q", got)
	}
	if n, size := d.Counted(block.Write); n != 2 || size != 512 || d.Errors() != 1 {
		t.Errorf("%d writes, %d bytes, %d errors", n, size, d.Errors())
	}
}

// What is read only fails writes, and an image reads as its file.
func TestImage(t *testing.T) {
	r := newRig()
	d := r.open(t, 'a', config.Disk{Image: "boot:x.img", ReadOnly: true})
	b := fill(0, 2)
	if err := do(d, block.Read, 2, b); err != nil || !bytes.Equal(b, fill('i', 2)) {
		t.Errorf("%q, %v", b, err)
	}
	if err := do(d, block.Write, 0, b); err == nil {
		t.Error("an image was written")
	}
	if err := do(r.open(t, 'b', config.Disk{Device: "vd0", ReadOnly: true}), block.Write, 0, b); !errors.Is(err, block.ErrReadOnly) {
		t.Errorf("a disk that is read only: %v", err)
	}
}

// A snapshot reads as it was written, its disk stays as it was, errors below are its
// errors, and when it has no room its writes fail, not another's.
func TestSnapshot(t *testing.T) {
	r := newRig()
	r.d.Write(40, fill('o', 16), true)
	d := r.open(t, 'a', config.Disk{Device: "vd0", Snapshot: true})
	if err := errors.Join(do(d, block.Write, 43, fill('n', 3)), do(d, block.Write, 47, fill('m', 3)), do(d, block.Flush, 0, nil)); err != nil {
		t.Fatal(err)
	}
	got := fill(0, 16)
	if err := do(d, block.Read, 40, got); err != nil {
		t.Fatal(err)
	}
	want := fill('o', 16)
	copy(want[3*512:], fill('n', 3))
	copy(want[7*512:], fill('m', 3))
	if !bytes.Equal(got, want) {
		t.Errorf("it reads %q", got)
	}
	if r.d.Read(40, got); !bytes.Equal(got, fill('o', 16)) {
		t.Error("the disk below has changed")
	}
	if err := do(d, block.Read, 1000, fill(0, 1)); !errors.Is(err, block.ErrMedia) {
		t.Errorf("a bad block: %v", err)
	}
	if err := errors.Join(do(d, block.Write, 1000, fill('w', 1)), do(d, block.Read, 1000, fill(0, 1))); err != nil {
		t.Errorf("a bad block that was written: %v", err)
	}
	var err error
	for at := uint64(2048); at < blocks && err == nil; at += 8 {
		err = do(d, block.Write, at, fill('w', 1))
	}
	if !errors.Is(err, block.ErrDevice) || len(r.lines) != 1 || !strings.Contains(r.lines[0], "has no room") {
		t.Errorf("without room: %v, %q", err, r.lines)
	}
	other := r.open(t, 'b', config.Disk{Device: "vd0", Snapshot: true})
	if err := do(other, block.Write, 0, fill('w', 1)); err != nil {
		t.Errorf("another has no room: %v", err)
	}
	other.Close()
	d.Close()
	if r.kept != 0 {
		t.Errorf("%d bytes are still reserved", r.kept)
	}
}
