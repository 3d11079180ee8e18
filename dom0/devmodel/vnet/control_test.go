// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vnet

import (
	"fmt"
	"testing"

	"ringo/drivers/nic"
	"ringo/drivers/virtio/ring"
)

// addresses is the data of a command that sets both tables.
func addresses(unicast, group []nic.MAC) (b []byte) {
	for _, t := range [][]nic.MAC{unicast, group} {
		b = le.AppendUint32(b, uint32(len(t)))
		for _, m := range t {
			b = append(b, m[:]...)
		}
	}
	return b
}

// many are n addresses, of a group or not.
func many(n int, first byte) (all []nic.MAC) {
	for i := range n {
		all = append(all, nic.MAC{first, 0, 0, 0, 1, byte(i)})
	}
	return all
}

// TestCommands: what was not agreed on, or is not sound, is refused.
func TestCommands(t *testing.T) {
	r := newRig(t, Config{Pairs: 2}, everything)
	g := r.start(all)
	table := addresses(many(3, 2), many(2, 1))
	for _, c := range []struct {
		class, cmd byte
		data       []byte
		need       uint64
		want       byte
	}{
		{classRx, promiscuous, []byte{1}, featRx, ackOK},
		{classRx, promiscuous, []byte{2}, featRx, ackError},
		{classRx, promiscuous, []byte{}, featRx, ackError},
		{classRx, promiscuous, []byte{0, 0}, featRx, ackError},
		{classRx, noBroadcast, []byte{0}, featRxExtra, ackOK},
		{classRx, modes, []byte{0}, 0, ackError},
		{classMAC, setTable, table, featRx, ackOK},
		{classMAC, setTable, addresses(many(200, 2), many(200, 1)), featRx, ackOK},
		{classMAC, setTable, addresses(nil, nil), featRx, ackOK},
		{classMAC, setTable, table[:len(table)-1], featRx, ackError},
		{classMAC, setTable, append(table, 0), featRx, ackError},
		{classMAC, setTable, table[:4+18], featRx, ackError},
		{classMAC, setTable, []byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}, featRx, ackError},
		{classMAC, setTable, nil, featRx, ackError},
		{classMAC, setMAC, []byte{2, 0, 0, 0, 0, 1}, featSetMAC, ackOK},
		{classMAC, setMAC, []byte{1, 0, 0, 0, 0, 1}, featSetMAC, ackError},
		{classMAC, setMAC, []byte{2, 0, 0, 0, 0}, featSetMAC, ackError},
		{classMAC, 2, []byte{2, 0, 0, 0, 0, 1}, 0, ackError},
		{classVLAN, addVLAN, []byte{1, 0}, featVLAN, ackOK},
		{classVLAN, addVLAN + 1, []byte{0xff, 0x0f}, featVLAN, ackOK},
		{classVLAN, addVLAN, []byte{0, 0x10}, featVLAN, ackError},
		{classVLAN, addVLAN, []byte{0}, featVLAN, ackError},
		{classVLAN, 2, []byte{0, 0}, 0, ackError},
		{classQueues, 0, []byte{2, 0}, featQueues, ackOK},
		{classQueues, 0, []byte{3, 0}, featQueues, ackError},
		{classQueues, 0, []byte{0, 0}, featQueues, ackError},
		{classQueues, 1, []byte{1, 0}, 0, ackError},
		{classOffloads, 0, le.AppendUint64(nil, featGuestChecksum), featOffloads, ackOK},
		{classOffloads, 0, le.AppendUint64(nil, featTSO4), featOffloads, ackError},
		{classOffloads, 0, le.AppendUint64(nil, 1<<60), featOffloads, ackError},
		{classOffloads, 0, []byte{0}, featOffloads, ackError},
		{classAnnounce, 1, nil, 0, ackError},
		{6, 0, []byte{0}, 0, ackError},
	} {
		if a := g.command(c.class, c.cmd, c.data...); a != c.want {
			t.Errorf("%d, %d, % .20x: answer %d", c.class, c.cmd, c.data, a)
		}
		if c.want == ackOK {
			g = r.start(all &^ c.need)
			if a := g.command(c.class, c.cmd, c.data...); a != ackError {
				t.Errorf("%d, %d: answer %d, and it was not agreed on", c.class, c.cmd, a)
			}
			g = r.start(all)
		}
	}
	if n := r.dev.Counters(); n.Resets == 0 || r.rd(20, 1) != 15 {
		t.Errorf("%+v, status %#x", n, r.rd(20, 1))
	}
}

