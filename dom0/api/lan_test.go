// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package api

import (
	"testing"

	"ringo/dom0/config"
	"ringo/dom0/network/lan"
	"ringo/dom0/problem"
)

// lanCalls calls the verbs of the networks of domains.
func lanCalls(t *testing.T, a *API, show func(name string, out any, err error) string) {
	t.Helper()
	if err := try(NetworkCreate)(a, NetworkName{"x"}); err == nil || err.Kind != problem.Unsupported {
		t.Errorf("without networks: %v", err)
	}
	if all, err := NetworkList.Call(a, None{}); err != nil || len(all) != 0 {
		t.Errorf("without networks: %v, %v", all, err)
	}
	a.Networks = lan.New(lan.Options{})
	_, err := NetworkCreate.Call(a, NetworkName{"x"})
	show(NetworkCreate.Name, None{}, err)
	uuid, _ := config.ParseUUID("00000000-0000-0000-0000-000000000000") // dom0's
	cards, err := a.Networks.Open(lan.Owner{UUID: uuid, Name: "Domain-0"}, []config.NIC{{Network: "private:x", MAC: "52:54:00:00:00:01", VLAN: 3}})
	if err != nil {
		t.Fatal(err)
	}
	leases, err := Leases.Call(a, None{})
	if got := show(Leases.Name, leases, err); got != "[]" {
		t.Error(got)
	}
	const card = `{"name":"Domain-0.0","domain":"Domain-0","network":"private:x","mac":"52:54:00:00:00:01","mtu":1500,"up":true,"vlan":3,` +
		`"rx_frames":0,"rx_bytes":0,"rx_dropped":0,"rx_errors":0,"tx_frames":0,"tx_bytes":0,"tx_errors":0,"spoofed":0,"untagged":0,"nowhere":0}`
	list, err := NetworkList.Call(a, None{})
	if got := show(NetworkList.Name, list, err); got != `[{"name":"private:x","kept":true,"cards":[`+card+`]}]` {
		t.Error(got)
	}
	nics, err := NICList.Call(a, Ref{"Domain-0"})
	if got := show(NICList.Name, nics, err); got != `[`+card+`]` {
		t.Error(got)
	}
	_, err = NICSetLink.Call(a, NICLink{"Domain-0.0", false})
	if show(NICSetLink.Name, None{}, err); cards[0].Up() {
		t.Error("the cable is in")
	}
	if err := try(NICSetLink)(a, NICLink{"Domain-0.1", false}); err == nil || err.Kind != problem.NotFound {
		t.Errorf("a card that is not there: %v", err)
	}
	a.Manager.Networks = a.Networks
	if _, err := DomainDefine.Call(a, Create{File: "wired", Text: "memory = 16\n[boot]\nkernel = \"boot:vmlinuz\"\n"}); err != nil {
		t.Fatal(err)
	}
	heard, err := NetworkAttach.Call(a, NICPlug{"wired", "private:x"})
	if got := show(NetworkAttach.Name, heard, err); got != `{"heard":true}` {
		t.Error(got)
	}
	_, err = NetworkDetach.Call(a, NICUnplug{Domain: "wired", NIC: "wired.0"})
	show(NetworkDetach.Name, None{}, err)
	cards[0].Close()
	_, err = NetworkDestroy.Call(a, NetworkName{"x"})
	show(NetworkDestroy.Name, None{}, err)
}
