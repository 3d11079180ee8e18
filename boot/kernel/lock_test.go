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

// A claimant that does not try any more, since nobody runs it, holds the others up for
// some time only, and none that was reset holds up anybody.
func TestLockClaimOfNobody(t *testing.T) {
	l := &spinlock{claim: 2}
	for round := range 3 {
		for n := uint64(1); n < claimMost; n++ {
			if l.try(1, n) {
				t.Fatal("a claim was ignored")
			}
		}
		if !l.try(1, claimMost) || l.v != 1 || l.claim != 2 {
			t.Fatalf("round %d: %+v", round, *l)
		}
		l.v = 0
	}
	l.disclaim(3)
	if l.claim != 2 {
		t.Error("somebody else's claim was taken back")
	}
	l.disclaim(2)
	if !l.try(1, 1) {
		t.Error("the claim of a CPU that was reset stands")
	}
}

// One claim at a time; the next one can be put in when it was served.
func TestLockClaims(t *testing.T) {
	l := &spinlock{v: 1}
	l.try(2, claimAfter)
	l.try(3, claimAfter)
	l.v = 0
	if l.try(3, claimAfter+1) || !l.try(2, claimAfter+1) {
		t.Fatal("not the first claim was served")
	}
	if l.try(3, claimAfter+2) || l.claim != 3 {
		t.Fatalf("no claim after the first: %+v", *l)
	}
	l.v = 0
	if l.try(2, 1) || !l.try(3, claimAfter+3) {
		t.Error("the second claim was not served")
	}
}
