// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package bridge

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ringo/drivers/nic"
	"ringo/drivers/nic/nictest"
)

func TestRefusals(t *testing.T) {
	s := New("lan")
	join(t, s, Options{Name: "web1.0", MAC: mac(1)})
	for want, o := range map[string]Options{
		`network "lan", "x": 00:00:00:00:00:00 is no address of a card`:                         {Name: "x"},
		`network "lan", "x": ff:ff:ff:ff:ff:ff is no address of a card`:                         {Name: "x", MAC: broadcast, Unfiltered: true},
		`network "lan": "web1.0" has the address 02:00:00:00:00:01 already: choose another one`: {Name: "x", MAC: mac(1)},
		`network "lan", "x": VLAN 4095: they are 1 to 4094`:                                     {Name: "x", MAC: mac(2), VLAN: 4095},
		`network "lan", "x": VLAN 5000: they are 1 to 4094`:                                     {Name: "x", MAC: mac(2), Trunk: []uint16{5000}},
	} {
		if _, err := s.Join(&sink{}, o); err == nil || err.Error() != want {
			t.Errorf("%+v: %v", o, err)
		}
	}
	for i := range portsMost - 1 {
		join(t, s, Options{MAC: mac(2 + i)})
	}
	if _, err := s.Join(&sink{}, Options{Uplink: true}); err == nil || !strings.Contains(err.Error(), "1024 ports") {
		t.Error(err)
	}
}

// TestHostile: what is dropped, and as what it is counted.
func TestHostile(t *testing.T) {
	type row struct {
		name string
		o    Options
		f    nic.Frame
		want Counters
	}
	one := func(b []byte) nic.Frame { return nic.Frame{Pieces: [][]byte{b}} }
	sum := func(start, offset, segment, headers uint16) nic.Frame {
		f := one(frame(mac(2), mac(1), 0x88b5, make([]byte, 200)...))
		f.Sum, f.SumStart, f.SumOffset, f.Segment, f.Headers = true, start, offset, segment, headers
		return f
	}
	guest := Options{MAC: mac(1)}
	for _, r := range []row{
		{"nothing", guest, nic.Frame{}, Counters{Malformed: 1}},
		{"a short one", guest, one(make([]byte, 13)), Counters{Malformed: 1}},
		{"a long one", guest, one(make([]byte, 1<<17)), Counters{Malformed: 1}},
		{"from a group", Options{Uplink: true}, one(frame(mac(2), broadcast, 0x88b5)), Counters{Malformed: 1}},
		{"from nobody", Options{Uplink: true}, one(frame(mac(2), nic.MAC{}, 0x88b5)), Counters{Malformed: 1}},
		{"from another guest", guest, one(frame(broadcast, mac(2), 0x88b5)), Counters{Spoofed: 1}},
		{"from a stranger", guest, one(frame(broadcast, mac(9), 0x88b5)), Counters{Spoofed: 1}},
		{"a loop", Options{Uplink: true}, one(frame(broadcast, mac(2), 0x88b5)), Counters{Spoofed: 1}},
		{"to a bridge", guest, one(frame(nic.MAC{1, 0x80, 0xc2, 0, 0, 0}, mac(1), 38)), Counters{InFrames: 1, InBytes: 14, Nowhere: 1}},
		{"to itself", guest, one(frame(mac(1), mac(1), 0x88b5)), Counters{InFrames: 1, InBytes: 14, Nowhere: 1}},
		{"to nobody", guest, one(frame(mac(7), mac(1), 0x88b5)), Counters{InFrames: 1, InBytes: 14, Nowhere: 1}},
		{"a tag", guest, one(tagged(frame(mac(2), mac(1), 0x88b5), 10)), Counters{Untagged: 1}},
		{"half a tag", guest, one(frame(mac(2), mac(1), 0x8100, 0)), Counters{Untagged: 1}},
		{"two tags", Options{MAC: mac(1), Trunk: []uint16{10}}, one(tagged(tagged(frame(mac(2), mac(1), 0x88b5), 10), 10)), Counters{Untagged: 1}},
		{"another's tag", Options{MAC: mac(1), Trunk: []uint16{10}}, one(tagged(frame(mac(2), mac(1), 0x88b5), 11)), Counters{Untagged: 1}},
		{"no tag", Options{MAC: mac(1), Trunk: []uint16{10}}, one(frame(mac(2), mac(1), 0x88b5)), Counters{Untagged: 1}},
		{"a provider's tag", guest, one(frame(mac(2), mac(1), 0x88a8, 0, 10, 8, 0)), Counters{Untagged: 1}},
		{"a sum beyond its end", guest, sum(14, 199, 0, 0), Counters{Malformed: 1}},
		{"a sum in the addresses", guest, sum(2, 16, 0, 0), Counters{Malformed: 1}},
		{"a segment that is none", guest, sum(34, 16, 100, 54), Counters{Malformed: 1}},
	} {
		s := New("lan")
		_, victim := join(t, s, Options{MAC: mac(2)})
		p, _ := join(t, s, r.o)
		p.Send([]nic.Frame{r.f})
		if diff := cmp.Diff(r.want, p.Counters()); diff != "" || len(victim.got) > 0 {
			t.Errorf("%s: %d frames (-want +got):\n%s", r.name, len(victim.got), diff)
		}
	}
}

