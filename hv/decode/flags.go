// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package decode

import (
	"math/bits"

	"ringo/hv/x86"
)

const arithFlags = x86.FlagCF | x86.FlagPF | x86.FlagAF | x86.FlagZF | x86.FlagSF | x86.FlagOF

// Arith computes a op b on size bytes and the flags after it (SDM Vol. 1,
// "EFLAGS Cross-Reference"). Flags that the manual leaves undefined are 0 (AF
// of logic). Bt to Btc take the bit number in b. Unary operations ignore b.
func Arith(op Op, size uint8, a, b, flags uint64) (result, newFlags uint64) {
	m := mask(size)
	a, b = a&m, b&m
	switch op {
	case Add, Xadd:
		return add(size, a, b, 0, flags)
	case Adc:
		return add(size, a, b, flags&x86.FlagCF, flags)
	case Sub, Cmp, Cmpxchg, Scas, Cmps:
		return sub(size, a, b, 0, flags)
	case Sbb:
		return sub(size, a, b, flags&x86.FlagCF, flags)
	case Neg:
		return sub(size, 0, a, 0, flags)
	case Inc:
		r, f := add(size, a, 1, 0, flags)
		return r, f&^x86.FlagCF | flags&x86.FlagCF
	case Dec:
		r, f := sub(size, a, 1, 0, flags)
		return r, f&^x86.FlagCF | flags&x86.FlagCF
	case Or:
		return logic(size, a|b, flags)
	case And, Test:
		return logic(size, a&b, flags)
	case Xor:
		return logic(size, a^b, flags)
	case Not:
		return ^a & m, flags
	case Bt, Bts, Btr, Btc:
		return bit(op, a, b&(uint64(size)*8-1), flags)
	}
	return a, flags
}

func add(size uint8, a, b, carry, flags uint64) (uint64, uint64) {
	r := (a + b + carry) & mask(size)
	return r, outcome(size, r, flags, a^b^r, a&b|(a|b)&^r, (a^r)&(b^r))
}

func sub(size uint8, a, b, borrow, flags uint64) (uint64, uint64) {
	r := (a - b - borrow) & mask(size)
	return r, outcome(size, r, flags, a^b^r, ^a&b|(^a|b)&r, (a^b)&(a^r))
}

func logic(size uint8, r, flags uint64) (uint64, uint64) {
	return r, outcome(size, r, flags, 0, 0, 0)
}

// outcome makes the flags of result r. Bit 4 of aux is AF; the top bits of
// carry and overflow are CF and OF.
func outcome(size uint8, r, flags, aux, carry, overflow uint64) uint64 {
	top := 8*size - 1
	flags &^= arithFlags
	flags |= carry >> top & 1 * x86.FlagCF
	flags |= uint64(^bits.OnesCount8(uint8(r))) & 1 * x86.FlagPF
	flags |= aux & x86.FlagAF
	if r == 0 {
		flags |= x86.FlagZF
	}
	flags |= r >> top & 1 * x86.FlagSF
	return flags | overflow>>top&1*x86.FlagOF
}

func bit(op Op, a, n, flags uint64) (uint64, uint64) {
	flags = flags&^x86.FlagCF | a>>n&1
	switch op {
	case Bts:
		a |= 1 << n
	case Btr:
		a &^= 1 << n
	case Btc:
		a ^= 1 << n
	}
	return a, flags
}

// condition evaluates a condition code (SDM Vol. 1, "EFLAGS Condition Codes").
func condition(cc uint8, flags uint64) bool {
	var v bool
	sign := (flags&x86.FlagSF != 0) != (flags&x86.FlagOF != 0)
	switch cc >> 1 {
	case 0:
		v = flags&x86.FlagOF != 0
	case 1:
		v = flags&x86.FlagCF != 0
	case 2:
		v = flags&x86.FlagZF != 0
	case 3:
		v = flags&(x86.FlagCF|x86.FlagZF) != 0
	case 4:
		v = flags&x86.FlagSF != 0
	case 5:
		v = flags&x86.FlagPF != 0
	case 6:
		v = sign
	case 7:
		v = sign || flags&x86.FlagZF != 0
	}
	return v != (cc&1 != 0)
}
