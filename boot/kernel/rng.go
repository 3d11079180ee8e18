// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import (
	"math/bits"
	"unsafe"

	"ringo/hv/insn"
)

// The random numbers of getrandom: ChaCha20 with fast key erasure (every
// request replaces the key), seeded from RDSEED, RDRAND and the time-stamp
// counter, and stirred with both at every request. Under rnglock.
var rng struct {
	key     [8]uint32
	counter uint64
	state   [16]uint32
	out     [16]uint32
}

// chacha computes a block of rng.state into rng.out (RFC 8439, section "The
// ChaCha20 Block Function").
//
//go:nosplit
func chacha() {
	x := &rng.out
	*x = rng.state
	for i := 0; i < 10; i++ {
		quarter(&x[0], &x[4], &x[8], &x[12])
		quarter(&x[1], &x[5], &x[9], &x[13])
		quarter(&x[2], &x[6], &x[10], &x[14])
		quarter(&x[3], &x[7], &x[11], &x[15])
		quarter(&x[0], &x[5], &x[10], &x[15])
		quarter(&x[1], &x[6], &x[11], &x[12])
		quarter(&x[2], &x[7], &x[8], &x[13])
		quarter(&x[3], &x[4], &x[9], &x[14])
	}
	for i := range x {
		x[i] += rng.state[i]
	}
}

//go:nosplit
func quarter(a, b, c, d *uint32) {
	*a += *b
	*d = bits.RotateLeft32(*d^*a, 16)
	*c += *d
	*b = bits.RotateLeft32(*b^*c, 12)
	*a += *b
	*d = bits.RotateLeft32(*d^*a, 8)
	*c += *d
	*b = bits.RotateLeft32(*b^*c, 7)
}

// rngBlock makes the next block with the current key.
//
//go:nosplit
func rngBlock() {
	s := &rng.state
	s[0], s[1], s[2], s[3] = 0x61707865, 0x3320646e, 0x79622d32, 0x6b206574
	for i := range rng.key {
		s[4+i] = rng.key[i]
	}
	rng.counter++
	s[12], s[13], s[14], s[15] = uint32(rng.counter), uint32(rng.counter>>32), 0, 0
	chacha()
}

// rngStir mixes v into the key and moves on.
//
//go:nosplit
func rngStir(v uint64) {
	rng.key[0] ^= uint32(v)
	rng.key[1] ^= uint32(v >> 32)
	rngBlock()
	for i := range rng.key {
		rng.key[i] = rng.out[i]
	}
}

// rngEntropy stirs in what the CPU offers.
//
//go:nosplit
func rngEntropy(rounds int) {
	for i := 0; i < rounds; i++ {
		rngStir(insn.RDTSC())
		if hasRDSEED {
			if v, ok := rdseed(); ok != 0 {
				rngStir(v)
			}
		}
		if hasRDRAND {
			if v, ok := rdrand(); ok != 0 {
				rngStir(v)
			}
		}
	}
}

var hasRDRAND, hasRDSEED bool

//go:nosplit
func rngInit() {
	_, _, c, _ := insn.CPUID(1, 0)
	hasRDRAND = c>>30&1 != 0
	if n, _, _, _ := insn.CPUID(0, 0); n >= 7 {
		_, b, _, _ := insn.CPUID(7, 0)
		hasRDSEED = b>>18&1 != 0
	}
	rngEntropy(32)
}

//go:nosplit
func sysGetrandom(c *cpu, t *thread) uint64 {
	dst, n := t.f.rdi, min(t.f.rsi, 1<<20)
	rnglock.lock()
	rngEntropy(1)
	ok := true
	for done := uint64(0); ok && done < n; {
		rngBlock()
		k := min(n-done, 64)
		stage := addr(unsafe.Pointer(&c.out))
		movsq(stage, addr(unsafe.Pointer(&rng.out)), 8)
		ok = copyOut(dst+done, ptr(stage), k)
		stosq(stage, 8, 0)
		done += k
	}
	rngBlock()
	for i := range rng.key {
		rng.key[i] = rng.out[i]
	}
	rnglock.unlock()
	if !ok {
		return neg(eFAULT)
	}
	return n
}

// fillRandom is for the boot: n bytes, a multiple of 64.
//
//go:nosplit
func fillRandom(dst, n uint64) {
	for done := uint64(0); done < n; done += 64 {
		rngBlock()
		movsq(dst+done, addr(unsafe.Pointer(&rng.out)), 8)
	}
}
