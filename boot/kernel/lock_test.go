// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import "testing"

// A CPU that has waited for a lock long enough is the next to have it, however often
// others try when it is free and that one does not look.
func TestLockClaim(t *testing.T) {
	l := &spinlock{v: 1}
	for n := uint64(1); n <= claimAfter; n++ {
		if l.try(2, n) {
			t.Fatal("a lock that is held was taken")
		}
	}
	l.v = 0
	for n := uint64(1); n < 2*claimAfter; n++ {
		if l.try(1, n) {
			t.Fatal("a claim was ignored")
		}
	}
	if !l.try(2, claimAfter+1) || l.v != 1 || l.claim != 0 {
		t.Fatalf("the claim did not help: %+v", *l)
	}
	l.v = 0
	if !l.try(1, 1) {
		t.Error("a claim that was served stands")
	}
}
