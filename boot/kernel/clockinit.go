// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import "ringo/hv/insn"

// Rates of the clocks, and the wall time.

const (
	pitHz    = 1_193_182
	pitTicks = pitHz / 100 // 10 ms; the counter has 55
)

// clockInit finds the rates.
//
//go:nosplit
func clockInit() {
	tscZero = insn.RDTSC()
	if inPartition() {
		partitionClock()
		return
	}
	if !tscDeadline {
		if ticksPerTSC = timerRate(); ticksPerTSC == 0 {
			dieEarly("\nringo: the local APIC timer does not count")
		}
		apicWrite(apicLVTTmr, timerLVT())
	}
	setTSCRate(firstRate())
	wallOff = rtcSeconds()*1_000_000_000 - Nanotime()
}

// What is taken for the rate of a time-stamp counter: between leastHz and mostHz
// if somebody confirms it (emulators count slowly: Bochs at its instructions per
// second), at once from sureHz on.
const (
	leastHz = 10_000_000
	sureHz  = 100_000_000
	mostHz  = 20_000_000_000
	guessHz = 1_000_000_000 // until CheckRate
)

// rateSure says that the rate needs no second opinion, see CheckRate.
var rateSure bool

// firstRate returns the rate that CPUID or the PIT tells, or a guess.
//
//go:nosplit
func firstRate() uint64 {
	hz := credible(tscFromCPUID())
	if hz == 0 {
		hz = credible(tscFromPIT())
	}
	if hz == 0 { // nothing that counts contradicts it: an emulator may name any
		hz = credible(tscFromBase())
	}
	rateSure = hz >= sureHz
	if hz == 0 {
		return guessHz
	}
	return hz
}

// tscFromCPUID returns the rate if CPUID tells it, else 0: leaf 0x15 (SDM Vol. 2,
// CPUID, "Time Stamp Counter and Core Crystal Clock Information Leaf") or the
// hypervisors' leaf 0x40000010 (kHz in EAX).
//
//go:nosplit
func tscFromCPUID() uint64 {
	if n, _, _, _ := insn.CPUID(0, 0); n >= 0x15 {
		den, num, crystal, _ := insn.CPUID(0x15, 0)
		if hz := tscFromCrystal(den, num, crystal); hz != 0 {
			return hz
		}
	}
	if _, _, c, _ := insn.CPUID(1, 0); c>>31 != 0 {
		if n, _, _, _ := insn.CPUID(0x4000_0000, 0); n >= 0x4000_0010 && n < 0x4000_0100 {
			khz, _, _, _ := insn.CPUID(0x4000_0010, 0)
			return uint64(khz) * 1000
		}
	}
	return 0
}

//go:nosplit
func tscFromCrystal(den, num, crystal uint32) uint64 {
	if den == 0 {
		return 0
	}
	return uint64(crystal) * uint64(num) / uint64(den)
}

// tscFromBase returns the processor's base frequency where leaf 0x15 ties the
// counter to it without naming the crystal (SDM Vol. 2, CPUID, "Processor
// Frequency Information Leaf": MHz in EAX), else 0.
//
//go:nosplit
func tscFromBase() uint64 {
	if n, _, _, _ := insn.CPUID(0, 0); n < 0x16 {
		return 0
	}
	den, num, _, _ := insn.CPUID(0x15, 0)
	if den == 0 || num == 0 {
		return 0
	}
	mhz, _, _, _ := insn.CPUID(0x16, 0)
	return uint64(mhz&0xffff) * 1_000_000
}

// credible returns hz if that can be the rate of a time-stamp counter, else 0.
//
//go:nosplit
func credible(hz uint64) uint64 {
	if hz < leastHz || hz > mostHz {
		return 0
	}
	return hz
}

// tscFromPIT measures the TSC for 10 ms or more against channel 2 of the PIT. A
// delay, as on an emulator whose host is busy, makes it longer and no worse: at
// either end both are read at the same time. It is measured again while that took
// more than a thousandth of the whole, or the counter went round. It returns 0 when
// the PIT does not count.
//
//go:nosplit
func tscFromPIT() (hz uint64) {
	best := ^uint64(0)
	for i := 0; i < 20 && best > 1<<22; i++ {
		r, vague := pitOnce()
		if vague < best {
			hz, best = r, vague
		}
	}
	return hz
}

// pitOnce returns the rate of the TSC, 0 if nothing counts, and how vague it is, as
// a 32.32 fraction; all ones if it could not be measured.
//
//go:nosplit
func pitOnce() (hz, vague uint64) {
	const patience = 10_000              // readings, of some microseconds each
	insn.OUT8(0x61, insn.IN8(0x61)&^2|1) // gate on, speaker off
	insn.OUT8(0x43, 0xb0)                // channel 2, mode 0
	insn.OUT8(0x42, 0xff)
	insn.OUT8(0x42, 0xff)
	pitNow() // loads the counter
	t0, n0, d0 := pitNow()
	t1, n1, d1 := pitNow()
	for n := 0; n0-n1 < pitTicks; n++ {
		if n == patience && n1 == n0 {
			return 0, 0
		}
		t1, n1, d1 = pitNow()
	}
	if insn.IN8(0x61)&0x20 != 0 || t1 == t0 { // went round, or no TSC counts
		return 0, ^uint64(0)
	}
	return (t1 - t0) * pitHz / (n0 - n1), ratio(d0+d1, t1-t0)
}

