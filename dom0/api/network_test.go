// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package api

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"ringo/dom0/files"
	"ringo/dom0/network"
	"ringo/drivers/nic"
	"ringo/drivers/nic/nictest"
)

// wired gives a network with one card, 10.0.0.1, and a host 10.0.0.2 at the other end.
func wired(t *testing.T, a *API) {
	us, them := nictest.Wire(nic.Info{Model: "wire"})
	address := func(s string) network.Options {
		return network.Options{Settings: []network.Setting{{Device: network.FirstDevice, Address: netip.MustParsePrefix(s)}}}
	}
	other := network.New(address("10.0.0.2/24"))
	a.Network = network.New(address("10.0.0.1/24"))
	for n, c := range map[*network.Network]*nictest.Card{a.Network: us, other: them} {
		if _, err := n.Add("net0", c); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(n.Close)
	}
	a.Clock = a.Network.NewClock([]string{"10.0.0.2"}, func(time.Duration) {})
	a.Fetched = files.NewFetched(nil)
}

// networkCalls calls the verbs of the network.
func networkCalls(t *testing.T, a *API, show func(name string, v any, err error) string) {
	for _, err := range []error{
		FileFetch.must(a, Fetch{"http://10.0.0.2/x", "x"}), NetPing.must(a, Ping{Host: "10.0.0.2"}), NetClock.must(a, Sync{Now: true}), NetSpeed.must(a, Traffic{"ping", "10.0.0.2", 1}),
	} {
		if err == nil || !strings.Contains(err.Error(), "no network card") {
			t.Errorf("without a card: %v", err)
		}
	}
	wired(t, a)
	cards, err := NetCards.Call(a, None{})
	if show(NetCards.Name, cards, err); len(cards) != 1 || cards[0].Name != "net0" || cards[0].MAC != "52:54:00:00:00:01" || !cards[0].Up || cards[0].Model != "wire" {
		t.Errorf("%+v", cards)
	}
	var pong Pong
	for end := time.Now().Add(time.Minute); ; {
		if pong, err = NetPing.Call(a, Ping{Host: "10.0.0.2"}); err == nil || time.Now().After(end) {
			break
		}
	}
	if show(NetPing.Name, pong, err); pong.Address != "10.0.0.2" || pong.Seconds <= 0 {
		t.Errorf("%+v", pong)
	}
	for _, p := range []Ping{{Host: "10.0.0.2", Size: 2000}, {Host: "10.0.0.2", Timeout: 100}, {Host: "nobody.test"}, {Host: "10.0.0.3", Timeout: 0.01}} {
		if _, err := NetPing.Call(a, p); err == nil {
			t.Errorf("%+v is answered", p)
		}
	}
	speed, err := NetSpeed.Call(a, Traffic{"ping", "10.0.0.2", 100})
	if show(NetSpeed.Name, speed, err); err != nil {
		t.Error(err)
	}
	for _, x := range []Traffic{{"ping", "10.0.0.2", 0}, {"jump", "10.0.0.2", 1}, {"receive", "10.0.0.2:81", 1}, {"send", "10.0.0.2", 1}} {
		if v, err := NetSpeed.Call(a, x); err == nil {
			t.Errorf("%+v: %+v", x, v)
		}
	}
	all, err := NetAddresses.Call(a, None{})
	if show(NetAddresses.Name, all, err); len(all) != 1 || all[0].Addresses[0] != (Address{"10.0.0.1/24", "static"}) || all[0].Asking {
		t.Errorf("%+v", all)
	}
	clock, err := NetClock.Call(a, Sync{Now: true})
	if show(NetClock.Name, clock, err); clock.Server != "10.0.0.2" || clock.Error == "" || !clock.Set.IsZero() {
		t.Errorf("%+v", clock)
	}
	_, err = FileFetch.Call(a, Fetch{"http://10.0.0.2:81/x", "x"})
	show(FileFetch.Name, None{}, err)
	var ts []Transfer
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if ts, err = FileTransfers.Call(a, None{}); len(ts) == 1 && ts[0].Ended {
			break
		}
	}
	if got := show(FileTransfers.Name, ts, err); got != `[{"name":"net:x","from":"http://10.0.0.2:81/x","done":0,"size":-1,"ended":true,"error":"10.0.0.2:81: connection was refused"}]` {
		t.Error(got)
	}
	_, err = FileForget.Call(a, FileName{"x"})
	show(FileForget.Name, None{}, err)
}

// must is Call without the reply.
func (v *Verb[I, O]) must(a *API, in I) error {
	_, err := v.Call(a, in)
	return err
}
