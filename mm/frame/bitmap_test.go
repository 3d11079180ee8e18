// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package frame

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestBitmap compares bitmaps of sizes around the limits of their levels with
// a slice of booleans.
func TestBitmap(t *testing.T) {
	for _, n := range []int{1, 2, 31, 32, 33, 1023, 1024, 1025, 32*32*32 + 1} {
		r := rand.New(rand.NewPCG(1, uint64(n)))
		mem := make([]uint32, bitmapWords(n)+1)
		b, rest := newBitmap(n, mem)
		if len(rest) != 1 {
			t.Fatalf("%d bits: %d words left, want 1", n, len(rest))
		}
		model := make([]bool, n)
		for range 400 {
			i := r.IntN(n)
			switch r.IntN(3) {
			case 0:
				b.set(i)
				model[i] = true
			case 1:
				b.clear(i)
				model[i] = false
			}
			compareBitmap(t, &b, model, r.IntN(n))
		}
		for i := range n {
			b.clear(i)
		}
		if slices.ContainsFunc(mem, func(w uint32) bool { return w != 0 }) {
			t.Errorf("%d bits: words left when all are cleared", n)
		}
	}
}

func compareBitmap(t *testing.T, b *bitmap, model []bool, i int) {
	t.Helper()
	if b.has(i) != model[i] {
		t.Fatalf("%d bits: has(%d) = %v", len(model), i, !model[i])
	}
	next := slices.Index(model[i:], true)
	if next >= 0 {
		next += i
	}
	prev := i
	for prev >= 0 && !model[prev] {
		prev--
	}
	if got := b.next(i); got != next {
		t.Fatalf("%d bits: next(%d) = %d, want %d", len(model), i, got, next)
	}
	if got := b.prev(i); got != prev {
		t.Fatalf("%d bits: prev(%d) = %d, want %d", len(model), i, got, prev)
	}
	if b.next(len(model)+100000) != -1 || b.prev(-1) != -1 {
		t.Fatalf("%d bits: found something out of bounds", len(model))
	}
}
