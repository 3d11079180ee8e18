// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package frame

import "math/bits"

// bitmap is a set of small integers with summaries: bit i of level l+1 says
// whether word i of level l has a bit. All operations touch a few words.
type bitmap struct {
	level [maxLevels][]uint32
	depth int
}

// maxLevels is enough for 2^35 bits: 128 TiB of frames.
const maxLevels = 7

// bitmapWords is the number of words that newBitmap takes for n bits.
func bitmapWords(n int) (words int) {
	for {
		n = (n + 31) / 32
		words += n
		if n <= 1 {
			return words
		}
	}
}

// newBitmap returns an empty bitmap for n > 0 bits, in zeroed words from the
// front of mem, and the rest of mem.
func newBitmap(n int, mem []uint32) (b bitmap, rest []uint32) {
	for {
		n = (n + 31) / 32
		b.level[b.depth], mem = mem[:n:n], mem[n:]
		b.depth++
		if n <= 1 {
			return b, mem
		}
	}
}

func (b *bitmap) has(i int) bool { return b.level[0][i/32]>>(uint(i)%32)&1 != 0 }

func (b *bitmap) set(i int) {
	for l := range b.depth {
		w := &b.level[l][i/32]
		old := *w
		*w |= 1 << (uint(i) % 32)
		if old != 0 {
			return
		}
		i /= 32
	}
}

func (b *bitmap) clear(i int) {
	for l := range b.depth {
		w := &b.level[l][i/32]
		*w &^= 1 << (uint(i) % 32)
		if *w != 0 {
			return
		}
		i /= 32
	}
}

// next returns the first member >= i, or -1.
func (b *bitmap) next(i int) int {
	for l := range b.depth {
		if i/32 >= len(b.level[l]) {
			return -1
		}
		if w := b.level[l][i/32] >> (uint(i) % 32); w != 0 {
			i += bits.TrailingZeros32(w)
			for l--; l >= 0; l-- {
				i = i*32 + bits.TrailingZeros32(b.level[l][i])
			}
			return i
		}
		i = i/32 + 1
	}
	return -1
}

// prev returns the last member <= i, or -1; i may be beyond the last bit.
func (b *bitmap) prev(i int) int {
	if i < 0 {
		return -1
	}
	i = min(i, len(b.level[0])*32-1)
	for l := range b.depth {
		if w := b.level[l][i/32] << (31 - uint(i)%32); w != 0 {
			i -= bits.LeadingZeros32(w)
			for l--; l >= 0; l-- {
				i = i*32 + 31 - bits.LeadingZeros32(b.level[l][i])
			}
			return i
		}
		if i < 32 {
			return -1
		}
		i = i/32 - 1
	}
	return -1
}
