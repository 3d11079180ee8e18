// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package loader

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// nextWord finds what a look at every place finds, also where words overlap and stand
// between places.
func TestNextWord(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 1))
	const word = 0x0101_0102
	for range 20_000 {
		b := make([]byte, r.IntN(200))
		for i := range b {
			b[i] = byte(1 + r.IntN(2))
		}
		step := 4 << r.IntN(2)
		off := r.IntN(len(b)+1) / step * step
		want := len(b)
		for i := off; i+4 <= len(b); i += step {
			if binary.LittleEndian.Uint32(b[i:]) == word {
				want = i
				break
			}
		}
		if got := nextWord(b, off, step, word); got != want {
			t.Fatalf("in % x from %d by %d: %d, want %d", b, off, step, got, want)
		}
	}
}
