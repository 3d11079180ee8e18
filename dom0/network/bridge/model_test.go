// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package bridge

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ringo/drivers/nic"
)

// model is a switch without any haste: maps, and one frame at a time.
type model struct {
	ports []Options
	seen  map[string]seen // by address and VLAN
	now   int             // in seconds
}

// seen is where an address was seen, and when it came there.
type seen struct{ port, since int }

// plain is the VLAN of frames without a tag at a port, -1 if they do not pass.
func (m *model) plain(p int) int {
	o := m.ports[p]
	if o.Trunk != nil && o.VLAN == 0 && !slices.Contains(o.Trunk, 0) {
		return -1
	}
	return int(o.VLAN)
}

// tagged reports whether a VLAN has a tag at a port.
func (m *model) tagged(p, vlan int) bool {
	o := m.ports[p]
	return vlan != 0 && vlan != m.plain(p) && (o.Uplink && o.Trunk == nil || slices.Contains(o.Trunk, uint16(vlan)))
}

// send returns what each port gets.
func (m *model) send(p int, b []byte) map[int]string {
	o := m.ports[p]
	vlan, prio := m.plain(p), 0
	if b[12] == 0x81 && b[13] == 0 {
		tci := int(b[14])<<8 | int(b[15])
		b = append(append([]byte(nil), b[:12]...), b[16:]...)
		if prio = tci &^ 0xfff; tci&0xfff != 0 {
			if vlan = tci & 0xfff; !m.tagged(p, vlan) {
				return nil
			}
		}
	}
	if kind := int(b[12])<<8 | int(b[13]); vlan < 0 || kind == 0x8100 || kind == 0x88a8 || kind == 0x9100 {
		return nil
	}
	dst, src := nic.MAC(b[:6]), nic.MAC(b[6:12])
	if !src.Valid() || !o.Uplink && !o.Unfiltered && src != o.MAC {
		return nil
	}
	owner := m.owner(src)
	if owner >= 0 && owner != p && o.Uplink {
		return nil
	}
	if owner < 0 {
		key := fmt.Sprint(src, vlan)
		if was, ok := m.seen[key]; !ok || was.port != p && was.since != m.now {
			m.seen[key] = seen{p, m.now}
		}
	}
	out := map[int]string{}
	give := func(q int) {
		switch {
		case q == p:
		case m.plain(q) == vlan:
			out[q] = string(b)
		case m.tagged(q, vlan):
			out[q] = string(tagged(b, uint16(prio|vlan)))
		}
	}
	was, known := m.seen[fmt.Sprint(dst, vlan)]
	where := was.port
	if at := m.owner(dst); at >= 0 {
		where, known = at, true
	}
	if dst.Multicast() && dst != (nic.MAC{1, 0x80, 0xc2, 0, 0, 5}) {
		for q := range m.ports {
			give(q)
		}
	} else if dst.Multicast() {
	} else if known {
		give(where)
	} else {
		for q, o := range m.ports {
			if o.Uplink || o.Unfiltered {
				give(q)
			}
		}
	}
	return out
}

func (m *model) owner(a nic.MAC) int {
	return slices.IndexFunc(m.ports, func(o Options) bool { return o.MAC == a && a != nic.MAC{} })
}