// TestFilters sets filters by commands, and sees which frames pass.
func TestFilters(t *testing.T) {
	r := newRig(t, Config{}, everything)
	frame := func(to nic.MAC, vlan int) []byte {
		b := make([]byte, 60)
		copy(b, to[:])
		if vlan >= 0 {
			copy(b[12:], []byte{0x81, 0, 0xe0 | byte(vlan>>8), byte(vlan)})
		}
		return b
	}
	own, other, group := mac, nic.MAC{2, 0, 0, 0, 1, 1}, nic.MAC{1, 0, 0, 0, 1, 1}
	kinds := []struct {
		mark string
		b    []byte
	}{
		{"own", frame(own, -1)}, {"other", frame(other, -1)}, {"group", frame(group, -1)}, {"all", frame(broadcast, -1)},
		{"v0", frame(own, 0)}, {"v5", frame(own, 5)}, {"v4095", frame(own, 4095)},
	}
	type command struct {
		class, cmd byte
		data       []byte
	}
	mode := func(cmd, on byte) command { return command{classRx, cmd, []byte{on}} }
	for i, c := range []struct {
		features uint64
		commands []command
		want     string
	}{
		{all, nil, "own group all v0 "},
		{featMAC, nil, "own group all v0 v5 v4095 "},
		{featMAC | featVLAN, nil, "own group all v0 v5 v4095 "}, // without a control queue nobody could add one
		{all, []command{mode(promiscuous, 1)}, "own other group all v0 v5 v4095 "},
		{all, []command{mode(promiscuous, 1), mode(promiscuous, 0), mode(allMulticast, 0)}, "own all v0 "},
		{all, []command{mode(allMulticast, 0), {classMAC, setTable, addresses(many(2, 2), many(2, 1))}}, "own other group all v0 "},
		{all, []command{mode(allMulticast, 0), {classMAC, setTable, addresses(many(1, 2), many(1, 1))}}, "own all v0 "},
		{all, []command{mode(allMulticast, 0), {classMAC, setTable, addresses(many(maxMACs+1, 6), many(maxMACs, 5))}}, "own other all v0 "},
		{all, []command{mode(allMulticast, 0), {classMAC, setTable, addresses(many(maxMACs, 6), many(maxMACs+1, 5))}}, "own group all v0 "},
		{all, []command{mode(allUnicast, 1), mode(noBroadcast, 1), mode(noMulticast, 1)}, "own other v0 "},
		{all, []command{mode(noUnicast, 1)}, "group all "},
		{all, []command{{classVLAN, addVLAN, []byte{5, 0}}}, "own group all v0 v5 "},
		{all, []command{{classVLAN, addVLAN, []byte{5, 0}}, {classVLAN, addVLAN, []byte{255, 15}}, {classVLAN, addVLAN + 1, []byte{5, 0}}}, "own group all v0 v4095 "},
		{all, []command{{classMAC, setMAC, other[:]}}, "other group all "},
	} {
		g := r.start(c.features)
		for _, x := range c.commands {
			if a := g.command(x.class, x.cmd, x.data...); a != ackOK {
				t.Fatalf("%d: %v: answer %d", i, x, a)
			}
		}
		g.fill(0, 20, 1600)
		got := ""
		for _, k := range kinds {
			r.dev.Deliver([]nic.Frame{{Pieces: [][]byte{k.b}}})
			if h, _, _ := g.take(0); h != nil {
				got += k.mark + " "
			}
		}
		if got != c.want {
			t.Errorf("%d: %q pass, want %q", i, got, c.want)
		}
	}
	if n := r.dev.Counters(); n.RxDropped+n.RxErrors != 0 {
		t.Errorf("%+v", n)
	}
}

// flow is a frame of flow i, one way or the other.
func flow(i int, v6, back bool) []byte {
	b := make([]byte, 80)
	a, c := []byte{10, 0, byte(i >> 4), 1, 0, byte(i)}, []byte{10, 0, 0, 2, 0, 80}
	if copy(b, mac[:]); back {
		a, c = c, a
	}
	if v6 {
		copy(b[12:], []byte{0x86, 0xdd, 0x60, 0, 0, 0, 0, 26, 17})
		copy(b[22+12:], a[:4])
		copy(b[38+12:], c[:4])
		copy(b[54:], append(a[4:6:6], c[4:]...))
		return b
	}
	copy(b[12:], []byte{8, 0, 0x45})
	b[23] = 6
	copy(b[26:], a[:4])
	copy(b[30:], c[:4])
	copy(b[34:], append(a[4:6:6], c[4:]...))
	return b
}