// TestChange: a guest that changes a frame while it is passed on changes nothing that was
// looked at.
func TestChange(t *testing.T) {
	s := New("lan")
	p, _ := join(t, s, Options{MAC: mac(1)})
	b := frame(broadcast, mac(1), 0x88b5, make([]byte, 40)...)
	want := string(b)
	_, first := join(t, s, Options{MAC: mac(2)})
	first.during = func() { copy(b[6:], []byte{2, 0, 0, 0, 0, 9, 0x81, 0, 0, 9}) }
	_, second := join(t, s, Options{MAC: mac(3)})
	p.Send(whole(b))
	if diff := cmp.Diff([]string{want}, second.take()); diff != "" {
		t.Error(diff)
	}
}

// TestFlood: a port sends from 200,000 addresses. It has as many as it may, what others
// have stays, and silence frees them.
func TestFlood(t *testing.T) {
	s := New("lan")
	now := time.Now()
	s.now = func() time.Time { return now }
	up, far := join(t, s, Options{Uplink: true})
	p, _ := join(t, s, Options{MAC: mac(1), Unfiltered: true})
	guest, _ := join(t, s, Options{MAC: mac(2)})
	up.Send(whole(frame(broadcast, nic.MAC{2, 9}, 0x88b5)))
	rnd := rand.New(rand.NewPCG(1, 1))
	for range 200_000 / batch {
		var all [][]byte
		for range batch {
			n := rnd.Uint32()
			all = append(all, frame(mac(2), nic.MAC{2, 3, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, 0x88b5))
		}
		p.Send(whole(all...))
	}
	p.Send(whole(frame(broadcast, mac(2), 0x88b5), frame(broadcast, nic.MAC{2, 9}, 0x88b5))) // it takes what is not another port's for ever
	if n := s.Ports()[1].Learned; n < stationsMost/2 || n > stationsMost {
		t.Errorf("%d addresses", n)
	}
	far.take()
	guest.Send(whole(frame(nic.MAC{2, 9}, mac(2), 0x88b5)))
	if got := far.take(); len(got) != 1 {
		t.Errorf("%d frames to who was there before", len(got))
	}
	now = now.Add((ageing + 2) * time.Second)
	p.Send(whole(frame(mac(2), nic.MAC{2, 8}, 0x88b5)))
	if n := s.Ports()[1].Learned; n != 1 {
		t.Errorf("%d addresses after a silence", n)
	}
	// Who moves is found where he is; a second later for who has just come.
	up.Send(whole(frame(mac(2), nic.MAC{2, 8}, 0x88b5)))
	if n := s.Ports()[1].Learned; n != 1 {
		t.Error("an address moves twice in a second")
	}
	now = now.Add(time.Second)
	up.Send(whole(frame(mac(2), nic.MAC{2, 8}, 0x88b5)))
	far.take()
	guest.Send(whole(frame(nic.MAC{2, 8}, mac(2), 0x88b5)))
	if got := far.take(); len(got) != 1 || s.Ports()[1].Learned != 0 {
		t.Errorf("%d frames, %+v", len(got), s.Ports()[1])
	}
}

// TestPanic: a receiver that panics loses its frames, others get theirs.
func TestPanic(t *testing.T) {
	s := New("lan")
	p, _ := join(t, s, Options{MAC: mac(1)})
	var told any
	q, bad := join(t, s, Options{MAC: mac(2), Fault: func(v any) { told = v }})
	_, good := join(t, s, Options{MAC: mac(3)})
	bad.panics = true
	p.Send(whole(frame(broadcast, mac(1), 0x88b5), frame(mac(3), mac(1), 0x88b5)))
	if got := good.take(); len(got) != 2 || told != "a mistake" || q.Counters().Faults != 1 || q.Counters().OutFrames != 0 {
		t.Errorf("%d frames, %v, %+v", len(got), told, q.Counters())
	}
	bad.panics = false
	p.Send(whole(frame(broadcast, mac(1), 0x88b5)))
	if len(bad.take()) != 1 {
		t.Error("it gets nothing any more")
	}
}

// TestLeave: ports come and go while others send. A receiver is not called after Leave,
// and who was there all the time gets everything.
func TestLeave(t *testing.T) {
	s := New("lan")
	_, up := join(t, s, Options{Uplink: true})
	const senders, rounds = 3, 2000
	var wg sync.WaitGroup
	for i := range senders {
		p, _ := join(t, s, Options{MAC: mac(1 + i)})
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range rounds {
				p.Send(whole(frame(broadcast, mac(1+i), 0x88b5), frame(mac(100), mac(1+i), 0x88b5), frame(nic.MAC{2, 1}, mac(1+i), 0x88b5)))
			}
		}()
	}
	var end atomic.Bool
	var comers sync.WaitGroup
	for i := range 2 {
		comers.Add(1)
		go func() {
			defer comers.Done()
			for !end.Load() {
				var gone atomic.Bool
				k := &sink{during: func() {
					if gone.Load() {
						t.Error("it is called after it has left")
					}
				}}
				o := Options{MAC: mac(100)}
				if i == 1 {
					o = Options{Unfiltered: true}
				}
				p, err := s.Join(k, o)
				if err != nil {
					t.Error(err)
					return
				}
				p.Send(whole(frame(broadcast, nic.MAC{2, 1}, 0x88b5), frame(broadcast, mac(100), 0x88b5)))
				p.Leave()
				gone.Store(true)
				p.Send(whole(frame(broadcast, nic.MAC{2, 1}, 0x88b5)))
				p.Leave()
			}
		}()
	}
	wg.Wait()
	end.Store(true)
	comers.Wait()
	for i := range senders {
		n := 0
		for _, f := range up.got {
			if nic.MAC([]byte(f[6:12])) == mac(1+i) && f[:6] == string(broadcast[:]) {
				n++
			}
		}
		if n != rounds {
			t.Errorf("%d of %d frames", n, rounds)
		}
	}
	if n := len(s.Ports()); n != senders+1 {
		t.Errorf("%d ports", n)
	}
}

