// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import (
	"errors"
	"math/bits"

	"ringo/hv/insn"
	"ringo/mm"
)

// Reference is a clock of known rate, found in firmware's tables, that counts up.
type Reference struct {
	Port uint16 // of a 32-bit register, or 0
	Addr mm.HPA // else: of a 32-bit register in an uncached window of the direct map
	Bits uint   // that count, up to 32; it must take 100 ms or more to wrap
	Hz   uint64
}

// RateSure reports whether the rate of the time-stamp counter is known: nobody
// believes less than 100 MHz or more than 20 GHz of one clock alone.
func RateSure() bool { return booted != 0 && (inPartition() || rateSure) }

// CheckRate measures the TSC for some 50 ms against r. If that alone is credible,
// or if both clocks agree to a hundredth, the rate is known. To be called before
// StartCPU; what was counted in time before may be off, the order is kept.
func CheckRate(r Reference) error {
	if booted == 0 || inPartition() || NumCPU() != 1 {
		return errors.New("kernel: the rate must be checked on the bare machine, before the first StartCPU")
	}
	first := tscHz
	if first == guessHz {
		first = 0
	}
	second, err := r.measure()
	if err != nil {
		return err
	}
	hz := secondOpinion(first, second)
	if hz == 0 {
		return errors.New("two clocks do not agree on the rate of the time-stamp counter")
	}
	changeRate(hz)
	return nil
}

// secondOpinion returns the rate to believe, 0 for none. first is 0 if there is
// only the second.
func secondOpinion(first, second uint64) uint64 {
	apart := max(first, second) - min(first, second)
	switch {
	case credible(second) == 0:
		return 0
	case second >= sureHz:
		return second
	case first != 0 && apart <= first/100:
		return first
	}
	return 0
}

// changeRate sets another rate without a step of Nanotime. Interrupts are off on
// the only CPU meanwhile.
func changeRate(hz uint64) {
	f := cliSave()
	now := insn.RDTSC()
	ns := scale(now-tscZero, nsPerTSC)
	setTSCRate(hz)
	tscZero = now - scale(ns, tscPerNS)
	rateSure = true
	restoreFlags(f)
}

// measure returns the rate of the TSC in Hz.
func (r Reference) measure() (uint64, error) {
	const patience = 1 << 32 // TSC ticks: 0.2 s at 20 GHz, in which any clock counts
	mask := uint64(1)<<r.Bits - 1
	start, last := r.now()
	total, at := uint64(0), start
	for total < r.Hz/20 {
		t, n := r.now()
		total += (n - last) & mask
		at, last = t, n
		if total == 0 && at-start > patience {
			return 0, errors.New("the clock that firmware names does not count")
		}
	}
	hi, lo := bits.Mul64(at-start, r.Hz)
	if hi >= total {
		return 0, errors.New("the clock that firmware names is absurdly slow")
	}
	hz, _ := bits.Div64(hi, lo, total)
	return hz, nil
}

// now reads TSC and clock at the same time: of some pairs the one with the
// shortest time between.
func (r Reference) now() (tsc, count uint64) {
	short := ^uint64(0)
	for range 8 {
		f := cliSave()
		t := insn.RDTSC()
		n := r.read()
		d := insn.RDTSC() - t
		restoreFlags(f)
		if d < short {
			short, tsc, count = d, t+d/2, n
		}
	}
	return tsc, count & (1<<r.Bits - 1)
}

//go:nosplit
func (r Reference) read() uint64 {
	if r.Port != 0 {
		return uint64(insn.IN32(r.Port))
	}
	return uint64(*p32(phys(uint64(r.Addr))))
}
