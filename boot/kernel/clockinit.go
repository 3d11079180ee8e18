// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

// Rates of the clocks, and the wall time.

const (
	pitHz    = 1_193_182
	pitTicks = pitHz / 100 // 10 ms
)

//go:nosplit
func clockInit(c *cpu) {
	tscZero = rdtsc()
	if startInfo != nil {
		if credible(startInfo.TSCHz) == 0 {
			dieEarly("\nringo: the hypervisor gives no credible rate of the time-stamp counter")
		}
		setTSCRate(startInfo.TSCHz)
		wallOff = startInfo.EpochNS + scale(tscZero, nsPerTSC)
		if !tscDeadline {
			dieEarly("\nringo: the partition's local APIC has no TSC-deadline timer")
		}
		return
	}
	hz := tscFromCPUID()
	if hz == 0 || !tscDeadline {
		tsc, ticks := calibrate()
		switch {
		case tsc == 0 && hz == 0:
			dieEarly("\nringo: no way to tell the rate of the time-stamp counter: neither CPUID nor a working PIT (timer 8254)")
		case tsc == 0:
			dieEarly("\nringo: no way to tell the rate of the local APIC timer: the PIT (timer 8254) does not count")
		}
		ticksPerTSC = ratio(ticks, tsc)
		if hz == 0 {
			hz = tsc * pitHz / pitTicks
		}
	}
	setTSCRate(hz)
	wallOff = rtcSeconds()*1_000_000_000 - Nanotime()
}

// tscFromCPUID returns the rate if CPUID tells it credibly, else 0: leaf 0x15
// (SDM Vol. 2, CPUID, "Time Stamp Counter and Core Crystal Clock Information
// Leaf") or the hypervisors' leaf 0x40000010 (kHz in EAX).
//
//go:nosplit
func tscFromCPUID() uint64 {
	if n, _, _, _ := cpuid(0, 0); n >= 0x15 {
		den, num, crystal, _ := cpuid(0x15, 0)
		if hz := tscFromCrystal(den, num, crystal); hz != 0 {
			return hz
		}
	}
	if _, _, c, _ := cpuid(1, 0); c>>31 != 0 {
		if n, _, _, _ := cpuid(0x4000_0000, 0); n >= 0x4000_0010 && n < 0x4000_0100 {
			khz, _, _, _ := cpuid(0x4000_0010, 0)
			return credible(uint64(khz) * 1000)
		}
	}
	return 0
}

//go:nosplit
func tscFromCrystal(den, num, crystal uint32) uint64 {
	if den == 0 || num == 0 || crystal == 0 {
		return 0
	}
	return credible(uint64(crystal) * uint64(num) / uint64(den))
}

// credible returns hz if that can be the rate of a time-stamp counter, else 0.
// Emulators count slowly: Bochs at its instructions per second.
//
//go:nosplit
func credible(hz uint64) uint64 {
	if hz < 10_000_000 || hz > 20_000_000_000 {
		return 0
	}
	return hz
}

// calibrate counts TSC and LAPIC timer ticks during 10 ms of PIT channel 2,
// three times, and returns the shortest: delays only make it longer. It returns
// zeros when the PIT does not count.
//
//go:nosplit
func calibrate() (tsc, ticks uint64) {
	for i := 0; i < 3; i++ {
		t, l := calibrateOnce()
		if t == 0 {
			return 0, 0
		}
		if tsc == 0 || t < tsc {
			tsc, ticks = t, l
		}
	}
	return tsc, ticks
}

//go:nosplit
func calibrateOnce() (tsc, ticks uint64) {
	const patience = 20_000_000
	outb(0x61, inb(0x61)&^2|1) // gate on, speaker off
	outb(0x43, 0xb0)           // channel 2, mode 0
	apicWrite(apicLVTTmr, apicMasked|vecTimer)
	outb(0x42, pitTicks&0xff)
	outb(0x42, pitTicks>>8)
	apicWrite(apicTmrInit, 0xffff_ffff)
	t0 := rdtsc()
	n := 0
	for inb(0x61)&0x20 == 0 {
		if n++; n == patience {
			return 0, 0
		}
	}
	t1 := rdtsc()
	ticks = 0xffff_ffff - uint64(apicRead(apicTmrCur))
	apicWrite(apicTmrInit, 0)
	if tscDeadline {
		apicWrite(apicLVTTmr, apicDeadline|vecTimer)
		mfence()
	} else {
		apicWrite(apicLVTTmr, timerLVT())
	}
	return t1 - t0, ticks
}

// picInit masks the 8259s, after moving them off the exception vectors: a
// spurious interrupt of theirs then is one of ours, ignored.
//
//go:nosplit
func picInit() {
	outb(0x20, 0x11)
	outb(0xa0, 0x11)
	outb(0x21, 0x20)
	outb(0xa1, 0x28)
	outb(0x21, 4)
	outb(0xa1, 2)
	outb(0x21, 1)
	outb(0xa1, 1)
	outb(0x21, 0xff)
	outb(0xa1, 0xff)
}

// rtcSeconds reads the CMOS clock as seconds since 1970 (UTC), or 0.
//
//go:nosplit
func rtcSeconds() uint64 {
	var a, b [6]uint32
	for try := 0; try < 5; try++ {
		for i := 0; i < 100_000 && cmos(0xa)&0x80 != 0; i++ {
			pause()
		}
		rtcRead(&a)
		rtcRead(&b)
		if a == b {
			return rtcConvert(&a, cmos(0xb))
		}
	}
	return 0
}

//go:nosplit
func cmos(reg uint32) uint32 {
	outb(0x70, reg|0x80)
	return inb(0x71)
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
