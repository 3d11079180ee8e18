// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package domain

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ringo/dom0/board"
	"ringo/dom0/config"
	"ringo/dom0/network/bridge"
	"ringo/dom0/network/lan"
	"ringo/dom0/problem"
)

// withCards makes a domain "web" with two network cards.
func withCards(t *testing.T) *rig {
	r := newRig(t)
	r.Patience = time.Second
	r.Networks = lan.New(lan.Options{Default: bridge.New("default")})
	c := r.cfg("web", 16)
	r.must(c.Set("nic", "private:a"))
	r.must(c.Set("nic", "private:b,mac=52:54:00:00:00:0b"))
	_, err := r.Create(c, false)
	r.must(err)
	return r
}

// cards is what the configuration of web has, and that it is what the networks have.
func (r *rig) cards() string {
	r.t.Helper()
	in, err := r.Find("web")
	r.must(err)
	uuid, err := config.ParseUUID(in.UUID)
	r.must(err)
	var all, open []string
	for _, x := range in.Config.SettledNICs() {
		all = append(all, fmt.Sprintf("web.%d=%s %x", x.Number(), x.On(), x.Address(uuid)))
	}
	for _, x := range r.Networks.Of(uuid) {
		open = append(open, fmt.Sprintf("%s=%s %x", x.Name(), x.Network, x.MAC[:]))
	}
	if d := cmp.Diff(all, open); d != "" {
		r.t.Errorf("-configured +open\n%s", d)
	}
	var short []string
	for _, s := range all {
		short = append(short, strings.Fields(s)[0])
	}
	return strings.Join(short, " ")
}

// What cannot be attached changes nothing.
func TestAttachCardRefused(t *testing.T) {
	r := withCards(t)
	for nic, want := range map[string]string{
		"wire":                            `network: "wire" is not known: use default, private:NAME`,
		"bridge:net0":                     `this machine has no network card "net0"`,
		"default,slot=3":                  "nic 3: slot: nic 2 is in slot 3 already",
		"default,slot=8":                  "slot: 8 is out of range: use 2 to 7",
		"default,fast":                    `"fast" is not known`,
		"default,mac=52:54:00:00:00:0b":   "nic 3: mac: nic 2 has 52:54:00:00:00:0b already",
		"private:a,forward=tcp:2222:2222": "only the network default has ports",
	} {
		_, err := r.AttachCard("web", nic)
		r.fails(err, want)
	}
	_, err := r.AttachCard("Domain-0", "default")
	r.fails(err, "cannot be given network cards")
	r.dev.fail = problem.New(problem.Full, "", "no memory")
	_, err = r.AttachCard("web", "private:c")
	r.fails(err, "no memory")
	r.dev.fail = nil
	if got := r.cards(); got != "web.0=private:a web.1=private:b" || len(r.Networks.List()) != 3 {
		t.Error(got, r.Networks.List())
	}
	for range config.MaxNICs - 2 {
		_, err = r.AttachCard("web", "none")
		r.must(err)
	}
	_, err = r.AttachCard("web", "none")
	r.fails(err, "7 are too many")
	for _, name := range []string{"6", "web.6", "other.1", "52:54:00:00:00:0c"} {
		r.fails(r.DetachCard("web", name, true), `domain "web" has no network card `+name+": network-list web lists those that it has")
	}
	r.Networks = nil
	_, err = r.AttachCard("web", "none")
	r.fails(err, "are too many")
	r.must(r.DetachCard("web", "5", true))
	_, err = r.AttachCard("web", "none")
	r.fails(err, "there are no networks for domains")
}

// A card comes and goes; the others keep their names and addresses, at a restart as well.
func TestAttachDetachCard(t *testing.T) {
	r := withCards(t)
	attach := func(nic string, hears bool) {
		t.Helper()
		listens, err := r.AttachCard("web", nic)
		if r.must(err); listens != hears {
			t.Errorf("%s: listens %v", nic, listens)
		}
	}
	attach("private:c", false)
	r.dev.ack = func() bool { return true }
	attach("default,slot=7", true)
	if got := r.cards(); got != "web.0=private:a web.1=private:b web.2=private:c web.5=default" {
		t.Error(got)
	}
	r.must(r.DetachCard("web", "web.0", false))
	r.must(r.DetachCard("web", "52:54:00:00:00:0B", false))
	if got := r.cards(); got != "web.2=private:c web.5=default" {
		t.Error(got)
	}
	attach("private:d", true)
	r.dev.ack = func() bool { return false }
	r.fails(r.DetachCard("web", "0", false), "was asked, but has not given back web.0 (slot 2) in 166.666666ms: look at its kernel's log; network-detach -F")
	r.must(r.DetachCard("web", "web.2", true))
	before := r.cards()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go r.Run(ctx)
	r.must(r.Reset("web"))
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if in, err := r.Find("web"); err == nil && in.ID == 2 && r.dev.has(2) {
			break
		} else if time.Now().After(end) {
			t.Fatal("it does not restart")
		}
	}
	if got := r.cards(); got != before || got != "web.5=default web.0=private:d" {
		t.Error(got)
	}
	var slots []int
	for _, d := range r.dev.attached[2].Machine.Devices {
		if d.Kind == board.NIC {
			slots = append(slots, d.Slot)
		}
	}
	if d := cmp.Diff([]int{7, 2}, slots); d != "" || board.FirstNIC != config.FirstNIC {
		t.Errorf("slots after the restart: -want +got\n%s", d)
	}
}

// A guest may give back a card unasked.
func TestCardGivenBackUnasked(t *testing.T) {
	r := withCards(t)
	a := r.dev.attached[1]
	a.Cards[1].Close()
	a.Emptied(3)
	<-r.noted
	if got := r.notes[len(r.notes)-1]; got != `domain "web" has given back network card web.1` {
		t.Error(got)
	}
	for end := time.Now().Add(10 * time.Second); r.cards() != "web.0=private:a"; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the configuration has it still")
		}
	}
	a.Emptied(2) // it was pulled, and there is another one
	a.Emptied(3)
	r.must(r.Destroy("web"))
	a.Emptied(2)
}

// Of a domain that is off the definition changes.
func TestAttachCardOff(t *testing.T) {
	r := withCards(t)
	_, err := r.Define(r.cfg("off", 16))
	r.must(err)
	for _, nic := range []string{"private:a", "private:b"} {
		_, err = r.AttachCard("off", nic)
		r.must(err)
	}
	r.must(r.DetachCard("off", "off.0", false))
	r.fails(r.DetachCard("off", "0", false), "has no network card 0")
	d, err := r.Definition("off")
	r.must(err)
	if got := d.Config.NIC; len(got) != 1 || got[0].Network != "private:b" || got[0].Slot != 3 {
		t.Errorf("%+v", got)
	}
}

// What a domain that is off has stays where it is when more comes.
func TestAttachOffSettled(t *testing.T) {
	r := withCards(t)
	c := r.cfg("off", 16)
	r.must(c.Set("nic", "private:a"))
	_, err := r.Define(c)
	r.must(err)
	if _, err := r.AttachCard("off", "private:b,slot=2"); err == nil || !strings.Contains(err.Error(), "is in slot 2 already") {
		t.Errorf("a slot that is in use: %v", err)
	}
	_, err = r.AttachCard("off", "private:b,slot=5")
	r.must(err)
	d, err := r.Definition("off")
	r.must(err)
	var slots []int
	for _, n := range d.Config.NIC {
		slots = append(slots, n.Slot)
	}
	if d := cmp.Diff([]int{2, 5}, slots); d != "" {
		t.Error(d)
	}
}
