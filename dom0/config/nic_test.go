// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package config

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestValidateNIC(t *testing.T) {
	const mac = "52:54:00:12:34:56"
	for _, c := range []struct {
		nics []NIC
		want string // "": it is valid
	}{
		{make([]NIC, MaxNICs+1), "nic: 7 are too many: at most 6"},
		{[]NIC{{}, {Network: "d"}}, `nic 2: network: "d" is not known: use default, private:NAME, bridge:UPLINK or none`},
		{[]NIC{{Network: "private:"}}, `"private:" names no network: after private: use 1 to 32 of a-z, 0-9 and -, and a letter`},
		{[]NIC{{Network: "private:" + strings.Repeat("a", 33)}}, "names no network"},
		{[]NIC{{Network: "bridge:Net0"}}, "names no network"},
		{[]NIC{{MAC: "5"}}, `nic 1: mac: "5" is not an address: write 52:54:00:12:34:56`},
		{[]NIC{{MAC: "01:00:00:00:00:00"}}, "group address"},
		{[]NIC{{MAC: "00:00:00:00:00:00"}}, "is no card's address"},
		{[]NIC{{MAC: "52:54:00:ab:cd:ef"}, {MAC: "52:54:00:AB:CD:EF"}}, "nic 2: mac: nic 1 has 52:54:00:AB:CD:EF already"},
		{[]NIC{{MTU: 67}}, "nic 1: mtu: 67 is out of range: use 68 to 9000"},
		{[]NIC{{MTU: 9001}}, "mtu: 9001 is out of range"},
		{[]NIC{{Network: "private:a", VLAN: 4095}}, "vlan: 4095 is out of range: use 1 to 4094"},
		{[]NIC{{Network: "private:a", VLAN: -1}}, "vlan: -1 is out of range"},
		{[]NIC{{Network: "private:a", VLAN: 5, Trunk: []int{6}}}, "give vlan or trunk, not both"},
		{[]NIC{{Network: "private:a", Trunk: []int{0}}}, "trunk: a VLAN is out of range: use 1 to 4094"},
		{[]NIC{{Network: "private:a", Trunk: make([]int, 17)}}, "trunk: 17 are too many: at most 16"},
		{[]NIC{{VLAN: 5}}, "vlan: the network default has none"},
		{[]NIC{{Slot: 8}}, "nic 1: slot: 8 is out of range: use 2 to 7"},
		{[]NIC{{Slot: 1}}, "nic 1: slot: 1 is out of range"},
		{[]NIC{{}, {Slot: 3}, {Slot: 3}}, "nic 3: slot: nic 2 is in slot 3 already"},
		{[]NIC{{Link: "sideways"}}, `link: "sideways" is not known: use up or down`},
		{[]NIC{{Network: "private:a", Forward: []string{"tcp:1:1"}}}, "forward: only the network default has ports"},
		{[]NIC{{Forward: make([]string, 17)}}, "forward: 17 are too many: at most 16"},
		{[]NIC{{Forward: []string{"tcp:22"}}}, `forward: "tcp:22" leads nowhere: write tcp:2222:22, the machine's port before the guest's`},
		{[]NIC{{Forward: []string{"sctp:22:22"}}}, "leads nowhere"},
		{[]NIC{{Forward: []string{"tcp:0:22"}}}, "leads nowhere"},
		{[]NIC{{Forward: []string{"tcp:65536:22"}}}, "leads nowhere"},
		{[]NIC{{Forward: []string{"tcp:22:1"}}, {Forward: []string{"udp:22:1", "tcp:22:2"}}}, "nic 2: forward: nic 1 has tcp port 22 already: choose another port"},
		{[]NIC{
			{}, {Network: "none"}, {Network: "private:a-1", VLAN: 4094, MTU: 9000}, {Network: "private:a-1", Trunk: []int{1, 4094}, MAC: mac},
			{Network: "bridge:net0", Link: "up", Unfiltered: true}, {Network: "default", Forward: []string{"tcp:22:22", "udp:22:22"}, Link: "down"},
		}, ""},
	} {
		x := Default()
		x.Name, x.NIC = "ok", c.nics
		if got := fmt.Sprint(x.Validate()); c.want == "" && got != "<nil>" || !strings.Contains(got, c.want) {
			t.Errorf("want %q, got %s", c.want, got)
		}
	}
}

func TestNICFromFile(t *testing.T) {
	c, err := Parse("a.toml", []byte("[[nic]]\nforward = [\"tcp:2222:22\"]\ntrunk = [1, 2]\nlink = \"down\"\n[[nic]]\n"))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]NIC{{Forward: []string{"tcp:2222:22"}, Trunk: []int{1, 2}, Link: "down"}, {}}, c.NIC); d != "" {
		t.Error(d)
	}
	if n := c.NIC[1]; n.On() != NetworkDefault || n.Bytes() != 1500 {
		t.Errorf("%+v", n)
	}
	for text, want := range map[string]string{
		"[[nic]]\nforward = 5":        "a.toml:2: nic.forward: want a list in brackets",
		"[[nic]]\nunfiltered = 5":     "a.toml:2: nic.unfiltered: want true or false",
		"[[nic]]\nadress = \"5\"":     `a.toml:2: unknown key "nic.adress" (known: network, mac, mtu, vlan, trunk, forward, unfiltered, link, rule, rate_in, rate_out, packets_in, packets_out, burst, slot)`,
		"[[nic]]\nnetwrok = \"none\"": `a.toml:2: unknown key "nic.netwrok" (did you mean "nic.network"?)`,
	} {
		if _, err := Parse("a.toml", []byte(text)); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// Addresses that are made differ by card and by domain, stay the same, and are those of
// single cards.
func TestAddress(t *testing.T) {
	seen := map[[6]byte]bool{}
	for u := range byte(50) {
		for i := range MaxNICs {
			n := NIC{Slot: FirstNIC + i}
			a := n.Address([16]byte{u})
			if a[0] != 0x52 || a[1] != 0x54 || a[2] != 0 || seen[a] || a != n.Address([16]byte{u}) {
				t.Errorf("card %d of %d: %x", i, u, a)
			}
			seen[a] = true
		}
	}
	if a := (&NIC{MAC: "02:00:00:aB:cD:0f"}).Address([16]byte{}); a != [6]byte{2, 0, 0, 0xab, 0xcd, 0x0f} {
		t.Errorf("%x", a)
	}
}

func TestForwards(t *testing.T) {
	n := NIC{Forward: []string{"tcp:2222:22", "udp:5353:53"}}
	if d := cmp.Diff([]Forward{{"tcp", 2222, 22}, {"udp", 5353, 53}}, n.Forwards()); d != "" {
		t.Error(d)
	}
	for _, f := range n.Forwards() {
		if again, err := ParseForward(f.String()); err != nil || again != f {
			t.Errorf("%v: %v, %v", f, again, err)
		}
	}
}

// Cards keep the slots that they name, and the others have the first that are free.
func TestPlaceNICs(t *testing.T) {
	got := PlaceNICs([]NIC{{}, {Slot: 2}, {}, {Slot: 4}, {Slot: 7}, {}})
	var slots []int
	for i := range got {
		slots = append(slots, got[i].Slot)
	}
	if d := cmp.Diff([]int{3, 2, 5, 4, 7, 6}, slots); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(got, PlaceNICs(got)); d != "" {
		t.Error(d)
	}
}
