// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vblk

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"ringo/drivers/virtio/ring"
)

// Where a hostile guest has its rings and headers: what it changes at random.
const (
	ringsAt, ringsEnd     = 0x1000, 0x2200 // descriptors and the available ring
	headersAt, headersEnd = 0x4000, 0x6000
	usedAt                = 0x3000
	requests              = 40
)

// rings writes good requests, reads and writes in turn.
func (r *rig) rings() {
	le := binary.LittleEndian
	clear(r.m.b[ringsAt:headersEnd])
	for i := range requests {
		desc := r.m.b[ringsAt+48*i:]
		put := func(j int, at uint64, size uint32, flags, next uint16) {
			le.PutUint64(desc[16*j:], at)
			le.PutUint32(desc[16*j+8:], size)
			le.PutUint16(desc[16*j+12:], flags)
			le.PutUint16(desc[16*j+14:], next)
		}
		head, write := uint16(3*i), uint16(i&1)
		put(0, header(i), headerLen, 1, head+1)
		put(1, dataAt+uint64(i)<<12, 1024, 1|2*(1-write), head+2)
		put(2, header(i)+16, 1, 2, 0)
		le.PutUint32(r.m.b[header(i):], uint32(write))
		le.PutUint64(r.m.b[header(i)+8:], uint64(2*i))
		le.PutUint16(r.m.b[0x2004+2*i:], head)
	}
	le.PutUint16(r.m.b[0x2002:], requests)
}

// mutate changes n words of what the guest has written.
func (r *rig) mutate(rng *rand.Rand, n int) {
	for range n {
		at := ringsAt + rng.IntN(ringsEnd-ringsAt)
		if rng.IntN(4) == 0 {
			at = headersAt + rng.IntN(headersEnd-headersAt)
		}
		switch rng.IntN(3) {
		case 0:
			r.m.b[at] ^= 1 << rng.IntN(8)
		case 1:
			r.m.b[at] = byte(rng.Uint32())
		default:
			copy(r.m.b[at:headersEnd], r.m.b[ringsAt+rng.IntN(0x1000):][:2]) // what is good elsewhere
		}
	}
}

// settled reports whether the device has answered all that there is, or wants a reset.
func (r *rig) settled() bool {
	return bytes.Equal(r.m.b[usedAt+2:usedAt+4], r.m.b[0x2002:0x2004]) || r.rd(20, 1)&64 != 0
}

// TestHostile has a guest write a million random changes into its rings and requests,
// before the device looks and while it does. Nothing panics, the disk is asked for nothing
// that it has to refuse, all requests are answered or the device wants a reset, after
// which it works; and so does another one.
func TestHostile(t *testing.T) {
	const all, most = 1_000_000, 100
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	d := newDisk(t, 512)
	d.at = true
	r := newRig(t, Config{Disk: d})
	other := newRig(t, Config{Disk: newDisk(t, 512)})
	other.start(0)
	broken, answered := 0, 0
	for n := 0; n < all; {
		each := 1 + rng.IntN(most)
		n += each
		r.start([...]uint64{0, ring.FeatureEventIndex, ring.FeatureIndirect | featFlush}[rng.IntN(3)])
		r.rings()
		early := rng.IntN(each + 1)
		r.mutate(rng, early)
		go r.d.Kick(0)
		r.mutate(rng, each-early)
		r.d.Kick(0)
		for end := time.Now().Add(20 * time.Second); !r.settled(); runtime.Gosched() {
			if time.Now().After(end) {
				t.Fatalf("the device does not come to an end, status %#x", r.rd(20, 1))
			}
		}
		if answered++; r.rd(20, 1)&64 != 0 {
			answered--
			broken++
		}
		for len(r.told) > 0 {
			<-r.told
		}
	}
	if len(r.failed) > 0 {
		t.Errorf("a panic: %v", <-r.failed)
	}
	t.Logf("%d times it wanted a reset, %d times it did not", broken, answered)
	if broken == 0 || answered == 0 {
		t.Error("not hostile enough, or too much so")
	}
	for _, r := range []*rig{r, other} {
		r.start(0)
		r.n = 0
		if s := r.do(typeIn, 0, dataAt, 512); s != statusOK {
			t.Errorf("afterwards: status %d", s)
		}
	}
}
