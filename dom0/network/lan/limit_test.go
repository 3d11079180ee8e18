// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package lan

import (
	"testing"

	"ringo/dom0/config"
	"ringo/drivers/nic"
)

// A card has the rules and limits of its configuration.
func TestLimits(t *testing.T) {
	n := New(Options{})
	a, _ := open(t, n, owner(1), config.NIC{Network: "private:x", PacketsOut: 200})
	b, inB := open(t, n, owner(2), config.NIC{Network: "private:x", Rule: []string{"allow in udp 53", "default deny in"}})
	if a[0].Bytes() != 0 || b[0].Bytes() == 0 {
		t.Errorf("%d and %d bytes", a[0].Bytes(), b[0].Bytes())
	}
	udp := func(port byte) {
		p := append(append(append([]byte{}, b[0].MAC[:]...), a[0].MAC[:]...), 8, 0)
		p = append(p, 0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2) // IPv4
		p = append(p, 4, 0, 0, port, 0, 8, 0, 0)                                          // UDP
		a[0].Send([]nic.Frame{{Pieces: [][]byte{append(p, make([]byte, 20)...)}}})
	}
	udp(53)
	if got := inB[0].taken(); len(got) != 1 {
		t.Errorf("allowed: %q", got)
	}
	for range 40 { // in a second or so: not all are too many
		udp(54)
	}
	if got := inB[0].taken(); len(got) != 0 {
		t.Errorf("denied: %q", got)
	}
	_, from := a[0].Counters()
	_, to := b[0].Counters()
	if to.Denied == 0 || from.Limited == 0 || to.Denied+from.Limited != 40 {
		t.Errorf("%+v, %+v", from, to)
	}
}
