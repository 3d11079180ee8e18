// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package lan

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/dom0/config"
	"ringo/dom0/network/bridge"
	"ringo/dom0/network/nat"
	"ringo/drivers/nic"
)

// device is the guest's side of a card.
type device struct {
	mu   sync.Mutex
	got  []string
	link bool
}

func (d *device) Deliver(frames []nic.Frame) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range frames {
		b := make([]byte, frames[i].Len())
		frames[i].CopyTo(b)
		d.got = append(d.got, string(b[nic.HeaderLen:nic.HeaderLen+5]))
	}
}

func (d *device) Accepts() (checksum, segment bool) { return true, true }
func (d *device) SetLink(up bool)                   { d.link = up }
func (d *device) Counters() nic.Counters            { return nic.Counters{RxFrames: uint64(len(d.got))} }

// taken returns what came.
func (d *device) taken() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	got := d.got
	d.got = nil
	return got
}

// say sends a frame to everybody.
func say(c *Card, text string) {
	b := append([]byte{255, 255, 255, 255, 255, 255}, c.MAC[:]...)
	b = append(append(b, 0x88, 0xb5), text...) // for experiments (IEEE 802)
	c.Send([]nic.Frame{{Pieces: [][]byte{append(b, make([]byte, 64)...)}}})
}

func owner(n byte) Owner { return Owner{UUID: [16]byte{n}, Name: fmt.Sprintf("d%d", n)} }

// open opens and connects the cards of a domain.
func open(t *testing.T, n *Networks, o Owner, nics ...config.NIC) (cards []*Card, devs []*device) {
	t.Helper()
	if err := n.Check(o, nics); err != nil {
		t.Fatal(err)
	}
	cards, err := n.Open(o, nics)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cards {
		d := &device{}
		if err := c.Connect(d); err != nil {
			t.Fatal(err)
		}
		devs = append(devs, d)
	}
	return cards, devs
}

// Who is in one network hears each other, and nobody else does.
func TestApart(t *testing.T) {
	n := New(Options{Default: bridge.New("default")})
	a, inA := open(t, n, owner(1), config.NIC{Network: "private:x"}, config.NIC{Network: "private:y"}, config.NIC{Network: "none"})
	b, inB := open(t, n, owner(2), config.NIC{Network: "private:x"}, config.NIC{})
	c, inC := open(t, n, owner(3), config.NIC{Network: "private:y"}, config.NIC{Network: "private:x", VLAN: 5})
	for _, s := range []struct {
		from *Card
		text string
		to   []*device
	}{
		{a[0], "a0..x", []*device{inB[0]}}, {a[1], "a1..y", []*device{inC[0]}}, {a[2], "a2..-", nil},
		{b[1], "b1..d", nil}, {c[1], "c1..5", nil}, {c[0], "c0..y", []*device{inA[1]}},
	} {
		say(s.from, s.text)
		for _, d := range slices.Concat(inA, inB, inC) {
			var want []string
			if slices.Contains(s.to, d) {
				want = []string{s.text}
			}
			if diff := cmp.Diff(want, d.taken()); diff != "" {
				t.Errorf("%s: %s", s.text, diff)
			}
		}
	}
	if inA[2].link || !inA[0].link || a[2].SetLink(true) == nil {
		t.Error("a cable that leads nowhere is in")
	}
	if _, p := a[0].Counters(); p.InFrames != 1 {
		t.Errorf("%+v", p)
	}
	b[0].Close()
	say(a[0], "late.")
	if got := inB[0].taken(); got != nil {
		t.Errorf("after Close: %q", got)
	}
	say(b[0], "ghost")
	if got := inA[0].taken(); got != nil {
		t.Errorf("of a closed card: %q", got)
	}
}

// names are the networks that there are.
func names(n *Networks) (all []string) {
	for _, x := range n.List() {
		s := x.Name
		for _, c := range x.Cards {
			s += " " + c.Name()
		}
		all = append(all, s)
	}
	return all
}

func wantNames(t *testing.T, n *Networks, want ...string) {
	t.Helper()
	if d := cmp.Diff(want, names(n)); d != "" {
		t.Error(d)
	}
}