// TestOffload: a receiver that cannot gets frames as the wire has them, with a tag and
// without; one that can gets them as they are.
func TestOffload(t *testing.T) {
	b := make([]byte, 54+3000)
	copy(b, frame(broadcast, mac(1), 0x800))
	copy(b[14:], []byte{0x45, 0, 0xb, 0xe0, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2})
	b[46], b[47] = 0x50, 0x18
	for i := range b[54:] {
		b[54+i] = byte(i * 7)
	}
	f := nic.Frame{Pieces: [][]byte{b[:30], b[30:500], b[500:]}, Sum: true, SumStart: 34, SumOffset: 16, Segment: 1000, Headers: 54}
	var plain, withTag []string
	for _, p := range nictest.Finish(append([]byte(nil), b...), &f) {
		plain, withTag = append(plain, string(p)), append(withTag, string(tagged(p, 10)))
	}
	s := New("lan")
	p, _ := join(t, s, Options{MAC: mac(1), VLAN: 10})
	_, cannot := join(t, s, Options{MAC: mac(2), VLAN: 10})
	_, up := join(t, s, Options{Uplink: true})
	_, can := join(t, s, Options{MAC: mac(3), VLAN: 10})
	*cannot, *up = sink{}, sink{checksum: true, segment: true}
	p.Send([]nic.Frame{f})
	can.mu.Lock()
	if got := can.frames; len(got) != 1 || got[0].Segment != 1000 || got[0].SumStart != 34 {
		t.Errorf("%+v", got)
	}
	can.mu.Unlock()
	if diff := cmp.Diff(plain, cannot.take()); diff != "" {
		t.Errorf("without a tag:\n%s", diff)
	}
	if diff := cmp.Diff(withTag, up.take()); diff != "" {
		t.Errorf("with a tag, to a card that computes sums where there is none:\n%s", diff)
	}
	*up = sink{}
	p.Send([]nic.Frame{f})
	if diff := cmp.Diff(withTag, up.take()); diff != "" {
		t.Errorf("with a tag:\n%s", diff)
	}
}