// random is a frame that somebody may send: addresses of ports, and others.
func random(rnd *rand.Rand, own nic.MAC, n int) []byte {
	pick := func() nic.MAC {
		switch rnd.IntN(12) {
		case 0:
			return broadcast
		case 1:
			return nic.MAC{0x33, 0x33, 0, 0, 0, byte(rnd.IntN(3))}
		case 2:
			return nic.MAC{1, 0x80, 0xc2, 0, 0, 5}
		case 3:
			return nic.MAC{}
		}
		return mac(1 + rnd.IntN(20))
	}
	src := own
	if own == (nic.MAC{}) || rnd.IntN(8) == 0 {
		src = pick()
	}
	data := make([]byte, rnd.IntN(300))
	for i := range data {
		data[i] = byte(rnd.Uint32())
	}
	kind := []uint16{0x88b5, 0x88b5, 0x88b5, 0x88b6, 0x88b7, 0x88a8, 0x9100, 0x8100}[rnd.IntN(8)]
	b := frame(pick(), src, kind, append([]byte{byte(n >> 8), byte(n), 1, 2}, data...)...)
	for range rnd.IntN(5) / 2 {
		b = tagged(b, uint16(rnd.IntN(2)<<13|[]int{0, 10, 20, 30, 10, 20}[rnd.IntN(6)]))
	}
	return b
}

// pieces cuts a frame at random places.
func pieces(rnd *rand.Rand, b []byte) (f nic.Frame) {
	for range rnd.IntN(4) {
		n := rnd.IntN(len(b) + 1)
		f.Pieces = append(f.Pieces, b[:n])
		b = b[n:]
	}
	f.Pieces = append(f.Pieces, b)
	return f
}

// TestModel sends random frames, in batches, from all kinds of ports: each goes where it
// does in the model, as it does there, in order, once; and what was sent is not changed.
func TestModel(t *testing.T) {
	for seed := range uint64(12) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		s := New("test")
		// Now and then two addresses have the same place, by chance, and one is forgotten: not here.
		s.table.seed, s.table.factor = 0, 0x9e3779b97f4a7c15
		m := &model{seen: map[string]seen{}}
		now := time.Now()
		s.now = func() time.Time { return now }
		var ports []*Port
		var sinks []*sink
		for i := range 2 + rnd.IntN(9) {
			o := Options{Name: fmt.Sprint(i), MAC: mac(i + 1), VLAN: []uint16{0, 0, 10, 20}[rnd.IntN(4)]}
			switch rnd.IntN(6) {
			case 0:
				o.Uplink, o.MAC = true, nic.MAC{}
			case 1:
				o.Unfiltered = true
			case 2:
				o.Unfiltered, o.MAC = true, nic.MAC{}
			}
			if rnd.IntN(3) == 0 {
				o.Trunk = [][]uint16{{10, 20}, {0, 10}, {20, 30}}[rnd.IntN(3)]
			}
			o.own = rnd.IntN(4) == 0 // as cards of dom0 are, but that it learns
			p, k := join(t, s, o)
			p.learns = o.Uplink || o.Unfiltered
			ports, sinks, m.ports = append(ports, p), append(sinks, k), append(m.ports, o)
		}
		for n := range 150 {
			step := rnd.IntN(3) / 2
			m.now, now = m.now+step, now.Add(time.Duration(step)*time.Second)
			from := rnd.IntN(len(ports))
			want := make([][]string, len(ports))
			var frames []nic.Frame
			var sent, before []string
			for range 1 + rnd.IntN(100) {
				b := random(rnd, m.ports[from].MAC, n)
				for q, w := range m.send(from, b) {
					want[q] = append(want[q], w)
				}
				frames, sent = append(frames, pieces(rnd, b)), append(sent, string(b))
			}
			ports[from].Send(frames)
			for i := range frames {
				b := make([]byte, frames[i].Len())
				frames[i].CopyTo(b)
				before = append(before, string(b))
			}
			if diff := cmp.Diff(sent, before); diff != "" {
				t.Fatalf("seed %d: what was sent has changed:\n%s", seed, diff)
			}
			for q, k := range sinks {
				calls := k.calls
				if diff := cmp.Diff(want[q], k.take()); diff != "" {
					t.Fatalf("seed %d, batch %d from %+v to %+v (-want +got):\n%s", seed, n, m.ports[from], m.ports[q], diff)
				}
				if calls > (len(frames)+batch-1)/batch {
					t.Fatalf("%d calls for a batch of %d", calls, len(frames))
				}
			}
		}
	}
}
