// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package churn

import (
	"testing"
	"time"
)

func TestLoad(t *testing.T) {
	l := Start(2, func(what string) { panic(what) })
	for end := time.Now().Add(20 * time.Second); l.Rounds.Load() < 50 || l.Collections.Load() < 3; {
		if time.Now().After(end) {
			t.Fatalf("%d rounds, %d collections", l.Rounds.Load(), l.Collections.Load())
		}
		time.Sleep(time.Millisecond)
	}
}

// The checks see a single wrong bit.
func TestSound(t *testing.T) {
	n := grow(7, 5)
	if !n.sound(7, 5) {
		t.Fatal("a fresh tree is not sound")
	}
	n.left.right.key ^= 1 << 40
	if n.sound(7, 5) {
		t.Error("a changed key is not noticed")
	}
	n = grow(7, 5)
	n.right.left.left = nil
	if n.sound(7, 5) {
		t.Error("a lost node is not noticed")
	}
	want := uint64(3)
	for range 10 {
		want = next(want)
	}
	if deep(3, 10) != want {
		t.Error("deep does not return the last key")
	}
}
