// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package abi

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAPICID(t *testing.T) {
	for _, c := range []struct {
		n    uint32
		t    Topology
		want []uint32
	}{
		{3, Topology{}, []uint32{0, 1, 2}},
		{4, Topology{2, 2}, []uint32{0, 1, 2, 3}},
		{6, Topology{3, 1}, []uint32{0, 1, 2, 4, 5, 6}},
		{4, Topology{1, 1}, []uint32{0, 1, 2, 3}},
		{6, Topology{1, 3}, []uint32{0, 1, 2, 4, 5, 6}},
		{12, Topology{3, 2}, []uint32{0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13}},
	} {
		full, ok := c.t.For(c.n)
		var got []uint32
		for i := range c.n {
			got = append(got, full.APICID(i))
		}
		if d := cmp.Diff(c.want, got); d != "" || !ok {
			t.Errorf("%d of %+v: %v %s", c.n, c.t, ok, d)
		}
	}
}

// TestTopologies tries all sizes: an ID belongs to one vCPU and is small, and what does
// not fill sockets is refused.
func TestTopologies(t *testing.T) {
	for n := uint32(1); n <= MaxVCPUs; n++ {
		for cores := range uint32(40) {
			for threads := range uint32(40) {
				full, ok := Topology{cores, threads}.For(n)
				want := cores*threads != 0 && n%(cores*threads) == 0 || cores+threads == 0
				if ok != want {
					t.Fatalf("%d vCPUs, %d cores, %d threads: %v", n, cores, threads, ok)
				}
				last := -1
				for i := uint32(0); ok && i < n; i++ {
					id := int(full.APICID(i))
					if id <= last || id >= 128 {
						t.Fatalf("%d vCPUs, %+v: %d has APIC ID %d after %d", n, full, i, id, last)
					}
					last = id
				}
			}
		}
	}
	if _, ok := (Topology{1 << 31, 2}).For(4); ok {
		t.Error("a product that overflows")
	}
}