// Private networks end with the last who is in them, unless they were made to stay.
func TestLife(t *testing.T) {
	n := New(Options{Default: bridge.New("default")})
	if err := n.Check(owner(1), []config.NIC{{Network: "private:x"}}); err != nil {
		t.Fatal(err)
	}
	wantNames(t, n, "default")
	a, _ := open(t, n, owner(1), config.NIC{Network: "private:x"}, config.NIC{Network: "none"})
	b, _ := open(t, n, owner(2), config.NIC{Network: "private:x"}, config.NIC{Network: "default"})
	wantNames(t, n, "default d2.1", "none d1.1", "private:x d1.0 d2.0")
	n.Rename(owner(1).UUID, "web")
	if c, err := n.Find("web.0"); err != nil || c != a[0] || len(n.Of(owner(1).UUID)) != 2 {
		t.Errorf("%v, %v", c, err)
	}
	if err := n.Destroy("x"); err == nil || err.Error() != `domain "web" is in the network private:x: destroy web` {
		t.Error(err)
	}
	for _, c := range slices.Concat(a, b, a) { // closed twice
		c.Close()
	}
	wantNames(t, n, "default")
	if err := errors.Join(n.Create("x"), n.Create("private:y")); err != nil {
		t.Error(err)
	}
	a, _ = open(t, n, owner(1), config.NIC{Network: "private:x"})
	a[0].Close()
	wantNames(t, n, "default", "private:x", "private:y")
	if err := errors.Join(n.Destroy("x"), n.Destroy("y")); err != nil {
		t.Error(err)
	}
	wantNames(t, n, "default")
	for i := range maxNetworks - 1 {
		if err := n.Create(fmt.Sprintf("n%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := n.Create("more"); err == nil || !strings.Contains(err.Error(), "there are 64 networks") {
		t.Error(err)
	}
}

func TestConflicts(t *testing.T) {
	uplinks := &Uplinks{}
	uplinks.Add("net0", nil)
	uplinks.Add("net1", nil)
	n := New(Options{Default: bridge.New("default"), Uplinks: uplinks, Gateway: &gateway{}})
	mine := []config.NIC{{MAC: "52:54:00:00:00:01", Forward: []string{"tcp:80:80"}}}
	open(t, n, owner(1), mine...)
	for _, c := range []struct {
		nics []config.NIC
		want string
	}{
		{mine, "nic 1: mac: 52:54:00:00:00:01 is that of card d1.0: choose another"},
		{[]config.NIC{{}, {Forward: []string{"udp:80:80", "tcp:80:8080"}}}, "nic 2: forward: tcp port 80 leads to card d1.0: choose another port"},
		{[]config.NIC{{Network: "bridge:net7"}}, `nic 1: network: this machine has no network card "net7": use one of net0, net1`},
		{[]config.NIC{{}, {Rule: []string{"permit in tcp"}}}, `nic 2: rule "permit in tcp": it begins with allow or deny, in or out, and a protocol`},
		{[]config.NIC{{MAC: "52:54:00:00:00:02"}, {MAC: "52:54:00:00:00:02"}}, "nic 2: mac: nic 1 has 52:54:00:00:00:02 already"},
	} {
		before := names(n)
		if err := n.Check(owner(2), c.nics); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("Check: %v, want %s", err, c.want)
		}
		if got, err := n.Open(owner(2), c.nics); err == nil || !strings.HasPrefix(err.Error(), c.want) || got != nil {
			t.Errorf("Open: %v, want %s", err, c.want)
		}
		wantNames(t, n, before...)
	}
	if err := n.Check(owner(1), mine); err != nil { // it restarts
		t.Error(err)
	}
	if err := New(Options{}).Check(owner(1), mine); err == nil || !strings.Contains(err.Error(), "has no network default") {
		t.Error(err)
	}
}

// gateway is a gateway that writes down what it is asked for.
type gateway struct{ log []string }

func (g *gateway) note(format string, a ...any) { g.log = append(g.log, fmt.Sprintf(format, a...)) }

func (g *gateway) Join(mac nic.MAC, host string) (netip.Addr, error) {
	g.note("+%s", host)
	if host == "full" {
		return netip.Addr{}, errors.New("no free address")
	}
	return netip.AddrFrom4([4]byte{10, 77, 0, mac[5]}), nil
}

func (g *gateway) Rename(mac nic.MAC, host string) { g.note("%x is %s", mac[5], host) }

func (g *gateway) Leave(mac nic.MAC) { g.note("-%x", mac[5]) }

func (g *gateway) Forward(f nat.Forward) error {
	if f.Port == 22 {
		return errors.New("forward tcp:22: it is dom0's")
	}
	g.note("%v to %v", f, f.To)
	return nil
}

// Cards in default have their address and their forwards of the gateway, until they end.
func TestForward(t *testing.T) {
	g := &gateway{}
	n := New(Options{Default: bridge.New("default"), Gateway: g})
	cards, _ := open(t, n, owner(1), config.NIC{Network: "private:a"}, config.NIC{MAC: "52:54:00:00:00:05", Forward: []string{"tcp:80:8080", "udp:53:53"}})
	if got := cards[1].Address.String(); got != "10.77.0.5" || cards[0].Address.IsValid() {
		t.Error(got)
	}
	n.Rename(owner(1).UUID, "web")
	for _, c := range cards {
		c.Close()
	}
	_, err := n.Open(owner(1), []config.NIC{{MAC: "52:54:00:00:00:06", Forward: []string{"udp:1:1", "tcp:22:22"}}})
	if err == nil || err.Error() != "nic 1: forward tcp:22: it is dom0's" {
		t.Error(err)
	}
	if _, err := n.Open(Owner{Name: "full"}, []config.NIC{{}}); err == nil || err.Error() != "nic 1: no free address" {
		t.Error(err)
	}
	want := []string{
		"+d1", "tcp:80:8080 to 10.77.0.5:8080", "udp:53:53 to 10.77.0.5:53", "5 is web", "-5",
		"+d1", "udp:1:1 to 10.77.0.6:1", "-6", "+full",
	}
	if d := cmp.Diff(want, g.log); d != "" {
		t.Error(d)
	}
	wantNames(t, n, "default")
}