// TestQueues: what belongs to a flow is received on the pair on which the guest has last
// sent of it, if it receives there at all; and each queue that gets something interrupts.
func TestQueues(t *testing.T) {
	r := newRig(t, Config{Pairs: 4}, everything)
	g := r.start(all)
	for q := range 4 {
		g.fill(2*q, 100, 1600)
	}
	where := func(b []byte) (at int) {
		t.Helper()
		at = -1
		r.dev.Deliver([]nic.Frame{{Pieces: [][]byte{b}}})
		for q := range 4 {
			if h, _, _ := g.take(2 * q); h != nil {
				at = q
			}
		}
		return at
	}
	head := make([]byte, headerLen)
	send := func(i, pair int, v6 bool) {
		g.transmit(1+2*pair, 1000, append(head[:headerLen:headerLen], flow(i, v6, false)...))
	}
	send(1, 3, false)
	if at := where(flow(1, false, true)); at != 0 {
		t.Errorf("queue %d, with one pair", at)
	}
	if a := g.command(classQueues, 0, 4, 0); a != ackOK {
		t.Fatal(a)
	}
	for round := range 3 {
		for i := range 12 {
			send(i, (i+round)%4, i%2 == 0)
			if at := where(flow(i, i%2 == 0, true)); at != (i+round)%4 {
				t.Errorf("round %d, flow %d: queue %d", round, i, at)
			}
		}
	}
	var frames []nic.Frame
	for i := range 12 {
		send(i, i%4, false)
		frames = append(frames, nic.Frame{Pieces: [][]byte{flow(i, false, true)}})
	}
	for q := range 4 {
		g.queues[2*q].Sleep()
	}
	before := r.messages
	r.dev.Deliver(frames)
	if r.messages-before != 4 {
		t.Errorf("%d interrupts of four queues", r.messages-before)
	}
	for q := range 4 {
		for n := range 3 {
			if _, b, _ := g.take(2 * q); fmt.Sprint(b) != fmt.Sprint(flow(q+4*n, false, true)) {
				t.Errorf("queue %d: frame %d is another one, of %d bytes", q, n, len(b))
			}
		}
	}
	if a := g.command(classQueues, 0, 1, 0); a != ackOK || where(flow(3, false, true)) != 0 {
		t.Error("with one pair again it is another queue")
	}
	seen := map[uint8]bool{}
	for i := range 200 {
		if hash(flow(i, true, false)) != hash(flow(i, true, true)) {
			t.Fatal("another hash the other way")
		}
		seen[hash(flow(i, true, false))] = true
		hash(flow(i, false, false)[:i%81])
	}
	if len(seen) < 100 {
		t.Errorf("200 flows have %d hashes", len(seen))
	}
}

// TestNeedsReset has guests break the rules: the device wants a reset, and works after it.
func TestNeedsReset(t *testing.T) {
	r := newRig(t, Config{}, everything)
	at := uint64(framesAt)
	for name, c := range map[string]struct {
		q int
		b []ring.Buffer
	}{
		"buffer to be read":       {0, []ring.Buffer{{Addr: at, Len: 1600}}},
		"buffer partly so":        {0, []ring.Buffer{{Addr: at, Len: 100}, {Addr: at, Len: 1600, Write: true}}},
		"buffer not in memory":    {0, []ring.Buffer{{Addr: 1 << 40, Len: 1600, Write: true}}},
		"frame not in memory":     {1, []ring.Buffer{{Addr: 1 << 40, Len: 100}}},
		"no room for an answer":   {2, []ring.Buffer{{Addr: at, Len: 3}}},
		"empty room for it":       {2, []ring.Buffer{{Addr: at, Len: 3}, {Addr: at, Len: 0, Write: true}}},
		"command not in memory":   {2, []ring.Buffer{{Addr: 1 << 40, Len: 3}, {Addr: at, Len: 1, Write: true}}},
		"answer is not in memory": {2, []ring.Buffer{{Addr: at, Len: 3}, {Addr: 1 << 40, Len: 1, Write: true}}},
	} {
		g := r.start(all)
		g.queues[c.q].Add(c.b, nil)
		if c.q == 0 {
			r.deliver(nil, 60, 60)
			r.deliver(nil, 60)
		} else {
			r.d.Kick(c.q)
		}
		r.eventually(name, func() bool { return r.rd(20, 1) == 15|64 })
		g = r.start(all)
		g.fill(0, 1, 1600)
		if r.deliver(nil, 60); g.messages == 0 {
			t.Error("no interrupt")
		}
		if h, _, _ := g.take(0); h == nil {
			t.Errorf("%s: then it does not work", name)
		}
	}
	// What the device would have to write is no frame to send, but no harm.
	g := r.start(all)
	g.queues[1].Add([]ring.Buffer{{Addr: at, Len: 100, Write: true}}, nil)
	r.d.Kick(1)
	r.eventually("it is lost", func() bool { return r.dev.Counters().TxErrors == 1 })
	g.transmit(1, 1000, make([]byte, 72))
	r.eventually("the next one is sent", func() bool { return r.dev.Counters().TxFrames == 1 })
}