// poolsLose: see race_test.go.
var poolsLose bool

// TestNoAllocation: nothing is allocated for a frame, wherever it goes.
func TestNoAllocation(t *testing.T) {
	s := New("lan")
	p, _ := s.Join(&quiet{}, Options{MAC: mac(1)})
	for i := range 3 {
		k := &quiet{}
		if _, err := s.Join(k, Options{MAC: mac(2 + i), Unfiltered: i == 2}); err != nil {
			t.Fatal(err)
		}
	}
	up, _ := s.Join(&quiet{}, Options{Uplink: true})
	data := make([]byte, 1000)
	all := whole(frame(mac(2), mac(1), 0x88b5, data...), frame(broadcast, mac(1), 0x88b5), frame(nic.MAC{2, 5}, mac(1), 0x88b5), frame(mac(2), mac(1), 0x88b5, data...))
	all[0].Sum, all[0].SumStart, all[0].SumOffset = true, 34, 6
	in := whole(tagged(frame(mac(3), nic.MAC{2, 5}, 0x88b5), 0), frame(broadcast, nic.MAC{2, 6}, 0x88b5))
	if n := testing.AllocsPerRun(1000, func() { p.Send(all); up.Send(in) }); n >= 1 && !poolsLose { // a collection may take the pool's
		t.Errorf("%v allocations", n)
	}
}

// quiet is a receiver that has no offloads and keeps nothing.
type quiet struct{ frames int }

func (q *quiet) Deliver(frames []nic.Frame)        { q.frames += len(frames) }
func (q *quiet) Accepts() (checksum, segment bool) { return false, false }

func BenchmarkSend(b *testing.B) {
	for _, size := range []int{60, 1514} {
		for _, n := range []int{1, 32} {
			b.Run(fmt.Sprintf("%d bytes, %d a batch", size, n), func(b *testing.B) {
				s := New("lan")
				p, _ := s.Join(&quiet{}, Options{MAC: mac(1)})
				_, _ = s.Join(&quiet{}, Options{MAC: mac(2)})
				_, _ = s.Join(&quiet{}, Options{Uplink: true})
				var all [][]byte
				for range n {
					all = append(all, frame(mac(2), mac(1), 0x88b5, make([]byte, size-14)...))
				}
				frames := whole(all...)
				b.ResetTimer()
				for range b.N {
					p.Send(frames)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/frame")
			})
		}
	}
}