// pitNow reads the TSC and the counter of channel 2 at the same time: of some pairs
// the one with the shortest time d between.
//
//go:nosplit
func pitNow() (tsc, count, d uint64) {
	d = ^uint64(0)
	for i := 0; i < 8; i++ {
		t := insn.RDTSC()
		insn.OUT8(0x43, 0x80) // latch
		n := uint64(insn.IN8(0x42))
		n |= uint64(insn.IN8(0x42)) << 8
		if e := insn.RDTSC() - t; e < d {
			tsc, count, d = t+e/2, n, e
		}
	}
	return tsc, count, d
}

// timerRate returns how many ticks of the local APIC timer a tick of the TSC is,
// 32.32, or 0 when the timer does not count. No third clock is needed.
//
//go:nosplit
func timerRate() uint64 {
	const long = 1 << 22 // 1.4 ms at 3 GHz, at which the timer makes 140 000 ticks at 100 MHz
	apicWrite(apicLVTTmr, apicMasked|vecTimer)
	apicWrite(apicTmrInit, 0xffff_ffff)
	t0, n0 := timerNow()
	for insn.RDTSC()-t0 < long {
		insn.PAUSE()
	}
	t1, n1 := timerNow()
	apicWrite(apicTmrInit, 0)
	if n1 >= n0 {
		return 0
	}
	return ratio(n0-n1, t1-t0)
}

// timerNow reads TSC and timer at the same time: of some pairs the one with
// the shortest time between.
//
//go:nosplit
func timerNow() (tsc, count uint64) {
	short := ^uint64(0)
	for i := 0; i < 8; i++ {
		t := insn.RDTSC()
		n := uint64(apicRead(apicTmrCur))
		if d := insn.RDTSC() - t; d < short {
			short, tsc, count = d, t+d/2, n
		}
	}
	return tsc, count
}

// picInit masks the 8259s, after moving them off the exception vectors: a
// spurious interrupt of theirs then is one of ours, ignored.
//
//go:nosplit
func picInit() {
	insn.OUT8(0x20, 0x11)
	insn.OUT8(0xa0, 0x11)
	insn.OUT8(0x21, 0x20)
	insn.OUT8(0xa1, 0x28)
	insn.OUT8(0x21, 4)
	insn.OUT8(0xa1, 2)
	insn.OUT8(0x21, 1)
	insn.OUT8(0xa1, 1)
	insn.OUT8(0x21, 0xff)
	insn.OUT8(0xa1, 0xff)
}

// rtcSeconds reads the CMOS clock as seconds since 1970 (UTC), or 0.
//
//go:nosplit
func rtcSeconds() uint64 {
	var a, b [6]uint32
	for try := 0; try < 5; try++ {
		for i := 0; i < 100_000 && cmos(0xa)&0x80 != 0; i++ {
			insn.PAUSE()
		}
		rtcRead(&a)
		rtcRead(&b)
		if a == b {
			return rtcConvert(&a, cmos(0xb))
		}
	}
	return 0
}

// nmiOff in the index port masks the chipset's NMIs, the watchdog's among them,
// until the port is written again.
const nmiOff = 0x80

//go:nosplit
func cmos(reg uint8) uint32 {
	insn.OUT8(0x70, reg&^nmiOff)
	return uint32(insn.IN8(0x71))
}

//go:nosplit
func rtcRead(v *[6]uint32) {
	v[0], v[1], v[2] = cmos(0), cmos(2), cmos(4)
	v[3], v[4], v[5] = cmos(7), cmos(8), cmos(9)
}

// rtcConvert turns second, minute, hour, day, month and year of the century
// into seconds since 1970; format is the clock's status register B.
//
//go:nosplit
func rtcConvert(v *[6]uint32, format uint32) uint64 {
	pm := v[2]&0x80 != 0
	v[2] &= 0x7f
	if format&4 == 0 {
		for i := range v {
			v[i] = v[i]>>4*10 + v[i]&15
		}
	}
	if format&2 == 0 {
		v[2] %= 12
		if pm {
			v[2] += 12
		}
	}
	y, m, d := uint64(v[5])+2000, uint64(v[4]), uint64(v[3])
	if m < 1 || m > 12 || d < 1 || d > 31 {
		return 0
	}
	// Days from the civil calendar, years beginning in March.
	if m <= 2 {
		y--
		m += 12
	}
	days := 365*y + y/4 - y/100 + y/400 + (153*(m-3)+2)/5 + d - 1 - 719468
	return days*86400 + uint64(v[2])*3600 + uint64(v[1])*60 + uint64(v[0])
}
